"""A prior that learns its recordings by heart is told from one that learns, and training ends when nothing more comes of it."""

import dataclasses
import math
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from distill.models import PriorConfig
from distill.training import Notice, PriorEpochMetrics, PriorTrainingCompleteEvent, TrainingEvent, train_prior
from distill.training.checkpoint import StateFile
from distill.training.overfitting import (
    LEAST_EPOCHS,
    check_gap,
    check_memorization,
    has_learned_all,
    kept_epoch,
    nothing_more,
)
from distill.training.plan import PriorPlan
from distill.training.state_file import load_state

CONFIG = PriorConfig(
    codebook_size=32, num_quantizers=4, hidden_size=16, num_layers=1, num_heads=2, context=32, dropout=0.0
)


@pytest.mark.parametrize(
    ("train", "held_out", "rings"),
    [
        ([4.0, 3.0, 2.0], [4.0, 3.5, 3.2], False),  # it learns
        ([4.0, 3.0, 2.0], [4.0, 3.5, 3.55], False),  # a little worse may be chance
        ([4.0, 3.0, 1.0], [4.0, 3.5, 3.7], True),  # by heart
        ([4.0, 3.0, 3.2], [4.0, 3.5, 3.9], False),  # worse at both: something else is wrong
        ([4.0], [4.0], False),
        ([4.0, 0.01], [4.1, 13.8], True),  # as it was once seen, without a word
    ],
)
def test_the_gap(train: list[float], held_out: list[float], rings: bool) -> None:
    said, words = check_gap(train, held_out)
    assert said == rings == bool(words)


@pytest.mark.parametrize(("found", "rings"), [(1.9, True), (2.0, False), (math.nan, False), (math.inf, False)])
def test_a_prior_is_said_to_recite_below_a_perplexity_alone(found: float, rings: bool) -> None:
    """Guards against a perplexity that is not known, of which it was said that the prior recites."""
    said, words = check_memorization(found, 256, 12)
    assert said == rings == bool(words)


def test_the_gap_is_told_with_both_curves() -> None:
    _, words = check_gap([4.0, 3.0, 1.0], [4.0, 3.5, 3.75])
    for figure in ("3.00 to 1.00", "3.50 to 3.75", "epoch 2"):
        assert figure in words


def test_what_helps_is_said_without_options() -> None:
    """Guards against a report of `distill run`, or the page, that advises options which only `distill train-prior` has."""
    for says, words in (check_memorization(1.5, 256, 12), check_gap([4.0, 3.0, 1.0], [4.0, 3.5, 3.75])):
        assert says
        assert "More recordings" in words
        assert "--" not in words
        assert "epochs help" not in words


@pytest.mark.parametrize(
    ("held_out", "kept"),
    [
        ([4.0, 3.5, 3.2], 2),
        ([4.0, 3.5, 3.53, 3.52], 3),  # as good, and longer trained: new audio was six times nearer to the recordings
        ([4.0, 3.5, 3.56, 3.7], 1),  # worse
        ([4.0, 3.5, 3.53, 3.56], 2),  # as good as the lowest, not as the one before
        ([3.5, 3.6, 3.52], 2),
        ([math.nan], 0),
    ],
)
def test_the_last_of_those_that_are_as_good_is_kept(held_out: list[float], kept: int) -> None:
    assert kept_epoch(held_out) == kept


@pytest.mark.parametrize(
    ("since_best", "total", "patience", "ends"),
    [
        (1, 100, 0.01, False),  # too few epochs to tell it from chance
        (LEAST_EPOCHS, 10, 0.2, True),
        (29, 100, 0.3, False),
        (30, 100, 0.3, True),
        (99, 100, 1.0, False),
    ],
)
def test_when_to_stop(since_best: int, total: int, patience: float, ends: bool) -> None:
    assert has_learned_all([2.0, 1.0] + [1.5] * since_best, total, patience) == ends


def test_the_time_that_is_given_back_is_told() -> None:
    losses = [4.0, 3.0, 1.0], [4.0, 3.5, 3.75]
    assert nothing_more(*losses, 120.0).endswith("cools down for 2 more. Time saved: 2 minutes.")
    assert nothing_more(*losses, 0.2).endswith("cools down for 2 more.")
    assert nothing_more(*losses, math.inf).endswith("cools down for 2 more.")


@pytest.fixture
def scripted(validate: Callable[..., None]) -> None:
    """Held-out losses that fall twice, then rise for good."""
    epochs = count()
    validate(lambda _: abs(next(epochs) - 1) * 0.2 + 2)


def trained(path: Path, folder: Path, **settings: Any) -> tuple[dict[str, Any], list[TrainingEvent]]:
    events: list[TrainingEvent] = []
    plan = PriorPlan(epochs=20, views=1, least_steps=2, device="cpu", **settings)
    return train_prior(path, folder, CONFIG, events.append, plan=plan), events


@pytest.mark.usefixtures("scripted")
def test_training_comes_to_rest_when_nothing_more_is_learned(
    model_path: Path,
    small_corpus: Path,
) -> None:
    """Guards against what was measured: 95 % of the time spent on a held-out perplexity that climbed to a million. And against
    half an hour that gave a worse prior than eight minutes, as what was kept came from the highest learning rates."""
    result, events = trained(model_path, small_corpus, patience=0.3)
    epochs = [event for event in events if isinstance(event, PriorEpochMetrics)]
    assert len(epochs) == 2 + 6 + 2, "the best is the second; then 30 % of twenty; then as many as before the best"
    assert epochs[9].learning_rate < 0.1 * epochs[7].learning_rate
    assert epochs[8].train_loss > epochs[7].train_loss, "it went back to the weights of the second"
    assert {epoch.best_epoch for epoch in epochs[1:]} == {2}
    assert epochs[-1].is_overfitting
    assert "memorising" in epochs[-1].overfitting_message
    (complete,) = [event for event in events if isinstance(event, PriorTrainingCompleteEvent)]
    assert complete.stopped_early
    (said,) = [event.text for event in events if isinstance(event, Notice) and "Training stops early" in event.text]
    for figure in ("epoch 2", "2.00 then", "3.20 now", "for 2 more"):
        assert figure in said
    assert result["prior_metadata"]["epochs_trained"] == 10


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(("planned", "trained_for"), [(20, 10), (40, 16)])
def test_who_asks_for_more_during_a_cool_down_gets_it(
    planned: int, trained_for: int, model_path: Path, small_corpus: Path, tmp_path: Path
) -> None:
    """Guards against more time that has no effect, as the run still ends where its cool-down was to lead."""
    stop, file = Event(), tmp_path / "prior.state"

    def cancel(event: TrainingEvent) -> None:
        if isinstance(event, PriorEpochMetrics) and event.epoch == 8:
            stop.set()

    plan = PriorPlan(epochs=20, views=1, least_steps=2, device="cpu", patience=0.3)
    train_prior(model_path, small_corpus, CONFIG, cancel, stop, plan=plan, state_file=StateFile(file))
    state = load_state(file, plan.STATE_KIND)
    assert state.value("schedule.rest", dict), "it was not in its cool-down"
    plan = dataclasses.replace(plan, epochs=planned)
    result = train_prior(model_path, small_corpus, CONFIG, plan=plan, state_file=StateFile(file, state))
    assert result["prior_metadata"]["epochs_trained"] == trained_for


@pytest.mark.usefixtures("scripted")
def test_whoever_wants_the_whole_time_gets_it(
    model_path: Path,
    small_corpus: Path,
) -> None:
    _, events = trained(model_path, small_corpus, patience=1.0)
    assert sum(isinstance(event, PriorEpochMetrics) for event in events) == 20
    assert not any(event.stopped_early for event in events if isinstance(event, PriorTrainingCompleteEvent))
