"""Where a sound came from: for every second the passage of the recordings that looks most like it.

Passages are pictures: a second of log-mel, 64 bins by 100 frames. Two are compared by the correlation of their mean-free
pictures, so that level does not matter; the query is also tried higher and lower, faster and slower, as a copy that was
transposed or stretched is a copy. First coarsely, all pictures shrunk twenty-fold; the best few then exactly.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from distill.audio.distance import FLOOR, Magnitude, mel_filterbank
from distill.audio.files import SAMPLE_RATE

FRAME = 480
"""Samples a frame: 10 ms."""
FRAMES = 100
"""A passage: one second."""
BINS = 64
_STEP = 5
"""Frames between the passages that are tried: 50 ms. Also how many frames are averaged for the coarse search."""
_COARSE_BINS = 16
_WINDOW = 2048
SEMITONES = tuple(step / 2 for step in range(-6, 7))
STRETCHES = (0.9, 0.95, 1.0, 1.05, 1.1)
_PROPOSED, _REFINED = 3, 12
"""Candidates of the coarse search: at each pitch and speed, and of these all the best, which are compared exactly."""
_RANGE = 2.5
"""Powers of ten of the magnitude that count below a sound's peak: 50 dB."""
SILENT = 1e-3
"""RMS below which a second counts as silent: -60 dBFS."""


@dataclass(frozen=True)
class Nearest:
    """For each second of a sound the nearest passage of the recordings; arrays ``[W]``."""

    similarity: np.ndarray
    """Correlation of the pictures, -1 to 1; NaN where the second is silent."""
    source: np.ndarray
    """Which recording, as counted in the list that was given; -1 where silent."""
    seconds: np.ndarray
    """Where in that recording the passage begins."""
    semitones: np.ndarray
    """How much higher than the passage the sound is."""
    stretch: np.ndarray
    """How much longer than the passage the sound is."""

    @classmethod
    def joined(cls, parts: "Sequence[Nearest]") -> "Nearest":
        """Several sounds that follow each other as one."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @property
    def is_silent(self) -> np.ndarray:
        return np.isnan(self.similarity)


class Passages:
    """Every second of the recordings, at every twentieth of a second.

    Args:
        recordings: float32 ``[C, N]`` at 48 kHz each. Shorter ones than a second are followed by silence.
    """

    def __init__(self, recordings: Sequence[np.ndarray]) -> None:
        pictures = [_log_mel(_spectrum(_at_least_a_second(audio))) for audio in recordings]
        self._frames = np.concatenate(pictures).astype(np.float32)  # [F, BINS]
        begins = np.cumsum([0] + [len(picture) for picture in pictures])
        starts = [
            np.arange(begin, begin + len(picture) - FRAMES + 1, _STEP)
            for begin, picture in zip(begins, pictures, strict=False)
        ]
        self._starts = np.concatenate(starts)  # [P], frames
        self._source = np.repeat(np.arange(len(recordings)), [len(one) for one in starts])
        self._seconds = (self._starts - begins[self._source]) * FRAME / SAMPLE_RATE
        self._coarse = _unit(np.concatenate([_shrunk(self._frames[start : start + FRAMES]) for start in self._starts]))

    def nearest(self, audio: np.ndarray, *, exclude: int | None = None, transposed: bool = True) -> Nearest:
        """The nearest passage for every whole second of ``audio [C, N]`` (48 kHz); what is shorter is one second.

        Args:
            exclude: a recording that is left out, to compare it with all others.
            transposed: try other pitches and speeds too.
        """
        audio = _at_least_a_second(audio)
        count = audio.shape[1] // SAMPLE_RATE
        loudness = np.sqrt(np.square(audio[:, : count * SAMPLE_RATE]).mean(axis=0).reshape(count, -1).mean(axis=1))
        spectrum = _spectrum(audio)
        variants = [(0.0, 1.0)]
        if transposed:
            variants = [(semitones, stretch) for semitones in SEMITONES for stretch in STRETCHES]
        pictures = {semitones: _log_mel(spectrum, semitones) for semitones in dict(variants)}
        kept = np.ones(len(self._starts), bool) if exclude is None else self._source != exclude
        result = Nearest(np.full(count, np.nan), np.full(count, -1), np.zeros(count), np.zeros(count), np.ones(count))
        heard = np.flatnonzero(loudness > SILENT)
        if not len(heard) or not kept.any():
            return result
        queries = np.empty((len(variants), len(heard), FRAMES, BINS), np.float32)
        scores = np.empty((len(heard), len(variants), _PROPOSED), np.float32)
        places = np.empty((len(heard), len(variants), _PROPOSED), np.int64)
        for number, (semitones, stretch) in enumerate(variants):
            queries[number] = [_stretched(pictures[semitones], int(second) * FRAMES, stretch) for second in heard]
            coarse = _unit(_shrunk(queries[number])) @ self._coarse.T  # [W, P]
            coarse[:, ~kept] = -2
            for row, likeness in enumerate(coarse):
                best = np.argpartition(-likeness, min(_PROPOSED, len(likeness) - 1))[:_PROPOSED]
                best = np.resize(best, _PROPOSED)  # a corpus of a second or two has fewer places
                scores[row, number], places[row, number] = likeness[best], best
        for row, second in enumerate(heard):
            chosen = np.argsort(-scores[row].ravel(), kind="stable")[:_REFINED]
            numbers, where = chosen // _PROPOSED, places[row].ravel()[chosen]
            passages = np.stack([self._frames[start : start + FRAMES].ravel() for start in self._starts[where]])
            exact = (_unit(passages) * _unit(queries[numbers, row].reshape(len(chosen), -1))).sum(axis=1)
            best_one = int(exact.argmax())
            place = where[best_one]
            result.similarity[second] = exact[best_one]
            result.source[second] = self._source[place]
            result.seconds[second] = self._seconds[place]
            result.semitones[second], result.stretch[second] = variants[int(numbers[best_one])]
        return result


def _at_least_a_second(audio: np.ndarray) -> np.ndarray:
    mono = audio.mean(axis=0, keepdims=True, dtype=np.float32)
    return np.pad(mono, ((0, 0), (0, max(0, SAMPLE_RATE - mono.shape[1]))))


@torch.no_grad()
def _spectrum(audio: np.ndarray) -> Tensor:
    """Magnitudes ``[F, bins]`` of mono ``[1, N]``."""
    magnitude: Tensor = Magnitude(_WINDOW, FRAME)(torch.from_numpy(audio))[0]
    return magnitude


@functools.cache
def _filters(semitones: float) -> Tensor:
    """Mel filters ``[bins, BINS]`` for a sound that is ``semitones`` too high: they look that much higher up."""
    filters = mel_filterbank(SAMPLE_RATE, _WINDOW, BINS)
    if not semitones:
        return filters
    bins = len(filters)
    places = torch.arange(bins) * 2 ** (semitones / 12)
    low = places.long().clamp(max=bins - 2)
    share = (places - low)[:, None]
    inside = (places <= bins - 1)[:, None]
    moved = torch.zeros_like(filters)
    moved.index_add_(0, low, filters * (1 - share) * inside)
    moved.index_add_(0, low + 1, filters * share * inside)
    return moved


def _log_mel(spectrum: Tensor, semitones: float = 0.0) -> np.ndarray:
    """``[F, BINS]`` of a spectrum ``[F, bins]``, as if it were ``semitones`` lower; what is 50 dB under the peak is floor.

    Without that floor the faintest noise would fill what was dark, and a copy under noise would look like nothing.
    """
    log_mel: np.ndarray = (spectrum @ _filters(semitones)).clamp(min=FLOOR).log10().numpy()
    return np.maximum(log_mel, log_mel.max() - _RANGE)


def _stretched(picture: np.ndarray, first: int, stretch: float) -> np.ndarray:
    """``FRAMES`` frames of ``picture [F, BINS]`` from ``first`` on, as they would be had the sound not been stretched."""
    if stretch == 1:
        frames = picture[first : first + FRAMES]
        return np.pad(frames, ((0, FRAMES - len(frames)), (0, 0)), mode="edge")
    places = np.clip(first + np.arange(FRAMES) * stretch, 0, len(picture) - 1)
    low = np.minimum(places.astype(int), len(picture) - 2)
    share = (places - low)[:, None].astype(np.float32)
    mixed: np.ndarray = picture[low] * (1 - share) + picture[low + 1] * share
    return mixed


def _shrunk(pictures: np.ndarray) -> np.ndarray:
    """``[n, FRAMES, BINS]`` averaged over tiles of 50 ms by four bins, each in a row."""
    tiles = pictures.reshape(-1, FRAMES // _STEP, _STEP, _COARSE_BINS, BINS // _COARSE_BINS)
    return tiles.mean(axis=(2, 4)).reshape(len(tiles), -1)


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows ``[n, d]`` made mean-free and of length one: their products are correlations."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    unit: np.ndarray = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    return unit
