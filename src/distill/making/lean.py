"""New audio is on the whole as loud as the recordings: measured for each model, in its last seconds of training.

Small errors of a prior add up, and holding a beat makes what rises likelier. So new audio becomes denser or sparser than the
recordings, each piece a little, all in one direction: most of its distance from them (docs/prior.md). What corrects it is the
exponential tilt that changes the prior's distribution least (Csiszar 1975, "I-divergence geometry"; for language models Khalifa
et al. 2021, arXiv:2012.11635). Its strength is one step of Newton's, the variance of the recordings' level in place of the
derivative:

    new pieces ──▶ their mean level ── minus the recordings' ──▶ nats a decibel that every code is likelier or less
"""

import dataclasses

import torch

from distill.making.drawing import Sampling
from distill.making.loudness import Loudness
from distill.making.sampling import generate
from distill.models.model_file import Model

PIECES, PIECE_SECONDS = 32, 5.0
FIRST_SEED = 3_000_000
"""Far from those that a person begins with."""
STEP = 0.7
"""The share of Newton's step that is taken: what is measured of so few pieces is partly chance."""
LEAST_DEVIATION = 2.0
"""Decibels: a sound that never changes its level must not make every code certain."""
MOST = 0.1
"""Nats a decibel, at most."""


def measured_lean(model: Model) -> tuple[float, float] | None:
    """What leads new audio to the recordings' mean level, in nats a decibel, and by how many decibels it is off without.

    None where that cannot be known: in files of earlier versions, and where no recording is as long as a second. The lean that
    the model has already has no part in it.
    """
    free = dataclasses.replace(model, header=model.header.model_copy(update={"loudness_lean": 0.0}))
    loudness = Loudness.of(free)
    if loudness is None:
        return None
    loudness = loudness.to(torch.device("cpu"))
    recorded = torch.cat([loudness.of_codes(source.codes.cpu()) for source in model.trained_on]).double()
    pieces = generate(free, PIECE_SECONDS, PIECES, Sampling(), FIRST_SEED)
    drawn = torch.cat([loudness.of_codes(piece.codes) for piece in pieces]).double()
    off = float(drawn.mean() - recorded.mean())
    deviation = max(LEAST_DEVIATION, float(recorded.std(correction=0)))
    return max(-MOST, min(-STEP * off / deviation**2, MOST)), off


def in_words(off: float) -> str:
    """What is corrected, in a sentence."""
    if abs(off) < 0.05:
        return "New audio is as loud as the recordings overall."
    return (
        f"New audio came out {abs(off):.1f} dB {'louder' if off > 0 else 'softer'} than the recordings, averaged "
        "over all bands; this is corrected."
    )
