"""A copy of a model file that is trained further: neither it nor the original learns from the other."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.files.names import run_folders
from distill.models import load_model, save_model
from distill.models.header import SECOND_RUN, UNMEASURED
from distill.training.metrics import PriorStepMetrics, RefinementStepMetrics, TrainingEvent, VQStepMetrics

Distill = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("tiny_training", "hears_ctrl_c")
STAGES = {
    "codec": (VQStepMetrics, ("train",), "epochs_trained"),
    "refinement": (RefinementStepMetrics, ("train", "--quality", "high"), "refinement_epochs"),
    "prior": (PriorStepMetrics, ("train-prior",), "epochs_trained"),
}


def contents() -> dict[Path, bytes]:
    """Of everything that runs have saved, but their notes on when they were trained."""
    files = [
        path for folder in run_folders() for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"
    ]
    return {path: path.read_bytes() for path in files}


def run_named(model: Path, stage: str) -> object:
    header = load_model(model).header
    training = header.prior_training if stage == "prior" else header.codec_training
    return (training or {})[SECOND_RUN if stage == "refinement" else "run"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_copy_that_is_trained_further_leaves_the_original_as_it_was(
    distill: Distill, trained_to: Callable[[str], Path], tmp_path: Path, stage: str
) -> None:
    """Guards against the state of a copy in place of that of the model it was copied from, which then goes on from there; and
    against a run of the copy before its recordings are found."""
    _, words, epochs = STAGES[stage]
    one = trained_to(stage)
    copy = Path(shutil.copy(one, tmp_path / "copy.distill"))
    before, runs = (one.read_bytes(), contents()), run_folders()
    elsewhere = (copy, "nowhere") if stage == "prior" else ("nowhere",)
    distill(words[0], *elsewhere, *words[1:], "--resume", copy, "--epochs", 2).refused("nowhere")
    assert run_folders() == runs
    answer = distill(*words, "--resume", copy, "--epochs", 2, "--json")
    assert answer.json[epochs] == 3, answer.err
    assert one.read_bytes() == before[0]
    assert {path: content for path, content in contents().items() if path in before[1]} == before[1]
    assert run_named(copy, stage) != run_named(one, stage)
    assert distill(*words, "--resume", one, "--epochs", 1, "--json").json[epochs] == 2
    assert distill(*words, "--resume", copy, "--epochs", 1, "--json").json[epochs] == 4


@pytest.mark.parametrize("stage", STAGES)
def test_a_copy_that_is_stopped_goes_on_with_its_own(
    distill: Distill, trained_to: Callable[[str], Path], on_event: Any, tmp_path: Path, stage: str
) -> None:
    """Guards against a copy that forgets what it learned until it was stopped, or killed, as it names the original's run."""
    kind, words, epochs = STAGES[stage]
    one = trained_to(stage)
    copy = Path(shutil.copy(one, tmp_path / "copy.distill"))
    untrained = copy.read_bytes()

    def look(event: TrainingEvent) -> None:
        if isinstance(event, kind) and event.epoch == 3:
            os.kill(os.getpid(), signal.SIGINT)

    on_event(look)
    assert distill(*words, "--resume", copy, "--epochs", 3, "--json").code == 0
    on_event(None)
    copy.write_bytes(untrained)  # as after kill -9
    runs = len(run_folders())
    answer = distill(words[0], "--resume", copy, "--json")
    assert answer.json[epochs] == 4, answer.err
    assert len(run_folders()) == runs
    assert distill(*words, "--resume", one, "--epochs", 1, "--json").json[epochs] == 2


@pytest.mark.parametrize("is_measured", [True, False])
def test_a_copy_s_prior_that_goes_on_is_kept_as_its_own(
    distill: Distill,
    trained_to: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_measured: bool,
) -> None:
    """Guards against a copy whose prior went on in a run of its own, and was judged as a stranger's: what it had learned was
    thrown away, as it was not better, and what was still to be measured could never be."""
    one = load_model(trained_to("prior"))
    training = {**(one.header.prior_training or {}), "best_perplexity": 1.0, **({} if is_measured else {UNMEASURED: 1})}
    copy = save_model(tmp_path / "copy.distill", one.with_header(prior_training=training))
    measured: list[str] = []

    def strength(*_: object) -> float:
        measured.append("beat")
        return 1.5

    monkeypatch.setattr("distill.making.strength.measured_strength", strength)
    monkeypatch.setattr("distill.making.nearness.compared", lambda *_, **__: measured.append("voices"))
    further = ("--epochs", 1) if is_measured else ()
    answer = distill("train-prior", "--resume", copy, *further, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["epochs_trained"] == (2 if is_measured else 1)
    assert answer.json["run"] == run_folders()[0].name, "it has a run of its own"
    assert measured == ([] if is_measured else ["beat", "voices"])
    assert UNMEASURED not in answer.json
