"""``distill train --quality high``: two stages, a stop between or within them, and going on."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distill import pipeline
from distill.files.home import home
from distill.files.names import run_folders
from distill.making.nearness import Compared
from distill.making.tolls import Tolls
from distill.models import load_model
from distill.models.model_file import codes_fingerprint
from distill.runs.events import read_run
from distill.training.budget import Closing
from distill.training.metrics import RefinementCompleteEvent, RefinementStepMetrics, TrainingEvent, VQStepMetrics
from distill.training.plan import RefinementPlan
from distill.training.state_file import load_state

Distill = Callable[..., Any]
Trained = Callable[[str], Path]

pytestmark = pytest.mark.usefixtures("tiny_training", "hears_ctrl_c")


@pytest.fixture
def stop_at(on_event: Callable[..., None]) -> Callable[[type, int], None]:
    """``stop_at(kind, step)``: one Ctrl-C at that step."""

    def at(kind: Any, step: int) -> None:
        def look(event: TrainingEvent) -> None:
            if isinstance(event, kind) and event.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        on_event(look)

    return at


def test_end_to_end(distill: Distill, small_corpus: Path, tmp_path: Path) -> None:
    answer = distill("train", small_corpus, "--quality", "high", "--epochs", 1, "--out", tmp_path)
    assert answer.code == 0, answer.err
    assert "first-stage" in answer.err
    assert "1 epoch: the decoder alone" in answer.err
    for said in (answer.err, distill("status", "--all", "--json").out):
        assert "distill train-prior" in said
    kinds = {type(event).__name__ for event in read_run(run_folders()[0])}
    assert {"VQEpochMetrics", "RefinementStepMetrics", "RefinementEpochMetrics", "RefinementCompleteEvent"} <= kinds
    (written,) = tmp_path.glob("*.html")
    page = written.read_text(encoding="utf-8")
    assert page.count("<audio") == 3 * 4
    assert "never trained on" in page
    assert not re.search(r"(src|href)=.http", page)
    header = load_model(tmp_path / "small.distill").header
    assert header.codec_training["refinement_epochs"] == 1
    assert len(header.curves["refinement_val_mel"]) == 1
    assert distill("info", tmp_path / "small.distill").code == 0
    # A prior is trained on the refined codec as on any other, and the whole way after it works.
    assert distill("train-prior", tmp_path / "small.distill", small_corpus, "--epochs", 1).code == 0
    assert distill("generate", tmp_path / "small.distill", "--seconds", 1, "--out", tmp_path / "new").code == 0


def test_what_comes_after_a_second_stage_is_the_prior_unless_there_is_one(
    distill: Distill, trained_to: Trained
) -> None:
    """Guards against the advice to train the prior again, which a second stage keeps."""
    answer = distill("train", "--resume", trained_to("prior"), "--quality", "high", "--epochs", 1)
    assert answer.code == 0, answer.err
    for said in (answer.err, distill("status", "--all", "--json").out):
        assert "distill train-prior" not in said
        assert "distill generate" in said


def test_a_stop_keeps_the_model_and_resuming_makes_the_same(
    distill: Distill, trained_to: Trained, stop_at: Any, on_event: Any, small_corpus: Path, tmp_path: Path
) -> None:
    whole = load_model(trained_to("refinement"))
    for state in (home() / "runs").glob("*/refinement.state"):
        state.unlink()

    stop_at(RefinementStepMetrics, 2)
    answer = distill("train", small_corpus, "--quality", "high", "--epochs", 1, "--out", tmp_path / "stopped")
    assert answer.code == 0
    assert "the model is unchanged" in answer.err
    assert f"--resume {tmp_path / 'stopped' / 'small.distill'}" in answer.err
    assert not list((tmp_path / "stopped").glob("*.html"))
    on_event(None)
    stopped = load_model(tmp_path / "stopped" / "small.distill")
    assert "refinement_steps" not in stopped.header.codec_training
    moved = (tmp_path / "stopped" / "small.distill").rename(tmp_path / "another-name.distill")
    answer = distill("train", small_corpus, "--resume", moved)
    assert answer.code == 0, answer.err
    assert "at step 2" in answer.err
    resumed = load_model(moved)
    for name, tensor in whole.codec.state_dict().items():
        assert torch.equal(tensor, resumed.codec.state_dict()[name]), name
    assert resumed.header.curves == whole.header.curves
    assert codes_fingerprint(resumed.codec) == codes_fingerprint(stopped.codec)

    distill("train", small_corpus, "--resume", moved).refused("is finished", "--minutes")
    further = distill("train", small_corpus, "--resume", moved, "--epochs", 1, "--json")
    assert further.json["refinement_epochs"] == 2


@pytest.mark.parametrize("has_first", [True, False])
def test_a_second_stage_whose_model_was_moved_is_not_begun_again(
    has_first: bool,
    distill: Distill,
    trained_to: Trained,
    stop_at: Any,
    on_event: Any,
    small_corpus: Path,
    tmp_path: Path,
) -> None:
    """Guards against a night that is lost: the run's folder was resumed, and both stages began again at the old place."""
    model = trained_to("codec")
    stop_at(RefinementStepMetrics, 2)
    assert distill("train", "--resume", model, "--quality", "high", "--epochs", 1).code == 0
    on_event(None)
    moved = model.rename(tmp_path / "moved.distill")
    (folder,) = (home() / "runs").iterdir()
    if not has_first:
        (folder / "codec.state").unlink()
    state = (folder / "refinement.state").read_bytes()
    distill("train", small_corpus, "--resume", folder).refused(
        "one.distill", "Give the model where it is now: distill train --resume MODEL"
    )
    assert (folder / "refinement.state").read_bytes() == state
    assert not model.exists()
    assert "at step 2" in distill("train", small_corpus, "--resume", moved).err


def test_a_stop_in_the_first_stage_leads_to_the_second(
    distill: Distill, stop_at: Any, on_event: Any, small_corpus: Path, tmp_path: Path
) -> None:
    stop_at(VQStepMetrics, 2)
    answer = distill("train", small_corpus, "--quality", "high", "--epochs", 9, "--out", tmp_path, "--json")
    assert answer.code == 0
    assert answer.json["cancelled"] == 1
    assert answer.json["page"] is None
    on_event(None)
    model = tmp_path / "small.distill"
    assert distill("train", small_corpus, "--resume", model, "--epochs", 1).code == 0
    assert load_model(model).header.codec_training["refinement_epochs"] == 1


def test_a_second_stage_that_comes_later_computes_as_the_first_did(
    distill: Distill, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill.training.budget.HIGH_CODEC_MINUTES", 0.03)
    first = distill("train", small_corpus, "--epochs", 1, "--precision", "32", "--out", tmp_path)
    assert first.code == 0, first.err
    model = tmp_path / "small.distill"
    assert distill("train", small_corpus, "--resume", model, "--quality", "high").code == 0
    (state,) = (home() / "runs").glob("*/refinement.state")
    assert load_state(state, RefinementPlan.STATE_KIND).value("plan", dict)["precision"] == "32"


@pytest.mark.parametrize("way", ["one Ctrl-C before it", "one Ctrl-C in it", "ended at once"])
def test_voices_that_are_not_measured_anew_are_made_up_for(
    way: str, distill: Distill, trained_to: Trained, on_event: Any, small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a model that goes on saying, of its new decoder, what was measured of the one before."""
    model, measured, stopped = trained_to("codec"), [], []

    def strength(*_: Any) -> float:
        measured.append("beat")
        if way == "one Ctrl-C in it" and len(measured) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        if way == "ended at once" and len(measured) == 3:
            raise KeyboardInterrupt
        return 1.0

    def voices(*_: Any, **__: Any) -> Compared:
        measured.append("voices")
        return Compared({"nearer": "recordings" if len(measured) == 2 else "codec"}, Tolls((), 0.5, 0.5))

    def look(event: TrainingEvent) -> None:
        if way == "one Ctrl-C before it" and isinstance(event, RefinementCompleteEvent) and not stopped:
            stopped.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(
        "distill.training.budget.leaves_time_to_close", lambda plan: (Closing(hears=False, measures=True), plan)
    )
    monkeypatch.setattr("distill.making.strength.measured_strength", strength)
    monkeypatch.setattr("distill.making.nearness.compared", voices)
    monkeypatch.setattr("distill.making.nearness.in_words", lambda found: found["nearer"])
    assert distill("train-prior", model, small_corpus, "--epochs", 1).code == 0
    on_event(look)
    answer = distill("train", "--resume", model, "--quality", "high", "--epochs", 1)
    again = f"distill train --resume {model}"
    assert answer.code == (130 if way == "ended at once" else 0), answer.err
    assert measured.count("voices") == 1
    assert again in distill("status").err
    assert again in distill("info", model).err
    if way != "ended at once":
        assert again in answer.err
        assert "which voice is nearer now has not been measured yet" in answer.err
    assert load_model(model).header.nearer_voice == "recordings"
    assert not list(model.parent.glob("*.html"))
    weights = load_model(model).codec.state_dict()
    answer = distill("train", "--resume", model, "--json")
    assert answer.code == 0, answer.err
    assert "unmeasured" not in answer.json
    assert measured[-2:] == ["beat", "voices"]
    assert load_model(model).header.nearer_voice == "codec"
    assert all(torch.equal(weights[name], one) for name, one in load_model(model).codec.state_dict().items())
    page = Path(answer.json["page"]).read_text(encoding="utf-8")
    assert "before" in page
    assert "--resume" not in distill("status").err
    assert "--resume" not in distill("info", model).err
    distill("train", "--resume", model).refused("is finished")


def test_a_page_that_was_not_written_is_made_up_for(
    distill: Distill, trained_to: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a second stage that is finished, and whose page to compare both sounds on is never written."""
    write = pipeline.write_refinement_report

    def ended(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("distill.pipeline.write_refinement_report", ended)
    model = trained_to("codec")
    assert distill("train", "--resume", model, "--quality", "high", "--epochs", 1).code == 130
    weights = load_model(model).codec.state_dict()
    assert not list(model.parent.glob("*.html"))
    assert f"distill train --resume {model}" in distill("status").err
    monkeypatch.setattr("distill.pipeline.write_refinement_report", write)
    answer = distill("train", "--resume", model, "--json")
    assert answer.code == 0, answer.err
    assert Path(answer.json["page"]).is_file()
    assert all(torch.equal(weights[name], one) for name, one in load_model(model).codec.state_dict().items())
    assert "--resume" not in distill("status").err
    distill("train", "--resume", model).refused("is finished")


def test_models_that_share_a_codec_have_each_a_second_stage_of_its_own(
    distill: Distill, trained_to: Trained, stop_at: Any, on_event: Any, tmp_path: Path
) -> None:
    """Guards against the sound of the model that was refined last in another one, and against a state that is lost."""
    one, other = trained_to("codec"), tmp_path / "other.distill"
    other.write_bytes(one.read_bytes())
    stop_at(RefinementStepMetrics, 2)
    high = ("--quality", "high", "--epochs", 1, "--json")
    assert distill("train", "--resume", one, *high).json["cancelled"] == 1
    on_event(None)
    assert (
        distill("train", "--resume", other, *high).json["refinement_steps"]
        == (distill("train", "--resume", one, "--json").json["refinement_steps"])
    )
    sounds = [load_model(model).codec.state_dict() for model in (one, other)]
    assert all(torch.equal(sounds[0][name], tensor) for name, tensor in sounds[1].items()), "both from the beginning"
    assert distill("train", "--resume", other, "--epochs", 1, "--json").json["refinement_epochs"] == 2
    distill("train", "--resume", one).refused("is finished")
    moved = one.rename(tmp_path / "moved.distill")
    one.write_bytes(other.read_bytes())
    distill("train", "--resume", moved).refused("is finished")
    assert distill("train", "--resume", moved, "--epochs", 1, "--json").json["refinement_epochs"] == 2


def test_what_cannot_be_resumed(distill: Distill, trained_to: Trained, small_corpus: Path, tmp_path: Path) -> None:
    distill("train", small_corpus, "--resume", tmp_path / "none.distill").refused("none.distill", "cannot be read")
    (tmp_path / "text.distill").write_text("not a model")
    distill("train", small_corpus, "--resume", tmp_path / "text.distill").refused("not a usable model file")
    model = trained_to("refinement")
    before = model.read_bytes()
    resume = ("train", small_corpus, "--resume", model, "--epochs", 1)
    distill(*resume, "--name", "other").refused("--resume", "Leave out --name")
    (state,) = (home() / "runs").glob("*/refinement.state")
    whole = state.read_bytes()
    state.write_bytes(whole[:-4])
    distill(*resume).refused("cannot be resumed from", "from its beginning")
    state.write_bytes(json.dumps({"some": "json"}).encode())
    distill(*resume).refused("cannot be resumed from")
    state.unlink()
    distill(*resume).refused("its state is not on this computer")
    assert model.read_bytes() == before
