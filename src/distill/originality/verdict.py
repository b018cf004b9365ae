"""Verdicts on where new audio came from: on every second, on its longest shared run, on a whole piece."""

import math
from dataclasses import dataclass
from enum import StrEnum

from distill.durations import place

COPY_SIMILARITY, COPY_PERCENTILE = 0.93, 99.0
"""A second is a copy if it is at least this similar to a passage, and more so than this many per cent of held-out seconds."""
CLOSE_SIMILARITY, CLOSE_PERCENTILE = 0.88, 95.0
COPY_RUN_SECONDS = 1.0
"""A run of equal codes (two levels) that is this long, and longer than those of 99 % of held-out seconds, is a copy whatever
the spectrograms say."""
SHORT_COPY_SHARE, SHORT_COPY_SECONDS = 0.8, 0.25
"""Of a sound or a recording that is shorter, this share in one run is a copy; of a recording at least so many seconds, as the
beginnings of two strokes may be equal by chance."""
REPEATED_RATIO, INDISTINGUISHABLE = 0.5, 0.005
"""A passage counts as repeated if new audio differs from it by more than this many times what it differs from its nearest
passage elsewhere in the recordings (difference: 1 - similarity; at least the second figure)."""

REPEATED = "the recordings themselves repeat this nearly as closely"
"""Why a second that is like a passage is no copy of it."""


class Verdict(StrEnum):
    """The verdict on one second."""

    ORIGINAL = "Original"
    CLOSE = "Close"
    COPY = "Copy"
    SILENCE = "Silence"


@dataclass(frozen=True)
class Second:
    """One second of new audio and the passage that is most like it."""

    verdict: Verdict
    similarity: float
    """Correlation with the passage that looks most like it, of their log-mel pictures; NaN in silence."""
    percentile: float
    """How many per cent of held-out seconds are less like their nearest passage; NaN in silence."""
    recording: str
    """Name of the recording that holds the passage; empty in silence. For a copy that its codes give away, of the one that
    holds these."""
    at_seconds: float
    """Where in that recording the passage begins."""
    semitones: float
    """How many semitones higher than the passage it is."""
    stretch: float
    """How many times as long as the passage it is."""
    is_repeated: bool = False
    """Whether the recordings themselves repeat that passage nearly as closely."""

    @property
    def rank(self) -> float:
        """The percentile; 100 for a copy, 0 for silence. Where nothing was held out to rank it by, similarity alone decides."""
        if self.verdict == Verdict.COPY:
            return 100.0
        if math.isnan(self.percentile):
            return 100.0 if self.verdict == Verdict.CLOSE else 0.0
        return self.percentile


@dataclass(frozen=True)
class LongestRun:
    """The longest stretch of a piece whose codes occur in a recording, one for one."""

    levels: int
    """How many levels of codes are compared, from the coarsest."""
    seconds: float
    """Length of the run."""
    percentile: float
    """How many per cent of held-out seconds lie in a shorter run; NaN where there are none to compare with."""
    begin_seconds: float
    """Where in the piece it begins."""
    recording: str
    """Name of the recording; empty where nothing is shared."""
    at_seconds: float
    """Where in that recording it begins."""


@dataclass(frozen=True)
class Originality:
    """Where one piece came from, as far as is known."""

    seconds: tuple[Second, ...]
    runs: tuple[LongestRun, ...]
    """The longest runs, by the first level of codes and by the first two."""

    def share(self, verdict: Verdict) -> float:
        """Share of the seconds with this verdict, silence left out."""
        audible = [second.verdict == verdict for second in self.seconds if second.verdict != Verdict.SILENCE]
        return sum(audible) / len(audible) if audible else 0.0

    @property
    def percentile(self) -> float:
        """Percentile of the second most like a passage, leaving out what the recordings repeat; 0 where nothing is left.

        A copy counts as 100, whether by its codes or because there is nothing to rank it by.
        """
        return max((second.rank for second in self.seconds if not second.is_repeated), default=0.0)

    @property
    def nearest(self) -> Second | None:
        """The second that is most similar to a passage; one that was copied if there is any."""
        audible = [second for second in self.seconds if second.verdict != Verdict.SILENCE]
        return max(audible, key=lambda second: (second.verdict == Verdict.COPY, second.similarity), default=None)

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
            f"{words}; nearest {nearest.recording} at {place(nearest.at_seconds)} (similarity {nearest.similarity:.2f}"
            + (f"; {REPEATED})" if nearest.is_repeated else ")")
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
