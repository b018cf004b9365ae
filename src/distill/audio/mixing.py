"""One channel from two without losing the sound: channels that cancel, a dead channel, offsets of opposite sign."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Mix = Literal["mean", "left", "right", "difference"]
"""How one channel is made of two; a recording of one channel is its own mean."""

_DEAD = 1e-6  # -60 dB
_CANCELS = 0.1  # of the energy is left in the mean: two channels that have nothing in common leave a half


def mixed(audio: np.ndarray, mix: Mix) -> np.ndarray:
    """``[1, N]`` from ``[1, N]`` or ``[2, N]``."""
    if audio.shape[0] == 1:
        return audio
    if mix == "mean":
        return audio.mean(axis=0, keepdims=True, dtype=np.float32)
    if mix == "difference":
        return ((audio[:1] - audio[1:]) / 2).astype(np.float32)
    return audio[:1] if mix == "left" else audio[1:]


def in_channels(audio: np.ndarray, channels: int, mix: Mix) -> np.ndarray:
    """``[C, N]`` to ``[channels, N]``; two from one are twice the same, and two stay where they are, be one of them silent."""
    if channels == 1:
        return mixed(audio, mix)
    return audio if audio.shape[0] == 2 else np.repeat(audio, 2, axis=0)


def as_trained(audio: np.ndarray, channels: int, gain: float, mix: Mix) -> np.ndarray:
    """A whole recording ``[C, N]`` as it is trained on, for a codec of ``channels``.

    The very array, a memory map as a rule, where the file is as it should be; otherwise a copy in memory.
    """
    if gain == 1.0 and (mix == "mean" or channels == 2 or audio.shape[0] == 1):
        return audio
    return in_channels(np.asarray(audio, dtype=np.float32) * np.float32(gain), channels, mix)


def mono(audio: np.ndarray) -> np.ndarray:
    """A sound ``[C, N]`` to be looked at as ``[1, N]``: the mean of its channels, or if they cancel, with one turned back."""
    return mixed(audio, "difference" if mix_of(audio) == "difference" else "mean")


def mono_pair(recording: np.ndarray, made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A recording ``[C, N]`` and what was made of it, each as ``[1, N]``, to be compared: mixed in the way that keeps the
    recording's sound, since the mean of two channels that cancel is silence, which nothing is like."""
    mix = mix_of(recording)
    return mixed(recording, mix), mixed(made, mix)


def mix_of(audio: np.ndarray) -> Mix:
    """The mix that keeps the sound of ``[C, N]``."""
    balance = Balance()
    balance.take(audio)
    return balance.mix


@dataclass
class Balance:
    """What two channels hold apart and together, without their offsets; counted block by block."""

    samples: int = 0
    _sums: np.ndarray | None = None
    _products: np.ndarray | None = None

    def take(self, block: np.ndarray) -> None:
        """Counts a block ``[C, n]``."""
        wide = block.astype(np.float64)
        if self._sums is None or self._products is None:
            self._sums, self._products = np.zeros(len(block)), np.zeros((len(block), len(block)))
        self.samples += block.shape[1]
        self._sums += wide.sum(axis=1)
        self._products += wide @ wide.T

    @property
    def offsets(self) -> np.ndarray:
        """The mean of each channel, ``[C]``."""
        return np.zeros(1) if self._sums is None else self._sums / max(1, self.samples)

    @property
    def covariance(self) -> np.ndarray:
        """``[C, C]``: energies of the channels without their offsets, and what they have in common."""
        if self._products is None:
            return np.zeros((1, 1))
        covariance: np.ndarray = self._products / max(1, self.samples) - np.outer(self.offsets, self.offsets)
        return covariance

    @property
    def mix(self) -> Mix:
        """The mix that keeps the sound."""
        held = self.covariance
        if len(held) == 1:
            return "mean"
        left, right, both = held[0, 0], held[1, 1], held[0, 1]
        if min(left, right) <= _DEAD * max(left, right):
            return "mean" if left == right else "left" if left > right else "right"
        # The mean of the channels has (left + right + 2 both) / 4, at most what they have on average.
        if left + right + 2 * both < _CANCELS * (left + right) * 2:
            return "difference"
        return "mean"

    @property
    def is_stereo(self) -> bool:
        """Whether the channels differ by more than -60 dB, and both are alive."""
        held = self.covariance
        if len(held) == 1 or self.mix in ("left", "right"):
            return False
        both = 2 * held[0, 1]
        return bool(held[0, 0] + held[1, 1] - both > _DEAD * (held[0, 0] + held[1, 1] + both))


def mix_in_words(mix: Mix) -> str:
    """Why a recording is not simply the mean of its channels; empty where it is."""
    return {
        "mean": "",
        "left": "Its right channel is silent; in mono the left one is used.",
        "right": "Its left channel is silent; in mono the right one is used.",
        "difference": "Its channels cancel each other in mono (opposite polarity), so one is inverted before they are mixed.",
    }[mix]
