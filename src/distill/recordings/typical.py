"""Whether a part of a corpus sounds like all of it: so that what is held out stands for the rest, and little is lost with it.

The recordings are heard a second at a time, and two sets of seconds are compared by their energy distance (Szekely and Rizzo
2013, "Energy statistics"), which is 0 if both have the same distribution. Data is split by it in Joseph and Vakayil 2022,
"SPlit: an optimal method for data splitting", Technometrics 64.
"""

from collections.abc import Sequence

import numpy as np

from distill.audio.bands import bins_of_bands
from distill.audio.rate import SAMPLE_RATE
from distill.recordings.corpus import Recording
from distill.recordings.passages import Passage

SECOND, STEP = SAMPLE_RATE, SAMPLE_RATE // 2
"""Samples of what is heard at a time, and from one to the next."""
MOST_SECONDS = 1000
"""So many are heard at most, spread over all recordings."""
_WINDOW = 2048
_TAPER = np.hanning(_WINDOW)
_FILTERS = bins_of_bands(_WINDOW, SAMPLE_RATE, np.geomspace(60, 16_000, 25))
_RANGE_DB = 60.0
"""What is softer than the loudest band by more is not told apart."""
_DECIMALS = 5
"""What differs by less may be rounding, which must not decide: the same sound has the same split on every computer."""


class Typical:
    """The seconds of a corpus, beside which parts of it are compared."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        in_order = sorted(recordings, key=lambda one: one.sha256)
        ends = np.cumsum([1 + max(one.samples - SECOND, 0) // STEP for one in in_order])
        heard = np.unique(np.linspace(0, ends[-1] - 1, MOST_SECONDS).astype(int))
        whose = np.searchsorted(ends, heard, side="right")
        self._places = [
            (in_order[owner], STEP * place, min(STEP * place + SECOND, in_order[owner].samples))
            for owner, place in zip(whose.tolist(), (heard - np.append(0, ends)[whose]).tolist(), strict=True)
        ]
        self._weights = np.array([min(stop - start, STEP) for _, start, stop in self._places], np.float64)
        sounds = [_bands(one.read(start, stop, 1)[0]) for one, start, stop in self._places]
        softest = max(float(one.max()) for one in sounds) - _RANGE_DB
        sounds = [np.maximum(one, softest) for one in sounds]
        seconds = np.array([np.concatenate([one.mean(axis=0), one.std(axis=0)]) for one in sounds])
        seconds /= seconds.std(axis=0) + 1.0  # decibels: what hardly varies says little
        squares = np.square(seconds).sum(axis=1)
        self._apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * seconds @ seconds.T, 0))

    def distance(self, part: Sequence[Passage]) -> float:
        """How far a part is from all: their energy distance, beside the mean distance of two seconds; infinite for nothing."""
        within: dict[str, list[tuple[int, int]]] = {}
        for passage in part:
            within.setdefault(passage.recording.sha256, []).append((passage.start, passage.stop))
        there = np.array(
            [
                any(first <= (start + stop) // 2 < last for first, last in within.get(one.sha256, ()))
                for one, start, stop in self._places
            ]
        )
        if not there.any():
            return np.inf
        here, all_of_it = self._weights * there / (self._weights @ there), self._weights / self._weights.sum()
        spread = float(all_of_it @ self._apart @ all_of_it)
        energy = float(2 * here @ self._apart @ all_of_it - here @ self._apart @ here) - spread
        return round(energy / max(spread, 1e-9), _DECIMALS)


def _bands(sound: np.ndarray) -> np.ndarray:
    """The levels of bands in decibels ``[frames, 24]`` of ``[N]`` samples."""
    padded = np.pad(sound, (0, -len(sound) % _WINDOW))
    spectra = np.fft.rfft(padded.reshape(-1, _WINDOW) * _TAPER, axis=1)
    power = np.square(np.abs(spectra)) @ _FILTERS
    return 10 * np.log10(power + 1e-10)
