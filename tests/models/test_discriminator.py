"""The discriminators of the second stage."""

import pytest
import torch

from distill.models.discriminator import (
    Discriminator,
    DiscriminatorConfig,
    adversarial_loss,
    discriminator_loss,
    feature_distance,
)


@pytest.mark.parametrize("channels", [1, 2])
def test_shapes(channels: int) -> None:
    discriminator = Discriminator(DiscriminatorConfig(channels, width=4))
    judgements = discriminator(torch.randn(2, channels, 4096))
    assert len(judgements) == 3
    for judgement, window in zip(judgements, discriminator.config.windows, strict=True):
        assert len(judgement.logits) == 2
        assert len(judgement.features) == 10
        assert judgement.logits[0].shape[:3] == (2, 1, 1 + 4096 // (window // 4))
        # Together the bands see every bin once.
        assert discriminator.spectra[0].bands == [(0, 256), (256, 1025)]


def test_it_learns_to_tell_recordings_from_reconstructions() -> None:
    """A toy case: recordings are tones, reconstructions the same tones in noise."""
    torch.manual_seed(0)
    discriminator = Discriminator(DiscriminatorConfig(windows=(512, 256), width=4))
    optimizer = torch.optim.AdamW(discriminator.parameters(), lr=5e-3, betas=(0.8, 0.99))

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        hertz = 200 + 2000 * torch.rand(4, 1, 1)
        tones = 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(8192) / 48_000)
        return tones, tones + 0.1 * torch.randn_like(tones)

    for _ in range(60):
        real, made = batch()
        loss = discriminator_loss(discriminator(real), discriminator(made))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    real, made = batch()
    with torch.no_grad():
        for true, false in zip(discriminator(real), discriminator(made), strict=True):
            for one, other in zip(true.logits, false.logits, strict=True):
                assert one.mean() > other.mean() + 0.3


def test_losses_at_their_ends() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(DiscriminatorConfig(windows=(512,), width=4))
    audio = torch.randn(1, 1, 4096)
    one, other = discriminator(audio), discriminator(0.5 * audio)
    assert feature_distance(one, one) == 0 < feature_distance(one, other)
    sure = [judgement._replace(logits=tuple(torch.ones_like(logit) for logit in judgement.logits)) for judgement in one]
    unsure = [
        judgement._replace(logits=tuple(torch.zeros_like(logit) for logit in judgement.logits)) for judgement in one
    ]
    assert adversarial_loss(sure) == discriminator_loss(sure, unsure) == 0
    assert adversarial_loss(unsure) == 1
    assert discriminator_loss(unsure, sure) == 2


def test_silence_has_finite_gradients() -> None:
    discriminator = Discriminator(DiscriminatorConfig(width=4))
    audio = torch.zeros(1, 1, 4096, requires_grad=True)
    adversarial_loss(discriminator(audio)).backward()
    assert audio.grad is not None
    assert bool(torch.isfinite(audio.grad).all())
