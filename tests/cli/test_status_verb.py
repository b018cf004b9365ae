"""``distill status``: where trainings stand, told to people and to programs."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import small_distill
from distill.files.home import home
from distill.files.process import this_process
from distill.library import Library
from distill.library.records import RunRecord, to_json
from distill.models import save_model
from distill.runs.events import EventLog, events_file
from distill.training.metrics import Notice, VQStepMetrics

Distill = Callable[..., Any]


@pytest.fixture
def run_of() -> Callable[..., Path]:
    """``run_of(name, outcome, model)``: the folder of a codec's training, a quarter done."""

    def make(name: str, model: Path, **changes: Any) -> Path:
        folder = home() / "runs" / name
        folder.mkdir(parents=True)
        with EventLog(events_file(folder, "codec")) as log:
            log(VQStepMetrics(1, 5, 20, 1.5, 1.5, 0.1, 1e-3, 0.2, 4.0, 0.25, 90.0))
            log(Notice("One file is loud.", is_warning=True))
        paths = str(model), str(folder), str(events_file(folder, "codec"))
        record = RunRecord("codec", *paths, "2026-01-01T00:00:00.000000+00:00", {}, process=this_process())
        record = dataclasses.replace(record, **changes)
        record.record.write_text(to_json(record))
        (folder / "codec.state").touch()
        return folder

    return make


def test_nothing_is_running(distill: Distill) -> None:
    assert "No training is running" in distill("status").err
    assert distill("status", "--json").json == {"runs": []}


def test_what_runs_and_what_can_go_on(distill: Distill, run_of: Any, tmp_path: Path) -> None:
    run_of("busy-1", tmp_path / "busy.distill")
    stopped = run_of("idle-1", tmp_path / "idle.distill", outcome="stopped")
    run_of("done-1", tmp_path / "done.distill", outcome="finished")
    answer = distill("status")
    shown = answer.out
    assert "busy-1" in shown
    assert "running" in shown
    assert "25 %" in shown
    assert "2 minutes" in shown
    assert f"train --resume {stopped}" in answer.err
    assert "done-1" not in shown
    assert "done-1" in distill("status", "--all").out
    runs = {Path(run["run"]).name: run for run in distill("status", "--json").json["runs"]}
    assert runs.keys() == {"busy-1", "idle-1"}
    assert (runs["busy-1"]["state"], runs["busy-1"]["is_alive"], runs["busy-1"]["next"]) == ("running", True, "")
    assert (runs["idle-1"]["state"], runs["idle-1"]["progress"]) == ("stopped", 0.25)


def test_one_run_by_folder_name_or_model(distill: Distill, run_of: Any, tmp_path: Path) -> None:
    made = small_distill.small_model(small_distill.small_codec(), codec_training={"run": "tiny-1"})
    tiny = save_model(tmp_path / "tiny.distill", made)
    folder = run_of("tiny-1", tiny, outcome="stopped")
    for given in (folder, "tiny-1", tiny):
        shown = distill("status", given).err
        assert "stopped" in shown
        assert "One file is loud." in shown
        assert f"train --resume {tiny}" in shown
    told = distill("status", tiny, "--json").json
    assert told["stages"][0]["curves"]["train"] == {"at": [5], "values": [1.5], "reported": 1}
    assert told["warning"] == "One file is loud."


@pytest.mark.parametrize("outcome", ["interrupted", "unfinished"])
def test_a_run_of_which_nothing_was_saved(distill: Distill, run_of: Any, tmp_path: Path, outcome: str) -> None:
    """Guards against "interrupted" without a hint, and "No such file" for a model that never was."""
    model = tmp_path / "mid.distill"
    gone = {**this_process(), "pid": 2**22 + 1}
    folder = run_of("mid-1", model, outcome=outcome, message="KeyboardInterrupt", process=gone)
    (folder / "codec.state").unlink()
    words = "Stopped before anything was saved; there is nothing to go on from."
    again = f"Begin again with: distill train {folder} --name mid --out {tmp_path}"
    for answer in (distill("status"), distill("status", folder)):
        assert words in answer.err
        assert again in answer.err
        assert "KeyboardInterrupt" not in answer.out + answer.err
    assert distill("status", folder, "--json").json["message"] == f"{words} {again}"
    distill("train", "--resume", model).refused(words, again)
    distill("train", "--resume", folder).refused(words, again)


def test_a_run_that_failed_before_anything_was_saved(distill: Distill, run_of: Any, tmp_path: Path) -> None:
    """Guards against "--resume goes on from it" for a training that lost a rank before its first state."""
    model = tmp_path / "mid.distill"
    why = "The training lost rank 1 of 2 (host, process 7)."
    folder = run_of("mid-1", model, outcome="failed", message=why)
    (folder / "codec.state").unlink()
    words = f"{why} Stopped before anything was saved; there is nothing to go on from."
    again = f"Begin again with: distill train {folder} --name mid --out {tmp_path}"
    for answer in (distill("status"), distill("status", folder)):
        assert words in answer.err
        assert again in answer.err
    distill("train", "--resume", model).refused(words, again)
    distill("train", "--resume", folder).refused(words, again)


def test_a_renamed_model_is_told_by_its_new_name(distill: Distill, run_of: Any, tmp_path: Path) -> None:
    """Guards against a program that is sent to a file that is not there any more."""
    made = small_distill.small_model(small_distill.small_codec(), codec_training={"run": "m-1"})
    entry = Library(lambda _: None).note_model(save_model(tmp_path / "m.distill", made))
    run_of("m-1", entry.path, origin=entry.origin, outcome="stopped")
    distill("models", "rename", entry.path, "rain")
    told = distill("status", "m-1", "--json").json
    assert told["model"] == str(entry.path.with_name("rain.distill"))
    assert told["next"].endswith(told["model"])


def test_a_model_that_is_not_written_yet(distill: Distill, run_of: Any, tmp_path: Path) -> None:
    run_of("early-1", tmp_path / "early.distill")
    assert "not written yet" in distill("status", tmp_path / "early.distill").err


def test_a_model_without_a_run_here(distill: Distill, tiny: Path) -> None:
    distill("status", tiny).refused("no run of", "distill status --all")
    distill("status", "nothing").refused("no model 'nothing'")


def test_a_name_that_recordings_have_as_well_means_the_model(distill: Distill, run_of: Any, tmp_path: Path) -> None:
    """Guards against "is not a run" for a model that is called after its recordings, as it is unless one says otherwise."""
    made = small_distill.small_model(small_distill.small_codec(), codec_training={"run": "rain-1"})
    model = save_model(tmp_path / "here" / "rain.distill", made)
    Library(lambda _: None).note_model(model)
    run_of("rain-1", model, outcome="stopped")
    (tmp_path / "here" / "rain").mkdir()
    answer = distill("status", "rain")
    assert "rain-1" in answer.err
    assert f"train --resume {model}" in answer.err


@pytest.mark.parametrize("name", [".", "takes"])
def test_a_folder_of_something_else_is_no_run(distill: Distill, tmp_path: Path, name: str) -> None:
    """Guards against "unknown" for a folder of recordings, as if it were a run that somebody must wait for."""
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    (folder / "a.wav").touch()
    for more in ((), ("--json",)):
        distill("status", folder, *more).refused("is not a run", "distill status --all")
