"""What is said of where new audio came from: of every second, of its longest shared run, of a whole piece."""

import math
from dataclasses import dataclass
from enum import StrEnum

COPY_SIMILARITY, COPY_PERCENTILE = 0.93, 99.0
"""A second is a copy when it is this like a passage, and more like it than this share of held-out seconds ever are."""
CLOSE_SIMILARITY, CLOSE_PERCENTILE = 0.88, 95.0
REPEATED_RATIO, INDISTINGUISHABLE = 0.5, 0.005
"""The passage found is common property when new audio differs from it by more than this many times what it differs from its
like elsewhere in the recordings (difference: 1 - similarity; smaller ones than the second figure count as that)."""


class Verdict(StrEnum):
    """What is said of one second."""

    ORIGINAL = "Original"
    CLOSE = "Close"
    COPY = "Copy"
    SILENCE = "Silence"


@dataclass(frozen=True)
class Second:
    """One second of new audio and the passage that is most like it."""

    verdict: Verdict
    similarity: float
    """Correlation of the log-mel pictures; NaN in silence."""
    percentile: float
    """How many per cent of held-out seconds are less like their nearest passage; NaN in silence."""
    recording: str
    """Empty in silence."""
    at_seconds: float
    """Where in that recording."""
    semitones: float
    """How much higher than there."""
    stretch: float
    """How much longer than there."""
    is_repeated: bool = False
    """Whether the recordings themselves repeat that passage nearly as closely."""

    @property
    def rank(self) -> float:
        """The percentile; 100 of a copy, 0 of silence. Where nothing was held out to rank it by, likeness alone decides."""
        if self.verdict == Verdict.COPY:
            return 100.0
        if math.isnan(self.percentile):
            return 100.0 if self.verdict == Verdict.CLOSE else 0.0
        return self.percentile


@dataclass(frozen=True)
class SharedRun:
    """The longest stretch of a piece whose codes stand in a recording, one for one."""

    levels: int
    """How many levels of codes are compared, from the coarsest."""
    seconds: float
    percentile: float
    """How many per cent of held-out seconds lie in a shorter one; NaN where there are none to compare with."""
    begin_seconds: float
    """Where in the piece it begins."""
    recording: str
    """Empty where nothing is shared."""
    at_seconds: float
    """Where in that recording it begins."""


@dataclass(frozen=True)
class Originality:
    """What is known of where one piece came from."""

    seconds: tuple[Second, ...]
    runs: tuple[SharedRun, ...]
    """By the first level of codes, and by the first two."""
    equal_windows: float
    """Share of five-second windows of which four fifths of the coarse codes stand, in step, in one recording."""
    held_out_equal_windows: float
    """The same of held-out recordings; NaN where there are none."""

    def share(self, verdict: Verdict) -> float:
        """Of the seconds that are not silent."""
        heard = [second.verdict == verdict for second in self.seconds if second.verdict != Verdict.SILENCE]
        return sum(heard) / len(heard) if heard else 0.0

    @property
    def percentile(self) -> float:
        """Of the second that is most like a passage, without what the recordings themselves repeat; 0 where nothing is left.

        A copy counts as 100, be it one by its codes or where there is nothing to rank it by.
        """
        return max((second.rank for second in self.seconds if not second.is_repeated), default=0.0)

    @property
    def nearest(self) -> Second | None:
        """The second that is most like a passage."""
        heard = [second for second in self.seconds if second.verdict != Verdict.SILENCE]
        return max(heard, key=lambda second: second.similarity, default=None)

    def summary(self) -> str:
        """One line for a person."""
        nearest = self.nearest
        if nearest is None:
            return "silent"
        words = ", ".join(
            f"{100 * self.share(verdict):.0f} % {verdict.value.lower()}"
            for verdict in (Verdict.ORIGINAL, Verdict.CLOSE, Verdict.COPY)
            if self.share(verdict)
        )
        return (
            f"{words}; nearest {nearest.recording} at {nearest.at_seconds:.1f} s (similarity {nearest.similarity:.2f}"
            + (", which the recordings repeat)" if nearest.is_repeated else ")")
        )


def by_likeness(similarity: float, percentile: float, elsewhere: float) -> tuple[Verdict, bool]:
    """The verdict on a second that is not silent, and whether the recordings repeat the passage it is like.

    Args:
        percentile: of the similarity among held-out seconds; NaN where there are none: then likeness alone must do.
        elsewhere: how like that passage the recordings are elsewhere; NaN where there is no elsewhere.
    """
    repeated = elsewhere >= CLOSE_SIMILARITY and max(1 - similarity, INDISTINGUISHABLE) >= REPEATED_RATIO * (
        1 - elsewhere
    )
    rank = 100.0 if math.isnan(percentile) else percentile
    if similarity >= COPY_SIMILARITY and rank >= COPY_PERCENTILE and not repeated:
        return Verdict.COPY, repeated
    if similarity >= CLOSE_SIMILARITY and rank >= CLOSE_PERCENTILE:
        return Verdict.CLOSE, repeated
    return Verdict.ORIGINAL, repeated
