"""What a codec is trained by: the distance of spectra, and of a codec of tones how likely the recording's own tones
are.

The multi-scale mel distance hears when and how loud, and is deaf to pitch: its longest window is 43 ms. So a codec of
tones is also compared in windows of 85 and 171 ms, and told by likelihood how phases advance (``models/tones.py``)."""

import numpy as np
import torch
from torch import Tensor, nn

from distill.audio.distance import WINDOWS, Magnitude, MultiScaleMel
from distill.models.tones import Tones, TonesAndNoise
from distill.models.vqvae import ConvVQVAE, swap_mid_side

LONG_WINDOWS = (4096, 8192)
LONG_TOP = 8000.0
"""Hz up to which long windows are compared."""
LONG_FLOOR = 1e-4
LONG_WEIGHT, PHASE_WEIGHT = 1.0, 0.5


class CodecLoss(nn.Module):
    """The parts of the loss of one step; what each counts is already in them."""

    def __init__(self, sample_rate: int, scales_per_step: int = 2) -> None:
        super().__init__()
        self.scales_per_step = scales_per_step
        self.mel = MultiScaleMel(sample_rate)
        self.long = nn.ModuleList(Magnitude(window, window // 4) for window in LONG_WINDOWS)
        self._bins = [int(LONG_TOP / sample_rate * window) for window in LONG_WINDOWS]

    def forward(
        self, codec: ConvVQVAE, estimate: Tensor, tones: Tones | None, audio: Tensor, draw: np.random.Generator
    ) -> dict[str, Tensor]:
        """``reconstruction`` and, of a codec of tones, ``long`` and ``phases``.

        Of stereo, a step listens to left and right or to mid and side by turns: both must sound right, or the image wanders.
        """
        scales = draw.choice(len(WINDOWS), self.scales_per_step, replace=False).tolist()
        wanted = audio
        if audio.shape[1] == 2 and draw.random() < 0.5:
            estimate, wanted = swap_mid_side(estimate), swap_mid_side(audio)
        parts = {"reconstruction": self.mel(estimate, wanted, scales)}
        head = codec.decoder[2]
        if not isinstance(head, TonesAndNoise) or tones is None:
            return parts
        parts["long"] = LONG_WEIGHT * self._long_distance(estimate, wanted, int(draw.integers(len(LONG_WINDOWS))))
        parts["phases"] = PHASE_WEIGHT * head.tones.unlikelihood(tones, audio)
        return parts

    def _long_distance(self, estimate: Tensor, wanted: Tensor, chosen: int) -> Tensor:
        """Of one of the long windows, scaled up to stand for both."""
        magnitude, bins = self.long[chosen], self._bins[chosen]
        with torch.no_grad():
            target = magnitude(wanted)[..., :bins].clamp(min=LONG_FLOOR).log10()
        distance = (magnitude(estimate)[..., :bins].clamp(min=LONG_FLOOR).log10() - target).abs().mean()
        return len(LONG_WINDOWS) * distance
