"""How original new audio is: a verdict for every second, Original, Close or Copy, and the passage that is most like it.

A similarity alone says little: drums resemble drums. So every figure is compared with how similar *held-out* recordings of the
same corpus are to the training recordings: what is no nearer than they are is original, whatever the number. What the
recordings themselves repeat, such as a loop or a drone, belongs to no recording in particular. The model file holds the
recordings as codes, so new audio can be judged without the folder.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distill.audio.rate import SAMPLE_RATE
from distill.codes.extract import decode_chunks
from distill.models.model_file import Model, Source
from distill.originality.passages import FRAMES, Nearest, Passages, pictured, spectra
from distill.originality.reference import Picture, Reference, keep, read_kept
from distill.originality.runs import SharedRun, covering, is_repeated, longest_of, whole_runs
from distill.originality.verdict import (
    CLOSE_SIMILARITY,
    COPY_RUN_SECONDS,
    COPY_SIMILARITY,
    SHORT_COPY_SECONDS,
    SHORT_COPY_SHARE,
    LongestRun,
    Originality,
    Second,
    Verdict,
    by_likeness,
)

FEWEST_REFERENCES = 30
"""Seconds; if fewer are held out, each training recording is also compared with all others."""
MOST_SHARED = 0.5
"""Held-out seconds that occur unchanged in another recording (a jingle, a sample used twice) say nothing about how similar the
others are, and are left out, unless they are more than this share of all: then long runs of equal codes are typical of the
corpus."""
FEWEST_LEFT = 5
"""If fewer seconds than this are left without the shared ones, similarity is compared with all of them."""
MOST_REFERENCES = 120
"""About so many seconds are compared at most: enough for a percentile, and comparing takes time."""
FEWEST_EACH = 8
"""Seconds of each recording that is compared, if it has as many: what recordings share shows in what follows each other, so of
many recordings fewer are compared, not less of each."""
IN_STEP_SECONDS = 0.025
_MINUTE = 60 * SAMPLE_RATE


class OriginalityJudge:
    """Judges new audio against a model's training recordings, relative to how similar the held-out ones are to them.

    Raises:
        MissingPriorError: if the model has no prior, and so no recordings either.
    """

    def __init__(self, model: Model) -> None:
        model.require_prior()
        self._frame_rate = model.codec.frame_rate
        self._trained = model.trained_on
        self._codes = [source.codes for source in self._trained]
        self._takes, self._recordings = takes_of(self._trained), recordings_of(self._trained)
        lengths: Counter[str] = Counter()
        for source in model.sources:
            lengths[source.recording] += len(source.codes)
        self._lengths = [lengths[source.recording] for source in self._trained]
        """Positions of the whole recording that each is of."""
        self._levels = range(1, min(2, model.codec.num_quantizers) + 1)
        self.reference: Reference
        """How similar recordings of this corpus are to each other."""
        kept = read_kept(model.header.digest)
        if kept is not None:
            pictures, self.reference = kept
            self._passages = Passages(pictures, self._takes, recordings=self._recordings)
            return
        compared = _compared_seconds(self._codes, self._frame_rate)
        decoded = [_Decoded.of(model, *one) for one in zip(self._codes, compared, strict=True)]
        pictures = [one.picture for one in decoded]
        self._passages = Passages(pictures, self._takes, recordings=self._recordings)
        self.reference = self._natural(model, decoded)
        keep(model.header.digest, pictures, self.reference)

    def judge(self, codes: Tensor, blocks: Iterable[np.ndarray]) -> Originality:
        """The verdicts on a piece, from its codes ``[S, Q]`` and its audio in blocks, float32 ``[C, n]`` at 48 kHz."""
        nearest = Nearest.joined([self._passages.nearest([audio]) for audio in _in_minutes(blocks)])
        is_near = nearest.similarity >= CLOSE_SIMILARITY
        elsewhere = self._passages.elsewhere(np.where(is_near, nearest.source, -1), nearest.seconds)
        runs = {levels: whole_runs(codes, self._codes, levels) for levels in self._levels}
        copied = self._copied(runs, len(codes))
        seconds = tuple(
            self._second(nearest, number, float(elsewhere[number]), _most_of(copied, number, self._frame_rate))
            for number in range(len(nearest.similarity))
        )
        return Originality(seconds, tuple(self._longest(levels, found) for levels, found in runs.items()))

    def _copied(self, runs: Mapping[int, Sequence[SharedRun]], positions: int) -> list[SharedRun | None]:
        """The longest run over each position that is too long for chance and occurs in one recording only: ``[S]``.

        Args:
            runs: the whole runs of a piece by the levels that are compared.
            positions: S, of the piece.
        """
        levels = self._levels[-1]
        # In less than a second the spectrogram says little, so the codes decide: a run of most of the sound is enough, or of
        # most of a recording that is as short.
        shortest = min(COPY_RUN_SECONDS * self._frame_rate, SHORT_COPY_SHARE * positions)
        most = [max(SHORT_COPY_SHARE * length, SHORT_COPY_SECONDS * self._frame_rate) for length in self._lengths]
        natural = self.reference.natural_run(levels) * self._frame_rate
        long = [run for run in runs[levels] if run.positions > max(natural, min(shortest, most[run.source]))]
        own = [run for run in long if not is_repeated(run, self._codes, self._takes, self._recordings, levels)]
        found: list[SharedRun | None] = [None] * positions
        for run in sorted(own, key=lambda run: run.positions):  # the longest stays
            found[run.start : run.start + run.positions] = [run] * run.positions
        return found

    def _longest(self, levels: int, runs: Sequence[SharedRun]) -> LongestRun:
        run = longest_of(runs)
        if run.source < 0:
            return LongestRun(levels, 0.0, self.reference.run_percentile(levels, 0.0), 0.0, "", 0.0)
        source, seconds = self._trained[run.source], run.positions / self._frame_rate
        return LongestRun(
            levels,
            seconds,
            self.reference.run_percentile(levels, seconds),
            run.start / self._frame_rate,
            source.name,
            source.start_seconds + run.source_start / self._frame_rate,
        )

    def _second(self, nearest: Nearest, number: int, elsewhere: float, copied: SharedRun | None) -> Second:
        similarity = float(nearest.similarity[number])
        if math.isnan(similarity):
            return Second(
                verdict=Verdict.SILENCE,
                similarity=math.nan,
                percentile=math.nan,
                recording="",
                at_seconds=0.0,
                semitones=0.0,
                stretch=1.0,
            )
        percentile = self.reference.percentile(similarity)
        if copied is not None:  # where its codes stand; another passage may look as much like it
            source = self._trained[copied.source]
            return Second(
                verdict=Verdict.COPY,
                similarity=similarity,
                percentile=percentile,
                recording=source.name,
                at_seconds=source.start_seconds + copied.source_start / self._frame_rate,
                semitones=0.0,
                stretch=1.0,
            )
        verdict, repeated = by_likeness(similarity, percentile, elsewhere)
        source = self._trained[int(nearest.source[number])]
        return Second(
            verdict=verdict,
            similarity=similarity,
            percentile=percentile,
            recording=source.name,
            at_seconds=source.start_seconds + float(nearest.seconds[number]),
            semitones=float(nearest.semitones[number]),
            stretch=float(nearest.stretch[number]),
            is_repeated=repeated,
        )

    def _natural(self, model: Model, trained: "Sequence[_Decoded]") -> Reference:
        """Compares held-out recordings with training recordings; if there are few, also each take with all others."""
        held_out = [source.codes for source in model.sources if source.held_out]
        compared = zip(held_out, _compared_seconds(held_out, self._frame_rate), strict=True)
        rows = [self._compared(_Decoded.of(model, codes, seconds), None) for codes, seconds in compared if seconds]
        is_widened = (
            sum(_audible_seconds(row[row[:, 1] == 0]) for row in rows) < FEWEST_REFERENCES and len(set(self._takes)) > 1
        )
        if is_widened:
            rows += [self._compared(one, take) for one, take in zip(trained, self._takes, strict=True) if one.sound]
        table = np.concatenate([np.zeros((0, 2 + len(self._levels))), *rows])
        left = table[table[:, 1] == 0]
        is_cleaned = _audible_seconds(left) >= (1 - MOST_SHARED) * _audible_seconds(table)
        similarity = (left if _audible_seconds(left) >= FEWEST_LEFT else table)[:, 0]
        runs = np.sort((left if is_cleaned else table)[:, 2:], axis=0).T
        return Reference(np.sort(similarity[~np.isnan(similarity)]), tuple(runs), is_widened)

    def _compared(self, decoded: "_Decoded", take: int | None) -> np.ndarray:
        """For every second of the part of a recording that is compared, with all takes but its own: similarity to the nearest
        passage (NaN in silence), whether it occurs there unchanged, and the longest run in seconds for each number of levels,
        ``[W, 2 + levels]``."""
        nearest = self._passages.nearest_to(decoded.sound, exclude=take)
        others = [one for one, other in zip(self._codes, self._takes, strict=True) if other != take]
        columns = [nearest.similarity, self._stands_elsewhere(nearest, take).astype(float)]
        for levels in self._levels:
            longest = covering(whole_runs(decoded.codes, others, levels), len(decoded.codes)) / self._frame_rate
            seconds = range(decoded.first, decoded.first + len(nearest.similarity))
            spans = [_span(len(longest), number, self._frame_rate) for number in seconds]
            columns.append(np.array([longest[span].max() for span in spans]))
        return np.stack(columns, axis=1)

    def _stands_elsewhere(self, nearest: Nearest, take: int | None) -> np.ndarray:
        """Which seconds occur unchanged in other recordings, or overlap the end of a passage that does: bool ``[W]``.

        Two successive seconds must be as similar as a copy, at the original pitch and speed, and lie one second apart in the
        recording, or in several that are equally similar: sounds merely of one kind do not stay in step.
        """
        is_near = (nearest.similarity >= COPY_SIMILARITY) & (nearest.semitones == 0) & (nearest.stretch == 1)
        elsewhere = self._passages.elsewhere(np.where(is_near, nearest.source, -1), nearest.seconds, exclude=take)
        is_in_several = elsewhere >= COPY_SIMILARITY
        is_in_step = np.abs(np.diff(nearest.seconds) - 1) < IN_STEP_SECONDS
        goes_on = np.where(np.diff(nearest.source) == 0, is_in_step, is_in_several[1:] & is_in_several[:-1])
        pair = is_near[1:] & is_near[:-1] & goes_on
        found = np.zeros(len(is_near) + 2, bool)
        for offset in range(4):  # the two of the pair, and the second on either side of them
            found[offset : offset + len(pair)] |= pair
        return found[1:-1]


@dataclass(frozen=True)
class _Decoded:
    """A recording as the codec decodes it: the log-mel of all of it, and the spectra of the part that is compared."""

    picture: Picture
    codes: Tensor
    """Of all of it: ``[S, Q]``."""
    first: int
    """The second that the part begins with."""
    sound: list[tuple[Tensor, Tensor]]
    """The spectra of the part; none where the recording is not compared."""

    @classmethod
    def of(cls, model: Model, codes: Tensor, seconds: float) -> "_Decoded":
        """Decodes the recording once for both. The part is its middle: recordings may begin or end alike."""
        whole = len(codes) / model.codec.frame_rate
        first = int(max(0.0, whole - seconds) / 2)
        begin, end = first * FRAMES, round((first + min(seconds, whole)) * FRAMES)
        sound, pictures, frame = [], [], 0
        for magnitudes, power in spectra(_sound(model, codes)):
            pictures.append(pictured([(magnitudes, power)]))
            part = slice(max(0, begin - frame), max(0, end - frame))
            if len(power[part]):
                sound.append((magnitudes[part], power[part]))
            frame += len(power)
        mel, level = (torch.cat(column) for column in zip(*pictures, strict=True))
        return cls((mel, level), codes, first, sound)


def _compared_seconds(recordings: Sequence[Tensor], frame_rate: float) -> list[float]:
    """How many seconds of each of ``recordings [S, Q]`` are compared: of many, none of most."""
    each = max(FEWEST_EACH, MOST_REFERENCES // max(1, len(recordings)))
    # Less than a second is compared as one.
    together = sum(min(each, max(1.0, len(codes) / frame_rate)) for codes in recordings)
    every = max(1, math.ceil(together / MOST_REFERENCES))
    return [0 if number % every else each for number in range(len(recordings))]


def _audible_seconds(rows: np.ndarray) -> int:
    """Number of seconds, of ``[W, …]``, that are not silent."""
    return int(np.count_nonzero(~np.isnan(rows[:, 0])))


def takes_of(sources: Sequence[Source]) -> list[int]:
    """A number for each source, which near-copies and sources of equal codes share."""
    numbers: dict[object, int] = {}
    takes = []
    for source in sources:
        alike = source.take if source.take >= 0 else source.codes.numpy().tobytes()
        takes.append(numbers.setdefault(alike, len(numbers)))
    return takes


def recordings_of(sources: Sequence[Source]) -> list[int]:
    """A number for each source, which the stretches of one recording share."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(source.recording, len(numbers)) for source in sources]


def _span(positions: int, number: int, frame_rate: float) -> slice:
    """Which of the positions of a sound lie within one second of it; at least one."""
    first = min(round(number * frame_rate), positions - 1)
    return slice(first, max(first + 1, round((number + 1) * frame_rate)))


def _most_of(copied: Sequence[SharedRun | None], number: int, frame_rate: float) -> SharedRun | None:
    """What one second of the sound has of the run that most of it is in; None if half of it or more is in none.

    Args:
        copied: the run over each position of the sound, ``[S]``.
    """
    span = _span(len(copied), number, frame_rate)
    here = copied[span]
    counts = Counter(run for run in here if run is not None)
    if 2 * counts.total() <= len(here):
        return None
    ((run, positions),) = counts.most_common(1)
    start = max(run.start, span.start)
    return SharedRun(positions, start, run.source, run.source_start + start - run.start)


def _sound(model: Model, codes: Tensor) -> Iterator[np.ndarray]:
    return decode_chunks(model.codec, codes, model.device)


def _in_minutes(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same audio in blocks of a minute, so that memory does not grow with the length.

    The last block is up to a second longer: a shorter remainder would, by itself, be compared as if silence followed it.
    """
    pending: list[np.ndarray] = []
    for block in blocks:
        pending.append(block)
        if sum(part.shape[1] for part in pending) >= _MINUTE + SAMPLE_RATE:
            joined = np.concatenate(pending, axis=1)
            while joined.shape[1] >= _MINUTE + SAMPLE_RATE:
                yield joined[:, :_MINUTE]
                joined = joined[:, _MINUTE:]
            pending = [joined]
    yield np.concatenate(pending, axis=1)
