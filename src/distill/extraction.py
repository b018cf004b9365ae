"""Prompted extraction: does the prior go on reciting when it is given the beginning of a recording it learned from?

The test that is put to language models (Carlini et al. 2021, arXiv:2012.07805), for a codec's codes: the longer the prompt and
the greedier the draw, the more a prior that has learned by heart gives itself away.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distill.codes.copying import longest_shared_run
from distill.generation import Sampling, continue_codes
from distill.models.model_file import Model

PROMPT_SECONDS = (0.0, 1.0, 2.0, 5.0)
CONTINUED_SECONDS = 5.0
RECITED_SECONDS = 1.0
"""A run of equal coarse codes this long counts as reciting."""
MOST_RECORDINGS = 8
_LEVELS = 2


@dataclass(frozen=True)
class Recital:
    """What came of one kind of prompt; all runs are of the first two levels of codes."""

    prompt_seconds: float
    is_greedy: bool
    count: int
    """Continuations; 0 where no recording is long enough for such a prompt."""
    share: float
    """Of the continuations that hold a second or more of a recording."""
    mean_run: float
    """Seconds."""
    longest_run: float
    """Seconds."""


def extract(model: Model, seed: int = 0, progress: Callable[[int, int], None] | None = None) -> tuple[Recital, ...]:
    """Prompts the prior with beginnings of up to eight recordings, and with nothing, greedily and by sampling.

    Raises:
        MissingPriorError: if the model has no prior.
    """
    prior = model.require_prior()
    rate = model.codec.frame_rate
    sources = [source.codes for source in model.trained_on]
    longest_first = sorted(sources, key=len, reverse=True)[:MOST_RECORDINGS]
    positions = round(CONTINUED_SECONDS * rate)
    found = []
    kinds = [(seconds, is_greedy) for seconds in PROMPT_SECONDS for is_greedy in (True, False)]
    for number, (seconds, is_greedy) in enumerate(kinds):
        length = max(1, round(seconds * rate))
        prompts = [codes[:length] for codes in longest_first if len(codes) >= length]
        runs = []
        if prompts:
            generators = [torch.Generator().manual_seed(seed + index) for index in range(len(prompts))]
            sampling = Sampling(temperature=0.0) if is_greedy else Sampling()
            continued = continue_codes(prior, torch.stack(prompts), positions, sampling, generators)
            runs = [longest_shared_run(codes, sources, _levels(codes)).positions / rate for codes in continued]
        found.append(
            Recital(
                seconds,
                is_greedy,
                len(runs),
                float(np.mean([run >= RECITED_SECONDS for run in runs])) if runs else 0.0,
                float(np.mean(runs)) if runs else 0.0,
                max(runs, default=0.0),
            )
        )
        if progress is not None:
            progress(number + 1, len(kinds))
    return tuple(found)


def natural_runs(model: Model) -> tuple[float, float]:
    """Mean and longest run in seconds that five seconds of held-out recordings share with the others; NaN without any."""
    length = round(CONTINUED_SECONDS * model.codec.frame_rate)
    sources = [source.codes for source in model.trained_on]
    held_out = [part for source in model.sources if source.held_out for part in source.codes.split(length)]
    runs = [longest_shared_run(codes, sources, _levels(codes)).positions for codes in held_out]
    if not runs:
        return float("nan"), float("nan")
    return float(np.mean(runs)) / model.codec.frame_rate, max(runs) / model.codec.frame_rate


def _levels(codes: Tensor) -> int:
    return min(_LEVELS, codes.shape[1])
