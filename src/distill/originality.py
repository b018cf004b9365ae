"""How original new audio is: for every second Original, Close or Copy, and where in the recordings the like of it stands.

A number alone says little: drums resemble drums. So every figure is set beside how near *held-out* recordings of the same
corpus come to those that were trained on; what comes no nearer than they do is original, whatever the number. The model file
keeps the recordings as codes, so a model can judge by itself, without the folder.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from distill.codes.copying import longest_shared_run, share_of_equal_windows
from distill.codes.extract import decode_chunks
from distill.codes.passages import Nearest, Passages
from distill.errors import SettingError
from distill.models.model_file import Model, Source

T = TypeVar("T")

COPY_SIMILARITY, COPY_PERCENTILE = 0.95, 99.0
"""A second is a copy when it is this like a passage, and more like it than this share of held-out seconds ever are."""
CLOSE_SIMILARITY, CLOSE_PERCENTILE = 0.9, 90.0
COPY_RUN_SECONDS = 2.0
"""So long a run of equal coarse codes (two levels) is a copy whatever the picture says."""
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

    The temperature decides how freely the prior recombines: from 0.9 to 1.1 the longest shared run and the share of seconds
    that are nearly a recording's fall, while the sound stays the corpus's (docs/prior.md). Above the middle, pieces are also
    drawn again until none of their seconds is nearer to a recording than nearly all held-out ones are.
    """

    temperature: float
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
        return cls(0.9 + 0.2 * originality, limit)


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


@dataclass(frozen=True)
class Originality:
    """What is known of where one piece came from."""

    seconds: tuple[Second, ...]
    longest_run: float
    """Seconds of the longest stretch whose first two levels of codes stand in a recording."""
    run_recording: str
    run_at: float
    """Where in that recording the stretch begins, in seconds."""
    equal_windows: float
    """Share of five-second windows of which four fifths of the coarse codes stand, in step, in one recording."""

    def share(self, verdict: Verdict) -> float:
        """Of the seconds that are not silent."""
        heard = [second.verdict == verdict for second in self.seconds if second.verdict != Verdict.SILENCE]
        return sum(heard) / len(heard) if heard else 0.0

    @property
    def percentile(self) -> float:
        """Of the second that is most like a passage; 0 where all is silent."""
        return max((second.percentile for second in self.seconds if not math.isnan(second.percentile)), default=0.0)

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
            f"{words}; nearest {nearest.recording} at {nearest.at_seconds:.1f} s (similarity {nearest.similarity:.2f})"
        )


class OriginalityJudge:
    """Knows a model's recordings, and how near the held-out ones come to the others.

    Raises:
        MissingPriorError: if the model has no prior, and so no recordings either.
    """

    def __init__(self, model: Model) -> None:
        model.require_prior()
        self._frame_rate = model.codec.frame_rate
        self._trained = model.trained_on
        audios = [_decoded(model, source) for source in self._trained]
        self._passages = Passages(audios)
        held_out = [_decoded(model, source) for source in model.sources if source.held_out]
        self.reference = _reference(self._passages, audios, held_out)
        """Similarities of held-out seconds to their nearest passage, in order."""

    def judge(self, codes: Tensor, blocks: Iterable[np.ndarray]) -> Originality:
        """What is known of a piece: its codes ``[S, Q]`` and its sound in blocks, float32 ``[C, n]`` at 48 kHz."""
        sources = [source.codes for source in self._trained]
        levels = min(2, codes.shape[1])
        run = longest_shared_run(codes, sources, levels)
        nearest = Nearest.joined([self._passages.nearest(audio) for audio in _in_minutes(blocks)])
        copied = (run.start / self._frame_rate, (run.start + run.positions) / self._frame_rate)
        is_copied_run = run.positions / self._frame_rate >= COPY_RUN_SECONDS
        seconds = tuple(
            self._second(nearest, number, is_copied_run and copied[0] - 0.5 <= number <= copied[1] - 0.5)
            for number in range(len(nearest.similarity))
        )
        source = self._trained[run.source] if run.source >= 0 else None
        return Originality(
            seconds,
            run.positions / self._frame_rate,
            source.name if source else "",
            source.start_seconds + run.source_start / self._frame_rate if source else 0.0,
            share_of_equal_windows(codes, sources, round(WINDOW_SECONDS * self._frame_rate)),
        )

    def percentile(self, similarity: float) -> float:
        """How many per cent of held-out seconds are less like their nearest passage."""
        return 100 * float(np.searchsorted(self.reference, similarity)) / max(1, len(self.reference))

    def _second(self, nearest: Nearest, number: int, is_in_copied_run: bool) -> Second:
        similarity = float(nearest.similarity[number])
        if math.isnan(similarity):
            return Second(Verdict.SILENCE, math.nan, math.nan, "", 0.0, 0.0, 1.0)
        percentile = self.percentile(similarity)
        verdict = Verdict.ORIGINAL
        if similarity >= CLOSE_SIMILARITY and percentile >= CLOSE_PERCENTILE:
            verdict = Verdict.CLOSE
        if is_in_copied_run or (similarity >= COPY_SIMILARITY and percentile >= COPY_PERCENTILE):
            verdict = Verdict.COPY
        source = self._trained[int(nearest.source[number])]
        return Second(
            verdict,
            similarity,
            percentile,
            source.name,
            source.start_seconds + float(nearest.seconds[number]),
            float(nearest.semitones[number]),
            float(nearest.stretch[number]),
        )


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


def _reference(passages: Passages, trained: Sequence[np.ndarray], held_out: Sequence[np.ndarray]) -> np.ndarray:
    similarities = _thinned([passages.nearest(audio).similarity for audio in _some(held_out)])
    if len(similarities) < FEWEST_REFERENCES and len(trained) > 1:
        others = [passages.nearest(audio, exclude=number).similarity for number, audio in enumerate(_some(trained))]
        similarities = np.concatenate([similarities, _thinned(others)])
    return np.sort(similarities)


def _some(audios: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Of each recording so much, from its beginning, that all together are about as many seconds as are wanted."""
    each = max(1, MOST_REFERENCES // max(1, len(audios)))
    return [audio[:, : each * 48_000] for audio in audios]


def _thinned(similarities: Sequence[np.ndarray]) -> np.ndarray:
    joined = np.concatenate([np.empty(0), *similarities])
    heard: np.ndarray = joined[~np.isnan(joined)]
    return heard


@torch.no_grad()
def _decoded(model: Model, source: Source) -> np.ndarray:
    return np.concatenate(list(decode_chunks(model.codec, source.codes, model.device)), axis=1)


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
