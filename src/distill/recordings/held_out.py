"""What is held out of a corpus, with all that sounds like it: which parts of each recording, in cells of 50 ms.

    marked     . . . . . X X X X . . . . . X . .     it is held out, or sounds like what is
    widened    . X X X X X X X X X X X X . . . .     neither trained on nor checked with, but for what is marked

What is shorter than a sound can be recognised by is not widened.
"""

import numpy as np

from distill.audio.rate import SAMPLE_RATE
from distill.recordings.corpus import Corpus
from distill.recordings.passages import SHORTEST_PASSAGE, Passage, gap_beside

CELL = SAMPLE_RATE // 20
"""Samples of a cell."""
_MARGIN = 4  # cells: where exactly two stretches stop being alike is not known to more
_SHORTEST_RUN = 4  # cells: what is shorter is no sound to recognise


class KeptAside:
    """What is held out so far, and all that sounds like it, in cells of each recording.

    Args:
        comes_back: whether what sounds like it, or sounds together with it in a mix, is held out with it.
    """

    def __init__(self, corpus: Corpus, *, comes_back: bool = True) -> None:
        self.recordings = corpus.recordings
        self.all_samples = sum(one.samples for one in corpus.recordings)
        self.chosen: dict[int, tuple[int, int]] = {}
        """The stretch of each recording that was chosen, in samples."""
        self._marks = [np.zeros(-(-one.samples // CELL), bool) for one in corpus.recordings]
        self._counts = [0] * len(self._marks), [0] * len(self._marks)
        """Samples marked in each recording, and those that are marked when its marks are widened."""
        self._alike: dict[int, list[tuple[int, int, int, int, int]]] = {}
        for one in corpus.alike if comes_back else ():
            first, last, lag = (round(samples / CELL) for samples in (one.start, one.stop, one.lag))
            self._alike.setdefault(one.one, []).append((one.one, first, last, one.other, lag))
            self._alike.setdefault(one.other, []).append((one.other, first + lag, last + lag, one.one, -lag))
        self._together = [
            ((one.whole, 0), *((part, round(one.lag / CELL)) for part in one.parts))
            for one in (corpus.mixdowns if comes_back else ())
        ]
        """A mix and its tracks, each with the cells by which it begins before the mix."""

    @property
    def samples(self) -> int:
        return sum(self._counts[0])

    @property
    def has_mixdowns(self) -> bool:
        """Whether a mix and its tracks are among the recordings, and kept aside together."""
        return bool(self._together)

    def shares_sound(self, number: int) -> bool:
        """Whether anything in this recording comes back, in itself or in another."""
        return number in self._alike

    def with_it(self, number: int, start: int, stop: int) -> int:
        """Samples that are not trained on if that stretch is held out, too."""
        # Only what changes is counted anew: of a thousand recordings that is hardly ever more than one.
        widens = number in self._alike
        total = sum(self._counts[widens])
        for one, cells in self._changed(number, start, stop):
            total += self._samples(one, cells, widens) - self._counts[widens][one]
        return total

    def add(self, number: int, start: int, stop: int) -> None:
        """Keeps that stretch aside, and all that sounds like it."""
        for one, cells in self._changed(number, start, stop):
            self._marks[one] = cells
            for widens in (False, True):
                self._counts[widens][one] = self._samples(one, cells, widens)
        self.chosen[number] = start, stop

    def passages(self) -> tuple[tuple[Passage, ...], tuple[Passage, ...]]:
        """What is trained on, and what is held out."""
        train: list[Passage] = []
        held_out: list[Passage] = []
        for number, recording in enumerate(self.recordings):
            whole = recording.samples
            untouched = np.ones(len(self._marks[number]), bool)
            marks = self._marks[number].copy()
            if number in self.chosen:
                start, stop = self.chosen[number]
                held_out.append(Passage(recording, start, stop))
                gap = 0 if stop - start == whole else gap_beside(whole)
                marks[max(0, start - gap) // CELL : -(-(stop + gap) // CELL)] = False
                untouched[max(0, start - gap) // CELL : -(-(stop + gap) // CELL)] = False
            untouched &= ~_widened(marks)
            for first, last in _runs(marks):
                if (last - first) * CELL >= SHORTEST_PASSAGE:
                    held_out.append(Passage(recording, first * CELL, min(last * CELL, whole)))
            if untouched.all():
                train.append(Passage(recording, 0, whole))
                continue
            for first, last in _runs(untouched):
                start, stop = first * CELL, min(last * CELL, whole)
                if stop - start >= SHORTEST_PASSAGE:
                    train.append(Passage(recording, start, stop))
        return tuple(train), tuple(held_out)

    def _marked(self, number: int, start: int, stop: int) -> list[np.ndarray]:
        marks = list(self._marks)
        marks[number] = marks[number].copy()
        marks[number][start // CELL : -(-stop // CELL)] = True
        changed = [number]
        while changed:  # what sounds like what sounds like it
            for source, first, last, target, lag in self._alike.get(changed.pop(), ()):
                mine, theirs = marks[source][first:last], marks[target][first + lag : last + lag]
                mine = mine[: len(theirs)]
                # Without its outermost cells: else what is rounded off would creep on from stretch to stretch.
                inner = mine.copy()
                inner[:-1] &= mine[1:]
                inner[1:] &= mine[:-1]
                if (inner & ~theirs[: len(mine)]).any():
                    marks[target] = marks[target].copy()
                    marks[target][first + lag : first + lag + len(mine)] |= inner
                    if target not in changed:
                        changed.append(target)
        self._mark_together(marks)
        return marks

    def _mark_together(self, marks: list[np.ndarray]) -> None:
        """What is marked in a mix or a track of it is marked in all of them, but not what sounds like it in those: of drums
        that come back in every bar all would be held out, and with them all else."""
        changed = bool(self._together)
        while changed:
            changed = False
            for members in self._together:
                begin = min(-lag for _, lag in members)
                ends = [len(marks[one]) - lag for one, lag in members]
                last = max(ends) if any(lag for _, lag in members) else min(ends)
                heard = np.zeros(last - begin, bool)
                for one, lag in members:
                    mine = marks[one][: len(heard) + lag + begin]
                    heard[-lag - begin :][: len(mine)] |= mine
                for one, lag in members:
                    new = heard[-lag - begin :][: len(marks[one])]
                    if (new & ~marks[one][: len(new)]).any():
                        marks[one] = marks[one].copy()
                        marks[one][: len(new)] |= new
                        changed = True

    def _changed(self, number: int, start: int, stop: int) -> list[tuple[int, np.ndarray]]:
        marked = self._marked(number, start, stop)
        return [(one, cells) for one, cells in enumerate(marked) if cells is not self._marks[one]]

    def _samples(self, number: int, cells: np.ndarray, widens: bool) -> int:
        if widens and number in self._alike:
            cells = _widened(cells)
        return min(int(cells.sum()) * CELL, self.recordings[number].samples)


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """From where to where (not included) they are true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _widened(flags: np.ndarray) -> np.ndarray:
    wide = np.zeros_like(flags)
    for first, last in _runs(flags):
        if last - first >= min(_SHORTEST_RUN, len(flags)):
            wide[max(0, first - _MARGIN) : last + _MARGIN] = True
    return wide
