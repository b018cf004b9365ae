"""The codec's training loop."""

import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import small_distill
from distill.audio.distance import MultiScaleMel
from distill.errors import CorpusError, SettingError
from distill.models import ConvVQVAE
from distill.models.config import VQVAEConfig
from distill.models.health import LevelHealth, level_health, utilisation_warning
from distill.recordings.corpus import import_corpus
from distill.training import (
    Notice,
    TrainingEvent,
    VQEpochMetrics,
    VQStepMetrics,
    VQTrainingCompleteEvent,
    train_vqvae,
    validate_vqvae_epoch,
)
from distill.training.codec_start import without_base
from distill.training.device import make_fabric
from distill.training.loop_state import State
from distill.training.plan import CodecPlan
from distill.training.schedule import Schedule
from distill.training.vqvae_loop import train_step

CONFIG = small_distill.codec_config(codebook_size=16)


PLAN = CodecPlan(epochs=1, batch_size=1, least_steps=5, continuous_steps=4, validation_windows=1, device="cpu")


def run(folder: Path, plan: CodecPlan = PLAN, **request: Any) -> Any:
    return train_vqvae(folder, CONFIG, plan=plan, **request)


def test_events_and_result(small_corpus: Path) -> None:
    events: list[TrainingEvent] = []
    result = run(small_corpus, callback=events.append)
    steps = [event for event in events if isinstance(event, VQStepMetrics)]
    assert [event.step for event in steps] == list(range(1, len(steps) + 1))
    assert sum("starts from nothing" in event.text for event in events if isinstance(event, Notice)) == 1
    assert isinstance(events[-1], VQTrainingCompleteEvent)
    assert isinstance(events[-2], VQEpochMetrics)
    assert steps[-1].progress == 1.0
    assert not result.codec.training
    assert not any(parameter.requires_grad for parameter in result.codec.parameters())
    assert result.code_counts.sum() == 4 * sum(-(-one.samples // 1024) for one in result.corpus.recordings)


def test_a_codec_that_the_base_does_not_fit_says_so() -> None:
    """Guards against a codec that starts from nothing without a word, while a prior that does says so."""
    words = without_base(CONFIG, PLAN)
    assert "starts from nothing, as the base codec has hidden_size 384" in words
    assert not without_base(CONFIG, dataclasses.replace(PLAN, from_scratch=True))
    assert not without_base(VQVAEConfig(), PLAN)


def test_other_channels_than_the_recordings_are_refused(small_corpus: Path) -> None:
    """Guards against a stereo codec that learns two equal channels of recordings that were read in mono."""
    stereo = dataclasses.replace(CONFIG, channels=2)
    with pytest.raises(SettingError, match=r"for 2 channels, and the recordings were read in 1\. .*channels=2"):
        train_vqvae(import_corpus(small_corpus), stereo, plan=PLAN)


def test_same_seed_same_weights(small_corpus: Path) -> None:
    plan = dataclasses.replace(PLAN, seed=3)
    first, second = run(small_corpus, plan), run(small_corpus, plan)
    for name, tensor in first.codec.state_dict().items():
        assert torch.equal(tensor, second.codec.state_dict()[name]), name


def test_cancel_keeps_what_is_there(small_corpus: Path) -> None:
    cancel = threading.Event()

    def stop(event: TrainingEvent) -> None:
        if isinstance(event, VQStepMetrics) and event.step == 3:
            cancel.set()

    result = run(small_corpus, dataclasses.replace(PLAN, epochs=50), callback=stop, cancel_event=cancel)
    assert result.cancelled
    assert result.epochs_trained == 1
    # Guards against a codec stopped in its first steps, before quantisation began: one code for everything.
    assert (result.code_counts > 0).sum() > 32


def test_a_loss_that_is_not_finite_never_reaches_the_optimizer() -> None:
    def nothing(codec: Any, estimate: torch.Tensor, *_: Any) -> dict[str, torch.Tensor]:
        return {"reconstruction": estimate.sum() * float("nan")}

    fabric = make_fabric("cpu")
    model, optimizer = fabric.setup(codec := ConvVQVAE(CONFIG), torch.optim.AdamW(codec.parameters()))
    state = State({"weights": model}, {"optimizer": optimizer}, Schedule(100, epochs=1, minutes=None, peak_rate=1e-3))
    _, trouble = train_step(state, torch.randn(2, 1, 8 * CONFIG.hop), PLAN, nothing, fabric)
    assert "not finite" in trouble
    assert not optimizer.state_dict()["state"]


def test_health_and_its_warning() -> None:
    counts = torch.zeros(2, 16, dtype=torch.int64)
    counts[0] = 5
    counts[1, :4] = 5
    levels = level_health(counts)
    assert levels[0] == LevelHealth(0, 1.0, pytest.approx(16.0), 0)
    assert levels[1] == LevelHealth(1, 0.25, pytest.approx(4.0), 12)
    assert "Detail (25 %)" in utilisation_warning(levels)
    assert utilisation_warning(levels[:1] * 2) == ""


def test_nothing_to_validate_on_is_refused_in_words() -> None:
    """Guards against a division by zero."""
    with pytest.raises(CorpusError, match="nothing held out to validate the codec on"):
        validate_vqvae_epoch(
            ConvVQVAE(CONFIG), MultiScaleMel(48_000), np.zeros((0, 1, 4096), np.float32), make_fabric("cpu")
        )
