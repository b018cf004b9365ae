"""New audio is as much like each of the recordings as they are long. Measured for each model, in its last seconds of training.

Small errors of a prior add up: it stays too long with some recordings and hardly comes back to others. New audio from 33 loops
was like the loudest of them for twice as long as it should be, and like three others for a third (docs/prior.md). What corrects
that is the exponential tilt that changes the prior's distribution least (Csiszar 1975, "I-divergence geometry"; for language
models Khalifa et al. 2021, arXiv:2012.11635): one number a recording, which each coarse code has as far as it is that
recording's. Each code drawn tilts those after it, so the numbers are found in steps that get smaller (Robbins and Monro 1951,
"A stochastic approximation method"):

    new pieces ──▶ how much of them is like each recording ──▶ log of its right share over that ──▶ a part is added ──▶ again
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.making.drawing import Sampling
from distill.making.sampling import generate
from distill.models.model_file import Model

PIECES, PIECE_SECONDS = 32, 10.0
"""Pieces as long as most are: they begin as the recordings do, and it takes seconds until they have drifted."""
FIRST_SEED = 3_000_000
"""Far from those that a person begins with."""
STEPS = (0.7, 0.6, 0.5)
"""The parts that are added; after the last one is measured what they have brought."""
LEAST_COUNT = 0.05
"""Of a piece that every recording counts more than it came: the logarithm of what never came says nothing."""
MOST = 1.5
"""Nats of which a part is added, at most."""
WELL_KEPT = 0.85
"""What is kept so well is left: from there on a correction does not bring new audio nearer (docs/prior.md)."""


@dataclass(frozen=True)
class Balance:
    """What makes new audio like each recording for as much of the time as it is long."""

    nats: tuple[float, ...]
    """By which each coarse code is likelier, ``[K]``; empty where nothing is corrected."""
    before: float
    """The share of new audio that is like the recording it should be like, without it and with it."""
    after: float

    @property
    def in_words(self) -> str:
        """How well the balance is kept, in a sentence."""
        kept = f"New audio kept {100 * self.before:.0f} % of the balance between your recordings"
        if self.before >= WELL_KEPT:
            return f"{kept}, so nothing is corrected."
        if not self.nats:
            return f"{kept}; that could not be corrected."
        return f"{kept}; now that it is corrected, {100 * self.after:.0f} %."


def measured_balance(model: Model) -> Balance | None:
    """What makes new audio like each recording for as much of the time as it is long; None where there is only one.

    Nothing does where the balance is well kept, or a correction does not help. The balance that the model holds already has no
    part in it.
    """
    size = model.codec.codebook_size
    recordings: dict[str, list[Tensor]] = {}
    for source in model.trained_on:  # of a recording there are several where stretches of it are held out
        recordings.setdefault(source.recording, []).append(source.codes)
    if len(recordings) < 2:
        return None
    counts = torch.stack([_counts(codes, size) for codes in recordings.values()])
    belongs = counts / counts.sum(dim=0).clamp(min=1)
    wanted = counts.sum(dim=1) / counts.sum()
    least = LEAST_COUNT / PIECES
    nats, kept = torch.zeros(len(counts), dtype=torch.float64), []
    for number, step in enumerate((*STEPS, 0.0)):
        trial = model.with_header(balance=_of_codes(nats, belongs))
        pieces = generate(trial, PIECE_SECONDS, PIECES, Sampling(), FIRST_SEED + number * PIECES)
        shares = belongs @ _counts([piece.codes for piece in pieces], size)
        shares /= shares.sum().clamp(min=1)
        kept.append(float(torch.minimum(shares, wanted).sum()))
        if kept[0] >= WELL_KEPT:
            break
        nats += step * ((wanted + least) / (shares + least)).log().clamp(-MOST, MOST)
    if kept[-1] <= kept[0]:
        return Balance((), kept[0], kept[0])
    return Balance(_of_codes(nats, belongs), kept[0], kept[-1])


def _of_codes(nats: Tensor, belongs: Tensor) -> tuple[float, ...]:
    """Those of each coarse code ``[K]``, from those of each recording ``[S]`` and how far each code is its: ``[S, K]``."""
    return tuple((nats @ belongs).round(decimals=4).tolist())


def _counts(all_codes: list[Tensor], size: int) -> Tensor:
    """How often each coarse code comes in codes ``[S, Q]`` each: ``[K]``."""
    coarse = torch.cat([codes[:, 0].cpu() for codes in all_codes]).long()
    return torch.bincount(coarse, minlength=size).double()
