"""How unlike two places of the recordings sound, in units of how much recordings change there of their own accord.

At every border between code positions stands a description: levels of bands over 43 ms, for what sounds, and a fine spectrum
over 171 ms, for which pitches it has. The natural change of a position is how much the descriptions of its two borders differ.
Two positions may be put together where the end of the one and the beginning of the other are not further apart than that.
Descriptions are made when they are first asked for, and take most of the time that grains take in a long corpus.
"""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from distill.audio.bands import bins_of_bands
from distill.audio.rate import SAMPLE_RATE
from distill.making.threads import side_by_side

_SHORT, _LONG = 2048, 8192
"""Samples of the two windows."""
_BANDS = np.geomspace(60, 16_000, 25)
"""Hz; edges of the bands of the short window."""
_LOWEST_HZ, _HIGHEST_HZ, _PER_OCTAVE = 60.0, 5000.0, 24
"""The fine spectrum: from where to where it goes, and its bands in an octave."""
_DEPTH_DB = 45.0
"""How far under its loudest partial a fine spectrum is seen."""
_FLOOR = 1e-8
"""-80 dBFS: nothing quieter is told apart."""
_SAMPLE = 512
"""Positions from which it is learned what little change is, and what much."""
_TOLERANCES = (0.1, 0.5)
"""Quantiles of the natural changes between which a join is judged: silence is not infinitely strict, and an attack, where all
changes, is no free pass; with one, joins gather at attacks and there are too many of them (docs/voices.md)."""
_AT_ONCE = 64
"""Spectra computed together: few enough for a processor's cache."""
_WORTH_SHARING = 32
"""So many lots of them are shared among threads: a fifth of a second of work."""


class Borders:
    """Descriptions of all borders between positions: a stretch of n positions has n + 1.

    Args:
        audio: of each stretch the whole recording, float32 ``[C, N]``.
        begins: at which sample of it the stretch begins.
        lengths: positions of each.
        hop: samples a position.
    """

    def __init__(self, audio: Sequence[np.ndarray], begins: Sequence[int], lengths: np.ndarray, hop: int) -> None:
        # Plain arrays: those of the cache are mapped files, of which every slice costs as much as what is done with it.
        self._audio, self._begins, self._hop = [np.asarray(one) for one in audio], begins, hop
        self._channels = max(len(one) for one in audio)
        self._owner = np.repeat(np.arange(len(lengths)), lengths + 1)
        self._first = np.cumsum([0, *(lengths + 1)])
        self._shift = np.repeat(np.arange(len(lengths)), lengths)
        self._short, self._fine = _band_matrix(_SHORT, _BANDS), _band_matrix(_LONG, _fine_edges())
        size = self._short.shape[1] + self._fine.shape[1]
        self._described = np.zeros((len(self._owner), size), np.float32)
        self._is_described = np.zeros(len(self._owner), bool)
        self._natural = np.full(len(self._shift), np.nan)
        self._least, self._most = 1.0, float("inf")
        steps = self._natural_changes(np.unique(np.linspace(0, len(self._shift) - 1, _SAMPLE).astype(np.int64)))
        moving = steps[steps > 0]
        if len(moving):
            self._least, self._most = (float(one) for one in np.quantile(moving, _TOLERANCES))

    def changes(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """How many natural changes lie between where positions ``before [M]`` end and where ``after [N]`` begin: ``[M, N]``."""
        ends, begins = before + self._shift[before] + 1, after + self._shift[after]
        x, y = self.described(ends), self.described(begins)
        # NumPy would share so small a product among threads that wait for each other: on a busy machine ten times slower.
        product = (torch.from_numpy(x) @ torch.from_numpy(y).T).numpy()
        apart = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1)[None] - 2 * product
        natural = 0.5 * (self._natural_changes(before)[:, None] + self._natural_changes(after)[None])
        found: np.ndarray = np.maximum(apart, 0) / np.clip(natural, self._least, self._most)
        return found

    def prepare(self, positions: np.ndarray) -> None:
        """Describes both borders of these positions ``[M]`` at once: a spectrum costs half as much beside many others."""
        begins = positions + self._shift[positions]
        self.described(np.concatenate([begins, begins + 1]))

    def described(self, borders: np.ndarray) -> np.ndarray:
        """Descriptions ``[M, F]`` in decibels, weighted so that a squared distance is a mean over bands."""
        is_described = self._is_described[borders]
        if not is_described.all():
            self._add(np.unique(borders[~is_described]))
        found: np.ndarray = self._described[borders]
        return found

    def _add(self, missing: np.ndarray) -> None:
        parts = [missing[first : first + _AT_ONCE] for first in range(0, len(missing), _AT_ONCE)]
        if len(parts) < _WORTH_SHARING:
            self._take(zip(parts, map(self._describe, parts), strict=True))
        else:
            with side_by_side() as threads:
                self._take(zip(parts, threads.map(self._describe, parts), strict=True))

    def _take(self, found: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        for borders, descriptions in found:
            self._described[borders] = descriptions
            self._is_described[borders] = True

    def _natural_changes(self, positions: np.ndarray) -> np.ndarray:
        """Squared distance of the two borders of these positions ``[M]``."""
        natural = self._natural[positions]
        is_missing = np.isnan(natural)
        if is_missing.any():
            missing = positions[is_missing]
            begins = missing + self._shift[missing]
            natural[is_missing] = np.square(self.described(begins) - self.described(begins + 1)).sum(axis=1)
            self._natural[missing] = natural[is_missing]
        return natural

    def _describe(self, borders: np.ndarray) -> np.ndarray:
        windows = np.zeros((len(borders), self._channels, _LONG), np.float32)
        for window, border, owner in zip(windows, borders, self._owner[borders], strict=True):
            centre = self._begins[owner] + int(border - self._first[owner]) * self._hop
            _copy_excerpt(self._audio[owner], centre - _LONG // 2, window)
        both = torch.from_numpy(windows)
        middle = both[..., (_LONG - _SHORT) // 2 : (_LONG + _SHORT) // 2]
        bands = 10 * torch.log10(_powers(middle, len(self._short)) @ self._short + _FLOOR)
        fine = 10 * torch.log10(_powers(both, len(self._fine)) @ self._fine + _FLOOR)
        fine = torch.maximum(fine, fine.amax(dim=1, keepdim=True) - _DEPTH_DB)
        found: np.ndarray = torch.cat([bands / bands.shape[1] ** 0.5, fine / fine.shape[1] ** 0.5], dim=1).numpy()
        return found


def excerpt(audio: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Samples ``start`` to ``stop`` of ``audio [C, N]``, silence where there are none; a fresh array."""
    found = np.zeros((audio.shape[0], stop - start), np.float32)
    _copy_excerpt(audio, start, found)
    return found


def _copy_excerpt(audio: np.ndarray, start: int, into: np.ndarray) -> None:
    """Copies ``audio [C, N]`` from sample ``start`` on over ``into [C or more, n]``, which is left as it is beyond the ends."""
    first, last = max(start, 0), min(start + into.shape[1], audio.shape[1])
    if first < last:
        into[:, first - start : last - start] = audio[:, first:last]


def _powers(windows: Tensor, bins: int) -> Tensor:
    """Power spectra ``[M, bins]`` of ``[M, C, n]``, the mean of the channels; 1 is a full-scale sine."""
    size = windows.shape[-1]
    spectra = torch.fft.rfft(windows * _taper(size))[..., :bins]
    powers: Tensor = spectra.real.square().addcmul_(spectra.imag, spectra.imag).mean(dim=1) * (16 / size**2 / 2)
    return powers


@cache
def _taper(size: int) -> Tensor:
    return torch.hann_window(size)


def _band_matrix(size: int, edges: np.ndarray) -> Tensor:
    """``[bins, bands]``: which bins belong to which band; bins up to the last that is used."""
    matrix = bins_of_bands(size, SAMPLE_RATE, edges)
    used = int(np.flatnonzero(matrix.any(axis=1)).max()) + 1  # nothing is computed of what lies above all bands
    return torch.from_numpy(matrix[:used])


def _fine_edges() -> np.ndarray:
    """Hz: bins of the long window at first, then parts of an octave once these are wider."""
    edges = [_LOWEST_HZ]
    while edges[-1] < _HIGHEST_HZ:
        edges.append(max(edges[-1] + SAMPLE_RATE / _LONG, edges[-1] * 2 ** (1 / _PER_OCTAVE)))
    return np.array(edges)
