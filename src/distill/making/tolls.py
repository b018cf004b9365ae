"""Grains come from all of the recordings: a second that is used too often costs more. Measured in a training's last seconds.

A few places are near to much of what the prior asks for and most to little, as always among points of many dimensions
(Radovanovic, Nanopoulos and Ivanovic 2010, "Hubs in space"): one second of twelve clips was heard seven times as often as it
should be, another hardly ever (docs/voices.md). So each second has a toll, which a grain pays for every position it takes
there. Tolls are found as prices are in a market: what is asked for more than there is of it gets dearer, what is asked for
less gets cheaper, in steps that get smaller.

    codes of new pieces ──▶ grains ──▶ how often each second is used ──▶ a part of the log is added to its toll ──▶ again
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from distill.durations import duration
from distill.making.drawing import Sampling
from distill.making.grains import Bank
from distill.making.sampling import generate
from distill.making.voices import RecordingsVoice
from distill.models.model_file import Model

PIECES, PIECE_SECONDS = 16, 10.0
FIRST_SEED = 4_000_000
"""Far from those that a person begins with, and from those of the other measures."""
STEPS = (0.3, 0.2)
"""How much dearer, in steps between successive positions, a second gets that is used e times as often as it should be."""
LEAST_COUNT = 0.3
"""Of its right use that every second counts more than it was used: the logarithm of what was never used says nothing."""
BLOCK_SECONDS = 1.0
"""How long a part of a recording with a toll of its own is,"""
MOST_BLOCKS = 160
"""and how many parts there are at most, so that each should be used for about a second; longer recordings have longer parts."""
MOST_SECONDS = 3_600.0
"""Of longer recordings nothing is measured: in two hours 45 % of use was even and 48 % with tolls, for half of all that is
measured (docs/voices.md)."""


@dataclass(frozen=True)
class Tolls:
    """What makes new audio use all parts of the recordings alike."""

    of_stretches: tuple[tuple[float, ...], ...]
    """Of equal parts of each stretch; empty where nothing is gained."""
    before: float
    """The share of new audio that comes from the part it should come from, without tolls and with them."""
    after: float

    @classmethod
    def not_measured(cls) -> "Tolls":
        """Those that cost nothing."""
        return cls((), math.nan, math.nan)

    @classmethod
    def of(cls, model: Model) -> "Tolls":
        """Those that the model has; how evenly it uses the recordings with them is not known."""
        tolls = tuple(source.tolls for source in model.trained_on)
        return cls(tolls if any(tolls) else (), math.nan, math.nan)

    @property
    def in_words(self) -> str:
        """How evenly the recordings are used, in a sentence."""
        if math.isnan(self.before):
            return (
                f"How evenly grains use your recordings was not measured: of more than {duration(MOST_SECONDS)} a few pieces "
                "tell too little."
            )
        evenly = f"The recordings' voice used your recordings {100 * self.before:.0f} % evenly"
        if not self.of_stretches:
            return f"{evenly}; that could not be improved."
        return f"{evenly}; now that seconds it used too often cost more, {100 * self.after:.0f} %."


def measured_tolls(model: Model, bank: Bank, join_cost: float) -> Tolls:
    """What makes new audio use all parts of the recordings alike; the tolls of the bank have no part in it.

    Args:
        join_cost: what a join costs at least.

    Returns:
        What costs nothing for recordings of more than :data:`MOST_SECONDS`.
    """
    if len(bank) > MOST_SECONDS * model.codec.frame_rate:
        return Tolls.not_measured()
    lengths = np.diff(bank.begins)
    part = max(BLOCK_SECONDS * model.codec.frame_rate, len(bank) / MOST_BLOCKS)
    counts = np.maximum(1, (lengths / part).round().astype(int))
    first = np.cumsum([0, *counts])
    parts = np.concatenate(
        [
            begin + np.arange(length) * count // length
            for begin, length, count in zip(first[:-1], lengths, counts, strict=True)
        ]
    )  # the part that each position is in [n]
    wanted = np.bincount(parts) / len(bank)
    codes = [piece.codes.cpu() for piece in generate(model, PIECE_SECONDS, PIECES, Sampling(), FIRST_SEED)]

    def per_stretch(tolls: np.ndarray) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(one.round(3).tolist()) for one in np.split(tolls, first[1:-1]))

    tolls, kept = np.zeros(first[-1]), []
    for step in (*STEPS, 0.0):
        used = np.bincount(parts, weights=_uses(model, bank.with_tolls(per_stretch(tolls)), join_cost, codes))
        shares = used / used.sum()
        kept.append(float(np.minimum(shares, wanted).sum()))
        tolls += step * np.log((shares / wanted + LEAST_COUNT) / (1 + LEAST_COUNT))
    if kept[-1] <= kept[0]:
        return Tolls((), kept[0], kept[0])
    return Tolls(per_stretch(tolls), kept[0], kept[-1])


def with_tolls(model: Model, of_stretches: Sequence[tuple[float, ...]]) -> Model:
    """The model whose grains cost so much, each stretch of what it was trained on in turn; nothing if none are given."""
    given = iter(of_stretches or [()] * len(model.trained_on))
    return replace(
        model,
        sources=tuple(source if source.held_out else replace(source, tolls=next(given)) for source in model.sources),
    )


def _uses(model: Model, bank: Bank, join_cost: float, pieces: Sequence[Tensor]) -> np.ndarray:
    """How often codes ``[S, Q]`` each take every position of the bank: ``[n]``."""
    codec, uses = model.codec, np.zeros(len(bank))
    voice = RecordingsVoice(bank, codec.channels, codec.sample_rate, longest_seconds=1.0, join_cost=join_cost)
    for codes in pieces:
        for grain in voice.grains(codes):
            begin = bank.begins[grain.stretch] + grain.position
            uses[begin : begin + grain.positions] += 1
    return uses
