"""What the version before left behind opens and goes on: models, library, and the stopped states of all three stages.

``tests/data/before`` was made by the version of 26 November 2026, before the loops had plans: ``stopped.distill`` at step 60 of
100 of its codec; ``refined.distill`` at step 20 of 50 of its second stage and step 70 of 100 of its prior.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.library import Library
from distill.models import load_model
from distill.runs.events import read_events
from distill.training.metrics import PriorStepMetrics, RefinementStepMetrics, VQStepMetrics

Distill = Callable[..., Any]
BEFORE = Path(__file__).parents[1] / "data" / "before"


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy whose ``home`` is Distill's own folder."""
    place = Path(shutil.copytree(BEFORE, tmp_path / "before"))
    monkeypatch.setenv("DISTILL_HOME", str(place / "home"))
    return place


def steps(answer: Any, kind: Any) -> list[int]:
    return [event.step for event in read_events(Path(answer.json["events"])) if isinstance(event, kind)]


def test_a_codec_goes_on(before: Path, distill: Distill) -> None:
    answer = distill("train", before / "recordings", "--resume", before / "stopped.distill", "--json")
    assert answer.code == 0, answer.err
    assert "at step 60" in answer.err
    assert steps(answer, VQStepMetrics) == list(range(1, 101))
    assert len(load_model(before / "stopped.distill").header.curves["codec_val_loss"]) == 1


def test_a_second_stage_goes_on(before: Path, distill: Distill) -> None:
    model = before / "refined.distill"
    prior = load_model(model).prior
    answer = distill("train", before / "recordings", "--resume", model, "--json")
    assert answer.code == 0, answer.err
    assert "at step 20" in answer.err
    assert steps(answer, RefinementStepMetrics) == list(range(1, 51))
    assert answer.json["refinement_steps"] == 50
    assert prior is not None
    assert load_model(model).prior is not None, "codes keep their meaning, so the prior stays"


def test_a_prior_goes_on(before: Path, distill: Distill) -> None:
    answer = distill(
        "train-prior",
        before / "refined.distill",
        before / "recordings",
        "--resume",
        before / "refined.distill",
        "--json",
    )
    assert answer.code == 0, answer.err
    assert "at step 70" in answer.err
    assert steps(answer, PriorStepMetrics) == list(range(1, 101))
    assert answer.json["epochs_trained"] == 2
    assert answer.json["views"] == 1, "the plan it was begun with"


def test_models_and_library_open(before: Path, distill: Distill) -> None:
    model = before / "refined.distill"
    assert {run.kind for run in Library(pytest.fail).runs()} == {"codec", "refinement", "prior"}
    assert distill("models", "list").code == 0
    assert distill("info", model).code == 0
    assert distill("generate", model, "--seconds", 0.5, "--out", before / "new").code == 0
