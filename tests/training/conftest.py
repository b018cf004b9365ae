"""What tests of the loops share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small_distill
from distill.models import save_model
from distill.recordings.windows import TrainingWindows
from distill.training import PriorValidation


@pytest.fixture
def little_is_sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sketch is initialised from a few windows: two minutes of them would take as long as a training of a few steps."""
    monkeypatch.setattr("distill.training.codec_data._SKETCHED", 2)


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
    codec = small_distill.small_codec()
    codec.quantizer.set_codebooks(0.3 * codec.quantizer.codebooks)
    model = small_distill.small_model(codec, codec_training={"seed": 0, "best_val_loss": 1.0})
    return save_model(tmp_path / "tiny.distill", model)
