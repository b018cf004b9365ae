"""What an export came to, and the null test that each ends with: the same codes decoded by it and by Distill."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from distill.models.model_file import Model

TEST_POSITIONS = 188
"""About four seconds: long enough for phases to have added up."""
ENDLESS = 1 << 40
"""Positions in all of a stream that never ends."""
NO_PRIOR = "The model has no prior, so only its codec was exported; distill train-prior makes one."
LEFT_OUT = "New audio on the page keeps to neither the beat nor the level of your recordings, as that of distill generate does."
NO_COMPOSING = "The model has no prior, so the page decodes codes but does not compose; distill train-prior makes one."


@dataclass(frozen=True)
class Outcome:
    """An export that is written."""

    path: Path
    """The file, or the folder."""
    null_db: float
    """Energy of the difference in the null test, in dB below the sound's; minus infinity where no bit differs."""
    equal_codes: float | None = None
    """Share of codes that its encoder gives as Distill's does; None where it has no encoder."""
    prior_db: float | None = None
    """As ``null_db``, of the prior's logits; None where it has no prior."""
    facts: tuple[tuple[str, str], ...] = ()
    """What else is to be known, a name and a value each."""
    remarks: tuple[str, ...] = field(default=())
    """Sentences for the person."""


def codes_to_try(model: Model) -> Tensor:
    """Codes ``[S, Q]`` for the null test: of a recording where the file holds any, else drawn as often as it uses them."""
    if model.trained_on:
        return model.trained_on[0].codes[:TEST_POSITIONS]
    generator = torch.Generator().manual_seed(0)
    weights = model.code_counts.float() + 1e-3
    return torch.stack([torch.multinomial(row, 96, True, generator=generator) for row in weights], dim=1)


def decibels(one: Tensor, other: Tensor) -> float:
    """Energy of the difference of two sounds of one shape, in dB over the energy of the second."""
    difference, energy = (one - other).double().square().sum(), other.double().square().sum()
    if float(difference) == 0:
        return -math.inf
    ratio = float(difference / energy.clamp(min=1e-30))
    return 10 * math.log10(ratio) if math.isfinite(ratio) else math.inf


def in_words(null_db: float) -> str:
    """A null test's figure as it is shown."""
    return "no bit differs" if null_db == -math.inf else f"{null_db:.0f} dB"
