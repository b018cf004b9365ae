"""What a codec is trained by: the distance of spectra, and of a codec of tones how near it tells the recording's own tones.

The multi-scale mel distance hears when and how loud, and is deaf to pitch: its longest window is 43 ms. So what a codec of
tones tells of magnitudes and of advances of phases is compared with the recording's, bin by bin (``models/tones.py``). That
teaches where partials stand far better than spectra of what it sounds like, in which phases are drawn: comparing those too,
in windows of 85 and 171 ms, added nothing (docs/codec.md). What it tells of noise is compared too (``models/noise.py``)."""

import numpy as np
from torch import Tensor, nn

from distill.audio.distance import WINDOWS, MultiScaleMel
from distill.models.tones import Predicted
from distill.models.vqvae import ConvVQVAE, swap_mid_side

BIN_WEIGHT, PHASE_WEIGHT = 3.0, 1.0
_LOSS_STREAM = 1 << 20
"""Windows draw with (seed, epoch, step, place in the batch); no batch has a place of this number (``audio/windows.py``)."""


def draws_of_step(seed: int, epoch: int, step: int) -> np.random.Generator:
    """The random numbers of one step's loss: the same on every rank, and in a resumed run."""
    return np.random.default_rng((seed, epoch, step, _LOSS_STREAM))


class CodecLoss(nn.Module):
    """The parts of the loss of one step; what each counts is already in them."""

    def __init__(self, sample_rate: int, scales_per_step: int = 2) -> None:
        super().__init__()
        self.scales_per_step = scales_per_step
        self.mel = MultiScaleMel(sample_rate)

    def forward(
        self, codec: ConvVQVAE, estimate: Tensor, predicted: Predicted | None, audio: Tensor, draw: np.random.Generator
    ) -> dict[str, Tensor]:
        """``reconstruction`` and, of a codec of tones, ``bins``, ``phases`` and ``noise``.

        Of stereo, a step listens to left and right or to mid and side by turns: both must sound right, or the image wanders.
        """
        scales = draw.choice(len(WINDOWS), self.scales_per_step, replace=False).tolist()
        wanted = audio
        if audio.shape[1] == 2 and draw.random() < 0.5:
            estimate, wanted = swap_mid_side(estimate), swap_mid_side(audio)
        parts = {"reconstruction": self.mel(estimate, wanted, scales)}
        head = codec.tonal_head
        if head is not None and predicted is not None:
            apart, unlikely = head.tones.losses(predicted.tones, predicted.targets or head.tones.targets(audio))
            parts["bins"], parts["phases"] = BIN_WEIGHT * apart, PHASE_WEIGHT * unlikely
            parts["noise"] = head.noise.losses(predicted.noise, audio)
        return parts
