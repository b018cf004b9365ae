"""Distill's own folder in another place: it is moved as the README says, or a copy of it is made."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from distill.files.home import home
from distill.library import GenerationRecord, Library, RunRecord
from distill.library.trash import delete, delete_piece, restore, restore_piece
from distill.models import save_model
from distill.runs.status import records_of
from small_distill import small_codec, small_model

Piece = Callable[..., GenerationRecord]
Move = Callable[[Callable[[Path, Path], object]], Path]


@pytest.fixture
def to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Move:
    """``to(shutil.move)``: Distill's own folder is in another place from now on, which is given."""

    def put(how: Callable[[Path, Path], object]) -> Path:
        how(home(), tmp_path / "elsewhere")
        monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "elsewhere"))
        return tmp_path / "elsewhere"

    return put


def model_called(name: str) -> Path:
    """A model in Distill's own folder."""
    path = home() / "models" / f"{name}.distill"
    path.parent.mkdir(exist_ok=True)
    return save_model(path, small_model(small_codec()))


def sound_called(name: str) -> str:
    """A file in Distill's own folder that stands for a piece."""
    path = home() / "new" / f"{name}.wav"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"sound")
    return str(path)


def test_all_that_is_in_a_folder_that_was_moved_goes_along(
    library: Library, piece: Piece, run: Callable[..., RunRecord], to: Move
) -> None:
    """Guards against imported models that are "gone", and a trash that cannot be put back, once Distill's own folder is moved
    as the README says; also where the database is lost after that."""
    kept = library.note_model(model_called("kept"))
    delete(library, library.note_model(model_called("deleted")))
    request = {"recordings": str(home() / "recordings" / "mine"), "given": "/elsewhere/take.wav"}
    noted = [piece(model=str(kept.path), file=sound_called(name), request=request) for name in ("rain", "hail")]
    _, hail = library.add_generations(noted)
    delete_piece(library, hail)
    library.save_run(run(0))
    place = to(shutil.move)
    for again in range(2):
        (entry,) = Library(pytest.fail).models()
        assert (entry.path, entry.is_there) == (place / "models" / "kept.distill", True)
        (rain,) = Library(pytest.fail).generations()
        assert Library(pytest.fail).there([rain]) == {1}
        assert (rain.model, rain.file) == (str(entry.path), str(place / "new" / "rain.wav"))
        assert rain.request == request | {"recordings": str(place / "recordings" / "mine")}
        assert [one.record.parent for one in Library(pytest.fail).runs()] == [place / "runs" / "take-0"]
        assert records_of(place / "runs" / "take-0") == (run(0),)
        if not again:
            (place / "library.db").unlink()
    moved = Library(pytest.fail)
    assert restore(moved, "deleted").path == place / "models" / "deleted.distill"
    assert restore_piece(moved, "hail")[1] == place / "new" / "hail.wav"
    assert moved.there(moved.generations()) == {1, 2}
    moved.forget_model(entry.path)
    assert [one.name for one in moved.models()] == ["deleted"]


def test_a_copy_of_the_folder_leaves_the_original_as_it_was(
    library: Library, piece: Piece, to: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a backup that is tried out, and deletes from the folder it was made of."""
    first, original = home(), library.note_model(model_called("mine"))
    library.add_generations([piece(file=sound_called("rain"))])
    to(shutil.copytree)
    copy = Library(pytest.fail)
    (entry,), (rain,) = copy.models(), copy.generations()
    delete(copy, entry)
    delete_piece(copy, rain)
    assert copy.models() == []
    monkeypatch.setenv("DISTILL_HOME", str(first))
    assert library.models() == [original]
    assert library.there(library.generations()) == {1}


def test_a_library_of_before_can_be_moved_too(to: Move) -> None:
    """Guards against whole paths that stay in a library which an earlier version has filled."""
    first = (Path(__file__).parent / "first_schema.sql").read_text(encoding="utf-8")
    path, file = model_called("mine"), sound_called("rain")
    with closing(sqlite3.connect(home() / "library.db")) as connection:
        connection.executescript(first)
        connection.execute(
            "INSERT INTO models VALUES (?, 'd', 'o', '2026', 1, 1.0, NULL, NULL, 0, '[]', 1, 1)", (str(path),)
        )
        for number, model in ((1, str(path)), (2, None)):
            connection.execute(
                "INSERT INTO generations VALUES (?, '2026', ?, 'd', 'o', ?, 's', 5, '', '{}', '{}')",
                (number, model, file),
            )
        connection.commit()
    assert Library(pytest.fail).there(Library(pytest.fail).generations()) == {2}
    place = to(shutil.move)
    (entry,) = Library(pytest.fail).models()
    assert (entry.path, entry.is_there) == (place / "models" / "mine.distill", True)
    pieces = Library(pytest.fail).generations()
    assert [one.model for one in pieces] == [str(entry.path), None]
    assert Library(pytest.fail).there(pieces) == {2}
