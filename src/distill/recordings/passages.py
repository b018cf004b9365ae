"""Passages of recordings, and what all rules of splitting a corpus into passages share (``split.py``)."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from distill.audio.rate import SAMPLE_RATE
from distill.counted import counted
from distill.durations import duration
from distill.recordings.corpus import Recording

HELD_OUT_SHARE = 0.15
"""The share of the seconds that is held out."""
SHORTEST_PASSAGE = SAMPLE_RATE // 4
"""Samples of a passage at least."""
SHORTEST_TO_CUT = 4 * SAMPLE_RATE
"""Samples of a recording at least, for a stretch of it to be held out."""


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
    def content(self) -> str:
        """Says which it is, whatever the recording is called."""
        return f"{self.recording.sha256} {self.start}-{self.stop}"

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

    def in_order(self, train: Iterable[str], held_out: Iterable[str]) -> "Split":
        """The same with its passages in the order of these, which are given by their ``content``; others behind them."""
        return replace(self, train=_in_order(self.train, train), held_out=_in_order(self.held_out, held_out))


def _in_order(passages: Iterable[Passage], wanted: Iterable[str]) -> tuple[Passage, ...]:
    places = {content: place for place, content in enumerate(wanted)}
    return tuple(sorted(passages, key=lambda one: places.get(one.content, len(places))))


def gap_beside(samples: int) -> int:
    """Samples on both sides of a held-out stretch that are not trained on either, in a recording of so many."""
    return min(SAMPLE_RATE, round(0.02 * samples))


def drawn(seed: int, *digests: str) -> str:
    """A random digest (hex) that hangs on the seed and the sound alone, whatever names and order."""
    return hashlib.sha256(":".join((str(seed), *digests)).encode()).hexdigest()


def nothing_held_out(recordings: Iterable[Recording]) -> Split:
    """All is trained on and checked with: there is too little to hold any of it out."""
    everything = whole_recordings(recordings)
    return Split(
        everything,
        everything,
        "none",
        f"Nothing could be held out from so little sound ({counted(len(everything), 'recording')}, "
        f"{seconds_of(everything)}), so the check is weak: it uses what was trained on.",
    )


def seconds_of(passages: Sequence[Passage]) -> str:
    """How long they are together, in words."""
    return duration(sum(passage.seconds for passage in passages))
