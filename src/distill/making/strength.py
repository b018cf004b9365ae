"""How firmly new audio is held to the beat (``beat.py``): measured for each model, in codes alone.

Some priors keep much of a beat by themselves, others next to none, and whatever is added costs likeness (docs/prior.md). So
pieces are drawn at several strengths, all in one batch, and the least that is enough is kept:

    opening → its recording → how much of the rises there its beat explains     what is wanted
            → new pieces, strength 0 … 2 → how much theirs repeat, a beat apart  what there is

A rhythm that comes again each beat and explains a share of the variance repeats with an autocorrelation of that share. The
recordings' own autocorrelation would ask for more than holding a beat can give: loops repeat whole bars.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from distill.making.beat import Beat, Metronome, Pulse, echo_of
from distill.making.openings import longest_held, opening, opening_place
from distill.making.sampling import Sampling, sample_codes
from distill.models.model_file import Model

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Those that are tried."""
ENOUGH = 0.8
"""The share of what the recordings' beat explains from which a strength is enough (docs/prior.md)."""
PIECES, PIECE_SECONDS = 8, 5.0
"""What is drawn at each strength."""
FIRST_SEED = 2_000_000
"""Far from those that a person begins with."""
MOST_OPENINGS = 24
"""Among so many openings, those with a beat are looked for."""
_BESIDE = 1
"""By how many positions an echo may miss the period."""


@dataclass(frozen=True)
class _Example:
    """An opening with a beat."""

    seed: int
    pulse: Pulse
    explained: float
    """The share of the variance of the recording's rises there that the beat explains."""

    def echo(self, rises: np.ndarray) -> float:
        """How much the rises of a sound repeat after the beat's period: autocorrelation."""
        period = round(self.pulse.period)
        return float(echo_of(rises)[period - _BESIDE : period + _BESIDE + 1].max())


def measured_strength(model: Model) -> float:
    """The least strength that gives new audio enough of the recordings' beat, or the one that comes nearest to it.

    0 where no opening has a beat. The model's own ``beat_strength`` has no part in it.
    """
    if not model.header.bands:
        return 0.0
    metronome = Metronome(model.codec, model.header.bands, model.trained_on)
    positions = round(PIECE_SECONDS * model.codec.frame_rate)
    examples = list(islice(_examples(model, metronome, positions), PIECES))
    if not examples:
        return 0.0
    wanted = sum(example.explained for example in examples)
    shares = [
        sum(example.echo(metronome.rises(piece)) for example, piece in zip(examples, pieces, strict=True)) / wanted
        for pieces in _drawn(model, metronome, examples, positions)
    ]
    return least_enough(shares)


def least_enough(shares: Sequence[float]) -> float:
    """The first of the strengths whose share of the recordings' beat is enough; if none is, the one with the largest."""
    for strength, share in zip(STRENGTHS, shares, strict=True):
        if share >= ENOUGH:
            return strength
    return STRENGTHS[int(np.argmax(shares))]


def in_words(strength: float) -> str:
    """How firmly the beat is held, in a sentence."""
    if not strength:
        return "Nothing is added to hold a beat: the recordings have no clear one, or new audio keeps it by itself."
    return f"The beat is held with strength {strength:.1f}."


def _examples(model: Model, metronome: Metronome, positions: int) -> Iterator[_Example]:
    for seed in range(FIRST_SEED, FIRST_SEED + MOST_OPENINGS):
        index, place = opening_place(model.trained_on, seed)
        codes = model.trained_on[index].codes
        pulse = metronome.pulse(codes, place)
        if pulse is None:
            continue
        rises = metronome.rises(codes[max(0, min(place, len(codes) - positions)) :][:positions])
        explained = pulse.profile.var() * metronome.usual**2 / max(float(rises.var()), 1e-12)
        if explained > 0:
            yield _Example(seed, pulse, min(1.0, float(explained)))


def _drawn(model: Model, metronome: Metronome, examples: Sequence[_Example], positions: int) -> Tensor:
    """New pieces that begin as the examples do, at every strength, with the same chance: ``[strengths, pieces, S, Q]``."""
    seeds = [example.seed for example in examples]
    openings = torch.stack([opening(model.trained_on, seed) for seed in seeds])
    courses = np.stack([example.pulse.course(0, positions) for example in examples])
    course = np.concatenate([strength * courses for strength in STRENGTHS])
    drawn = sample_codes(
        model.require_prior(),
        openings.repeat(len(STRENGTHS), 1),
        positions,
        Sampling(),
        seeds * len(STRENGTHS),
        longest=longest_held(model),
        beat=Beat(metronome, torch.from_numpy(course)),
    )
    return drawn.view(len(STRENGTHS), len(examples), *drawn.shape[1:])
