"""What tests of the loops share."""

from pathlib import Path

import pytest
import torch

from distill.models import ConvVQVAE, Model, VQVAEConfig, save_model
from distill.models.model_file import CorpusRecord, new_header


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    """A model file with a tiny, untrained codec."""
    torch.manual_seed(0)
    codec = ConvVQVAE(VQVAEConfig(hidden_size=16, encoder_blocks=1, decoder_blocks=1, latent_size=8, codebook_size=32))
    codec.quantizer.set_codebooks(torch.randn(4, 32, 8) * 0.3)
    record = CorpusRecord(fingerprint="0" * 64, file_count=5, seconds=5, split_seed=0)
    header = new_header("tiny", codec.config, record, codec_training={"seed": 0, "best_val_loss": 1.0})
    return save_model(tmp_path / "tiny.distill", Model(header, codec, torch.ones(4, 32, dtype=torch.int64)))
