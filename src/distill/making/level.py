"""Level matching between a prompt, or a recording with a passage to fill, and the recordings of the model.

A codec knows the levels of its recordings. A prompt 40 dB below them has codes of next to nothing, and what follows them is as
loud as the recordings are: a jump. So it is encoded at their level, and the new audio is brought back to its own.
"""

import math

import numpy as np
import torch

from distill.codes.layout import positions_in
from distill.models.model_file import Model
from distill.models.peaks import bent
from distill.training.metrics import MetricsCallback, Notice
from distill.training.notices import ignore

NEAR_DB = 6.0
"""What is at most so far outside of the levels of the recordings is left as it is."""
LISTENED_SECONDS = 1.5
"""How much of what is given, next to what is to be made, its level is measured on."""
_FAINTEST = 1e-5
_PLACES, _PLACE_SECONDS = 16, 2.0


def raised_cosine(share: np.ndarray) -> np.ndarray:
    """Gains from 0 to 1 without a bend at either end, float32 ``[n]``, for shares ``[n]`` of a fade from 0 to 1."""
    gains: np.ndarray = (0.5 - 0.5 * np.cos(np.pi * share)).astype(np.float32)
    return gains


def rising(samples: int) -> np.ndarray:
    """The gains of a fade-in, ``[samples]``."""
    return raised_cosine((np.arange(samples) + 0.5) / max(1, samples))


def gain_to_meet(
    model: Model, given: np.ndarray, name: str, callback: MetricsCallback = ignore, *, before: float = 0.0
) -> float:
    """By how much the model's sound must be turned up or down to be as loud as ``given``, float32 ``[C, N]``; that it must is
    said. 1 for what is near the levels of the recordings, and for silence.

    Args:
        name: of what is given.
        before: how loud it has been (:func:`loudest_part`): after a last chord that dies away, music goes on as loud as it was.
    """
    level = _level(given)
    softest, usual, loudest = _levels(model)
    if level < softest:
        level = max(level, min(before, softest))
    if level < _FAINTEST or usual < _FAINTEST:
        return 1.0
    away = _decibels(level / softest) if level < softest else max(0.0, _decibels(level / loudest))
    if abs(away) <= NEAR_DB:
        return 1.0
    difference = _decibels(level / usual)
    callback(
        Notice(
            f"{name} is {abs(difference):.0f} dB {'louder' if difference > 0 else 'quieter'} than the recordings usually "
            "are; the new audio is brought to its level."
        )
    )
    return level / usual


def loudest_part(audio: np.ndarray, rate: int) -> float:
    """The level of the loudest part of ``LISTENED_SECONDS`` of ``[C, N]``, or of all of it if it is shorter."""
    length = round(LISTENED_SECONDS * rate)
    last = max(0, audio.shape[1] - length)  # reaches into the part before it where the parts do not come out even
    return max(_level(audio[:, start : start + length]) for start in (*range(0, last, length), last))


def at_level(audio: np.ndarray, gain: float) -> np.ndarray:
    """Sound ``[C, n]`` turned up or down; nothing passes full scale."""
    return audio if gain == 1.0 else bent(torch.from_numpy(audio * np.float32(gain))).numpy()


def _levels(model: Model) -> tuple[float, float, float]:
    """Root mean squares of parts of two seconds of the recordings, as the codec gives them back: soft, usual and loud ones."""
    line = torch.cat([source.codes for source in model.trained_on])
    length = min(positions_in(_PLACE_SECONDS, model.codec.frame_rate), len(line))
    starts = torch.linspace(0, len(line) - length, _PLACES).long().tolist()
    with torch.no_grad():
        decoded = model.codec.decode(torch.stack([line[start : start + length] for start in starts]).to(model.device))
    levels = [level for one in decoded.cpu().numpy() if (level := _level(one)) > _FAINTEST] or [0.0]
    soft, usual, loud = np.percentile(levels, (10, 50, 90))
    return float(soft), float(usual), float(loud)


def _level(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0


def _decibels(ratio: float) -> float:
    return 20 * math.log10(ratio)
