"""Pieces whose process was killed, whose file is gone, or whose name went to another: each sound is listed once."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock

from distill.files.home import home
from distill.files.process import this_process
from distill.library import GenerationRecord, Library
from distill.runs.piece_notes import note_what_was_left


def test_the_page_lists_what_a_killed_process_had_written(client: Any, tiny: Path, small_corpus: Path) -> None:
    """Guards against a piece that shows up only with the next command that somebody types."""
    entry = Library(lambda _: None).note_model(tiny)
    path = Path(shutil.copy(small_corpus / "take-0.wav", tiny.with_name("tiny-0.wav")))
    by = ("2026-01-01T00:00:00+00:00", str(tiny), entry.digest, entry.origin, str(path), "", 0, "fine")
    shares = {"original": 1.0, "close": 0.0, "copy": 0.0}
    record = dataclasses.asdict(GenerationRecord(*by, shares, {"kind": "audio", "seconds": 0.8}))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    told = {"record": record, "seconds": [], "beside": [], "process": {**this_process(), "pid": gone.pid}}
    announced = home() / "announced" / "0.json"
    announced.parent.mkdir(parents=True)
    announced.write_text(json.dumps(told))
    for _ in range(2):
        assert [one["name"] for one in client.get("/api/pieces").json()] == ["tiny-0"]
    assert not announced.exists()


def test_a_name_that_went_to_a_later_piece_is_not_the_earlier_ones(
    client: Any, note_piece: Callable[..., str], tmp_path: Path
) -> None:
    """Guards against one sound that is listed twice, and a press on Delete that takes the other piece's file."""
    note_piece()
    note_piece()  # the file was lost meanwhile, so that its name was free
    path = tmp_path / "tiny-0.wav"
    pieces = client.get("/api/pieces").json()
    assert [(one["id"], one["is_there"]) for one in pieces] == [(2, True), (1, False)]
    assert client.get("/api/pieces/1").json()["is_there"] is False
    assert client.delete("/api/pieces/1").json() is None
    assert path.exists()
    assert client.delete("/api/pieces/2").json()["name"] == "tiny-0"
    assert not path.exists()


def test_two_that_clear_up_at_once_do_not_meet_and_a_disk_that_is_only_read_is_told() -> None:
    """Guards against a piece that is noted twice, and a command that ends because it cannot clear up after another."""
    announced = home() / "announced"
    announced.mkdir(parents=True)
    (announced / "damaged.json").write_text("{")
    told: list[str] = []
    with filelock.FileLock(home() / "announced.lock"):
        note_what_was_left(told.append)
    assert told == []
    (home() / "announced.lock").unlink(missing_ok=True)
    (home() / "announced.lock").mkdir()  # as unwritable as on such a disk
    note_what_was_left(told.append)
    assert len(told) == 1
    assert told[0].startswith("What killed processes left is not noted in the library.")
    assert (announced / "damaged.json").exists()
