"""What is trained on and what is held out to check the learning: by recording or by stretch, never by window.

What sounds alike is held out together or not at all: of a piece whose bars come back, a bar is held out wherever it
comes, and all the others are trained on. So the bars chosen are those that come back least. Of a mix and its tracks the same
seconds are held out.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from distill.audio.corpus import Corpus, Recording
from distill.audio.rate import SAMPLE_RATE
from distill.durations import duration

SHORTEST_PASSAGE = SAMPLE_RATE // 4
SPLIT_RULE = 3
"""How the split is drawn now. Another rule keeps other recordings aside, so models and states note theirs: by the second, a
mix and its tracks were held out apart."""
HELD_OUT_SHARE = 0.15
"""The share of the seconds that is held out."""
_FEWEST_RECORDINGS = 5
_SHORTEST_TO_CUT = 4 * SAMPLE_RATE
_MOST = 1.7  # times the share wished for
_ENOUGH = 0.6
_LONGEST_CUT = 0.3  # of a recording
_LEAST_CUT = SAMPLE_RATE
_TRIES = 12  # places for a stretch, where sound comes back
_CELL = SAMPLE_RATE // 20  # what sounds alike is kept count of in twentieths of a second
_MARGIN = 4  # cells: where exactly two stretches stop being alike is not known to more
_SHORTEST_RUN = 4  # cells: what is shorter is no sound to recognise


@dataclass(frozen=True)
class Passage:
    """Samples ``start`` to ``stop`` (not included) of a recording, at 48 kHz."""

    recording: Recording
    start: int
    stop: int

    @property
    def samples(self) -> int:
        return self.stop - self.start

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE

    @property
    def label(self) -> str:
        """The recording's name, and from when to when, unless it is the whole recording."""
        if self.samples == self.recording.samples:
            return self.recording.name
        return f"{self.recording.name} {self.start / SAMPLE_RATE:.1f}–{self.stop / SAMPLE_RATE:.1f} s"

    def read(self, start: int, stop: int, channels: int) -> np.ndarray:
        """A fresh float32 ``[channels, stop - start]``, counted from the passage's beginning.

        Raises:
            ValueError: if these samples are not within the passage.
        """
        if not 0 <= start <= stop <= self.samples:
            raise ValueError(f"Samples {start} to {stop} are not within a passage of {self.samples}.")
        return self.recording.read(self.start + start, self.start + stop, channels)

    def blocks(self, channels: int, samples: int = 10 * SAMPLE_RATE) -> Iterator[np.ndarray]:
        """All of it, float32 ``[channels, n]``, at most ``samples`` a block."""
        for start in range(0, self.samples, samples):
            yield self.read(start, min(start + samples, self.samples), channels)


def whole_recordings(recordings: Iterable[Recording]) -> tuple[Passage, ...]:
    """Every recording as one passage."""
    return tuple(Passage(one, 0, one.samples) for one in recordings)


@dataclass(frozen=True)
class Split:
    """Passages to train on and to check with; with kind "none" both are the same passages."""

    train: tuple[Passage, ...]
    held_out: tuple[Passage, ...]
    kind: Literal["recordings", "passages", "none"]
    explanation: str

    @property
    def is_held_out(self) -> bool:
        """Whether anything is held out, so that the check is of sound that is not trained on."""
        return self.kind != "none"


def split_corpus(corpus: Corpus, seed: int = 0, rule: int = SPLIT_RULE) -> Split:
    """Keeps about 15 % of the seconds aside: the same for the same sound and seed, whatever names and order.

    From five recordings on whole recordings are held out; where that makes too little or too much (one long recording
    among hits; bars that come back everywhere), and with fewer recordings, stretches of recordings of at least 4 s, with
    a gap on both sides that is neither trained on nor checked with; with nothing that long, nothing. What sounds like
    something held out is held out too.

    Args:
        rule: the rule by which a model was trained, so that what it held out stays what was held out.
    """
    if rule == 1:
        return _split_by_groups(corpus, seed)
    # Nothing here may hang on a name.
    order = sorted(range(corpus.file_count), key=lambda number: _draw(seed, corpus.recordings[number].sha256))
    kept = _KeptAside(corpus, has_mixdowns=rule >= 3)
    goal = HELD_OUT_SHARE * kept.all_samples
    if corpus.file_count >= _FEWEST_RECORDINGS:
        _keep_recordings(kept, order, goal)
    if kept.samples < _ENOUGH * goal:
        _keep_stretches(kept, order, goal, seed)
    is_weak = not kept.chosen
    if is_weak:  # everything comes back everywhere
        kept = _KeptAside(corpus, comes_back=False)
        _keep_stretches(kept, order, goal, seed)
    if not kept.chosen:
        return _nothing_held_out(corpus.recordings)
    train, held_out = kept.passages()
    is_by_recording = all(one.samples == one.recording.samples for one in train + held_out)
    explanation = _explanation(kept, held_out, corpus)
    if is_weak:
        explanation += " What is held out comes back in what is trained on, so the check is weak."
    return Split(train, held_out, "recordings" if is_by_recording else "passages", explanation)


class _KeptAside:
    """What is held out so far, and all that sounds like it, in cells of each recording."""

    def __init__(self, corpus: Corpus, *, comes_back: bool = True, has_mixdowns: bool = False) -> None:
        self.recordings = corpus.recordings
        self.all_samples = sum(one.samples for one in corpus.recordings)
        self.chosen: dict[int, tuple[int, int]] = {}
        """The stretch of each recording that was chosen, in samples."""
        self._marks = [np.zeros(-(-one.samples // _CELL), bool) for one in corpus.recordings]
        self._counts = [0] * len(self._marks), [0] * len(self._marks)
        """Samples marked in each recording, and those that are marked when its marks are widened."""
        self._alike: dict[int, list[tuple[int, int, int, int, int]]] = {}
        for one in corpus.alike if comes_back else ():
            first, last, lag = (round(samples / _CELL) for samples in (one.start, one.stop, one.lag))
            self._alike.setdefault(one.one, []).append((one.one, first, last, one.other, lag))
            self._alike.setdefault(one.other, []).append((one.other, first + lag, last + lag, one.one, -lag))
        self._together = [(one.whole, *one.parts) for one in corpus.mixdowns] if has_mixdowns else []

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
                gap = 0 if stop - start == whole else _gap(whole)
                marks[max(0, start - gap) // _CELL : -(-(stop + gap) // _CELL)] = False
                untouched[max(0, start - gap) // _CELL : -(-(stop + gap) // _CELL)] = False
            untouched &= ~_widened(marks)
            for first, last in _runs(marks):
                if (last - first) * _CELL >= SHORTEST_PASSAGE:
                    held_out.append(Passage(recording, first * _CELL, min(last * _CELL, whole)))
            if untouched.all():
                train.append(Passage(recording, 0, whole))
                continue
            for first, last in _runs(untouched):
                start, stop = first * _CELL, min(last * _CELL, whole)
                if stop - start >= SHORTEST_PASSAGE:
                    train.append(Passage(recording, start, stop))
        return tuple(train), tuple(held_out)

    def _marked(self, number: int, start: int, stop: int) -> list[np.ndarray]:
        marks = list(self._marks)
        marks[number] = marks[number].copy()
        marks[number][start // _CELL : -(-stop // _CELL)] = True
        changed = [number]
        while changed:  # what sounds like what sounds like it
            for source, first, last, target, lag in self._alike.get(changed.pop(), ()):
                mine, theirs = marks[source][first:last], marks[target][first + lag : last + lag]
                mine = mine[: len(theirs)]
                # Without its outermost cells: else what is rounded off would creep on from stretch to stretch.
                inner = mine & np.append(mine[1:], True) & np.insert(mine[:-1], 0, True)
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
                length = min(len(marks[one]) for one in members)
                heard = np.logical_or.reduce([marks[one][:length] for one in members])
                for one in members:
                    if (heard & ~marks[one][:length]).any():
                        marks[one] = marks[one].copy()
                        marks[one][:length] |= heard
                        changed = True

    def _changed(self, number: int, start: int, stop: int) -> list[tuple[int, np.ndarray]]:
        marked = self._marked(number, start, stop)
        return [(one, cells) for one, cells in enumerate(marked) if cells is not self._marks[one]]

    def _samples(self, number: int, cells: np.ndarray, widens: bool) -> int:
        if widens and number in self._alike:
            cells = _widened(cells)
        return min(int(cells.sum()) * _CELL, self.recordings[number].samples)


def _keep_recordings(kept: _KeptAside, order: Sequence[int], goal: float) -> None:
    """Whole recordings, in drawn order, first of those that share nothing with others."""
    wanted = max(1, round(HELD_OUT_SHARE * len(order)))
    for number in sorted(order, key=kept.shares_sound):
        enough = len(kept.chosen) >= wanted and kept.samples >= 0.75 * goal
        if enough or len(kept.chosen) >= 2 * wanted:
            return
        whole = kept.recordings[number].samples
        if kept.with_it(number, 0, whole) <= _MOST * goal:
            kept.add(number, 0, whole)


def _keep_stretches(kept: _KeptAside, order: Sequence[int], goal: float, seed: int) -> None:
    """A stretch of each recording that is long enough; where sound comes back, of those where it comes back least."""
    long = [
        number for number in order if number not in kept.chosen and kept.recordings[number].samples >= _SHORTEST_TO_CUT
    ]
    part = (goal - kept.samples) / max(1, sum(kept.recordings[number].samples for number in long))
    candidates = []
    for place, number in enumerate(long):
        whole = kept.recordings[number].samples
        length = round(min(part, _LONGEST_CUT) * whole)
        if kept.shares_sound(number):  # a piece of a bar would take the same piece of all its kin with it
            length = max(length, min(2 * SAMPLE_RATE, whole // 3))
        first = max(_gap(whole) + SHORTEST_PASSAGE, round(0.05 * whole))
        draw = np.random.default_rng(int(_draw(seed, kept.recordings[number].sha256)[:16], 16))
        starts = draw.integers(first, whole - length - first, size=_TRIES, endpoint=True).tolist()
        tried = starts if kept.shares_sound(number) else starts[:1]
        costs = [kept.with_it(number, start, start + length) - kept.samples for start in tried]
        best = int(np.argmin(costs))
        candidates.append((round(4 * costs[best] / length), place, number, tried[best], length))
    for _, _, number, start, length in sorted(candidates):
        while length:
            with_it = kept.with_it(number, start, start + length)
            nearly = 1.2 if kept.shares_sound(number) else 1.0
            if with_it <= _MOST * goal and (kept.samples + with_it) / 2 <= nearly * goal + _CELL:
                kept.add(number, start, start + length)
                break
            length = length // 2 if length >= 2 * _LEAST_CUT else 0


def _gap(samples: int) -> int:
    return min(SAMPLE_RATE, round(0.02 * samples))


def _draw(seed: int, *digests: str) -> str:
    return hashlib.sha256(":".join((str(seed), *digests)).encode()).hexdigest()


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


def _nothing_held_out(recordings: Iterable[Recording]) -> Split:
    everything = whole_recordings(recordings)
    return Split(
        everything,
        everything,
        "none",
        f"Nothing could be held out from so little sound ({_count(len(everything))}, "
        f"{_seconds(everything)}), so the check is weak: it is made with what was trained on.",
    )


def _explanation(kept: _KeptAside, held_out: Sequence[Passage], corpus: Corpus) -> str:
    recordings = [corpus.recordings[number] for number in kept.chosen]
    whole = sum(kept.chosen[number] == (0, corpus.recordings[number].samples) for number in kept.chosen)
    cut = len(recordings) - whole
    others = " others" if whole else " recordings"
    stretches = (
        ("a stretch of 1 " + ("other" if whole else "recording")) if cut == 1 else f"a stretch of each of {cut}{others}"
    )
    parts = [f"{whole} of {_count(corpus.file_count)}"] * (whole > 0) + [stretches] * (cut > 0)
    what = " and ".join(parts)
    also = ", with all that sounds like it" if len(held_out) > len(recordings) else ""
    also += " or sounds together with it in a mix" if also and kept.has_mixdowns else ""
    return (
        f"{what[0].upper()}{what[1:]} ({_seconds(held_out)} of {_seconds(whole_recordings(corpus.recordings))}) "
        f"{'is' if whole + (cut > 0) == 1 else 'are'} held out to check what was learned{also}."
    )


def _count(recordings: int) -> str:
    return "1 recording" if recordings == 1 else f"{recordings} recordings"


def _seconds(passages: Sequence[Passage]) -> str:
    return duration(sum(passage.seconds for passage in passages))


# --- The rule of November 2026 and before, for the models and stopped runs that were split by it.


def _split_by_groups(corpus: Corpus, seed: int) -> Split:
    groups = _groups_in_drawn_order(corpus.recordings, seed)
    return _split_by_recording(groups) if len(groups) >= _FEWEST_RECORDINGS else _split_by_passage(groups, seed)


def _groups_in_drawn_order(recordings: Iterable[Recording], seed: int) -> list[list[Recording]]:
    members: dict[int, list[Recording]] = defaultdict(list)
    for recording in recordings:
        members[recording.group].append(recording)
    # Longest first, then by content: nothing here may hang on a name.
    groups = [sorted(group, key=lambda one: (-one.samples, one.sha256)) for group in members.values()]
    return sorted(groups, key=lambda group: _draw(seed, *sorted(one.sha256 for one in group)))


def _split_by_recording(groups: Sequence[list[Recording]]) -> Split:
    sizes = [sum(one.samples for one in group) for group in groups]
    most = 1.7 * HELD_OUT_SHARE * sum(sizes)
    wanted = max(1, round(HELD_OUT_SHARE * len(groups)))
    chosen: list[int] = []
    taken = 0
    for index, size in enumerate(sizes):
        if len(chosen) < wanted and taken + size <= most:
            chosen.append(index)
            taken += size
    if not chosen:
        chosen = [min(range(len(sizes)), key=sizes.__getitem__)]
    kept = whole_recordings(one for index in chosen for one in groups[index])
    train = whole_recordings(one for index, group in enumerate(groups) if index not in chosen for one in group)
    explanation = (
        f"{len(kept)} of {len(kept) + len(train)} recordings ({_seconds(kept)} of {_seconds(kept + train)}) "
        f"{'is' if len(kept) == 1 else 'are'} held out to check what was learned."
    )
    return Split(train, kept, "recordings", explanation)


def _split_by_passage(groups: Sequence[list[Recording]], seed: int) -> Split:
    train: list[Passage] = []
    kept: list[Passage] = []
    cut = 0
    # A near-copy would give away in training what its twin holds out, and adds no sound of its own.
    for recording in (group[0] for group in groups):
        whole = recording.samples
        if whole < _SHORTEST_TO_CUT:
            train.append(Passage(recording, 0, whole))
            continue
        cut += 1
        length = round(HELD_OUT_SHARE * whole)
        gap = min(SAMPLE_RATE, round(0.02 * whole))
        first = max(gap + SHORTEST_PASSAGE, round(0.05 * whole))
        draw = np.random.default_rng(int(_draw(seed, recording.sha256)[:16], 16))
        start = int(draw.integers(first, whole - length - first, endpoint=True))
        kept.append(Passage(recording, start, start + length))
        train.append(Passage(recording, 0, start - gap))
        train.append(Passage(recording, start + length + gap, whole))
    if not kept:
        return _nothing_held_out(one for group in groups for one in group)
    copies = sum(len(group) - 1 for group in groups)
    explanation = (
        f"A stretch of {_count(cut) if cut == 1 else f'each of {cut} recordings'} ({_seconds(kept)} of "
        f"{_seconds(train + kept)}) is held out to check what was learned"
        + (f", and {copies} near-{'copy is' if copies == 1 else 'copies are'} left out." if copies else ".")
    )
    return Split(tuple(train), tuple(kept), "passages", explanation)
