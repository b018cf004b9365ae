"""What is learned from where recordings are left out: a folder of links to the others, as long as it is needed."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from distill.errors import CorpusError
from distill.files.home import home
from distill.library import Library, RunRecord
from distill.web import jobs, places, selections


@pytest.fixture
def named(small_corpus: Path) -> places.Collection:
    return places.add_collection(small_corpus)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_left_out_is_not_learned_from(named: places.Collection) -> None:
    left = places.leave_out(named, ["take-0.wav", "take-3.wav"])
    folder = selections.training_folder(left)
    assert names(folder) == ["take-1.wav", "take-2.wav", "take-4.wav", "take-5.wav"]
    assert selections.training_folder(places.leave_out(left, [])) == Path(named.folder)
    with pytest.raises(CorpusError, match="Every recording"):
        selections.training_folder(places.leave_out(named, [f"take-{number}.wav" for number in range(6)]))


def test_two_requests_may_select_the_same_at_once(named: places.Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against "File exists" for the slower of two."""
    left = places.leave_out(named, ["take-0.wav"])
    folder = selections.training_folder(left)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_symlink", lambda path: False)  # the other one has not made it yet
        assert selections.training_folder(left) == folder
    assert names(folder) == [f"take-{number}.wav" for number in range(1, 6)]


def test_a_link_to_nothing_brings_back_nothing_that_is_left_out(tmp_path: Path) -> None:
    """Guards against a selection in which the links of all before pile up, so that what is left out is learned from."""
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"RIFF")
    (tmp_path / "old.wav").symlink_to("/Volumes/USB/old.wav")
    one = places.add_collection(tmp_path)
    for out, kept in (("a.wav", "b.wav"), ("b.wav", "a.wav")):
        assert names(selections.training_folder(places.leave_out(one, [out]))) == [kept, "old.wav"]


def test_selections_that_no_training_needs_are_removed(
    named: places.Collection, small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a folder of links that stays for each recording that was ever left out."""
    folders = [selections.training_folder(places.leave_out(named, [f"take-{number}.wav"])) for number in range(6)]
    trained, waiting, young, *idle, again = folders
    run = RunRecord(
        "codec", "/m.distill", str(trained.resolve()), str(home() / "runs" / "m" / "codec.jsonl"), "2026", {}
    )
    Library(pytest.fail).save_run(run)
    job = SimpleNamespace(commands=[["run", str(waiting), "--json"]], is_over=False)
    monkeypatch.setattr(jobs, "jobs", lambda: [job])
    for folder in (trained, waiting, *idle, again):
        os.utime(folder.parent, (0, 0))
    assert selections.training_folder(places.leave_out(named, ["take-5.wav"])) == again
    assert [folder for folder in folders if folder.parent.exists()] == [trained, waiting, young, again]
    assert len(names(small_corpus)) == 6
    os.utime(young.parent, (0, 0))
    job.is_over = True
    selections.training_folder(places.leave_out(named, ["take-5.wav"]))
    assert [folder for folder in folders if folder.parent.exists()] == [trained, again]
