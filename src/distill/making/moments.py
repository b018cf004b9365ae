"""Parts of a sound made of codes, to be heard at once: a stretch as it sounds in its place, a moment held, one code alone."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from distill.codes.extract import decode_chunks
from distill.models.model_file import Model

FADE_SECONDS = 0.004
"""At both ends of whatever is heard: a sound that begins or ends in the middle of a wave clicks."""
HELD_SECONDS = 0.35
"""A position lasts a fiftieth of a second, which is a click; held for so long it is a sound."""


def stretch(model: Model, codes: Tensor, first: int, stop: int, levels: Sequence[int] | None = None) -> np.ndarray:
    """The positions ``first`` to ``stop`` of codes ``[S, Q]`` as they sound in their place: float32 ``[C, n]``.

    Phases of tones begin anew at ``first``, and the ends are faded; all else is as in the whole sound.

    Args:
        levels: only these, as if the others added nothing.
    """
    blocks = decode_chunks(model.codec, codes, model.device, begin=first, end=stop, levels=levels)
    return _faded(np.concatenate(list(blocks), axis=1), model.codec.sample_rate)


def held(model: Model, column: Tensor, levels: Sequence[int] | None = None) -> np.ndarray:
    """One position's codes ``[Q]`` as a sound that lasts: float32 ``[C, n]``."""
    codec = model.codec
    length = max(1, round(HELD_SECONDS * codec.frame_rate))
    # Around it the same codes, so that what is heard is the moment and not its beginning out of nothing.
    lasting = column.expand(length + 2 * codec.context, -1)
    blocks = decode_chunks(codec, lasting, model.device, begin=codec.context, end=codec.context + length, levels=levels)
    return _faded(np.concatenate(list(blocks), axis=1), codec.sample_rate)


def entry(model: Model, level: int, code: int) -> np.ndarray:
    """One entry of one level's codebook as a sound that lasts, as if the other levels added nothing: float32 ``[C, n]``."""
    column = torch.zeros(model.codec.num_quantizers, dtype=torch.int64)
    column[level] = code
    return held(model, column, (level,))


def _faded(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    fade = min(round(FADE_SECONDS * sample_rate), audio.shape[1] // 2)
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(1, fade))).astype(np.float32)
    audio = audio.copy()
    audio[:, :fade] *= ramp
    audio[:, audio.shape[1] - fade :] *= ramp[::-1]
    return audio
