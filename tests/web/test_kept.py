"""Pieces that are kept: they stay in sight however many are made later, and come as one archive."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.library import GenerationRecord, Library
from distill.web.routes import generate
from distill.web.zipped import zipped


@pytest.fixture
def note(tmp_path: Path) -> Callable[[str, bytes], int]:
    """Notes a piece of this name below a folder, and what is in its file; gives its number."""

    def add(name: str, content: bytes) -> int:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        by = ("2026-01-01T00:00:00+00:00", None, "d" * 64, "o" * 64, str(path), "s" * 64, 0, "", {}, {"kind": "audio"})
        (noted,) = Library(pytest.fail).add_generations([GenerationRecord(*by)])
        return noted.id or 0

    return add


def test_all_that_are_kept_come_as_one_archive(client: Any, note: Callable[[str, bytes], int], tmp_path: Path) -> None:
    """Guards against one of two files of one name that is lost, and against a file that is gone and stops all others."""
    contents = {"one/rain.wav": b"rain", "two/rain.wav": b"other rain", "one/träume.flac": b"x" * 3_000_000}
    for name, content in contents.items():
        client.put(f"/api/pieces/{note(name, content)}/kept", json={"kept": True})
    note("one/not kept.wav", b"no")
    client.put(f"/api/pieces/{note('one/gone.wav', b'gone')}/kept", json={"kept": True})
    (tmp_path / "one" / "gone.wav").unlink()
    answer = client.get("/api/kept")
    assert answer.headers["content-type"] == "application/zip"
    assert "all-kept.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == dict(zip(("rain.wav", "rain-2.wav", "träume.flac"), contents.values(), strict=True))


def test_where_nothing_is_kept_there_is_no_archive(client: Any, note: Callable[[str, bytes], int]) -> None:
    note("one/rain.wav", b"rain")
    answer = client.get("/api/kept")
    assert answer.status_code == 404
    assert answer.json()["what"] == "No piece is kept."


def test_an_archive_is_sent_while_it_is_written(tmp_path: Path) -> None:
    """Guards against an hour of music in memory."""
    (tmp_path / "long.wav").write_bytes(bytes(10 * 2**20))
    blocks = list(zipped([tmp_path / "long.wav"]))
    assert len(blocks) > 10
    assert max(map(len, blocks)) < 1.1 * 2**20


def test_what_is_kept_is_shown_however_much_was_made_since(
    client: Any, note: Callable[[str, bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a piece that is kept to be found again, and is not found again."""
    monkeypatch.setattr(generate, "_SHOWN", 2)
    kept, *_, last = [note(f"one/{number}.wav", b"sound") for number in range(5)]
    client.put(f"/api/pieces/{kept}/kept", json={"kept": True})
    assert [one["id"] for one in client.get("/api/pieces").json()] == [last, last - 1, kept]
    client.put(f"/api/pieces/{last}/kept", json={"kept": True})
    assert [one["id"] for one in client.get("/api/pieces").json()] == [last, last - 1, kept]
    # Guards against pieces that are never shown again, whatever is pressed.
    whole = [one["id"] for one in client.get("/api/pieces?whole=true").json()]
    assert whole == list(range(last, kept - 1, -1))
