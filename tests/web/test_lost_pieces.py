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
from distill.web import places


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


def listed(client: Any) -> dict[int, bool]:
    """Which pieces are on the list, and whether their files are there."""
    return {one["id"]: one["is_there"] for one in client.get("/api/pieces").json()}


def test_a_piece_that_takes_the_name_of_a_deleted_one_is_there(
    client: Any, note_piece: Callable[..., str], tmp_path: Path
) -> None:
    """Guards against a piece that is said to be gone, and a Delete that takes it off the list and leaves its file, because a
    later one that is in the trash had its name."""
    note_piece(take=1)
    note_piece(take=0)
    client.delete("/api/pieces/2")
    client.post("/api/pieces/1/rename", json={"name": "tiny-0"})
    assert listed(client) == {1: True}
    assert client.delete("/api/pieces/1").json()["name"] == "tiny-0"
    assert list(tmp_path.glob("*.wav")) == []


def test_a_piece_that_takes_the_name_of_a_lost_one_is_there_also_for_a_library_made_anew(
    client: Any, note_piece: Callable[..., str], tmp_path: Path
) -> None:
    """Guards against a list where the later piece, whose file somebody removed, is said to be the one that has its name now."""
    note_piece(take=1)
    note_piece(take=0)
    (tmp_path / "tiny-0.wav").unlink()
    client.post("/api/pieces/1/rename", json={"name": "tiny-0"})
    assert listed(client) == {2: False, 1: True}
    (home() / "library.db").unlink()
    assert listed(client) == {2: False, 1: True}


def test_of_two_deleted_ones_of_a_name_the_one_that_comes_back_is_there(
    client: Any, note_piece: Callable[..., str], tmp_path: Path
) -> None:
    """Guards against an Undo after which the piece is said to be gone, though its file is back: a later one of its name is in
    the trash."""
    note_piece()
    first = client.delete("/api/pieces/1").json()
    note_piece()
    second = client.delete("/api/pieces/2").json()
    client.post(f"/api/trash/{first['key']}/restore")
    assert listed(client) == {1: True}
    (tmp_path / "tiny-0.wav").unlink()
    client.post(f"/api/trash/{second['key']}/restore")
    assert listed(client) == {2: True, 1: False}
    (home() / "library.db").unlink()
    assert listed(client) == {2: True, 1: False}


def test_a_lost_piece_has_neither_sound_nor_name_of_the_one_that_has_its_name(
    client: Any, note_piece: Callable[..., str], tmp_path: Path
) -> None:
    """Guards against a press on Play that plays another piece, and a new name that takes another piece's file away."""
    note_piece()
    note_piece()
    assert client.get("/api/sound/audio", params={"ref": "piece:2"}).status_code == 200
    assert client.get("/api/sound/audio", params={"ref": "piece:1"}).status_code == 400
    assert client.post("/api/pieces/1/rename", json={"name": "rain"}).status_code == 404
    assert listed(client) == {2: True, 1: False}
    assert places.reference_of(str(tmp_path / "tiny-0.wav")) == "piece:2"


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
