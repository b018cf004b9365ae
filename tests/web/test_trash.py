"""A piece that is deleted on the page goes to the trash, and "Undo" brings it back; and a piece under another name."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from distill.library import GenerationRecord, Library, trash
from distill.library.moving import TITLE_STAYS


@pytest.fixture
def piece(tmp_path: Path, tone: Any, save: Any) -> tuple[int, Path]:
    """Its number and its file."""
    path = save(tmp_path / "new" / "tiny-0.wav", tone(0.5))
    request = {"kind": "audio", "seconds": 0.5}
    told = (
        "2026-01-01T00:00:00+00:00",
        None,
        "d" * 64,
        "o" * 64,
        str(path),
        "s" * 64,
        0,
        "",
        {"original": 1.0},
        request,
    )
    (noted,) = Library(pytest.fail).add_generations([GenerationRecord(*told)])
    return noted.id or 0, path


def test_a_piece_is_deleted_and_comes_back(client: Any, piece: tuple[int, Path]) -> None:
    number, path = piece
    content = path.read_bytes()
    client.put(f"/api/pieces/{number}/kept", json={"kept": True})
    item = client.delete(f"/api/pieces/{number}").json()
    assert (item["kind"], item["name"], item["was"]) == ("piece", "tiny-0", str(path))
    assert client.get("/api/pieces").json() == []
    assert client.get("/api/trash").json() == [item]
    assert not path.exists()
    assert client.post(f"/api/trash/{item['key']}/restore").json() == {"kind": "piece", "name": "tiny-0"}
    assert path.read_bytes() == content
    (shown,) = client.get("/api/pieces").json()
    assert (shown["id"], shown["is_there"], shown["kept"]) == (number, True, True)
    assert client.get("/api/trash").json() == []
    told = client.post(f"/api/trash/{item['key']}/restore")
    assert told.status_code == 404
    assert "not in the trash" in told.json()["what"]


def test_the_trash_is_emptied_for_good(client: Any, piece: tuple[int, Path], tiny: Path) -> None:
    Library(pytest.fail).note_model(tiny)
    (model,) = client.get("/api/models").json()
    items = [client.delete(at).json() for at in (f"/api/pieces/{piece[0]}", f"/api/models/{model['id']}")]
    gone = client.delete("/api/trash").json()
    assert sorted(one["key"] for one in gone) == sorted(one["key"] for one in items)
    assert client.get("/api/trash").json() == client.delete("/api/trash").json() == []
    assert client.post(f"/api/trash/{items[0]['key']}/restore").status_code == 404


def test_a_piece_whose_file_is_gone_is_taken_off_the_list(client: Any, piece: tuple[int, Path]) -> None:
    number, path = piece
    path.unlink()
    assert client.delete(f"/api/pieces/{number}").json() is None
    assert client.get("/api/pieces").json() == []
    assert client.delete("/api/pieces/99").status_code == 404


def test_what_another_window_empties_while_the_list_is_read_is_not_missed(
    client: Any, piece: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.delete(f"/api/pieces/{piece[0]}")
    read = trash._read

    def emptied(file: Path) -> trash.Trashed:
        shutil.rmtree(file.parent)
        return read(file)

    monkeypatch.setattr(trash, "_read", emptied)
    assert client.get("/api/trash").json() == []


def test_a_piece_is_renamed_and_downloaded_by_its_new_name(client: Any, piece: tuple[int, Path]) -> None:
    number, path = piece
    renamed = client.post(f"/api/pieces/{number}/rename", json={"name": "Rain on tin"}).json()
    assert renamed == {"name": "Rain on tin", "remark": TITLE_STAYS}, (
        "the stand-in for a piece has no title of Distill's"
    )
    (shown,) = client.get("/api/pieces").json()
    assert (shown["name"], shown["file"], shown["is_there"]) == (
        "Rain on tin",
        str(path.with_name("Rain on tin.wav")),
        True,
    )
    for ending in ("wav", "flac"):
        told = client.get("/api/sound/download", params={"ref": f"piece:{number}", "format": ending}).headers
        assert f"Rain%20on%20tin.{ending}" in told["content-disposition"]
    item = client.delete(f"/api/pieces/{number}").json()
    assert client.post(f"/api/trash/{item['key']}/restore").json() == {"kind": "piece", "name": "Rain on tin"}


def test_what_is_no_name_and_what_is_taken_is_said(client: Any, piece: tuple[int, Path]) -> None:
    number, path = piece
    path.with_name("tiny-1.wav").touch()
    told = client.post(f"/api/pieces/{number}/rename", json={"name": "tiny-1"})
    assert (told.status_code, told.json()["fix"]) == (400, "Choose another name.")
    assert "there is a file tiny-1.wav already" in told.json()["what"]
    told = client.post(f"/api/pieces/{number}/rename", json={"name": "../tiny"})
    assert "cannot be the name of a piece" in told.json()["what"]
    assert client.post("/api/pieces/99/rename", json={"name": "x"}).status_code == 404
