"""How loud, how silent, how wide and how clipped a recording is: of its channels, and as they are mixed."""

import hashlib
from dataclasses import asdict, dataclass

import numpy as np

from distill.audio.mixing import Balance, Mix
from distill.audio.rate import SAMPLE_RATE
from distill.recordings.cache import let_go
from distill.recordings.remembered import remembered

_VERSION = 4
"""To be raised when anything here is measured in another way: what was measured before is kept under its number."""
_FRAME = SAMPLE_RATE // 20  # 50 ms
_BLOCK = 200 * _FRAME  # 10 s
_EDGE, _OVERSHOOT = SAMPLE_RATE // 10, 1.25
"""How far a resampler rings where a value jumps, and how high."""
_PAUSE = 1e-3  # -60 dB below the loudest sample
_LOUD = 10 ** (-30 / 20)
_FULL_SCALE = 0.999
_SPECTRUM = 4096
_ROUNDING = {"PCM_24": 1e-8, "PCM_32": 1e-9, "FLOAT": 1e-9, "DOUBLE": 1e-9}
_COARSE_ROUNDING = 2e-6  # of 16 bits and lossy formats, in one bin of the spectrum
_INAUDIBLE = 1e-5
"""-100 dB below the loudest sample: a frequency that never reaches it is as good as not there."""


@dataclass(frozen=True)
class Levels:
    """What was measured of a recording. An amplitude of 1 is full scale."""

    peak: float
    """The largest amplitude."""
    span: float
    """Highest minus lowest sample; of a constant value, without where a resampler rings."""
    silence: float
    """Share of the time that counts as silence, 0 to 1."""
    loud: float
    """How many seconds are less than 30 dB below the loudest."""
    stereo: bool
    """Whether its channels differ, and both are alive."""
    offset: float
    """The mean of the channel where it is largest."""
    clipped: float
    """Share of the samples that are clipped, 0 to 1."""
    bandwidth: float
    """The highest frequency that is there, in Hz."""
    digest: str
    """SHA-256 of the decoded samples."""
    mix: Mix
    """How one channel is made of them."""

    @property
    def gain(self) -> float:
        """What brings it down to full scale."""
        return 1.0 if self.peak <= 1 else 1 / self.peak


def levels_of(key: str, audio: np.ndarray, subtype: str) -> Levels:
    """What :func:`measure` gives of the file with these bytes, measured once."""
    return Levels(**remembered(f"{key}.levels-{_VERSION}", lambda: asdict(measure(audio, subtype))))


def measure(audio: np.ndarray, subtype: str) -> Levels:
    """Measures ``[C, N]`` block by block: two hours of sound never lie in memory. ``subtype`` is what libsndfile calls it."""
    rounding = _ROUNDING.get(subtype, _COARSE_ROUNDING)
    channels, samples = audio.shape
    digest = hashlib.sha256(f"{channels}".encode())
    highest, lowest = np.full(channels, -np.inf), np.full(channels, np.inf)
    edge, most, least = min(_EDGE, samples // 4), highest, lowest
    balance = Balance()
    spectrum = np.zeros(_SPECTRUM // 2 + 1, np.float32)
    loudness, lengths = [], []
    for start in range(0, samples, _BLOCK):
        block = np.array(audio[:, start : start + _BLOCK], dtype=np.float32)
        digest.update(block.tobytes())
        highest, lowest = np.maximum(highest, block.max(axis=1)), np.minimum(lowest, block.min(axis=1))
        inner = block[:, max(0, edge - start) : max(0, samples - edge - start)]
        most = np.maximum(most, inner.max(axis=1, initial=-np.inf))
        least = np.minimum(least, inner.min(axis=1, initial=np.inf))
        balance.take(block)
        if block.any():
            spectrum = np.maximum(spectrum, _amplitudes(block))
        starts = np.arange(0, block.shape[1], _FRAME)
        lengths.append(np.diff(starts, append=block.shape[1]))
        loudness.append((np.add.reduceat(np.square(block), starts, axis=1) / lengths[-1]).max(axis=0))
        let_go(audio)
    peak = float(max(highest.max(), -lowest.min()))
    full = _FULL_SCALE * max(peak, 1.0)
    # A sound that begins and ends with a step, as where a value is constant; but no hit at the beginning, which is louder.
    is_step = bool((np.maximum(highest, -lowest) <= _OVERSHOOT * np.minimum(np.abs(most), np.abs(least))).all())
    clipped = sum(
        int((np.abs(audio[:, start : start + _BLOCK]) >= full).sum()) for start in range(0, samples, _BLOCK)
    ) if peak >= full else 0  # fmt: skip
    let_go(audio)
    frames, powers = np.concatenate(lengths), np.concatenate(loudness)
    audible = np.flatnonzero(spectrum >= max(_INAUDIBLE * peak, rounding))
    return Levels(
        peak=peak,
        span=float((most - least if is_step else highest - lowest).max()),
        silence=float(frames[powers < (_PAUSE * min(peak, 1.0)) ** 2].sum()) / samples,
        loud=float(frames[powers >= _LOUD**2 * powers.max()].sum()) / SAMPLE_RATE,
        stereo=bool(balance.is_stereo),
        offset=float(balance.offsets[np.abs(balance.offsets).argmax()]),
        clipped=clipped / audio.size,
        bandwidth=float(audible.max(initial=0)) * SAMPLE_RATE / _SPECTRUM,
        digest=digest.hexdigest(),
        mix=balance.mix,
    )


def _amplitudes(block: np.ndarray) -> np.ndarray:
    """The highest amplitude ``[bins]`` that each frequency has in any window of ``block [C, n]``."""
    size = min(_SPECTRUM, block.shape[1])
    # Whole windows only: one cut off by the block's end would have an edge, which holds every frequency.
    windows = block[:, : block.shape[1] // size * size].reshape(-1, size)
    taper = np.hanning(size).astype(np.float32)
    amplitudes: np.ndarray = np.abs(np.fft.rfft(windows * taper, _SPECTRUM)).max(axis=0) / max(taper.sum() / 2, 1.0)
    return amplitudes
