"""Prompted extraction: given the beginning of a recording it was trained on, does the prior recite what follows?

This is the test for memorisation in language models (Carlini et al. 2021, arXiv:2012.07805), applied to a codec's codes: the
longer the prompt and the greedier the sampling, the more a prior that has memorised gives itself away.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distill.making.drawing import Sampling, Steering, continue_codes
from distill.models.model_file import Model
from distill.originality.judge import recordings_of, takes_of
from distill.originality.runs import SharedRun, is_repeated, longest_runs, whole_runs

PROMPT_SECONDS = (0.0, 1.0, 2.0, 5.0)
CONTINUED_SECONDS = 5.0
RECITED_SECONDS = 1.0
"""A run of equal codes this long, by the first two levels, counts as reciting."""
MOST_RECORDINGS = 8
_LEVELS = 2


@dataclass(frozen=True)
class RunLengths:
    """Longest runs of equal codes in several continuations, in seconds; 0 where there are no continuations."""

    mean: float
    longest: float
    count: int
    """Of the continuations."""


@dataclass(frozen=True)
class NaturalRuns(RunLengths):
    """Those of parts of held-out recordings."""

    is_short: bool
    """Whether all parts are shorter than ``CONTINUED_SECONDS``, so that they share less than a continuation may."""


@dataclass(frozen=True)
class Recital:
    """The outcome of one kind of prompt."""

    prompt_seconds: float
    is_greedy: bool
    count: int
    """How many continuations there are; 0 where no recording is long enough for such a prompt."""
    share: float
    """Share of the continuations that hold a second or more of one recording, by the first two levels of codes."""
    anywhere: RunLengths
    """Runs shared with any recording, by the first two levels, but those of a second or more that the recordings repeat."""
    own_coarse: RunLengths
    """Runs shared with what really follows the prompt, by the first level."""
    own_whole: RunLengths
    """Runs shared with what really follows the prompt, by all levels."""


def extract(
    model: Model, seed: int = 0, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[Recital, ...]:
    """Prompts the prior with beginnings of up to eight recordings, and with nothing, greedily and by sampling.

    What follows keeps to the limits of new audio. A prompt of nothing is the first position alone, as new audio begins. A
    recording is used only if a second or more of it follows the prompt; greedily, one of those that begin with the same.

    Raises:
        MissingPriorError: if the model has no prior.
    """
    prior = model.require_prior()
    rate = model.codec.frame_rate
    longest_first = sorted((source.codes for source in model.trained_on), key=len, reverse=True)
    positions, steering = round(CONTINUED_SECONDS * rate), Steering.of(model)
    found = []
    kinds = [(seconds, is_greedy) for seconds in PROMPT_SECONDS for is_greedy in (True, False)]
    for number, (seconds, is_greedy) in enumerate(kinds):
        length = max(1, round(seconds * rate))
        asked = [codes for codes in longest_first if len(codes) >= length + RECITED_SECONDS * rate]
        if is_greedy:  # equal prompts have one continuation: the longest recording stands for all that begin so
            asked = [*{codes[:length].numpy().tobytes(): codes for codes in reversed(asked)}.values()][::-1]
        asked = asked[:MOST_RECORDINGS]
        continued: list[Tensor] = []
        if asked:
            generators = [torch.Generator().manual_seed(seed + index) for index in range(len(asked))]
            sampling = Sampling(temperature=0.0) if is_greedy else Sampling()
            prompts = torch.stack([codes[:length] for codes in asked])
            continued = list(continue_codes(prior, prompts, positions, sampling, generators, steering))
        truths = [codes[length : length + positions] for codes in asked]
        anywhere = _anywhere(continued, model)
        coarse, whole = (
            [_seconds([codes], [truth], levels, rate)[0] for codes, truth in zip(continued, truths, strict=True)]
            for levels in (1, prior.config.num_quantizers)
        )
        share = float(np.mean([run >= RECITED_SECONDS for run in anywhere])) if anywhere else 0.0
        lengths = _lengths(anywhere), _lengths(coarse), _lengths(whole)
        found.append(Recital(seconds, is_greedy, len(continued), share, *lengths))
        progress(number + 1, len(kinds))
    return tuple(found)


def natural_runs(model: Model) -> NaturalRuns | None:
    """Runs that five seconds of held-out recordings share with the others, by the first two levels; None without any.

    What is left of a recording shares less, and counts only where nothing is as long.
    """
    rate = model.codec.frame_rate
    length = round(CONTINUED_SECONDS * rate)
    parts = [part for source in model.sources if source.held_out for part in source.codes.split(length)]
    whole = [part for part in parts if len(part) == length]
    if not parts:
        return None
    runs = _anywhere(whole or parts, model)
    return NaturalRuns(float(np.mean(runs)), max(runs), len(runs), is_short=not whole)


def _anywhere(parts: Sequence[Tensor], model: Model) -> list[float]:
    """The longest run by two levels that each of ``parts [S, Q]`` shares with a recording, in seconds.

    One of a second or more counts only if it stands in one recording alone; silence, say, belongs to none in particular.
    """
    rate, sources = model.codec.frame_rate, [source.codes for source in model.trained_on]
    takes, recordings = takes_of(model.trained_on), recordings_of(model.trained_on)

    def counts(run: SharedRun) -> bool:
        return run.positions < RECITED_SECONDS * rate or not is_repeated(run, sources, takes, recordings, _LEVELS)

    found = _seconds(parts, sources, _LEVELS, rate)
    for number, part in enumerate(parts):
        if found[number] >= RECITED_SECONDS:
            runs = filter(counts, whole_runs(part, sources, _LEVELS))
            found[number] = max((run.positions for run in runs), default=0) / rate
    return found


def _seconds(parts: Sequence[Tensor], sources: Sequence[Tensor], levels: int, rate: float) -> list[float]:
    """The longest run that each of ``parts [S, Q]`` shares with ``sources``, in seconds."""
    return [positions / rate for positions in longest_runs(parts, sources, levels)]


def _lengths(runs: Sequence[float]) -> RunLengths:
    return RunLengths(float(np.mean(runs)), max(runs), len(runs)) if runs else RunLengths(0.0, 0.0, 0)
