"""A piece under another name: its file, what lies beside it, and what the library knows of it."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small_distill
from distill.errors import LibraryError, OutputError
from distill.files.home import home
from distill.formats.writing import write_audio
from distill.library import GenerationRecord, Library, ModelEntry
from distill.library.moving import TITLE_STAYS, add, export, move, rename, rename_piece
from distill.library.trash import delete, delete_piece, keep_copy, restore_piece
from distill.models import save_model


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


def test_a_list_with_a_name_that_is_no_text_goes_with_it(
    library: Library, noted: GenerationRecord, tmp_path: Path
) -> None:
    """Guards against a traceback on what JSON can hold and UTF-8 cannot: half a letter, as an old disk's name is read."""
    told = {"format": "distill-grains", "piece": "a-0.wav", "about": "caf\udce9.wav"}
    (tmp_path / "a-0.json").write_text(json.dumps(told))
    rename_piece(library, noted, "rain")
    assert json.loads((tmp_path / "rain.json").read_text("utf-8")) == told | {"piece": "rain.wav"}


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


@pytest.mark.parametrize(
    "name", ["../rain", "a/b", "C:rain", "..", " ", ".wav", "a\nb", "x" * 101, "CON", "nul.x", "a*b?", 'a"', "あ" * 67]
)
def test_a_name_that_is_none_is_refused(library: Library, noted: GenerationRecord, name: str) -> None:
    with pytest.raises(OutputError, match=r"cannot be the name of a piece|too long for a piece"):
        rename_piece(library, noted, name)
    assert Path(noted.file).exists()


@pytest.mark.parametrize("name", ["42", "42.wav", "٤٢"])
def test_no_piece_is_called_by_a_number(library: Library, noted: GenerationRecord, name: str) -> None:
    """Guards against ``distill pieces delete 42`` that means another piece than the one which bears that name."""
    with pytest.raises(OutputError, match="a number would mean another piece"):
        rename_piece(library, noted, name)
    assert Path(noted.file).exists()


@pytest.mark.parametrize("name", ["あ" * 66, "x" * 100, "console", "com10", "Nul-1"])
def test_names_of_every_script_have_room(library: Library, noted: GenerationRecord, name: str) -> None:
    """Guards against a name of 34 letters of a script with three bytes a letter that is called too long."""
    assert Path(rename_piece(library, noted, f" {name} ").file).stem == name


def test_other_capitals_on_a_disk_that_does_not_tell_them_apart(
    library: Library, noted: GenerationRecord, tmp_path: Path
) -> None:
    """Guards against "there is a file A-0.wav already" where that file is the piece itself. Links stand for such a disk."""
    for suffix in (".wav", ".json", ".rpp"):
        (tmp_path / f"A-0{suffix}").hardlink_to(tmp_path / f"a-0{suffix}")
    moved = rename_piece(library, noted, "A-0")
    assert moved.file == str(tmp_path / "A-0.wav")
    assert {path.name for path in tmp_path.iterdir()} == {"A-0.wav", "A-0.json", "A-0.rpp", "a-0-2.json"}
    assert json.loads((tmp_path / "A-0.json").read_text())["piece"] == "A-0.wav"
    assert 'FILE "A-0.wav"' in (tmp_path / "A-0.rpp").read_text()


def test_a_kill_while_capitals_change_hides_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a model under a hidden name that nothing finds, on a disk that does not tell capitals apart."""
    path, replace = tmp_path / "drums.distill", Path.replace
    path.write_bytes(b"model")

    def killed(source: Path, target: Path) -> None:
        replace(source, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Path, "samefile", lambda *_: True)
        meanwhile.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            move(path, path.with_name("Drums.distill"))
    assert [one.name for one in tmp_path.iterdir()] == ["Drums.distill"]


@pytest.mark.parametrize("tells", ["nothing to do", "at once"])
def test_capitals_change_on_every_disk_that_does_not_tell_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells: str
) -> None:
    path, replace = tmp_path / "drums.distill", Path.replace
    path.write_bytes(b"model")

    def lazy(source: Path, target: Path) -> Path:
        is_same = source.name.lower() == target.name.lower()
        return target if is_same and tells == "nothing to do" else replace(source, target)

    monkeypatch.setattr(Path, "samefile", lambda *_: True)
    monkeypatch.setattr(Path, "replace", lazy)
    move(path, path.with_name("Drums.distill"))
    assert [one.name for one in tmp_path.iterdir()] == ["Drums.distill"]
    assert path.with_name("Drums.distill").read_bytes() == b"model"


def test_a_title_that_stays_is_told(library: Library, piece: Callable[..., GenerationRecord], tmp_path: Path) -> None:
    """Guards against a piece that other programs go on showing under its old name, without a word."""
    for title, said in (("one", []), ("another's", [TITLE_STAYS])):
        path = tmp_path / "one.flac"
        write_audio(path, np.zeros((1, 4800), np.float32), format="flac", channels=1, tags={"title": title})
        told: list[str] = []
        moved = rename_piece(library, library.add_generations([piece(file=str(path))])[0], "two", told.append)
        assert told == said
        Path(moved.file).unlink()


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


@pytest.mark.parametrize("name", ["a-0", "was"])
def test_what_lies_beside_a_piece_comes_back_from_the_trash(
    library: Library, noted: GenerationRecord, tmp_path: Path, name: str
) -> None:
    """A piece called ``was`` too, whose list is called as the note in the trash is."""
    piece = rename_piece(library, noted, name)
    before = {path.suffix: path.read_bytes() for path in tmp_path.glob(f"{name}.*")}
    assert set(before) == {".wav", ".json", ".rpp"}
    item = delete_piece(library, piece)
    assert item is not None
    assert len(item.beside) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a-0-2.json"]
    restore_piece(library, item.key)
    after = {path.suffix: path.read_bytes() for path in tmp_path.glob(f"{name}*") if path.name != "a-0-2.json"}
    assert after == before


def test_a_piece_that_cannot_be_listed_again_is_told(
    library: Library, noted: GenerationRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against "a fault in Distill" where a disk refuses to remove the mark of what was deleted."""
    library.forget_generation(noted.id or 0)

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OutputError, match="the disk is read-only"):
        library.recall_generation(noted.id or 0, Path(noted.file))


def test_what_cannot_go_into_the_trash_whole_stays_whole(
    library: Library, noted: GenerationRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a piece that is deleted for good when what lies beside it cannot be moved."""
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace = Path.replace

    def refused(path: Path, target: Path) -> Path:
        if path.name == "a-0.rpp":
            raise PermissionError(13, "Permission denied")
        return replace(path, target)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Path, "replace", refused)
        with pytest.raises(OutputError, match="not allowed"):
            delete_piece(library, noted)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert library.generation(noted.id or 0) == noted
    assert not list((home() / "trash").iterdir())


def test_where_a_renamed_piece_cannot_be_noted_its_title_is_the_old_one(
    library: Library, noted: GenerationRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(noted.file)
    write_audio(path, np.zeros((1, 480), np.float32), channels=1, tags={"title": "a-0", "comment": "x"})
    there = path.read_bytes()

    def refused(*_: object) -> None:
        assert b"rain" in path.with_name("rain.wav").read_bytes()
        raise LibraryError("The library cannot be used.", "Try again.")

    monkeypatch.setattr(library, "move_generation", refused)
    with pytest.raises(LibraryError):
        rename_piece(library, noted, "rain")
    assert path.read_bytes() == there


def test_what_is_on_a_disk_that_is_gone_is_taken_off_the_list_and_put_back_elsewhere(
    library: Library, noted: GenerationRecord, tmp_path: Path, unreachable: Callable[[Path, int], None]
) -> None:
    """Guards against an error of the system's own, where a disk is not connected any more."""
    item = delete_piece(library, noted)
    assert item is not None
    model = ModelEntry(tmp_path / "m.distill", "d", "o", "2026", 1, 1.0, None, None, False, (), 1, 1)
    unreachable(model.path, errno.ENOTCONN)
    assert delete(library, model) is None
    unreachable(tmp_path, errno.ENOTCONN)
    with pytest.raises(OutputError, match=r"the folder .* is gone"):
        restore_piece(library, item.key)


def _to_another_disk(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    replace = Path.replace

    def within_one_disk(path: Path, other: Path) -> Path:
        if path == source:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return replace(path, other)

    monkeypatch.setattr(Path, "replace", within_one_disk)
    move(source, target)
    return target


@pytest.mark.skipif(os.name == "nt", reason="no such modes")
@pytest.mark.usefixtures("usual_modes")
def test_a_private_model_stays_private(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a model that everybody may read, and the recordings in it, once it is renamed, copied or moved."""
    path = save_model(tmp_path / "m.distill", small_distill.small_model(small_distill.small_codec()))
    path.chmod(0o600)
    entry = library.note_model(path)
    modes = {
        "exported": _mode(export(entry, tmp_path / "gifts")),
        "imported": _mode(add(library, path, in_place=False, is_checked=True).path),
        "kept": _mode(keep_copy(path).file),
    }
    renamed = rename(library, entry, "drums").path
    modes["renamed"] = _mode(renamed)
    modes["moved"] = _mode(_to_another_disk(renamed, tmp_path / "gifts" / "moved.distill", monkeypatch))
    assert modes == dict.fromkeys(modes, "0o600")


@pytest.mark.skipif(os.name == "nt", reason="no such modes")
@pytest.mark.usefixtures("usual_modes")
def test_what_lies_beside_a_private_piece_stays_private(
    library: Library, noted: GenerationRecord, tmp_path: Path
) -> None:
    """Guards against a list that tells everybody which recordings a private piece is made of."""
    (tmp_path / "a-0.json").chmod(0o600)
    rename_piece(library, noted, "rain")
    assert _mode(tmp_path / "rain.json") == "0o600"


def _mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)
