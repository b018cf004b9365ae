"""What is trained on and what is kept aside to check the learning: by recording, never by window."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from distill.audio.corpus import Corpus, Recording
from distill.audio.files import SAMPLE_RATE, to_channels
from distill.errors import SettingError

SHORTEST_PASSAGE = SAMPLE_RATE // 4
_FEWEST_GROUPS = 5
_SHORTEST_TO_CUT = 4 * SAMPLE_RATE


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
        """A fresh float32 ``[channels, stop - start]``, counted from the passage's beginning."""
        if not 0 <= start <= stop <= self.samples:
            raise ValueError(f"Samples {start} to {stop} are not within a passage of {self.samples}.")
        piece = np.array(self.recording.audio[:, self.start + start : self.start + stop], dtype=np.float32)
        return to_channels(piece, channels)

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


def split_corpus(corpus: Corpus, seed: int = 0, share: float = 0.15) -> Split:
    """Keeps about ``share`` of the sound aside: the same for the same sound and seed, whatever names and order.

    From five groups of recordings on (near-copies are one group) whole groups are kept aside; with fewer, a
    stretch of every recording of at least 4 s, with a gap on both sides that is neither trained on nor checked
    with; with nothing that long, nothing. Raises SettingError for a ``share`` outside 0 to 0.5.
    """
    if not 0 < share <= 0.5:
        raise SettingError(f"A share of {share} cannot be kept aside.", "Give one above 0, of at most 0.5.")
    groups = _groups_in_drawn_order(corpus.recordings, seed)
    if len(groups) >= _FEWEST_GROUPS:
        return _split_by_recording(groups, share)
    return _split_by_passage(groups, seed, share)


def _groups_in_drawn_order(recordings: Iterable[Recording], seed: int) -> list[list[Recording]]:
    members: dict[int, list[Recording]] = defaultdict(list)
    for recording in recordings:
        members[recording.group].append(recording)
    # Longest first, then by content: nothing here may hang on a name.
    groups = [sorted(group, key=lambda one: (-one.samples, one.sha256)) for group in members.values()]
    return sorted(groups, key=lambda group: _draw(seed, *sorted(one.sha256 for one in group)))


def _draw(seed: int, *digests: str) -> str:
    return hashlib.sha256(":".join((str(seed), *digests)).encode()).hexdigest()


def _split_by_recording(groups: Sequence[list[Recording]], share: float) -> Split:
    sizes = [sum(one.samples for one in group) for group in groups]
    most = 1.7 * share * sum(sizes)
    wanted = max(1, round(share * len(groups)))
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
        f"{'is' if len(kept) == 1 else 'are'} kept aside to check what was learnt."
    )
    return Split(train, kept, "recordings", explanation)


def _split_by_passage(groups: Sequence[list[Recording]], seed: int, share: float) -> Split:
    train: list[Passage] = []
    kept: list[Passage] = []
    cut = 0
    # A near-copy would give away in training what its twin keeps aside, and adds no sound of its own.
    for recording in (group[0] for group in groups):
        whole = recording.samples
        if whole < _SHORTEST_TO_CUT:
            train.append(Passage(recording, 0, whole))
            continue
        cut += 1
        length = round(share * whole)
        gap = min(SAMPLE_RATE, round(0.02 * whole))
        first = max(gap + SHORTEST_PASSAGE, round(0.05 * whole))
        draw = np.random.default_rng(int(_draw(seed, recording.sha256)[:16], 16))
        start = int(draw.integers(first, whole - length - first, endpoint=True))
        kept.append(Passage(recording, start, start + length))
        train.append(Passage(recording, 0, start - gap))
        train.append(Passage(recording, start + length + gap, whole))
    if not kept:
        everything = whole_recordings(one for group in groups for one in group)
        return Split(
            everything,
            everything,
            "none",
            f"Nothing could be kept aside from so little sound ({_count(len(everything))}, "
            f"{_seconds(everything)}), so the check is weak: it listens to what was trained on.",
        )
    copies = sum(len(group) - 1 for group in groups)
    explanation = (
        f"A stretch of {_count(cut) if cut == 1 else f'each of {cut} recordings'} ({_seconds(kept)} of "
        f"{_seconds(train + kept)}) is kept aside to check what was learnt"
        + (f", and {copies} near-{'copy is' if copies == 1 else 'copies are'} left out." if copies else ".")
    )
    return Split(tuple(train), tuple(kept), "passages", explanation)


def _count(recordings: int) -> str:
    return "1 recording" if recordings == 1 else f"{recordings} recordings"


def _seconds(passages: Sequence[Passage]) -> str:
    seconds = sum(passage.seconds for passage in passages)
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
