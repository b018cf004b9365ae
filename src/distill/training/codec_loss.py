"""The codec's training loss: a mel distance of the audio, and the distance of what the decoder predicts.

The multi-scale mel distance is sensitive to timing and loudness but blind to pitch: its longest window is 43 ms. So the
magnitudes and phase advances that the decoder predicts are compared with the recording's, bin by bin
(``models/tones.py``). That teaches the place of partials far better than spectra of the synthesised audio, whose phases are
random: comparing those too, in windows of 85 and 171 ms, added nothing (docs/codec.md). Predicted noise is compared likewise
(``models/noise.py``)."""

import numpy as np
from torch import Tensor, nn

from distill.audio.distance import WINDOWS, MultiScaleMel
from distill.models.tones import Predicted
from distill.models.vqvae import ConvVQVAE, swap_mid_side

BIN_WEIGHT, PHASE_WEIGHT = 3.0, 1.0
_LOSS_STREAM = 1 << 20
"""Windows (``recordings/windows.py``) draw with (seed, epoch, step, place in the batch); no place has this number."""


def draws_of_step(seed: int, epoch: int, step: int) -> np.random.Generator:
    """The random numbers of one step's loss: the same on every rank, and in a resumed run."""
    return np.random.default_rng((seed, epoch, step, _LOSS_STREAM))


class CodecLoss(nn.Module):
    """The parts of one step's loss, each already multiplied by its weight."""

    def __init__(self, sample_rate: int, scales_per_step: int = 2) -> None:
        super().__init__()
        self.scales_per_step = scales_per_step
        self.mel = MultiScaleMel(sample_rate)

    def forward(
        self, codec: ConvVQVAE, estimate: Tensor, predicted: Predicted, audio: Tensor, draw: np.random.Generator
    ) -> dict[str, Tensor]:
        """``reconstruction``, ``bins``, ``phases`` and ``noise``: scalars.

        In stereo, each step compares either left and right or mid and side, at random: with only one of them the stereo image
        wanders.

        Args:
            estimate, audio: the reconstruction and the recording, ``[B, C, N]`` each.
            predicted: what the decoder predicted of it.
            draw: decides the scales and which channels to compare (:func:`draws_of_step`).
        """
        scales = draw.choice(len(WINDOWS), self.scales_per_step, replace=False).tolist()
        target = audio
        if audio.shape[1] == 2 and draw.random() < 0.5:
            estimate, target = swap_mid_side(estimate), swap_mid_side(audio)
        parts = {"reconstruction": self.mel(estimate, target, scales)}
        head = codec.head
        magnitudes, phases = head.tones.losses(predicted.tones, predicted.targets or head.tones.targets(audio))
        parts["bins"], parts["phases"] = BIN_WEIGHT * magnitudes, PHASE_WEIGHT * phases
        parts["noise"] = head.noise.losses(predicted.noise, audio)
        return parts
