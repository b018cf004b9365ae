"""New audio is on the whole as loud as the recordings: measured for each model, in its last seconds of training.

Small errors of a prior add up, and holding a beat makes what rises likelier. So new audio becomes denser or sparser than the
recordings, each piece a little, all in one direction: much of its distance from them (docs/prior.md). What is left of that once
the recordings are in balance (``balance.py``) is corrected by the exponential tilt that changes the prior's distribution least
(Csiszar 1975, "I-divergence geometry"; for language models Khalifa et al. 2021, arXiv:2012.11635). How strong it must be takes
two steps to find, as each code drawn tilts those after it:

    new pieces ──▶ their mean level ── minus the recordings' ──▶ Newton's step, the recordings' variance for the derivative
    new pieces with that tilt ──▶ what is left ──▶ six tenths of the way to where a straight line through both crosses
                                                   the recordings' level
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.making.drawing import Sampling
from distill.making.loudness import Loudness
from distill.making.sampling import generate
from distill.models.model_file import Model

PIECES, PIECE_SECONDS = 32, 10.0
"""Pieces as long as most are: they begin as the recordings do, and it takes seconds until they have drifted."""
FIRST_SEED = 3_000_000
"""Far from those that a person begins with."""
SURE = 2.0
"""Standard errors of the mean level: less than so many is chance, and a lean for it does harm."""
UNSURE = 0.5
"""From so many on it may be more than chance, and as many pieces again are drawn to tell."""
STEP = 0.7
"""The share of Newton's step that is taken: what is measured of so few pieces is partly chance."""
FURTHEST = 2.0
"""How many such steps the lean is at most: a line through two measurements says less the further it is followed."""
SHARE = 0.6
"""How much of the way is gone: too soft takes new audio further from the recordings than a little too loud (docs/prior.md)."""
WIDEST = 10.0
"""Decibels: where the recordings' level varies more (standard deviation), nothing is corrected. Two pieces of music vary by 12
dB: a lean took new ones a third further away, although their mean level was right with it (docs/prior.md)."""
LEAST_DEVIATION = 2.0
"""Decibels: a sound that never changes its level must not make every code certain."""
MOST = 0.1
"""Nats a decibel, at most."""


@dataclass(frozen=True)
class Leaning:
    """What leads new audio to the recordings' mean level."""

    nats: float
    """By which a code is likelier for each decibel that it is louder; 0 where nothing is corrected."""
    off: float
    """How many decibels louder new audio is without it, averaged over all bands."""
    by_chance: float
    """How far off that many pieces may be by chance."""
    spread: float = 0.0
    """Standard deviation of the recordings' level, in decibels."""
    corrected: float = 0.0
    """How many decibels of ``off`` the lean is expected to take away."""

    @property
    def in_words(self) -> str:
        """How loud new audio is, and whether that is corrected, in a sentence."""
        if abs(self.off) <= self.by_chance:
            return "New audio is as loud as the recordings overall, as far as a few pieces can tell."
        came_out = (
            f"New audio came out {abs(self.off):.1f} dB {'louder' if self.off > 0 else 'softer'} than the recordings, "
            "averaged over all bands"
        )
        if self.spread > WIDEST:
            return f"{came_out}. They themselves vary by {self.spread:.0f} dB, so nothing is corrected."
        if not self.nats:
            return f"{came_out}; it could not be corrected."
        return f"{came_out}; about {abs(self.corrected):.1f} dB of that is corrected."


def measured_lean(model: Model) -> Leaning | None:
    """What leads new audio to the recordings' mean level.

    Nothing does where new audio is off by no more than chance, the recordings' own level varies widely, or a lean does not
    bring it nearer. None where the level cannot be known: in files of earlier versions, and where no recording is as long as a
    second. The lean that the model has already has no part in it.
    """
    loudness = Loudness.of(model)
    if loudness is None:
        return None
    loudness = loudness.to(torch.device("cpu"))
    recorded = torch.cat([loudness.of_codes(source.codes.cpu()) for source in model.trained_on]).double()

    def off_with(lean: float, first: int, count: int) -> Tensor:
        """How far each of so many new pieces is off ``[count]``."""
        trial = model.with_header(loudness_lean=lean)
        pieces = generate(trial, PIECE_SECONDS, count, Sampling(), first)
        return torch.stack([loudness.of_codes(piece.codes).double().mean() for piece in pieces]) - recorded.mean()

    spread = float(recorded.std(correction=0))
    each = off_with(0.0, FIRST_SEED, PIECES)
    if spread <= WIDEST and UNSURE * _error(each) < abs(float(each.mean())) <= SURE * _error(each):
        each = torch.cat([each, off_with(0.0, FIRST_SEED + PIECES, PIECES)])
    off, by_chance = float(each.mean()), SURE * _error(each)
    if abs(off) <= by_chance or spread > WIDEST:
        return Leaning(0.0, off, by_chance, spread)
    step = max(-MOST, min(-STEP * off / max(LEAST_DEVIATION, spread) ** 2, MOST))
    left = float(off_with(step, FIRST_SEED, len(each)).mean())
    nats = settled(step, off, left)
    return Leaning(nats, off, by_chance, spread, corrected=nats / step * (off - left))


def _error(each: Tensor) -> float:
    """The standard error of the mean of ``each [n]``."""
    return float(each.std()) / len(each) ** 0.5


def settled(step: float, off: float, left: float) -> float:
    """The lean, by a first step after which new audio is ``left`` decibels off in place of ``off``.

    ``SHARE`` of the way to where a straight line says that nothing would be left, at most ``FURTHEST`` steps away; 0 if the
    step did not help.
    """
    if left * off > 0 and abs(left) >= abs(off):
        return 0.0
    return SHARE * max(-MOST, min(step * min(FURTHEST, off / (off - left)), MOST))
