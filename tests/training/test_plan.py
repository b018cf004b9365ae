"""Plans: what cannot be followed is refused in words, and a saved plan comes back as it was."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from distill.audio.distance import WINDOWS
from distill.errors import SettingError, StateFileError
from distill.training.plan import CodecPlan, Plan, PriorPlan, RefinementPlan

PLANS = (CodecPlan, RefinementPlan, PriorPlan)


@pytest.mark.parametrize("kind", PLANS)
def test_a_plan_comes_back_from_its_json(kind: type[Plan]) -> None:
    plan = kind(epochs=3, minutes=1.5, seed=7, device="cpu")
    assert kind.of(json.loads(json.dumps(plan.values()))) == plan
    assert kind.of({"seed": 7}).batch_size == kind().batch_size, "what an earlier version did not say has its default"


def test_what_another_rule_split_does_not_go_on() -> None:
    """Guards against a training that goes on with what it had held out, as this version holds out something else."""
    with pytest.raises(StateFileError, match="does not fit this version"):
        CodecPlan.of({**CodecPlan().values(), "split_rule": 4})


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize(
    ("changes", "range_"),
    [
        ({"epochs": 0}, "at least 1"),
        ({"minutes": 0.0}, "above 0"),
        ({"minutes": float("nan")}, "above 0"),
        ({"minutes": float("inf")}, "below inf"),
        ({"batch_size": 0}, "at least 1"),
        ({"batch_size": 1.5}, "at least 1"),
        ({"learning_rate": -1.0}, "above 0 and at most 100"),
        ({"seed": True}, "at least 0"),
        ({"device": 3}, "of its type, str"),
        ({"precision": "fp16"}, "one of 'auto', '32', 'bf16', '16'"),
        ({"precision": 16}, "one of 'auto', '32', 'bf16', '16'"),
        ({"epochs": 3.0}, "whole number at least 1"),
    ],
)
def test_what_cannot_be_followed_is_refused(kind: type[Plan], changes: dict[str, Any], range_: str) -> None:
    (name,) = changes
    with pytest.raises(SettingError, match=f"{name.replace('_', ' ')} .*{range_}"):
        kind(**changes)


@pytest.mark.parametrize("kind", PLANS)
def test_numbers_of_numpy_are_numbers(kind: type[Plan]) -> None:
    """Guards against minutes that are accepted and cannot be saved, and whole numbers that are refused as too small."""
    values = {
        "epochs": np.int64(3),
        "minutes": np.float32(1.5),
        "batch_size": np.uint8(2),
        "learning_rate": np.float64(1e-3),
    }
    plan = kind(**values)
    assert (
        json.loads(json.dumps(plan.values())) == kind(epochs=3, minutes=1.5, batch_size=2, learning_rate=1e-3).values()
    )
    with pytest.raises(SettingError, match="epochs"):
        kind(epochs=np.True_)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1, 2**40, 2**63 - 1])
def test_every_seed_that_a_plan_takes_can_be_drawn_with(seed: int) -> None:
    """Guards against a seed that overflows in the first epoch, when all recordings are encoded; those that did not stay."""
    plan = PriorPlan(seed=seed)
    drawn = [plan.seed_of(3), plan.seed_of(3, 0, 4), plan.seed_of(3, 1, 4)]
    for one in drawn:
        torch.Generator().manual_seed(one)
    assert len(set(drawn)) == len(drawn)
    if seed <= 2**40:
        assert drawn == [seed * 1_000_003 + 3, 4 * (seed * 1_000_003 + 3), 4 * (seed * 1_000_003 + 3) + 1]


@pytest.mark.parametrize("values", [{"batch": 3}, {"epochs": "three"}])
def test_a_saved_plan_that_was_changed(values: dict[str, Any]) -> None:
    with pytest.raises(StateFileError, match="does not fit this version"):
        CodecPlan.of(values)


def test_a_run_without_an_end_has_the_default_epochs() -> None:
    assert CodecPlan().end == (100, None)
    assert PriorPlan().end == (50, None)
    assert PriorPlan(minutes=2.0).end == (None, 2.0)


@pytest.mark.parametrize("kind", [CodecPlan, RefinementPlan])
def test_a_step_can_be_measured_with_every_scale_and_no_more(kind: type[CodecPlan | RefinementPlan]) -> None:
    """Guards against the plans' limit and the mel distance's window lengths growing apart: plans need no PyTorch."""
    assert kind(scales_per_step=len(WINDOWS))
    with pytest.raises(SettingError, match="at most"):
        kind(scales_per_step=len(WINDOWS) + 1)
