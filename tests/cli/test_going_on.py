"""``--resume``: a stopped training goes on, wherever its model was moved, and its events have no gap and no double."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.files.home import home
from distill.files.names import claimed, new_run_folder, run_folders, sole_writer
from distill.library import Library
from distill.models import load_model
from distill.runs.events import read_events
from distill.runs.resume import forget_finished
from distill.training.budget import Closing
from distill.training.metrics import (
    PriorEpochMetrics,
    PriorStepMetrics,
    PriorTrainingCompleteEvent,
    TrainingEvent,
    VQEpochMetrics,
    VQStepMetrics,
    VQTrainingCompleteEvent,
)

Distill = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("tiny_training", "hears_ctrl_c")


@pytest.fixture
def stopped(distill: Distill, on_event: Callable[..., None]) -> Callable[..., Any]:
    """``stopped(kind, step, *words)``: that command, with so many Ctrl-C at a step of a kind."""

    def call(kind: Any, step: int, *words: object, times: int = 1) -> Any:
        def look(event: TrainingEvent) -> None:
            if isinstance(event, kind) and event.step == step:
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)

        on_event(look)
        answer = distill(*words)
        on_event(None)
        return answer

    return call


def same_codec(first: Path, second: Path) -> bool:
    one, other = load_model(first).codec.state_dict(), load_model(second).codec.state_dict()
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def run_folder() -> Path:
    (folder,) = (home() / "runs").iterdir()
    return folder


def test_a_codec_goes_on(distill: Distill, stopped: Any, small_corpus: Path, tmp_path: Path) -> None:
    words = ("train", small_corpus, "--epochs", 2)
    whole = distill(*words, "--out", tmp_path / "whole", "--json").json
    answer = stopped(VQStepMetrics, 2, *words, "--out", tmp_path)
    model = tmp_path / "small.distill"
    assert f"distill train --resume {model}" in answer.err
    moved = model.rename(tmp_path / "moved.distill")

    answer = distill("train", "--resume", moved, "--json")
    assert answer.code == 0, answer.err
    assert "at step 2" in answer.err
    assert same_codec(moved, Path(whole["model"]))
    assert load_model(moved).header.curves == load_model(Path(whole["model"])).header.curves
    events = [list(read_events(Path(path))) for path in (answer.json["events"], whole["events"])]
    steps = [[(e.step, e.train_loss) for e in one if isinstance(e, VQStepMetrics)] for one in events]
    epochs = [[(e.epoch, e.val_loss) for e in one if isinstance(e, VQEpochMetrics)] for one in events]
    assert steps[0] == steps[1]
    assert epochs[0] == epochs[1]

    distill("train", "--resume", moved).refused("is finished", "--minutes")
    further = distill("train", "--resume", moved, "--epochs", 1, "--json")
    assert further.json["epochs_trained"] == 3


def test_recordings_that_were_moved(
    distill: Distill, stopped: Any, small_corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    """Guards against "The folder does not exist. Check its name" of a folder that nobody named in this command."""
    folder = Path(shutil.copytree(small_corpus, tmp_path / "takes"))
    stopped(VQStepMetrics, 2, "train", folder, "--epochs", 2, "--out", tmp_path)
    stopped(PriorStepMetrics, 2, "train-prior", tiny, folder, "--epochs", 2)
    moved = folder.rename(tmp_path / "moved")
    model = tmp_path / "takes.distill"
    for verb, given, then in (("train", model, f"{model} FOLDER"), ("train-prior", tiny, f"{tiny} {tiny} FOLDER")):
        answer = distill(verb, "--resume", given)
        answer.refused(f"was trained on {folder}, which is not there now", f"distill {verb} --resume {then}")
        assert f"was trained on {folder}, which is not there now" in distill("status", given).err
    assert distill("train", "--resume", model, moved).code == 0
    moved.rename(tmp_path / "elsewhere")
    distill("train", "--resume", model, "--quality", "high").refused("not there now", f"--resume {model} FOLDER")
    distill("train", "--resume", model, folder, "--epochs", 1).refused(f"The folder {folder} does not exist")


def test_a_prior_goes_on(distill: Distill, stopped: Any, small_corpus: Path, tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.distill"
    other.write_bytes(tiny.read_bytes())
    words = (small_corpus, "--epochs", 2)
    whole = distill("train-prior", other, *words, "--json").json
    for state in (home() / "runs").glob("*/prior.state"):
        state.unlink()
    answer = stopped(PriorStepMetrics, 3, "train-prior", tiny, *words)
    assert f"distill train-prior --resume {tiny}" in answer.err
    answer = distill("train-prior", "--resume", tiny, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["best_perplexity"] == whole["best_perplexity"]
    assert not answer.json["cancelled"]
    one, rest = load_model(other).prior, load_model(tiny).prior
    assert one is not None
    assert rest is not None
    assert all(torch.equal(tensor, rest.state_dict()[name]) for name, tensor in one.state_dict().items())
    events = [list(read_events(Path(path))) for path in (answer.json["events"], whole["events"])]
    kept = [
        [(e.epoch, e.train_loss) for e in one if isinstance(e, PriorStepMetrics | PriorEpochMetrics)] for one in events
    ]
    assert kept[0] == kept[1]


def test_a_model_that_was_never_written_is_resumed_by_its_name_or_its_run(
    distill: Distill, stopped: Any, small_corpus: Path, tmp_path: Path
) -> None:
    """Ctrl-C twice ends at once, as a crash does: what was saved on the way is there."""
    model = tmp_path / "small.distill"
    answer = stopped(VQStepMetrics, 2, "train", small_corpus, "--epochs", 2, "--out", tmp_path, times=2)
    assert answer.code == 130
    assert not model.exists()
    state = (run_folder() / "codec.state").read_bytes()
    assert distill("train", "--resume", model).code == 0
    first = model.rename(tmp_path / "first.distill")
    (run_folder() / "codec.state").write_bytes(state)
    answer = distill("train", "--resume", run_folder(), "--json")
    assert answer.code == 0, answer.err
    assert same_codec(first, model)


def test_a_clock_that_was_set_back_does_not_make_the_first_half_the_newest(
    distill: Distill, stopped: Any, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a training that went on to its end, and is shown as stopped for as long as the clock was ahead."""
    with monkeypatch.context() as ahead:
        ahead.setattr("distill.runs.journal._now", lambda: "2126-01-01T00:00:00.000000+00:00")
        assert stopped(VQStepMetrics, 2, "train", small_corpus, "--epochs", 1, "--out", tmp_path).code == 0
    (shown,) = distill("status", "--json").json["runs"]
    assert shown["state"] == "stopped"
    assert distill("train", "--resume", tmp_path / "small.distill").code == 0
    (shown,) = distill("status", "--all", "--json").json["runs"]
    assert shown["state"] == "finished"


def test_models_that_share_a_codec_go_on_each_with_its_own_prior(
    distill: Distill, stopped: Any, small_corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    """Guards against two models of a sweep: the prior of the one that was trained last was written into the other."""
    other = tmp_path / "other.distill"
    other.write_bytes(tiny.read_bytes())
    words = ("--epochs", 2, "--json")
    assert stopped(PriorStepMetrics, 3, "train-prior", tiny, small_corpus, *words).code == 0
    assert distill("train-prior", other, small_corpus, *words, "--layers", 2).code == 0
    answer = distill("train-prior", "--resume", tiny, "--json")
    assert answer.code == 0, answer.err
    assert load_model(tiny).require_prior().config.num_layers == 1
    third = tmp_path / "third.distill"
    third.write_bytes(other.read_bytes())
    answer = distill("train-prior", "--resume", third, "--epochs", 1, "--json")
    assert answer.json["epochs_trained"] == 3
    assert load_model(third).require_prior().config.num_layers == 2, "a copy knows its run"


def test_a_run_whose_model_was_moved_needs_it(
    distill: Distill, stopped: Any, small_corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    """Guards against a prior that cannot go on, with "cannot be read" of a file nobody gave, although its model was given."""
    assert stopped(PriorStepMetrics, 3, "train-prior", tiny, small_corpus, "--epochs", 2).code == 0
    moved = tiny.rename(tmp_path / "moved.distill")
    assert "distill train-prior --resume MODEL" in distill("status").err
    distill("train-prior", "--resume", run_folder()).refused(str(tiny), "distill train-prior --resume MODEL")
    answer = distill("train-prior", moved, "--resume", run_folder(), "--json")
    assert answer.code == 0, answer.err
    assert answer.json["epochs_trained"] == 2


def test_a_run_tells_what_goes_on(distill: Distill, stopped: Any, small_corpus: Path, tmp_path: Path) -> None:
    answer = stopped(VQStepMetrics, 2, "run", small_corpus, "--minutes", 1, "--out", tmp_path / "new")
    model = tmp_path / "new" / "small.distill"
    assert f"distill train --resume {model}" in answer.err
    assert distill("train", "--resume", model, "--epochs", 1).code == 0


@pytest.mark.parametrize(
    ("kind", "words"), [(VQStepMetrics, "train --resume"), (PriorStepMetrics, "train-prior --resume")]
)
def test_a_run_that_ends_at_once_tells_it_too(
    kind: Any,
    words: str,
    distill: Distill,
    stopped: Any,
    small_corpus: Path,
    tmp_path: Path,
) -> None:
    answer = stopped(kind, 2, "run", small_corpus, "--minutes", 0.05, "--out", tmp_path / "new", times=2)
    assert answer.code == 130
    (line,) = [line for line in answer.err.splitlines() if words in line]
    assert distill(*line.split("distill ")[1].split(), "--epochs", 1).code == 0


def test_the_second_stage_follows_a_first_one_that_was_stopped(
    distill: Distill, stopped: Any, small_corpus: Path, tmp_path: Path
) -> None:
    model = tmp_path / "small.distill"
    words = ("train", small_corpus, "--quality", "high", "--epochs", 1, "--out", tmp_path)
    stopped(VQStepMetrics, 2, *words)
    answer = distill("train", "--resume", model, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["refinement_epochs"] == 1
    assert answer.json["epochs_trained"] == 1


def test_states_of_finished_runs_do_not_pile_up(
    distill: Distill, stopped: Any, small_corpus: Path, tmp_path: Path
) -> None:
    """Guards, too, against runs that never saved anything and push the good one's state out."""
    words = ("train", small_corpus, "--out", tmp_path, "--epochs", 2)
    stopped(VQStepMetrics, 2, *words, "--name", "stopped")
    for name in ("one", "two"):
        assert distill(*words, "--name", name).code == 0
    new_run_folder("never-begun")
    forget_finished(kept=1)
    kept = {path.parent.name.split("-")[0] for path in (home() / "runs").glob("*/codec.state")}
    assert kept == {"stopped", "two"}
    assert len(list((home() / "runs").glob("*/codec.jsonl"))) == 3


@pytest.mark.parametrize(
    ("verb", "end"),
    [
        ("train", VQTrainingCompleteEvent),
        ("train-prior", PriorTrainingCompleteEvent),
        ("run", VQTrainingCompleteEvent),
        ("run", PriorTrainingCompleteEvent),
    ],
)
def test_a_stop_that_comes_too_late_leaves_nothing_to_go_on_with(
    verb: str,
    end: type,
    distill: Distill,
    on_event: Callable[..., None],
    small_corpus: Path,
    tiny: Path,
    tmp_path: Path,
) -> None:
    """Guards against advice, after a Ctrl-C in the closing seconds, that is answered with "the training is finished"."""

    def look(event: TrainingEvent) -> None:
        if isinstance(event, end):
            os.kill(os.getpid(), signal.SIGINT)

    on_event(look)
    words = (tiny, small_corpus) if verb == "train-prior" else (small_corpus, "--out", tmp_path / "new")
    answer = distill(verb, *words, *(("--minutes", 0.001) if verb == "run" else ("--epochs", 1)))
    assert answer.code == 0, answer.err
    assert "Stopping" in answer.err
    assert "--resume" not in answer.err
    assert "Next" in answer.err
    status = distill("status", "--all")
    assert "stopped" not in status.out
    assert "--resume" not in status.err


@pytest.mark.parametrize("way", ["one Ctrl-C before it", "one Ctrl-C in it", "ended at once"])
def test_what_is_measured_after_a_prior_is_made_up_for(
    way: str,
    distill: Distill,
    trained_to: Callable[[str], Path],
    on_event: Callable[..., None],
    small_corpus: Path,
    monkeypatch: Any,
) -> None:
    """Guards against a model whose voice nobody will ever measure, and against advice that is answered with "is finished"."""
    model, measured = trained_to("codec"), []

    def strength(*_: Any) -> float:
        measured.append("beat")
        if way == "one Ctrl-C in it" and len(measured) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        if way == "ended at once" and len(measured) == 1:
            raise KeyboardInterrupt
        return 1.0

    def voices(*_: Any, **__: Any) -> None:
        measured.append("voices")

    def look(event: TrainingEvent) -> None:
        if way == "one Ctrl-C before it" and isinstance(event, PriorTrainingCompleteEvent) and not stopped:
            stopped.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    stopped: list[bool] = []
    monkeypatch.setattr(
        "distill.training.budget.leaves_time_to_close", lambda plan: (Closing(hears=False, measures=True), plan)
    )
    monkeypatch.setattr("distill.making.strength.measured_strength", strength)
    monkeypatch.setattr("distill.making.nearness.compared", voices)
    on_event(look)
    answer = distill("train-prior", model, small_corpus, "--epochs", 1)
    again = f"distill train-prior --resume {model}"
    assert answer.code == (130 if way == "ended at once" else 0), answer.err
    assert "voices" not in measured
    assert again in distill("status").err
    if way != "ended at once":
        assert again in answer.err
        assert "which voice is nearer has not been measured yet" in answer.err
    weights = load_model(model).require_prior().state_dict()
    assert distill("train-prior", "--resume", model).code == 0
    assert measured[-2:] == ["beat", "voices"]
    assert all(torch.equal(weights[name], one) for name, one in load_model(model).require_prior().state_dict().items())
    assert "--resume" not in distill("status").err
    distill("train-prior", "--resume", model).refused("is finished")


def test_a_training_that_is_not_kept_is_not_taken_for_a_second_stage(
    distill: Distill, small_corpus: Path, tiny: Path
) -> None:
    """Guards against a second stage that nobody asked for, where the first is to go on and its state is not here any more."""
    before = tiny.read_bytes()
    for words in ((), (small_corpus,), (small_corpus, "--epochs", 1)):
        answer = distill("train", *words, "--resume", tiny)
        answer.refused("its state is not on this computer", f"distill train FOLDER --resume {tiny} --quality high")
    assert tiny.read_bytes() == before
    assert distill("train", small_corpus, "--resume", tiny, "--quality", "high", "--epochs", 1).code == 0


def test_a_name_that_recordings_have_as_well_means_the_model(distill: Distill, tiny: Path, tmp_path: Path) -> None:
    """Guards against a folder of recordings that is taken for a run, where a model of that name was asked for."""
    Library(lambda _: None).note_model(tiny)
    (tmp_path / "here" / "tiny").mkdir()
    distill("train", "--resume", "tiny").refused(f"The training of {tiny} cannot go on")
    distill("train-prior", "--resume", "tiny").refused(f"No training of a prior for {tiny} is saved")


def test_recordings_that_are_not_there_leave_no_run(distill: Distill, tiny: Path) -> None:
    """Guards against an empty run for every typo of whoever refines a model that was trained elsewhere."""
    distill("train", "nowhere", "--resume", tiny, "--quality", "high").refused("nowhere")
    assert run_folders() == []


def test_a_run_that_another_process_trains_is_left_alone(
    distill: Distill, stopped: Any, small_corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    """Guards against two that resume one run, each with a copy of the model: one's events were cut, its state replaced."""
    stopped(PriorStepMetrics, 2, "train-prior", tiny, small_corpus, "--epochs", 2)
    folder, copied = run_folder(), tmp_path / "copy.distill"
    copied.write_bytes(tiny.read_bytes())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with sole_writer(folder):
        distill("train-prior", copied, "--resume", folder).refused("being trained right now", "since", "then resume it")
    with claimed(copied):  # whoever goes on with a model cannot give it another name
        distill("train-prior", copied, "--resume", folder).refused("is writing", "Wait until it ends, then try again.")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert distill("train-prior", copied, "--resume", folder).code == 0


def test_what_cannot_go_on(distill: Distill, stopped: Any, small_corpus: Path, tiny: Path, tmp_path: Path) -> None:
    model = tmp_path / "small.distill"
    distill("train-prior", "--resume", tiny).refused("No training of a prior", f"train-prior {tiny} FOLDER")
    distill("train-prior", "--resume", tiny, "--lr", 0.1).refused("are settled", "Leave out --lr.")
    distill("train-prior", "--resume", tiny, "--seed", 0).refused("are settled", "Leave out --seed.")
    distill("train", "--resume", model, "--out", tmp_path, "--seed", 1).refused("Leave out --out and --seed.")
    distill("train", "--resume", tmp_path).refused("no training of a codec")
    stopped(VQStepMetrics, 2, "train", small_corpus, "--epochs", 2, "--out", tmp_path)
    distill("train", tmp_path / "elsewhere", "--resume", model).refused("elsewhere")
    # A prior of its own speaks the codes it has now.
    before = model.read_bytes()
    assert distill("train-prior", model, small_corpus, "--epochs", 1).code == 0
    distill("train", "--resume", model).refused("has a prior", "Move the model away")
    model.write_bytes(tiny.read_bytes())
    folder = next(folder for folder in (home() / "runs").iterdir() if (folder / "codec.state").exists())
    distill("train", "--resume", folder).refused("another run's model", "Move it away")
    model.write_bytes(before)
    values = (folder / "codec.state").read_bytes()
    (folder / "codec.state").write_bytes(values[:-4])
    distill("train", "--resume", model).refused("cannot be resumed from", "from its beginning")
    (folder / "codec.state").write_bytes(json.dumps({"some": "json"}).encode())
    distill("train", "--resume", model).refused("cannot be resumed from")
    assert model.read_bytes() == before
