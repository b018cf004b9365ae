"""How original new audio is: for every second Original, Close or Copy, and where in the recordings the like of it stands.

A number alone says little: drums resemble drums. So every figure is set beside how near *held-out* recordings of the same
corpus come to those that were trained on; what comes no nearer than they do is original, whatever the number. And what the
recordings themselves repeat, a loop or a drone, belongs to no recording in particular. The model file keeps the recordings
as codes, so a model can judge by itself, without the folder.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import numpy as np
from torch import Tensor

from distill.codes.extract import decode_chunks
from distill.errors import SettingError
from distill.models.model_file import Model, Source
from distill.originality.passages import Nearest, Passages
from distill.originality.runs import covering, is_repeated, longest_shared_run, share_of_equal_windows, whole_runs

T = TypeVar("T")

COPY_SIMILARITY, COPY_PERCENTILE = 0.93, 99.0
"""A second is a copy when it is this like a passage, and more like it than this share of held-out seconds ever are."""
CLOSE_SIMILARITY, CLOSE_PERCENTILE = 0.88, 95.0
REPEATED_RATIO, INDISTINGUISHABLE = 0.5, 0.005
"""The passage found is common property when new audio differs from it by more than this many times what it differs from its
like elsewhere in the recordings (difference: 1 - similarity; smaller ones than the second figure count as that)."""
COPY_RUN_SECONDS = 1.0
"""So long a run of equal codes (two levels), and a longer one than held-out recordings ever share, is a copy whatever the
picture says."""
SHORT_COPY_SHARE = 0.8
"""Of the positions of a sound shorter than a second, how many in a run make it a copy."""
WINDOW_SECONDS = 5.0
FEWEST_REFERENCES = 30
"""Seconds; with fewer held out, every recording that was trained on is compared with all others too."""
MOST_REFERENCES = 120
"""Seconds; enough for a percentile, and no more, since comparing takes time."""
MOST_TRIES = 8
NAMED = {"close": 0.0, "balanced": 0.5, "original": 1.0}
"""The marks on the dial."""
_MINUTE = 60 * 48_000


@dataclass(frozen=True)
class Dial:
    """How original new audio is to be, 0 (close to the recordings) to 1, as what is done about it.

    The nucleus decides how freely the prior recombines: from 0.965 to 0.985 of the probability the longest shared run and the
    share of seconds that are nearly a recording's fall, while the sound stays the corpus's (docs/prior.md). Above the middle,
    pieces are also drawn again until none of their seconds is nearer to a recording than nearly all held-out ones are.
    """

    top_p: float
    max_similarity: float | None
    """Percentile of held-out seconds; None for no limit."""

    @classmethod
    def at(cls, originality: float) -> "Dial":
        """The dial turned to a number from 0 to 1.

        Raises:
            SettingError: if it is out of range.
        """
        if not 0 <= originality <= 1:
            raise SettingError(
                f"An originality of {originality:g} is out of range.",
                f"Choose 0 to 1, or {', '.join(NAMED)}.",
            )
        limit = None if originality <= NAMED["balanced"] else 100 - 2 * (originality - 0.5)
        return cls(0.965 + 0.02 * originality, limit)


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
class Run:
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
    runs: tuple[Run, ...]
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


@dataclass(frozen=True)
class Reference:
    """How near recordings of the corpus come to each other by nature, second by second, each figure in order."""

    similarity: np.ndarray
    """Of held-out seconds to their nearest passage ``[n]``; silent ones left out."""
    runs: tuple[np.ndarray, ...]
    """Seconds of the longest shared run that each held-out second lies in, by the first level and by the first two."""
    equal_windows: float
    """Share of windows that stand in a recording; NaN where there are none."""
    is_widened: bool
    """Whether recordings that were trained on had to help out, each compared with all others."""

    def percentile(self, similarity: float) -> float:
        """How many per cent of held-out seconds are less like their nearest passage; NaN where there are none."""
        return _percentile(self.similarity, similarity)

    def run_percentile(self, levels: int, seconds: float) -> float:
        """How many per cent of held-out seconds lie in a shorter run of so many levels; NaN where there are none."""
        return _percentile(self.runs[levels - 1], seconds)

    def longest_run(self, levels: int) -> float:
        """Seconds; 0 where there is nothing to compare with."""
        return float(self.runs[levels - 1].max(initial=0.0))


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


class OriginalityJudge:
    """Knows a model's recordings, and how near the held-out ones come to the others.

    Raises:
        MissingPriorError: if the model has no prior, and so no recordings either.
    """

    def __init__(self, model: Model) -> None:
        model.require_prior()
        self._frame_rate = model.codec.frame_rate
        self._trained = model.trained_on
        self._codes = [source.codes for source in self._trained]
        self._takes = _takes(self._trained)
        self._levels = range(1, min(2, model.codec.num_quantizers) + 1)
        self._passages = Passages((_sound(model, codes) for codes in self._codes), self._takes)
        self.reference = self._natural(model)
        """How near recordings come to each other by nature."""

    def judge(self, codes: Tensor, blocks: Iterable[np.ndarray]) -> Originality:
        """What is known of a piece: its codes ``[S, Q]`` and its sound in blocks, float32 ``[C, n]`` at 48 kHz."""
        nearest = Nearest.joined([self._passages.nearest([audio]) for audio in _in_minutes(blocks)])
        is_near = nearest.similarity >= CLOSE_SIMILARITY
        elsewhere = self._passages.elsewhere(np.where(is_near, nearest.source, -1), nearest.seconds)
        copied = self._copied(codes)
        seconds = tuple(
            self._second(nearest, number, float(elsewhere[number]), bool(_part(copied, number, self._frame_rate) > 0.5))
            for number in range(len(nearest.similarity))
        )
        return Originality(
            seconds,
            tuple(self._run(codes, levels) for levels in self._levels),
            share_of_equal_windows(codes, self._codes, round(WINDOW_SECONDS * self._frame_rate)),
            self.reference.equal_windows,
        )

    def percentile(self, similarity: float) -> float:
        """How many per cent of held-out seconds are less like their nearest passage; NaN where there are none."""
        return self.reference.percentile(similarity)

    def _copied(self, codes: Tensor) -> np.ndarray:
        """Which positions lie in a run that is too long for chance and stands in one recording only: bool ``[S]``."""
        levels = self._levels[-1]
        # Of less than a second the picture says little, so that codes must: there a run nearly as long as all of it will do.
        shortest = min(COPY_RUN_SECONDS * self._frame_rate, SHORT_COPY_SHARE * len(codes))
        least = max(shortest, self.reference.longest_run(levels) * self._frame_rate)
        runs = [run for run in whole_runs(codes, self._codes, levels) if run.positions > least]
        own = [run for run in runs if not is_repeated(run, self._codes, self._takes, levels)]
        found: np.ndarray = covering(own, len(codes)) > 0
        return found

    def _run(self, codes: Tensor, levels: int) -> Run:
        run = longest_shared_run(codes, self._codes, levels)
        if run.source < 0:
            return Run(levels, 0.0, self.reference.run_percentile(levels, 0.0), 0.0, "", 0.0)
        source, seconds = self._trained[run.source], run.positions / self._frame_rate
        return Run(
            levels,
            seconds,
            self.reference.run_percentile(levels, seconds),
            run.start / self._frame_rate,
            source.name,
            source.start_seconds + run.source_start / self._frame_rate,
        )

    def _second(self, nearest: Nearest, number: int, elsewhere: float, is_in_copied_run: bool) -> Second:
        similarity = float(nearest.similarity[number])
        if math.isnan(similarity):
            return Second(Verdict.SILENCE, math.nan, math.nan, "", 0.0, 0.0, 1.0)
        percentile = self.percentile(similarity)
        verdict, repeated = (
            (Verdict.COPY, False) if is_in_copied_run else by_likeness(similarity, percentile, elsewhere)
        )
        source = self._trained[int(nearest.source[number])]
        return Second(
            verdict,
            similarity,
            percentile,
            source.name,
            source.start_seconds + float(nearest.seconds[number]),
            float(nearest.semitones[number]),
            float(nearest.stretch[number]),
            repeated,
        )

    def _natural(self, model: Model) -> Reference:
        """Held-out recordings beside those that were trained on; with few of them, also each take beside all others."""
        held_out = [source for source in model.sources if source.held_out]
        asked: list[tuple[Tensor, int | None]] = [(source.codes, None) for source in held_out]
        found = self._compared(model, asked)
        is_widened = len(found[0]) < FEWEST_REFERENCES and len(set(self._takes)) > 1
        if is_widened:
            asked = list(zip(self._codes, self._takes, strict=True))
            found = [np.concatenate(pair) for pair in zip(found, self._compared(model, asked), strict=True)]
        similarity, *runs = (np.sort(figures) for figures in found)
        window = round(WINDOW_SECONDS * self._frame_rate)
        windows = [share_of_equal_windows(source.codes, self._codes, window) for source in held_out]
        equal = float(np.mean(windows)) if windows else math.nan
        return Reference(similarity, tuple(runs), equal, is_widened)

    def _compared(self, model: Model, asked: Sequence[tuple[Tensor, int | None]]) -> list[np.ndarray]:
        """Similarity and runs of every second of some codes; of each so much, from its beginning, as all together may have."""
        each = max(1, MOST_REFERENCES // max(1, len(asked))) * self._frame_rate
        similarity: list[np.ndarray] = []
        runs: list[list[float]] = [[] for _ in self._levels]
        for codes, take in asked:
            part = codes[: round(each)]
            nearest = self._passages.nearest(_sound(model, part), exclude=take).similarity
            similarity.append(nearest[~np.isnan(nearest)])
            others = [one for one, other in zip(self._codes, self._takes, strict=True) if other != take]
            for levels, found in zip(self._levels, runs, strict=True):
                longest = covering(whole_runs(part, others, levels), len(part)) / self._frame_rate
                found += [float(_span(longest, number, self._frame_rate).max()) for number in range(len(nearest))]
        return [np.concatenate([np.zeros(0), *similarity]), *(np.array(one, float) for one in runs)]


def _takes(sources: Sequence[Source]) -> list[int]:
    """A number for each source; near-copies, and those that are the same code for code, share theirs."""
    numbers: dict[object, int] = {}
    takes = []
    for source in sources:
        alike = source.take if source.take >= 0 else source.codes.numpy().tobytes()
        takes.append(numbers.setdefault(alike, len(numbers)))
    return takes


def _span(figures: np.ndarray, number: int, frame_rate: float) -> np.ndarray:
    """Those of the positions ``[S]`` that lie in a second of the sound."""
    first = min(round(number * frame_rate), len(figures) - 1)
    return figures[first : max(first + 1, round((number + 1) * frame_rate))]


def _part(flags: np.ndarray, number: int, frame_rate: float) -> float:
    return float(_span(flags, number, frame_rate).mean())


def _percentile(ordered: np.ndarray, figure: float) -> float:
    return 100 * float(np.searchsorted(ordered, figure)) / len(ordered) if len(ordered) else math.nan


def _sound(model: Model, codes: Tensor) -> Iterator[np.ndarray]:
    return decode_chunks(model.codec, codes, model.device)


def _in_minutes(blocks: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    """The same sound a minute at a time, so that ten of them need no more memory than one."""
    pending: list[np.ndarray] = []
    begun = False
    for block in blocks:
        pending.append(block)
        if sum(part.shape[1] for part in pending) >= _MINUTE:
            joined = np.concatenate(pending, axis=1)
            yield joined[:, :_MINUTE]
            pending, begun = [joined[:, _MINUTE:]], True
    rest = np.concatenate(pending, axis=1)
    # A rest of less than a second would be compared as if silence followed it.
    if not begun or rest.shape[1] >= 48_000:
        yield rest


@dataclass(frozen=True)
class Drawn(Generic[T]):
    """A take that was drawn until it was original enough, or the most original of those drawn."""

    take: T
    originality: Originality
    is_within: bool
    """Whether it stayed within the limit."""


def draw_until_original(
    draw: Callable[[int], T], judge: Callable[[T], Originality], seeds: Sequence[int], limit: float
) -> list[Drawn[T]]:
    """For each of ``seeds`` a take whose nearest second is within ``limit`` (percentile), trying eight seeds at most.

    The seeds tried next are those that follow the last of ``seeds``, so that the same call always tries the same ones; what
    comes nearest to the limit is kept when none is within.
    """
    found = []
    for index, seed in enumerate(seeds):
        best: Drawn[T] | None = None
        for attempt in range(MOST_TRIES):
            take = draw(seed if not attempt else seeds[-1] + 1 + index * (MOST_TRIES - 1) + attempt - 1)
            originality = judge(take)
            if best is None or originality.percentile < best.originality.percentile:
                best = Drawn(take, originality, originality.percentile <= limit)
            if best.is_within:
                break
        assert best is not None
        found.append(best)
    return found
