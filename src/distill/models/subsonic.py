"""Takes out what lies below hearing: no decoded sound has a constant offset or a rumble that moves nothing but
loudspeakers."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.audio.distance import overlap_add

STEP, _WINDOW = 256, 1024
_TAPS = 24
"""To either side of the middle one, ``STEP`` samples apart: what is below is heard over a quarter of a second."""
STOP, PASS = 19.0, 28.0
"""Hz: up to the first nothing is left, from the second on (the lowest key of a piano) all of it."""


class SubsonicFilter(nn.Module):
    """Audio ``[..., N] → [..., N]`` less its part below 20 Hz; a linear-phase filter, the same wherever a chunk begins.

    The part is found at a rate of 187.5 Hz: averages over Hann windows, a short symmetric filter, and the same windows
    to come back. ``N`` is a multiple of 256.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        taper = np.hanning(_WINDOW + 1)[:-1]
        taper /= taper.sum()
        self.register_buffer("taper", torch.from_numpy(taper.astype(np.float32)), persistent=False)
        self.register_buffer("taps", torch.from_numpy(_taps(sample_rate, taper).astype(np.float32)), persistent=False)

    @property
    def reach(self) -> int:
        """Samples to either side that can change a sample."""
        return _TAPS * STEP + _WINDOW

    def forward(self, audio: Tensor) -> Tensor:
        margin = (_WINDOW - STEP) // 2
        taper = self.get_buffer("taper")
        means = F.pad(audio, (margin, margin)).unfold(-1, _WINDOW, STEP) @ taper
        taps = self.get_buffer("taps")
        lead = means.shape[:-1]
        slow = F.conv1d(means.reshape(-1, 1, means.shape[-1]), taps[None, None], padding=_TAPS).view(*lead, -1)
        back = overlap_add(slow[..., None] * (taper * STEP), STEP)
        return audio - back[..., margin : back.shape[-1] - margin]


def _taps(sample_rate: int, taper: np.ndarray) -> np.ndarray:
    """Least squares: 1 below ``STOP`` and 0 above ``PASS``, what the windows take away on both ways given back."""
    rate = sample_rate / STEP
    hertz = np.linspace(0, rate / 2, 400)
    time = (np.arange(_WINDOW) - _WINDOW / 2) / sample_rate
    window = np.cos(2 * np.pi * np.outer(hertz, time)) @ taper
    low, high = hertz <= STOP, hertz >= PASS
    wanted = low / np.square(window).clip(min=0.3)
    weight = np.where(low, 3.0, np.where(high, 1.0, 0.0))
    weight[0] = 100.0
    places = np.arange(_TAPS + 1)
    waves = np.cos(2 * np.pi * np.outer(hertz, places) / rate) * np.where(places > 0, 2.0, 1.0)
    half = np.linalg.lstsq(waves * weight[:, None], wanted * weight, rcond=None)[0]
    return np.concatenate([half[:0:-1], half])
