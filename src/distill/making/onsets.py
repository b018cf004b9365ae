"""How much the onsets of a sound repeat: whether it has an audible beat.

Onsets are where the mel bands get louder from frame to frame, a hundred frames a second. Their autocorrelation says how much
of them comes again after a time.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from distill.audio.distance import LogMel
from distill.audio.mixing import mono
from distill.audio.rate import SAMPLE_RATE
from distill.making.beat import LONGEST_SECONDS, SHORTEST_SECONDS, echo_of

FRAMES_PER_SECOND = 100
_WINDOW, _BINS = 2048, 64
_BESIDE = 2
"""By how many frames an echo may miss the period."""
_PART = 5 * SAMPLE_RATE
"""Samples of the parts in which sounds are compared: in a longer one more comes again, and less of it by chance."""


def onset_echoes(audio: np.ndarray) -> np.ndarray:
    """Autocorrelation of the onsets of a sound ``[C, N]``, by frames apart: ``[F - 1]`` of its F frames, 1 at the first."""
    measure = LogMel(SAMPLE_RATE, _WINDOW, SAMPLE_RATE // FRAMES_PER_SECOND, _BINS)
    bands = measure(torch.from_numpy(mono(audio)[0])[None, None])[0, 0]
    return echo_of(bands.diff(dim=0).relu().mean(dim=1).double().numpy())


def onset_echo(audio: np.ndarray, period: int) -> float:
    """How much the onsets of a sound ``[C, N]`` repeat after that many frames, or two frames beside it."""
    echoes = onset_echoes(audio)
    return float(echoes[max(0, period - _BESIDE) : period + _BESIDE + 1].max(initial=0.0))


def mean_echo(sounds: Iterable[np.ndarray], period: int) -> float:
    """:func:`onset_echo` of at least one sound, the mean of all parts of five seconds; a shorter sound is one part.

    They overlap in sounds that are no multiple of that.
    """
    echoes = []
    for sound in sounds:
        samples = sound.shape[1]
        starts = np.linspace(0, max(0, samples - _PART), max(1, math.ceil(samples / _PART)), dtype=np.int64)
        echoes += [onset_echo(sound[:, start : start + _PART], period) for start in starts]
    return float(np.mean(echoes))


def strongest_period(recordings: Sequence[np.ndarray]) -> tuple[int, float]:
    """After how many frames, within the length of a beat, the onsets of recordings ``[C, N]`` repeat most, and how much: their
    :func:`mean_echo`.

    Of those that are as long as the longest beat; (0, 0) where none is.
    """
    shortest, longest = round(SHORTEST_SECONDS * FRAMES_PER_SECOND), round(LONGEST_SECONDS * FRAMES_PER_SECOND)
    echoes = [(one, echo[:longest]) for one in recordings if len(echo := onset_echoes(one)) >= longest]
    if not echoes:
        return 0, 0.0
    mean = np.mean([echo for _, echo in echoes], axis=0)
    period = shortest + int(np.argmax(mean[shortest:]))
    return period, mean_echo((one for one, _ in echoes), period)
