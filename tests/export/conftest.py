"""Tiny models of each kind to export."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import small_distill
from distill.models import ConvVQVAE, Model, VQVAEConfig
from distill.models.model_file import Source


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Model]:
    """``make_model(channels, hop, with_prior)``: an untrained model in a tiny size whose tones are loud."""
    return _model


@torch.no_grad()
def _model(channels: int = 1, hop: int = 1024, with_prior: bool = True, **sizes: Any) -> Model:
    torch.manual_seed(0)
    config = VQVAEConfig(
        channels=channels, hop=hop, hidden_size=24, encoder_blocks=1, decoder_blocks=2, latent_size=8,
        codebook_size=32, num_quantizers=3, sketch_size=6, **sizes,
    )  # fmt: skip
    codec = ConvVQVAE(config)
    codec.quantizer.set_codebooks(torch.randn(3, 32, config.vector_size))
    # Tones of which some are sure, curves that bend, and a sketch that both sides listen to.
    tones = codec.head.tones
    torch.nn.init.normal_(tones.spectrum.weight, std=0.25)
    torch.nn.init.constant_(tones.spectrum.bias[: tones.bins], -3.0)
    for layer in (tones.gain, codec.head.noise.levels):
        torch.nn.init.normal_(layer.weight, std=0.1)
    assert codec.sketch is not None
    assert tones.read is not None
    torch.nn.init.normal_(tones.read.weight, std=0.2)
    weight = torch.randn_like(codec.sketch.weight)
    codec.sketch.weight.copy_(0.03 * (weight - weight.mean(dim=1, keepdim=True)))
    about = {"file_count": 3, "seconds": 3.0, "codec_training": {"best_val_loss": 2.5, "from_base": 1}}
    codec = codec.eval().requires_grad_(False)
    if not with_prior:
        return small_distill.small_model(codec, **about)
    prior = small_distill.small_prior(config, num_layers=2, context=36).requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    sources = [
        Source(f"take-{number}.wav", 0.0, False, torch.randint(0, 32, (50, 3), generator=generator))
        for number in range(2)
    ]
    return small_distill.small_model(
        codec, prior, sources, prior_training={"best_perplexity": 20.0, "from_base": 1}, **about
    )
