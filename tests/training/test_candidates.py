"""A few epochs of about the lowest held-out loss are kept to be heard, whatever was stopped and gone on with."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.models import PriorConfig
from distill.training import train_prior
from distill.training.candidates import EVENLY, candidates, worth_hearing
from distill.training.plan import PriorPlan

CONFIG = PriorConfig(
    codebook_size=32, num_quantizers=4, hidden_size=16, num_layers=1, num_heads=2, context=32, dropout=0.0
)


@pytest.mark.parametrize(
    ("val_losses", "kept"),
    [
        ([4.0], (0,)),
        (
            [4.0, 3.5, 3.45, 3.55],
            (1, 2, 3),
        ),  # the first is far worse, and an epoch that is a little worse may sound better
        ([4.0, 3.5, 3.45, 3.6], (1, 2)),
        ([3.5, 3.6, 3.7, 3.3], (3,)),  # what was good once is so no longer
        ([3.5] * 9, (3, 7, 8)),  # from all over the training
        ([3.5] * 16, (3, 7, 11, 15)),
        ([3.5, 3.4, *[3.49] * 20], (1, 7, 15, 21)),  # the one that is kept by its loss stays
        ([math.nan], ()),
    ],
)
def test_the_good_ones_are_kept_from_all_over_the_training(val_losses: list[float], kept: tuple[int, ...]) -> None:
    assert worth_hearing(val_losses) == kept
    assert len(kept) <= EVENLY + 2


def test_no_epoch_is_asked_for_whose_weights_are_gone() -> None:
    draw = random.Random(0)
    for _ in range(50):
        val_losses = [3.5 + draw.gauss(0, 0.07) for _ in range(40)]
        for count in range(2, 41):
            before = worth_hearing(val_losses[: count - 1])
            assert {*worth_hearing(val_losses[:count])} <= {*before, count - 1}


def test_where_none_are_kept_the_best_weights_are_all() -> None:
    best = {"weight": torch.ones(1)}
    (only,) = candidates({}, best, [4.0, 3.0, 3.5])
    assert (only.epoch, only.perplexity) == (2, pytest.approx(math.exp(3)))
    assert only.weights == best


def test_training_gives_the_weights_of_each(
    model_path: Path, small_corpus: Path, validate: Callable[..., None]
) -> None:
    """Guards against copies that training goes on to change, and against weights under another epoch's number."""
    losses, seen = iter([3.0, 2.05, 2.0, 2.06]), []

    def loss(model: Any) -> float:
        seen.append({name: tensor.clone() for name, tensor in model.module.state_dict().items()})
        return next(losses)

    validate(loss)
    plan = PriorPlan(epochs=4, batch_size=4, views=1, least_steps=1, patience=1.0, device="cpu")
    result = train_prior(model_path, small_corpus, CONFIG, plan=plan)
    assert [one.epoch for one in result["candidates"]] == [2, 3, 4]
    for one in result["candidates"]:
        assert one.perplexity == pytest.approx(math.exp([3.0, 2.05, 2.0, 2.06][one.epoch - 1]))
        for name, tensor in one.weights.items():
            assert torch.equal(tensor, seen[one.epoch - 1][name]), (one.epoch, name)
    kept = result["prior_model"].state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in seen[2].items())
