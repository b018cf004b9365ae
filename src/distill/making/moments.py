"""Excerpts of a sound made of codes, ready to play: a stretch as it sounds in its place, a moment held, one code alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distill.codes.extract import decode_parts
from distill.making.level import rising
from distill.models.model_file import Model

FADE_SECONDS = 0.004
"""At both ends of whatever is heard: a sound that begins or ends in the middle of a wave clicks."""
HELD_SECONDS = 0.35
"""A position lasts a fiftieth of a second, which is a click; held for so long it is a sound."""
_SETTLED = 8
"""Positions of the same codes after which a sound that is held does not change any more, to the ear."""


@dataclass(frozen=True)
class RenderedPart:
    """A part of a sound as audio, and what the next part needs to go on from it."""

    audio: np.ndarray
    """float32 ``[C, n]``"""
    held: Tensor | None
    """Phases ``[B, bins]`` that the part that follows goes on from (``decode_parts``)."""


def stretch(
    model: Model,
    codes: Tensor,
    first: int,
    stop: int,
    levels: Sequence[int] | None = None,
    *,
    origin: int = 0,
    before: RenderedPart | None = None,
    goes_on: bool = False,
) -> RenderedPart:
    """The positions ``first`` to ``stop`` of a sound as they sound in their place.

    Phases of tones begin anew at ``first``, and the ends are faded; all else is as in the whole sound.

    Args:
        codes: ``[S, Q]`` of the sound, or of as much of it as lies around these positions, from ``origin`` on.
        levels: only these, as if the others added nothing.
        before: the part that ends at ``first``, if it was heard: then this one goes on from it.
        goes_on: whether the part after it is going to be heard, so that its end is not faded.
    """
    given = None if before is None else before.held
    parts = list(decode_parts(model.codec, codes, first, stop, model.device, origin=origin, held=given, levels=levels))
    audio = np.concatenate([block for block, _ in parts], axis=1)
    return RenderedPart(_faded(audio, model.codec.sample_rate, before is None, not goes_on), parts[-1][1])


def held(model: Model, column: Tensor, levels: Sequence[int] | None = None) -> np.ndarray:
    """One position's codes ``[Q]`` as a sound that lasts: float32 ``[C, n]``."""
    codec = model.codec
    length = max(1, round(HELD_SECONDS * codec.frame_rate))
    # Around it the same codes, so that what is heard is the moment and not its beginning out of nothing.
    around = min(codec.context, _SETTLED)
    return stretch(model, column.expand(length + 2 * around, -1), around, around + length, levels).audio


def entry(model: Model, level: int, code: int) -> np.ndarray:
    """One entry of one level's codebook as a sound that lasts, as if the other levels added nothing: float32 ``[C, n]``."""
    column = torch.zeros(model.codec.num_quantizers, dtype=torch.int64)
    column[level] = code
    return held(model, column, (level,))


def _faded(audio: np.ndarray, sample_rate: int, begins: bool, ends: bool) -> np.ndarray:
    fade = min(round(FADE_SECONDS * sample_rate), audio.shape[1] // 2)
    ramp = rising(fade)
    if begins:
        audio[:, :fade] *= ramp
    if ends:
        audio[:, audio.shape[1] - fade :] *= ramp[::-1]
    return audio
