"""Pieces whose process was killed, whose file is gone, or whose name went to another: each sound is listed once."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.files.home import home
from distill.files.process import this_process
from distill.library import GenerationRecord, Library


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
