"""bf16: the same losses but for rounding, in all three loops."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.audio.corpus import import_corpus
from distill.models import ConvVQVAE, PriorConfig, VQVAEConfig
from distill.training import train_prior, train_vqvae
from distill.training.adversarial import RefinementPlan, refine_decoder
from distill.training.plan import CodecPlan, Plan, PriorPlan

CONFIG = VQVAEConfig(hidden_size=16, encoder_blocks=1, decoder_blocks=1, latent_size=8, codebook_size=16)
PRIOR = PriorConfig(codebook_size=32, hidden_size=16, num_layers=1, num_heads=2, context=64)
PLANS: dict[str, Plan] = {
    "codec": CodecPlan(epochs=1, batch_size=2, least_steps=4, continuous_steps=2, device="cpu", from_scratch=True),
    "refinement": RefinementPlan(epochs=1, batch_size=1, least_steps=3, discriminator_width=4, device="cpu"),
    "prior": PriorPlan(epochs=1, batch_size=4, least_steps=3, views=1, device="cpu"),
}


def losses(kind: str, precision: str, folder: Path, model_path: Path) -> list[float]:
    found: list[float] = []

    def tell(event: Any) -> None:
        if type(event).__name__.endswith("StepMetrics"):
            found.append(getattr(event, "train_loss", None) or event.mel_loss)

    plan: Any = dataclasses.replace(PLANS[kind], precision=precision)
    if kind == "codec":
        train_vqvae(folder, CONFIG, tell, plan=plan)
    elif kind == "refinement":
        torch.manual_seed(0)
        codec = ConvVQVAE(CONFIG).eval()
        codec.quantizer.set_codebooks(torch.randn(4, 16, 8) * 0.3)
        refine_decoder(codec, import_corpus(folder), plan, tell)
    else:
        train_prior(model_path, folder, PRIOR, tell, plan=plan)
    return found


@pytest.mark.parametrize("kind", PLANS)
def test_bf16_trains_as_32_bits_do(kind: str, small_corpus: Path, model_path: Path) -> None:
    whole, half = (losses(kind, precision, small_corpus, model_path) for precision in ("32", "bf16"))
    assert half == pytest.approx(whole, rel=0.1)
    assert half != whole, "it was computed in 32 bits"
