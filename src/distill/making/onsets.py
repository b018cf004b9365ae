"""How much the onsets of a sound repeat: whether it has an audible beat.

Onsets are where the mel bands get louder from frame to frame, a hundred frames a second. Their autocorrelation says how much
of them comes again after a time.
"""

from collections.abc import Sequence

import numpy as np
import torch

from distill.audio.distance import LogMel
from distill.audio.mixing import mono
from distill.audio.rate import SAMPLE_RATE
from distill.making.beat import LONGEST_SECONDS, SHORTEST_SECONDS, echo_of

FRAMES_PER_SECOND = 100
_WINDOW, _BINS = 2048, 64
_BESIDE = 2
"""By how many frames an echo may miss the period."""


def onset_echoes(audio: np.ndarray) -> np.ndarray:
    """Autocorrelation of the onsets of a sound ``[C, N]``, by frames apart: ``[F - 1]`` of its F frames, 1 at the first."""
    measure = LogMel(SAMPLE_RATE, _WINDOW, SAMPLE_RATE // FRAMES_PER_SECOND, _BINS)
    bands = measure(torch.from_numpy(mono(audio)[0])[None, None])[0, 0]
    return echo_of(bands.diff(dim=0).relu().mean(dim=1).double().numpy())


def onset_echo(audio: np.ndarray, period: int) -> float:
    """How much the onsets of a sound ``[C, N]`` repeat after that many frames, or two frames beside it."""
    echoes = onset_echoes(audio)
    return float(echoes[max(0, period - _BESIDE) : period + _BESIDE + 1].max(initial=0.0))


def strongest_period(recordings: Sequence[np.ndarray]) -> tuple[int, float]:
    """After how many frames, within the length of a beat, the onsets of recordings ``[C, N]`` repeat most, and how much.

    Of those that are as long as the longest beat; (0, 0) where none is.
    """
    shortest, longest = round(SHORTEST_SECONDS * FRAMES_PER_SECOND), round(LONGEST_SECONDS * FRAMES_PER_SECOND)
    echoes = [echo[:longest] for one in recordings if len(echo := onset_echoes(one)) >= longest]
    if not echoes:
        return 0, 0.0
    mean = np.mean(echoes, axis=0)
    period = shortest + int(np.argmax(mean[shortest:]))
    return period, float(mean[period])
