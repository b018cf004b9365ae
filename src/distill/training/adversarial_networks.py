"""What the codec's second stage trains (``adversarial.py``): a decoder, the discriminator it is to pass, and its average."""

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Never

import torch
from torch import Tensor

from distill.audio.distance import MultiScaleMel
from distill.models.discriminator import Discriminator, DiscriminatorConfig
from distill.models.vqvae import ConvVQVAE
from distill.training.codec_loss import CodecLoss
from distill.training.loop_state import State
from distill.training.plan import RefinementPlan
from distill.training.schedule import Schedule
from distill.training.wrapped import WrappedCodec, WrappedDiscriminator

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Networks:
    """Decoder and discriminator as Fabric wraps them, the moving average of the decoder, and the loss."""

    first: ConvVQVAE
    """The codec with the first stage's decoder, on the CPU, unchanged."""
    averaged: ConvVQVAE
    """The codec with the moving average of the trained decoder."""
    codec: WrappedCodec
    """The codec whose decoder is trained."""
    discriminator: WrappedDiscriminator
    """What the decoder is trained against."""
    decoder_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    criterion: CodecLoss

    @property
    def distance(self) -> MultiScaleMel:
        """The mel distance of all validation."""
        return self.criterion.mel

    def rebuilt(self, audio: Tensor) -> Tensor:
        """Audio ``[1, C, N]`` reconstructed with the averaged decoder."""
        return self.averaged(audio).reconstruction

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Moves the averaged weights towards the present ones by ``1 - decay`` of the way."""
        now = self.codec.module.decoder.parameters()
        for mean, value in zip(self.averaged.decoder.parameters(), now, strict=True):
            mean.lerp_(value, 1 - decay)

    @classmethod
    def of(cls, codec: ConvVQVAE, plan: RefinementPlan, fabric: "Fabric") -> "Networks":
        """The networks before the first step."""
        first = copy.deepcopy(codec).cpu().requires_grad_(False).eval()
        averaged = copy.deepcopy(first).to(fabric.device)
        trained = copy.deepcopy(first)
        # The decoder alone trains: encoding must not move the codebooks.
        trained.decoder.requires_grad_(True).train()
        discriminator = Discriminator(DiscriminatorConfig(codec.channels, width=plan.discriminator_width))
        # The loop sets the learning rates at every step.
        optimizers = [
            torch.optim.AdamW(module.parameters(), betas=(0.8, 0.99), fused=True)
            for module in (trained.decoder, discriminator)
        ]
        wrapped, decoder_optimizer = fabric.setup(trained, optimizers[0])
        wrapped_discriminator, discriminator_optimizer = fabric.setup(discriminator, optimizers[1])
        criterion = CodecLoss(codec.sample_rate, plan.scales_per_step).to(fabric.device)
        return cls(
            first=first,
            averaged=averaged,
            codec=wrapped,
            discriminator=wrapped_discriminator,
            decoder_optimizer=decoder_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            criterion=criterion,
        )

    def state(self, schedule: Schedule) -> State[Never]:
        """The state of a loop that trains these networks."""
        models = {
            "first": self.first.decoder,
            "decoder": self.codec.module.decoder,
            "average": self.averaged.decoder,
            "discriminator": self.discriminator.module,
        }
        optimizers = {
            "decoder-optimizer": self.decoder_optimizer,
            "discriminator-optimizer": self.discriminator_optimizer,
        }
        state: State[Never] = State(models, optimizers, schedule, good_every=None)
        state.figures = {"decoder_steps": 0, "bad_steps": 0, "mel_before": math.nan}
        return state
