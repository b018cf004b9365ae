"""A recording in the form in which it is compared with others: at 16 kHz, and as log spectra of 24 bands, 20 frames a second.

Of many hours both lie on disk: 34 kB for each second would be 12 GB of memory for a hundred hours.
"""

import tempfile
from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np

from distill.audio.bands import bins_of_bands
from distill.audio.mixing import Mix, mixed
from distill.audio.rate import SAMPLE_RATE
from distill.audio.resampling import resampled
from distill.errors import OutputError
from distill.files.atomic import output_error
from distill.files.home import make_folders, on_another_disk
from distill.recordings.cache import cache_folder, let_go

RATE = 16_000
"""What is compared, in samples a second: octaves up to 8 kHz tell recordings apart."""
HOP = RATE // 20
WINDOW = 2048
BANDS = 24
QUERY = 20
"""Frames, 1 s."""

_RANGE_DB = 60.0
_FLOOR_DB = 45.0  # below the loudest frequency: what is fainter is not whitened up
_BLOCK_SECONDS = 10


class Sketch:
    """One recording as it is compared."""

    def __init__(self, audio: np.ndarray, mix: Mix, *, is_long: bool = False) -> None:
        keep = _on_disk if is_long else _in_memory
        scale = max(_peaks(audio))
        # In half the memory, at a precision well below what is whitened up.
        self.sound = keep((block / max(scale, 1e-9)).astype(np.float16) for block in _reduced(audio, mix))
        frames = max(1, round(len(self.sound) / HOP))
        bands = np.zeros((frames, BANDS), np.float32)
        self.level = np.zeros(frames, np.float32)
        mean = np.zeros(WINDOW // 2 + 1)
        for first in range(0, frames, 128):
            last = min(first + 128, frames)
            part = cut(self.sound, first * HOP, (last - 1) * HOP + WINDOW)
            if not part.any():
                continue
            windows = np.lib.stride_tricks.sliding_window_view(part, WINDOW)[::HOP]
            power = np.square(np.abs(np.fft.rfft(windows * taper(WINDOW), axis=1)))
            bands[first:last] = power @ _band_weights()
            self.level[first:last] = np.sqrt(power.sum(axis=1))
            mean += power.sum(axis=0)
        self.amplitude = np.sqrt(mean / frames)
        self.amplitude = np.maximum(self.amplitude, self.amplitude.max() * 10 ** (-_FLOOR_DB / 20) + 1e-9)
        decibels = 10 * np.log10(bands + 1e-12)
        scaled = np.clip((decibels - decibels.max()) / _RANGE_DB + 1, 0, 1).astype(np.float32)
        sounding = scaled.max(axis=1) >= 0.15
        # What lasts says nothing; but in a short sound nothing is known to last.
        scaled -= scaled[sounding].sum(axis=0) / (sounding.sum() + QUERY)
        scaled[~sounding] = 0
        self.features = keep([scaled])
        let_go(self.sound)

    @property
    def samples(self) -> int:
        return len(self.sound)


def _in_memory(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(parts))


def _on_disk(parts: Iterable[np.ndarray]) -> np.ndarray:
    """The same in a file beside the cache that goes with the last who reads it, be that by a crash."""
    place = cache_folder()
    try:
        make_folders(place)
        with tempfile.TemporaryFile(dir=place) as file:
            shape: tuple[int, ...] = (0,)
            for part in parts:
                file.write(part.tobytes())
                shape = (shape[0] + len(part), *part.shape[1:])
            file.flush()
            return np.memmap(file, part.dtype, "r", shape=shape)
    except OSError as error:
        raise OutputError(
            f"There is no room to compare the recordings: {output_error(place, error).what}",
            f"Free some space, or {on_another_disk()}",
        ) from error


def _peaks(audio: np.ndarray) -> Iterator[float]:
    size = _BLOCK_SECONDS * SAMPLE_RATE
    for at in range(0, audio.shape[1], size):
        yield float(np.abs(audio[:, at : at + size]).max())
        let_go(audio)


def _reduced(audio: np.ndarray, mix: Mix) -> Iterator[np.ndarray]:
    def blocks() -> Iterator[np.ndarray]:
        size = _BLOCK_SECONDS * SAMPLE_RATE
        for start in range(0, audio.shape[1], size):
            yield mixed(np.asarray(audio[:, start : start + size]), mix).T
            let_go(audio)

    for block in resampled(blocks(), SAMPLE_RATE, RATE, channels=1):
        yield block[:, 0]


@cache
def taper(size: int) -> np.ndarray:
    """A Hann window ``[size]`` without its zeros."""
    return np.hanning(size + 2)[1:-1].astype(np.float32)


@cache
def _band_weights() -> np.ndarray:
    """``[WINDOW // 2 + 1, BANDS]``: which bins of the spectrum belong to which band."""
    return bins_of_bands(WINDOW, RATE, np.geomspace(60, 7_600, BANDS + 1))


def cut(sound: np.ndarray, start: int, stop: int) -> np.ndarray:
    """``[stop - start]`` of float32, silence beyond the ends."""
    part = np.zeros(stop - start, np.float32)
    first, last = max(start, 0), min(stop, len(sound))
    if last > first:
        part[first - start : last - start] = sound[first:last]
    return part
