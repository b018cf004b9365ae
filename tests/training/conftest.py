"""What tests of the loops share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.audio.windows import TrainingWindows
from distill.models import ConvVQVAE, Model, VQVAEConfig, save_model
from distill.models.header import CorpusRecord, new_header
from distill.training import PriorValidation


@pytest.fixture
def validate(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], float]], None]:
    """``validate(loss)``: the held-out loss of a prior is what ``loss`` gives for the model."""

    def use(loss: Callable[[Any], float]) -> None:
        def epoch(model: Any, *_: Any) -> PriorValidation:
            return PriorValidation(loss(model), (0.0,) * 4)

        monkeypatch.setattr("distill.training.prior_loop.validate_prior_epoch", epoch)

    return use


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``spoil((epoch, index), …)``: those batches of windows hold a sample that is not a number."""

    def use(*batches: tuple[int, int]) -> None:
        whole = TrainingWindows.batch

        def batch(self: TrainingWindows, epoch: int, index: int, batch_size: int, part: int = 0) -> np.ndarray:
            audio = whole(self, epoch, index, batch_size, part)
            if (epoch, index) in batches:
                audio[0, 0, 100] = np.nan
            return audio

        monkeypatch.setattr(TrainingWindows, "batch", batch)

    return use


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    """A model file with a tiny, untrained codec."""
    torch.manual_seed(0)
    codec = ConvVQVAE(VQVAEConfig(hidden_size=16, encoder_blocks=1, decoder_blocks=1, latent_size=8, codebook_size=32))
    codec.quantizer.set_codebooks(torch.randn(4, 32, 8) * 0.3)
    record = CorpusRecord(fingerprint="0" * 64, file_count=5, seconds=5, split_seed=0)
    header = new_header("tiny", codec.config, record, codec_training={"seed": 0, "best_val_loss": 1.0})
    return save_model(tmp_path / "tiny.distill", Model(header, codec, torch.ones(4, 32, dtype=torch.int64)))
