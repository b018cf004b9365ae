"""A high-pass filter at 20 Hz, so that no decoded sound has a DC offset or an inaudible rumble."""

import functools

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.audio.distance import overlap_add

STEP, _WINDOW = 256, 1024
_TAPS = 24
"""To either side of the middle one, ``STEP`` samples apart: an eighth of a second each."""
STOP, PASS = 19.0, 28.0
"""Hz: nothing passes below the first, everything above the second (the lowest key of a piano)."""


class SubsonicFilter(nn.Module):
    """Audio ``[..., N] → [..., N]`` without its part below 20 Hz; linear phase, the same wherever a chunk begins.

    That part is computed at a rate of 187.5 Hz and subtracted: means over Hann windows, a short symmetric filter, and the same
    windows to upsample. ``N`` is a multiple of 256.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.register_buffer("taper", torch.from_numpy(_taper().astype(np.float32)), persistent=False)
        self.register_buffer("taps", torch.from_numpy(_taps(sample_rate).astype(np.float32)), persistent=False)

    @property
    def reach(self) -> int:
        """Samples to either side that a sample depends on."""
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


def _taper() -> np.ndarray:
    """The Hann window that means are taken over."""
    window = np.hanning(_WINDOW + 1)[:-1]
    return window / window.sum()


@functools.cache  # every model has the same
def _taps(sample_rate: int) -> np.ndarray:
    """Least-squares design of the low-pass: 1 below ``STOP``, 0 above ``PASS``, with the windows' attenuation compensated."""
    rate = sample_rate / STEP
    hertz = np.linspace(0, rate / 2, 400)
    time = (np.arange(_WINDOW) - _WINDOW / 2) / sample_rate
    window = np.cos(2 * np.pi * np.outer(hertz, time)) @ _taper()
    low, high = hertz <= STOP, hertz >= PASS
    wanted = low / np.square(window).clip(min=0.3)
    weight = np.where(low, 3.0, np.where(high, 1.0, 0.0))
    weight[0] = 100.0
    places = np.arange(_TAPS + 1)
    waves = np.cos(2 * np.pi * np.outer(hertz, places) / rate) * np.where(places > 0, 2.0, 1.0)
    half = np.linalg.lstsq(waves * weight[:, None], wanted * weight, rcond=None)[0]
    return np.concatenate([half[:0:-1], half])
