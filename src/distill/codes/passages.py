"""Where a sound came from: for every second the passage of the recordings that looks most like it.

Passages are pictures: a second of log-mel, 64 bins by 100 frames. Two are compared by the correlation of their mean-free
pictures, so that level does not matter; the query is also tried higher and lower, faster and slower, as a copy that was
transposed or stretched is a copy. First coarsely, all pictures shrunk twenty-fold; the best few then exactly.
"""

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
_REFINED = 8
"""Candidates of the coarse search that are compared exactly."""
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
        self._coarse = _unit(np.stack([_shrunk(self._frames[start : start + FRAMES]) for start in self._starts]))

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
        kept = np.ones(len(self._starts), bool) if exclude is None else self._source != exclude
        result = Nearest(np.full(count, np.nan), np.full(count, -1), np.zeros(count), np.zeros(count), np.ones(count))
        heard = np.flatnonzero(loudness > SILENT)
        if not len(heard) or not kept.any():
            return result
        result.similarity[heard] = -2.0
        for semitones, stretch in variants:
            picture = _log_mel(spectrum, semitones)
            queries = np.stack([_stretched(picture, int(second) * FRAMES, stretch) for second in heard])
            self._improve(result, heard, queries, kept, semitones, stretch)
        return result

    def _improve(
        self,
        result: Nearest,
        heard: np.ndarray,
        queries: np.ndarray,
        kept: np.ndarray,
        semitones: float,
        stretch: float,
    ) -> None:
        """Takes over what this variant of the query pictures ``[W, FRAMES, BINS]`` is nearer to."""
        coarse = _unit(np.stack([_shrunk(query) for query in queries])) @ self._coarse.T  # [W, P]
        coarse[:, ~kept] = -2
        candidates = np.argpartition(-coarse, min(_REFINED, coarse.shape[1] - 1), axis=1)[:, :_REFINED]
        for second, query, places in zip(heard, _unit(queries.reshape(len(queries), -1)), candidates, strict=True):
            # A coarse likeness that is far from the best so far cannot become the best.
            places = places[coarse[np.searchsorted(heard, second), places] > result.similarity[second] - 0.1]
            places = places[kept[places]]
            if not len(places):
                continue
            pictures = np.stack([self._frames[start : start + FRAMES].ravel() for start in self._starts[places]])
            exact = _unit(pictures) @ query
            best = int(exact.argmax())
            if exact[best] > result.similarity[second]:
                place = places[best]
                result.similarity[second] = exact[best]
                result.source[second] = self._source[place]
                result.seconds[second] = self._seconds[place]
                result.semitones[second], result.stretch[second] = semitones, stretch


def _at_least_a_second(audio: np.ndarray) -> np.ndarray:
    mono = audio.mean(axis=0, keepdims=True, dtype=np.float32)
    return np.pad(mono, ((0, 0), (0, max(0, SAMPLE_RATE - mono.shape[1]))))


@torch.no_grad()
def _spectrum(audio: np.ndarray) -> Tensor:
    """Magnitudes ``[F, bins]`` of mono ``[1, N]``."""
    magnitude: Tensor = Magnitude(_WINDOW, FRAME)(torch.from_numpy(audio))[0]
    return magnitude


_FILTERS = mel_filterbank(SAMPLE_RATE, _WINDOW, BINS)


def _log_mel(spectrum: Tensor, semitones: float = 0.0) -> np.ndarray:
    """``[F, BINS]`` of a spectrum ``[F, bins]``, as if it were ``semitones`` lower."""
    if semitones:
        places = torch.arange(spectrum.shape[1]) * 2 ** (semitones / 12)
        low = places.floor().long().clamp(max=spectrum.shape[1] - 2)
        share = (places - low).clamp(max=1)
        moved = spectrum[:, low] * (1 - share) + spectrum[:, low + 1] * share
        spectrum = torch.where(places < spectrum.shape[1], moved, 0.0)
    log_mel: np.ndarray = (spectrum @ _FILTERS).clamp(min=FLOOR).log10().numpy()
    return log_mel


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


def _shrunk(picture: np.ndarray) -> np.ndarray:
    """``[FRAMES, BINS]`` averaged over tiles of 50 ms by four bins, in a row."""
    tiles = picture.reshape(FRAMES // _STEP, _STEP, _COARSE_BINS, BINS // _COARSE_BINS)
    return tiles.mean(axis=(1, 3)).ravel()


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows ``[n, d]`` made mean-free and of length one: their products are correlations."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    unit: np.ndarray = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    return unit
