"""A run that was stopped anywhere and goes on ends as if it had never stopped; both loops, to the bit."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.models import ConvVQVAE, Model, PriorConfig, VQVAEConfig, save_model
from distill.models.model_file import CorpusRecord, new_header
from distill.training import (
    PriorStepMetrics,
    TrainingEvent,
    VQStepMetrics,
    prior_loop,
    train_prior,
    train_vqvae,
    vqvae_loop,
)
from distill.training.state import load_state

Loop = Callable[..., Any]
Step = VQStepMetrics | PriorStepMetrics
CODEC = VQVAEConfig(hidden_size=16, encoder_blocks=1, decoder_blocks=1, latent_size=8, codebook_size=16)
PRIOR = PriorConfig(16, 4, hidden_size=16, num_layers=1, num_heads=2, context=32)


@pytest.fixture(autouse=True)
def _short_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vqvae_loop, "MIN_STEPS_PER_EPOCH", 12)
    monkeypatch.setattr(vqvae_loop, "CONTINUOUS_STEPS", 4)
    monkeypatch.setattr(prior_loop, "MIN_STEPS_PER_EPOCH", 12)
    monkeypatch.setattr("distill.training.watch.GOOD_EVERY", 5)


@pytest.fixture(params=["codec", "prior"])
def train(request: pytest.FixtureRequest, small_corpus: Path, tmp_path: Path) -> Loop:
    """``train(epochs=2, …)``: one of the loops on the small corpus, its state in ``tmp_path / "state"``."""
    shared = {"epochs": 2, "batch_size": 4, "device": "cpu", "state_path": tmp_path / "state"}

    def codec(folder: Path = small_corpus, **settings: Any) -> Any:
        return train_vqvae(folder, CODEC, **(shared | settings))

    def prior(folder: Path = small_corpus, **settings: Any) -> Any:
        return train_prior(tmp_path / "m.distill", folder, PRIOR, **(shared | {"views": 2} | settings))

    torch.manual_seed(0)
    untrained = ConvVQVAE(CODEC)
    untrained.quantizer.set_codebooks(torch.randn(4, 16, 8) * 0.3)
    record = CorpusRecord(fingerprint="0" * 64, file_count=6, seconds=6, split_seed=0)
    header = new_header("m", CODEC, record, codec_training={"seed": 0})
    save_model(tmp_path / "m.distill", Model(header, untrained, torch.ones(4, 16, dtype=torch.int64)))
    return codec if request.param == "codec" else prior


def kind_of(train: Loop) -> str:
    return train.__name__


def stop_at(step: int, events: list[TrainingEvent]) -> dict[str, Any]:
    """The arguments that cancel a run after that step."""
    cancel = threading.Event()

    def heard(event: TrainingEvent) -> None:
        events.append(event)
        if isinstance(event, Step) and event.step == step:
            cancel.set()

    return {"callback": heard, "cancel_event": cancel}


def weights(result: Any) -> dict[str, torch.Tensor]:
    return (result["prior_model"] if isinstance(result, dict) else result.codec).state_dict()


def curves(result: Any) -> Any:
    return result["curves"] if isinstance(result, dict) else (result.train_losses, result.val_losses)


def measured(events: list[TrainingEvent]) -> list[tuple[int, int, float, float]]:
    return [(one.epoch, one.step, one.train_loss, one.learning_rate) for one in events if isinstance(one, Step)]


# Before quantisation begins, in the middle of an epoch, at the end of one, and in the middle of the last.
@pytest.mark.parametrize("step", [2, 7, 12, 19])
def test_resumed_equals_uninterrupted(step: int, train: Loop, tmp_path: Path) -> None:
    whole_events: list[TrainingEvent] = []
    whole = train(callback=whole_events.append, state_path=None)

    events: list[TrainingEvent] = []
    train(**stop_at(step, events))
    state = load_state(tmp_path / "state", kind_of(train))
    assert state.values["schedule"]["step"] == step
    torch.manual_seed(99)  # what another process would have drawn meanwhile
    rest = train(resumed=state, callback=events.append)

    assert measured(events) == measured(whole_events)
    assert curves(rest) == curves(whole)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(rest)[name]), name
