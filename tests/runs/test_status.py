"""Where a run stands, told from its files alone."""

import dataclasses
import errno
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import small_distill
from distill.files.process import began, lives, this_process
from distill.library import Library
from distill.library.moving import rename
from distill.library.records import RunRecord, to_json
from distill.models import save_model
from distill.runs.copies import is_same
from distill.runs.events import EventLog, events_file
from distill.runs.renamed import model_of
from distill.runs.resume import stopped_codec
from distill.runs.status import MOST_POINTS, RunStatus, is_run, look
from distill.training.metrics import (
    ExtractionProgress,
    Notice,
    PriorEpochMetrics,
    PriorStepMetrics,
    PriorTrainingCompleteEvent,
    VQStepMetrics,
    VQTrainingCompleteEvent,
)


def step(number: int, loss: float = 1.0) -> VQStepMetrics:
    return VQStepMetrics(1 + number // 100, number, 5000, loss, loss, 0.1, 1e-3, 0.2, 4.0, number / 5000, 60.0)


def prior_step(number: int) -> PriorStepMetrics:
    return PriorStepMetrics(1, number, 50, 5.0, 1e-3, 0.1, 1024, number / 50, 30.0)


def report(folder: Path, stage: str, *events: Any, keep: int | None = None) -> None:
    with EventLog(events_file(folder, stage), keep) as log:
        for event in events:
            log(event)


def note(folder: Path, stage: str, number: int = 0, **changes: Any) -> RunRecord:
    started = f"2026-01-01T00:00:{number:02}.000000+00:00"
    paths = str(folder / "m.distill"), str(folder), str(events_file(folder, stage))
    record = RunRecord(stage, *paths, started, {}, process=this_process())
    record = dataclasses.replace(record, **changes)
    record.record.write_text(to_json(record))
    return record


def what_is_told(run: RunStatus) -> tuple[Any, ...]:
    return run.stages, run.marks, run.state


def test_a_run_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    assert look(tmp_path).state == "unknown"
    note(tmp_path, "codec")
    run = look(tmp_path)
    assert (run.state, run.stages, run.next_command) == ("running", (), "")
    report(tmp_path, "codec", step(1), step(2), Notice("It is loud.", is_warning=True))
    run = look(tmp_path, run)
    assert run.stage is not None
    assert (run.stage.step, run.stage.progress, run.stage.remaining_s) == (2, 2 / 5000, 60.0)
    assert run.stage.warning == "It is loud."
    note(tmp_path, "codec", outcome="finished")
    note(tmp_path, "prior", 1)
    report(tmp_path, "prior", ExtractionProgress(1, 3), ExtractionProgress(2, 3))
    run = look(tmp_path, run)
    assert run.stage is not None
    assert (run.stage.name, run.stage.extracted) == ("prior", (2, 3))
    epoch = PriorEpochMetrics(1, 2, 5.0, 4.9, 134.3, 134.3, True, "It recites.", 3.0, 1e-3)
    report(tmp_path, "prior", prior_step(1), epoch, PriorTrainingCompleteEvent(5.0, 4.9, 134.3, 134.3, 1, True))
    note(tmp_path, "prior", 1, outcome="finished")
    (tmp_path / "m.distill").touch()
    run = look(tmp_path, run)
    assert run.stage is not None
    assert (run.state, run.stage.is_complete, run.stage.warning) == ("finished", True, "It recites.")
    assert run.stage.curves["perplexity"].values == (134.3,)
    assert "generate" in run.next_command
    assert what_is_told(run) == what_is_told(look(tmp_path))


def test_what_was_stopped_is_not_complete(tmp_path: Path) -> None:
    """Guards against ``is_complete`` of a stage that Ctrl-C ended at two thirds: it says that too when it ends."""
    note(tmp_path, "codec")
    ended = VQTrainingCompleteEvent(1.0, 1.0, 1.0, 1, True, ())
    report(tmp_path, "codec", step(3300), ended)
    run = look(tmp_path)
    note(tmp_path, "codec", outcome="stopped")
    for halted in (look(tmp_path, run), look(tmp_path)):
        assert halted.stage is not None
        assert (halted.stage.is_complete, halted.stage.remaining_s) == (False, None)
    report(tmp_path, "codec", step(5000), ended)
    note(tmp_path, "codec", 1, outcome="finished")
    assert look(tmp_path, halted).stages[0].is_complete


def test_how_a_run_can_go_on(tmp_path: Path) -> None:
    note(tmp_path, "codec", outcome="stopped")
    report(tmp_path, "codec", step(1))
    assert look(tmp_path).next_command == "", "there is no state to go on from"
    (tmp_path / "codec.state").touch()
    assert look(tmp_path).next_command.endswith(f"train --resume {tmp_path}"), "its model was never written"
    (tmp_path / "m.distill").touch()
    assert look(tmp_path).next_command.endswith(f"train --resume {tmp_path / 'm.distill'}")
    note(tmp_path, "codec", outcome="finished")
    assert "train-prior" in look(tmp_path).next_command


def test_a_run_whose_model_was_renamed_goes_on_under_its_new_name(tmp_path: Path) -> None:
    """Guards against a command that fails, "m.distill cannot be read", shown for the run of a model that was renamed."""
    made = small_distill.small_model(small_distill.small_codec(), codec_training={"run": tmp_path.name})
    library = Library(lambda _: None)
    entry = library.note_model(save_model(tmp_path / "m.distill", made))
    note(tmp_path, "codec", outcome="stopped", origin=entry.origin)
    (tmp_path / "codec.state").touch()
    assert look(tmp_path).next_command.endswith(f"train --resume {entry.path}")
    renamed = rename(library, entry, "rain")
    assert renamed.path != entry.path
    assert look(tmp_path).next_command.endswith(f"train --resume {renamed.path}")


@pytest.mark.parametrize(("kind", "verb"), [("refinement", "train"), ("prior", "train-prior")])
def test_what_is_trained_on_a_model_goes_on_from_that_model_alone(tmp_path: Path, kind: str, verb: str) -> None:
    """Guards against advice to resume the run of a model that was moved: its first stage began again, a prior's failed."""
    note(tmp_path, kind, outcome="stopped")
    (tmp_path / "codec.state").touch()
    (tmp_path / f"{kind}.state").touch()
    run = look(tmp_path)
    assert run.next_command == ""
    assert str(tmp_path / "m.distill") in run.message
    assert f"distill {verb} --resume MODEL" in run.message
    note(tmp_path, kind, outcome="finished")
    assert (look(tmp_path).next_command, look(tmp_path).message) == ("", "")
    (tmp_path / "m.distill").touch()
    note(tmp_path, kind, outcome="stopped")
    assert look(tmp_path).next_command.endswith(f"{verb} --resume {tmp_path / 'm.distill'}")


def test_a_run_does_not_go_on_with_the_next_model_of_its_name(tmp_path: Path) -> None:
    """Guards against advice to train a model further that took the name of a deleted one."""
    other = small_distill.small_model(small_distill.small_codec(), codec_training={"run": "another"})
    save_model(tmp_path / "m.distill", other)
    note(tmp_path, "prior", outcome="stopped", origin="of the deleted one")
    (tmp_path / "prior.state").touch()
    run = look(tmp_path)
    assert run.next_command == ""
    assert "was moved or deleted" in run.message


def test_a_model_on_a_disk_that_is_gone_is_not_there(tmp_path: Path, unreachable: Callable[[Path, int], None]) -> None:
    """Guards against a list of runs that ends in an error, as one of their models lies on a disk that is gone."""
    note(tmp_path, "codec", outcome="stopped", origin="x")
    (tmp_path / "codec.state").touch()
    unreachable(tmp_path / "m.distill", errno.ENOTCONN)
    assert look(tmp_path).next_command.endswith(f"train --resume {tmp_path}")


def test_a_model_on_a_disk_that_is_gone_is_in_nobodys_way(
    tmp_path: Path, unreachable: Callable[[Path, int], None]
) -> None:
    """Guards against an error of the system's own for whoever goes on with a training, or with another one."""
    model = tmp_path / "m.distill"
    model.touch()
    for path in (model, model / "codec.state"):
        unreachable(path, errno.EACCES)
    assert not is_same(tmp_path, model)
    assert stopped_codec(model) is None


@pytest.mark.parametrize("is_read_only", [False, True])
def test_a_library_that_cannot_be_asked_for_the_name_is_told_of(
    tmp_path: Path, library_refused: Callable[[bool], None], is_read_only: bool
) -> None:
    """Guards against a model that is said to be moved, without a word of why it was not looked for."""
    record = RunRecord(
        "codec", str(tmp_path / "gone.distill"), "/none", str(tmp_path / "codec.jsonl"), "2026", {}, origin="x"
    )
    library_refused(is_read_only)
    told: list[str] = []
    assert model_of(record, told.append) == tmp_path / "gone.distill"
    assert len(told) == 1
    assert "a model that was renamed is not found" in told[0]


def test_a_process_that_died_without_a_word(
    tmp_path: Path, start_process: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """Guards against a run that looks alive for ever, or because its process's number was given to another."""
    child = start_process([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = {**this_process(), "pid": child.pid, "began": began(child.pid)}
    note(tmp_path, "codec", process=mark)
    assert look(tmp_path).state == "running"
    child.communicate("\n")
    assert look(tmp_path).state == "interrupted"
    assert lives({**this_process(), "began": "another moment"}) is False
    assert lives({**this_process(), "host": "another computer"}) is None
    assert lives(None) is None


@pytest.mark.parametrize("counts", [[5000], [1, 4999], [1999, 1, 1, 2999], [700] * 7 + [100]])
def test_a_curve_is_thinned_the_same_however_it_is_followed(tmp_path: Path, counts: list[int]) -> None:
    run, number = None, 0
    for count in counts:
        report(tmp_path, "codec", *(step(number + more, 0.5 * (number + more)) for more in range(count)))
        number += count
        run = look(tmp_path, run)
    assert run is not None
    assert run.stage is not None
    curve = run.stage.curves["train"]
    assert curve.at == tuple(range(0, 5000, 4))
    assert curve.values == tuple(0.5 * at for at in curve.at)
    assert len(curve.at) <= MOST_POINTS
    assert what_is_told(run) == what_is_told(look(tmp_path))


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    """What was read before may be rubbish by now, all but its last line, by which the place is found again."""
    report(tmp_path, "codec", *map(step, range(50)))
    run = look(tmp_path)
    report(tmp_path, "codec", step(50))
    expected = what_is_told(look(tmp_path))
    path = events_file(tmp_path, "codec")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([b"x" * (len(line) - 1) + b"\n" for line in lines[:49]] + lines[49:]))
    assert what_is_told(look(tmp_path, run)) == expected
    assert look(tmp_path, run).stages[0].step == 50


def test_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    report(tmp_path, "codec", step(1), step(2))
    path = events_file(tmp_path, "codec")
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    run = look(tmp_path)
    assert run.stages[0].step == 1
    path.write_bytes(whole)
    assert look(tmp_path, run).stages[0].step == 2


def test_a_log_that_is_cut_and_grows_again(tmp_path: Path) -> None:
    """A run that goes on drops what came after its saved state: shorter, as long or longer, it is read anew."""
    draw = random.Random(0)
    for _ in range(30):
        path = events_file(tmp_path, "codec")
        path.unlink(missing_ok=True)
        before = [step(number, draw.random()) for number in range(draw.randrange(2, 12))]
        report(tmp_path, "codec", *before)
        run = look(tmp_path)
        kept = draw.randrange(len(before))
        keep = sum(map(len, path.read_bytes().splitlines(keepends=True)[:kept]))
        after = [step(kept + number, draw.random()) for number in range(draw.randrange(1, 12))]
        report(tmp_path, "codec", *after, keep=keep)
        followed = look(tmp_path, run)
        assert followed.stages[0].curves["train"].values == tuple(one.train_loss for one in before[:kept] + after)
        assert what_is_told(followed) == what_is_told(look(tmp_path))


def test_a_log_of_all_stages_is_no_run(tmp_path: Path) -> None:
    """Guards against a run of an earlier day that is listed, and of which nothing can be told."""
    (tmp_path / "events.jsonl").touch()
    assert not is_run(tmp_path)
    report(tmp_path, "codec", step(1))
    assert is_run(tmp_path)


def test_a_long_log_is_looked_at_at_once(tmp_path: Path) -> None:
    """25 MB: a look that follows takes less than 0.1 s, and the first is no matter of seconds."""
    path = events_file(tmp_path, "codec")
    report(tmp_path, "codec", step(1))
    line = path.read_bytes()
    path.write_bytes(line * (25_000_000 // len(line)))
    started = time.process_time()
    run = look(tmp_path)
    first = time.process_time() - started
    report(tmp_path, "codec", step(2))
    started = time.process_time()
    assert look(tmp_path, run).stages[0].step == 2
    following = time.process_time() - started
    assert following < 0.1
    assert first < 1.0
