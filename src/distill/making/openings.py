"""How new audio begins, and how long it may stay where it is: what the recordings, as codes, say of both."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from distill.models.model_file import Model, Source

_GOLDEN = 0x9E3779B1
"""The golden ratio's fraction, times 2 to the power of 32."""
LONG_POSITIONS = 500
"""A recording of so many, some ten seconds, is entered anywhere; a shorter one at its beginning."""
HELD_POSITIONS = 12
"""For so many, a quarter of a second, any coarse code may be held on to."""


def opening_place(sources: Sequence[Source], seed: int) -> tuple[int, int]:
    """Where a piece begins: with which recording, and from which of its positions on.

    Seeds in a row go through the recordings evenly, longer ones more often, so that a few pieces already stand for the whole
    corpus: multiples of the golden ratio fall evenly between 0 and 1, however many are taken (Knuth, The Art of Computer
    Programming 3, 6.4). Where a long piece begins is often silent, and nothing follows from that.
    """
    ends = np.cumsum([len(source.codes) for source in sources])
    place = int(((seed + 1) * _GOLDEN % 2**32) / 2**32 * int(ends[-1]))
    index = int(np.searchsorted(ends, place, side="right"))
    length = len(sources[index].codes)
    return index, place - int(ends[index]) + length if length >= LONG_POSITIONS else 0


def opening(sources: Sequence[Source], seed: int) -> Tensor:
    """The codes ``[Q]`` with which a piece begins (:func:`opening_place`)."""
    index, place = opening_place(sources, seed)
    return sources[index].codes[place]


def longest_held(model: Model) -> Tensor:
    """How long new audio may hold each coarse code, in positions ``[K]``: as long as the recordings do.

    A code that they held once for long, above all that of silence, is so likely to come again each time that careful
    drawing would never leave it.
    """
    longest = torch.full((model.codec.codebook_size,), HELD_POSITIONS)
    for source in model.trained_on:
        codes, counts = torch.unique_consecutive(source.codes[:, 0], return_counts=True)
        longest.scatter_reduce_(0, codes, counts, "amax")
    return longest
