"""The prior's training loop, to the letter."""

import copy
import dataclasses
import math
import threading
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from distill.errors import CorpusError, RankError, SettingError, TrainingError
from distill.models import CodePrior, PriorConfig, load_model
from distill.models.model_file import codec_fingerprint
from distill.training import (
    Notice,
    PriorEpochMetrics,
    PriorStepMetrics,
    PriorTrainingCompleteEvent,
    TrainingEvent,
    check_memorization,
    prior_loop,
    train_prior,
    train_prior_epoch,
    validate_prior_epoch,
)
from distill.training.checkpoint import StateFile
from distill.training.device import make_fabric
from distill.training.loop_state import State
from distill.training.plan import PriorPlan
from distill.training.schedule import Schedule
from distill.training.state_file import read_values

CONFIG = PriorConfig(
    codebook_size=32, num_quantizers=4, hidden_size=16, num_layers=1, num_heads=2, context=32, dropout=0.0
)


PLAN = PriorPlan(epochs=3, views=1, device="cpu")


def state_of(model: Any, optimizer: torch.optim.Optimizer, steps: int) -> State:
    """A run of one epoch of so many steps, at its beginning."""
    schedule = Schedule(steps, epochs=1, minutes=None, peak_rate=1e-3)
    return State({"weights": model}, {"optimizer": optimizer}, schedule)


def run(model_path: Path, folder: Path, **settings: Any) -> tuple[dict[str, Any], list[TrainingEvent]]:
    events: list[TrainingEvent] = []
    result = train_prior(model_path, folder, CONFIG, events.append, plan=dataclasses.replace(PLAN, **settings))
    return result, events


def test_result_and_events(model_path: Path, small_corpus: Path) -> None:
    result, events = run(model_path, small_corpus)
    assert isinstance(result["prior_model"], CodePrior)
    assert not result["prior_model"].training
    assert result["prior_config"] == CONFIG
    assert result["prior_metadata"]["epochs_trained"] == 3
    assert {"final_perplexity", "best_perplexity", "training_date"} <= result["prior_metadata"].keys()
    assert sum(isinstance(event, PriorEpochMetrics) for event in events) == 3
    assert any(isinstance(event, PriorStepMetrics) for event in events)
    assert any("starts from nothing" in event.text for event in events if isinstance(event, Notice))
    complete = events[-1]
    assert isinstance(complete, PriorTrainingCompleteEvent)
    assert complete.epochs_trained == 3
    assert complete.best_perplexity == result["prior_metadata"]["best_perplexity"]


def test_transposed_views_are_marked(model_path: Path, small_corpus: Path) -> None:
    """Guards against new audio that flickers as the codes of transposed views do, which the prior takes for the recordings'."""
    result, _ = run(model_path, small_corpus, views=4)
    assert result["prior_model"].transposed.abs().max() > 0
    without, _ = run(model_path, small_corpus, views=4, transpose=0.0)
    assert without["prior_model"].transposed.abs().max() == 0


def test_the_codec_stays_frozen(model_path: Path, small_corpus: Path) -> None:
    """Guards against gradients or moving averages that leak into the codec and make its codes meaningless."""
    before = model_path.read_bytes()
    fingerprint = codec_fingerprint(load_model(model_path).codec)
    run(model_path, small_corpus)
    assert model_path.read_bytes() == before
    codec = load_model(model_path).codec
    assert codec_fingerprint(codec) == fingerprint
    assert not any(parameter.requires_grad for parameter in codec.parameters())


def test_best_weights_come_back(model_path: Path, small_corpus: Path, validate: Callable[..., None]) -> None:
    """Guards against giving back the last weights, or a best copy that training went on to change."""
    losses = iter([3.0, 2.0, 2.5, 4.0])
    snapshots: list[dict[str, torch.Tensor]] = []

    def loss(model: Any) -> float:
        snapshots.append(copy.deepcopy(model.module.state_dict()))
        return next(losses)

    validate(loss)
    result, _ = run(model_path, small_corpus, epochs=4)
    assert result["prior_metadata"]["best_perplexity"] == pytest.approx(math.exp(2.0))
    assert result["prior_metadata"]["final_perplexity"] == pytest.approx(math.exp(4.0))
    for name, tensor in result["prior_model"].state_dict().items():
        assert torch.equal(tensor, snapshots[1][name]), name
    assert any(not torch.equal(snapshots[1][name], snapshots[3][name]) for name in snapshots[1])


def test_whether_it_recites_is_said_of_the_weights_that_are_kept(
    model_path: Path, small_corpus: Path, validate: Callable[..., None]
) -> None:
    """Guards against a prior that hesitates between 1.9 codes and is said not to recite, as a later epoch did between 2.1."""
    losses = iter([0.9, 0.66, 0.72, 0.74])
    validate(lambda _: next(losses))
    result, events = run(model_path, small_corpus, epochs=4, least_steps=1)
    assert result["prior_metadata"]["was_memorizing"] == 1
    assert events[-1].was_memorizing  # type: ignore[union-attr]


def test_same_seed_same_weights(model_path: Path, small_corpus: Path) -> None:
    first, _ = run(model_path, small_corpus, seed=7)
    second, _ = run(model_path, small_corpus, seed=7)
    for name, tensor in first["prior_model"].state_dict().items():
        assert torch.equal(tensor, second["prior_model"].state_dict()[name]), name


def test_cancel_keeps_the_best_so_far(model_path: Path, small_corpus: Path) -> None:
    cancel = threading.Event()

    def stop(event: TrainingEvent) -> None:
        if isinstance(event, PriorStepMetrics) and event.step == 2:
            cancel.set()

    result = train_prior(model_path, small_corpus, CONFIG, stop, cancel, plan=dataclasses.replace(PLAN, epochs=50))
    assert result["prior_metadata"]["cancelled"]
    assert result["prior_metadata"]["epochs_trained"] == 1
    assert math.isfinite(result["prior_metadata"]["best_perplexity"])


def test_a_rank_that_is_lost_between_two_epochs_costs_none_of_them(
    model_path: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a night of training that is lost with a rank which went while the others waited for the next epoch."""
    ready = iter([True, True, False])

    def send(*_: Any) -> None:
        if not next(ready):
            raise RankError("The training lost rank 1 of 2.", "See what happened there.")

    monkeypatch.setattr(prior_loop, "send_epoch", send)
    with pytest.raises(RankError):
        train_prior(model_path, small_corpus, CONFIG, plan=PLAN, state_file=StateFile(tmp_path / "state"))
    assert read_values(tmp_path / "state", PriorPlan.STATE_KIND)["epoch"] == 2


def test_a_rank_that_is_lost_after_the_last_epoch_is_said_and_no_more(
    model_path: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a prior that has learned all and fails because nobody is left to be told so."""

    def send() -> None:
        raise RankError("The training lost rank 1 of 2.", "See what happened there.")

    monkeypatch.setattr(prior_loop, "send_no_epoch", send)
    events: list[TrainingEvent] = []
    file = StateFile(tmp_path / "state")
    trained = train_prior(model_path, small_corpus, CONFIG, events.append, plan=PLAN, state_file=file)
    assert trained["prior_metadata"]["epochs_trained"] == 3
    assert read_values(tmp_path / "state", PriorPlan.STATE_KIND)["finished"]
    (warning,) = [one.text for one in events if isinstance(one, Notice) and "lost rank 1" in one.text]
    assert "nothing of it is lost" in warning


def test_another_folder_is_told(model_path: Path, small_corpus: Path) -> None:
    _, events = run(model_path, small_corpus, epochs=1)
    little, *notices = [event.text for event in events if isinstance(event, Notice)]
    assert "very little to learn from" in little
    (other,) = [one for one in notices if "is not the folder" in one]  # the other is of the prior's size
    assert "00000000" in other


def test_a_held_out_loss_that_is_never_finite_again_ends_with_the_best_weights(
    model_path: Path, small_corpus: Path, validate: Callable[..., None]
) -> None:
    """Guards against an hour of training that is lost at the end of an epoch."""
    losses = chain([3.0, 2.0, math.nan, 1.9], repeat(math.nan))
    validate(lambda _: next(losses))
    result, events = run(model_path, small_corpus, epochs=20)
    assert result["curves"]["prior_val_loss"] == [3.0, 2.0, 1.9], "what is not finite once is measured again"
    assert any("best weights so far are kept" in event.text for event in events if isinstance(event, Notice))


def test_other_codebooks_are_refused(model_path: Path, small_corpus: Path) -> None:
    with pytest.raises(SettingError, match="64 codes"):
        train_prior(model_path, small_corpus, PriorConfig(codebook_size=64, num_quantizers=4), plan=PLAN)


@pytest.mark.parametrize("shape", [(0, 8), (3, 1)])
def test_nothing_to_validate_on_is_refused_in_words(shape: tuple[int, int]) -> None:
    """Guards against a loss of 0/0, for which training went back to a good state again and again."""
    with pytest.raises(CorpusError, match="nothing held out"):
        validate_prior_epoch(CodePrior(CONFIG), torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("shape", [(0, 8), (3, 1)])
def test_nothing_to_train_on_is_refused_in_words(shape: tuple[int, int]) -> None:
    """Guards against a division by zero, and against a learning rate that is blamed for sequences of a single token."""
    fabric = make_fabric("cpu")
    model, optimizer = fabric.setup(prior := CodePrior(CONFIG), torch.optim.AdamW(prior.parameters()))
    with pytest.raises(CorpusError, match="nothing to train the prior on"):
        train_prior_epoch(state_of(model, optimizer, 1), torch.zeros(shape, dtype=torch.int64), PriorPlan(), fabric)


def test_a_loss_that_is_not_finite_never_reaches_the_optimizer() -> None:
    fabric = make_fabric("cpu")
    prior = CodePrior(CONFIG)
    with torch.no_grad():
        prior.heads.fill_(float("nan"))
    before = copy.deepcopy(prior.state_dict())
    model, optimizer = fabric.setup(prior, torch.optim.AdamW(prior.parameters()))
    tokens = torch.zeros(100, 16, dtype=torch.int64)
    with pytest.raises(TrainingError, match="not finite"):
        train_prior_epoch(state_of(model, optimizer, 100), tokens, PriorPlan(views=1, batch_size=1), fabric)
    for name, tensor in prior.state_dict().items():
        torch.testing.assert_close(tensor, before[name], equal_nan=True)


def test_validation_sums_over_tokens() -> None:
    """Against a slow twin; the mean of batch means would differ, since the last batch is smaller."""
    torch.manual_seed(0)
    prior = CodePrior(CONFIG).eval().requires_grad_(False)
    tokens = torch.randint(0, 32, (5, 16))
    total, count = 0.0, 0
    for sequence in tokens:
        for place in range(15):
            logits = prior(sequence[None, : place + 1])[0, -1]
            total += float(F.cross_entropy(logits, sequence[place + 1]))
            count += 1
    result = validate_prior_epoch(prior, tokens, batch_size=3)
    assert result.loss == pytest.approx(total / count, rel=1e-5)
    assert len(result.level_losses) == 4


class Certain(nn.Module):
    """A prior that is sure of a wrong answer."""

    config = CONFIG

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*tokens.shape, 32)
        logits[..., 31] = 1e4
        return logits


def test_perplexity_is_clamped() -> None:
    result = validate_prior_epoch(Certain(), torch.zeros(2, 8, dtype=torch.int64))
    assert result.loss > 20
    assert result.perplexity == pytest.approx(math.exp(20))


@pytest.mark.parametrize(("files", "threshold"), [(1, 2.0), (20, 2.0), (21, 3.0), (100, 3.0), (101, 5.0), (500, 5.0)])
def test_memorization_thresholds(files: int, threshold: float) -> None:
    warns, message = check_memorization(threshold - 0.01, 256, files)
    assert warns
    assert "reciting" in message
    assert ("with 1 file," if files == 1 else f"with {files} files,") in message
    assert check_memorization(threshold, 256, files) == (False, "")


def test_some_steps_learn_to_lead_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against infilling that is never trained."""
    seen: list[int | None] = []
    fabric = make_fabric("cpu")
    model, optimizer = fabric.setup(prior := CodePrior(CONFIG), torch.optim.AdamW(prior.parameters()))
    prior.register_forward_pre_hook(lambda _, __, given: seen.append(given["known_from"]), with_kwargs=True)
    plan = PriorPlan(views=1, batch_size=1, infill_share=0.5)
    train_prior_epoch(state_of(model, optimizer, 40), torch.full((40, 16), 3), plan, fabric)
    places = [place for place in seen if place is not None]
    assert 10 < len(places) < 30
    assert all(0 < place < 16 // CONFIG.num_quantizers for place in places)
