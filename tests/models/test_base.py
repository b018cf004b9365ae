"""The base codec: what training starts from, in mono and in stereo."""

from pathlib import Path

import pytest
import torch

from distill.models import ConvVQVAE, VQVAEConfig
from distill.models.base import base_config, base_path, save_base, start_from_base
from distill.models.vqvae import swap_mid_side

SIZES = {
    "hidden_size": 16,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "latent_size": 8,
    "sketch_size": 0,
    "codebook_size": 16,
}


def codec(channels: int, seed: int) -> ConvVQVAE:
    torch.manual_seed(seed)
    return ConvVQVAE(VQVAEConfig(channels=channels, **SIZES)).eval()


def test_a_mono_codec_starts_as_the_base_is(tmp_path: Path) -> None:
    base, started = codec(1, 0), codec(1, 1)
    start_from_base(started, save_base(tmp_path / "base", base))
    audio = 0.1 * torch.randn(1, 1, 20 * 1024)
    torch.testing.assert_close(started.latents(audio), base.latents(audio), atol=5e-3, rtol=0)
    assert not started.quantizer.started


def test_a_stereo_codec_starts_as_the_base_twice(tmp_path: Path) -> None:
    """Of two equal channels it hears what the base hears of one, and both channels say what the base says."""
    base, started = codec(1, 0), codec(2, 1)
    start_from_base(started, save_base(tmp_path / "base", base))
    audio = 0.1 * torch.randn(1, 1, 20 * 1024)
    torch.testing.assert_close(started.latents(audio.repeat(1, 2, 1)), base.latents(audio), atol=5e-3, rtol=0)
    hidden = torch.randn(1, 12, 16)
    mono, stereo = base.decoder[2].tones(hidden), started.decoder[2].tones(hidden)
    torch.testing.assert_close(stereo.advance, mono.advance, atol=5e-3, rtol=0)
    levels = stereo.log_magnitude
    torch.testing.assert_close(levels.mean(1, keepdim=True), mono.log_magnitude, atol=5e-3, rtol=0)
    assert swap_mid_side(levels.flatten(2))[:, 1].abs().mean() < 0.5 * levels.abs().mean() + 0.2


def test_a_base_of_other_sizes_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        start_from_base(codec(1, 0), save_base(tmp_path / "base", ConvVQVAE(VQVAEConfig(hidden_size=8, sketch_size=0))))
    assert base_path(VQVAEConfig(**SIZES)) is None
    assert base_path(VQVAEConfig(decoder_blocks=6)) is None


def test_the_base_fits_the_wheel() -> None:
    path = base_path(base_config())
    assert path is not None
    assert path.stat().st_size <= 16 << 20
    start_from_base(ConvVQVAE(base_config()), path)
