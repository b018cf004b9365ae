"""The sketch: which tones sound is known before the first step of training."""

import pytest
import torch

from distill.models import ConvVQVAE, VQVAEConfig
from distill.models.sketch import SketchExamples, described, fitted_maps
from like_mps import DEVICE, LikeMPS

RATE, HOP = 48_000, 1024
SIZES = {"hidden_size": 16, "encoder_blocks": 1, "decoder_blocks": 1, "latent_size": 8, "codebook_size": 16}


def codec_of(channels: int = 1, sketch_size: int = 8) -> ConvVQVAE:
    torch.manual_seed(0)
    return ConvVQVAE(VQVAEConfig(channels=channels, sketch_size=sketch_size, **SIZES)).train()


def melodies(channels: int = 1) -> torch.Tensor:
    """Windows of one of three pitches each, ``[6, C, 12 hops]``."""
    time = torch.arange(12 * HOP) / RATE
    tones = torch.stack([0.3 * torch.sin(2 * torch.pi * pitch * time) for pitch in (331.0, 440.0, 613.0)] * 2)
    gains = torch.tensor([1.0, 0.5])[:channels, None]
    return tones[:, None] * gains


def apart(codec: ConvVQVAE, audio: torch.Tensor) -> tuple[float, float]:
    _, predicted = codec.forward_with_predicted(audio, quantize=False)
    assert predicted is not None
    return tuple(float(one.detach()) for one in codec.decoder[2].tones.losses(predicted.tones, predicted.targets))  # type: ignore[return-value]


@pytest.mark.parametrize("channels", [1, 2])
def test_it_tells_pitches_apart_before_any_training(channels: int) -> None:
    """Guards against a codec that tells the mean spectrum of all recordings at all times."""
    codec, audio = codec_of(channels), melodies(channels)
    codec.decoder[2].start(audio)
    magnitudes, phases = apart(codec, audio)
    codec.start_sketch(audio)
    sketched_magnitudes, sketched_phases = apart(codec, audio)
    assert sketched_magnitudes < 0.35 * magnitudes
    assert sketched_phases < phases - 0.5
    # It follows what changes: another pitch of the recordings, alone.
    one = audio[1:2]
    louder = codec.forward_with_predicted(one, quantize=False)[1].tones.log_magnitude[0, 0, 6]  # type: ignore[union-attr]
    assert abs(int(louder.argmax()) - round(440 * 4096 / RATE)) <= 1


def test_its_latents_vary_with_the_encoders() -> None:
    codec, audio = codec_of(), melodies() + 0.01 * torch.randn(6, 1, 12 * HOP)
    codec.start_sketch(audio)
    latents = codec.latents(audio).detach()
    assert latents.shape == (6, 12, 8 + 8)
    own, sketch = latents[..., :8].flatten(0, 1).var(dim=0).sum(), latents[..., 8:].flatten(0, 1).var(dim=0).sum()
    assert 2 < float(sketch / own) < 40


@pytest.mark.parametrize("audio", [torch.zeros(2, 1, 12 * HOP), torch.zeros(1, 1, HOP)])
def test_of_silence_nothing_is_drawn(audio: torch.Tensor) -> None:
    codec = codec_of()
    before = codec.decoder[2].tones.read.weight.clone()
    codec.start_sketch(audio)
    assert torch.equal(codec.decoder[2].tones.read.weight, before)
    assert torch.isfinite(codec(audio).reconstruction).all()


def test_fewer_positions_than_components_are_no_trouble() -> None:
    codec = codec_of(sketch_size=64)
    codec.start_sketch(0.1 * torch.randn(1, 1, 4 * HOP))
    assert torch.isfinite(codec(0.1 * torch.randn(1, 1, 4 * HOP)).reconstruction).all()


def test_it_begins_on_a_device_that_decomposes_no_matrix() -> None:
    """Guards against a Mac on whose own device no new codec can begin."""
    examples = SketchExamples(*(torch.zeros(50, width, device=DEVICE) for width in (40, 40, 8)))
    with LikeMPS():
        for fitted in fitted_maps(examples, 4, 20):
            assert (fitted.weight.device, fitted.bias.device) == (DEVICE, DEVICE)


def test_a_description_is_of_each_position_alone() -> None:
    head = codec_of().decoder[2].tones
    audio = torch.randn(1, 1, 20 * HOP)
    longer = torch.cat([audio, torch.randn(1, 1, 4 * HOP)], dim=-1)
    assert torch.allclose(described(head.targets(audio))[:, :17], described(head.targets(longer))[:, :17], atol=1e-4)
