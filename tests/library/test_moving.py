"""A piece under another name: its file, what lies beside it, and what the library knows of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.errors import LibraryError, OutputError
from distill.files.home import home
from distill.library import GenerationRecord, Library
from distill.library.moving import rename_piece


@pytest.fixture
def noted(library: Library, piece: Callable[..., GenerationRecord], tmp_path: Path) -> GenerationRecord:
    """A piece with a list of its grains and a project beside it; and what belongs to others."""
    path = tmp_path / "a-0.wav"
    path.write_bytes(b"sound")
    path.with_suffix(".json").write_text(json.dumps({"format": "distill-grains", "piece": "a-0.wav", "grains": []}))
    path.with_suffix(".rpp").write_text('  NAME "a-0.wav"\n    FILE "a-0.wav"\n    FILE "/r/a-0.wav"\n')
    (tmp_path / "a-0-2.json").write_text(json.dumps({"format": "distill-grains", "piece": "a-0-2.wav"}))
    return library.add_generations([piece(file=str(path))])[0]


def test_all_that_is_about_a_piece_goes_with_it(library: Library, noted: GenerationRecord, tmp_path: Path) -> None:
    moved = rename_piece(library, noted, "Rain on tin")
    assert moved.file == str(tmp_path / "Rain on tin.wav")
    assert library.generation(noted.id or 0) == moved
    assert {path.name for path in tmp_path.iterdir()} == {
        "Rain on tin.wav", "Rain on tin.json", "Rain on tin.rpp", "a-0-2.json"
    }  # fmt: skip
    assert Path(moved.file).read_bytes() == b"sound"
    assert json.loads((tmp_path / "Rain on tin.json").read_text())["piece"] == "Rain on tin.wav"
    project = (tmp_path / "Rain on tin.rpp").read_text()
    assert project == '  NAME "Rain on tin.wav"\n    FILE "Rain on tin.wav"\n    FILE "/r/a-0.wav"\n'
    assert rename_piece(library, moved, "a-0.wav") == noted
    assert {path.name for path in tmp_path.iterdir()} == {"a-0.wav", "a-0.json", "a-0.rpp", "a-0-2.json"}


def test_a_library_that_is_made_anew_knows_the_new_name(library: Library, noted: GenerationRecord) -> None:
    rename_piece(library, noted, "rain")
    (home() / "library.db").unlink()
    (again,) = Library(pytest.fail).generations()
    assert (again.id, Path(again.file).name) == (noted.id, "rain.wav")


@pytest.mark.parametrize("taken", ["rain.wav", "rain.json", "rain.rpp"])
def test_a_name_that_is_taken_is_refused_and_nothing_is_touched(
    library: Library, noted: GenerationRecord, tmp_path: Path, taken: str
) -> None:
    (tmp_path / taken).write_text("another's")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputError, match=f"there is a file {taken} already"):
        rename_piece(library, noted, "rain")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert library.generation(noted.id or 0) == noted


def test_what_may_be_about_a_piece_is_not_left_behind(
    library: Library, noted: GenerationRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a list of grains that could not be read and stayed under the old name, without a word."""
    read = Path.read_text

    def refused(path: Path, *args: Any, **kwargs: Any) -> str:
        if path.name == "a-0.json":
            raise PermissionError(13, "Permission denied")
        return read(path, *args, **kwargs)

    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Path, "read_text", refused)
        with pytest.raises(OutputError, match=r"a-0.json may belong .* permission denied"):
            rename_piece(library, noted, "rain")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "a-0.rpp").write_bytes(b"\xff\xfe of another program")
    assert Path(rename_piece(library, noted, "rain").file).with_suffix(".json").exists()
    assert (tmp_path / "a-0.rpp").exists(), "what is not ours stays"


@pytest.mark.parametrize("name", ["../rain", "a/b", "C:rain", "..", " ", ".wav", "a\nb", "x" * 101])
def test_a_name_that_is_none_is_refused(library: Library, noted: GenerationRecord, name: str) -> None:
    with pytest.raises(OutputError, match=r"cannot be the name of a piece|too long for a piece"):
        rename_piece(library, noted, name)
    assert Path(noted.file).exists()


def test_where_the_library_cannot_be_written_all_is_as_it_was(
    library: Library, noted: GenerationRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise LibraryError("The library cannot be used.", "Try again.")

    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(library, "move_generation", refused)
    with pytest.raises(LibraryError):
        rename_piece(library, noted, "rain")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_piece_whose_file_is_gone_keeps_its_name(library: Library, noted: GenerationRecord) -> None:
    Path(noted.file).unlink()
    with pytest.raises(LibraryError, match=r"gone from .* cannot be renamed"):
        rename_piece(library, noted, "rain")
