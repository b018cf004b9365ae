"""Files appear whole or not at all."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import OutputError
from distill.files.atomic import ensure_writable, make_folder, output_error, write_json, written_aside
from distill.files.home import home
from distill.files.leftovers import noted_as_held
from distill.files.names import output_file
from distill.library import Library


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_is_there_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "a.bin"
    with written_aside(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
        assert temporary.suffix == ".bin"
        temporary.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert names(path.parent) == ["a.bin"]


def replaced_where_no_mode_is_set(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("shutil.copymode", refused)
    path.write_bytes(b"old")
    with written_aside(path) as aside:
        aside.write_bytes(b"new")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_disk_without_modes_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    replaced_where_no_mode_is_set(tmp_path / "m.distill", monkeypatch, number)
    assert (tmp_path / "m.distill").read_bytes() == b"new"


def test_a_file_whose_mode_is_lost_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a private model that everybody may read, without a word."""
    with pytest.raises(OutputError, match="cannot be written: input/output error"):
        replaced_where_no_mode_is_set(tmp_path / "m.distill", monkeypatch, errno.EIO)
    assert (tmp_path / "m.distill").read_bytes() == b"old"
    assert names(tmp_path) == ["m.distill"]


@pytest.mark.skipif(os.name == "nt", reason="no such modes, and no links for everybody")
def test_what_is_replaced_keeps_its_mode_and_its_place(tmp_path: Path) -> None:
    """Guards against a model that everybody may read once it is trained further, and a link that becomes a file of its own
    while what it leads to stays as it was."""
    path, link = tmp_path / "disk" / "m.distill", tmp_path / "link.distill"
    path.parent.mkdir()
    path.write_bytes(b"old")
    path.chmod(0o600)
    link.symlink_to(path)
    for number, place in enumerate((path, link)):
        with written_aside(place) as aside:
            aside.write_bytes(b"new %d" % number)
        assert path.read_bytes() == b"new %d" % number
        assert path.stat().st_mode & 0o777 == 0o600
    assert link.is_symlink()
    path.unlink()
    with written_aside(link) as aside:
        aside.write_bytes(b"anew")
    assert link.is_symlink()
    assert path.read_bytes() == b"anew"


@pytest.mark.skipif(os.name == "nt", reason="no such modes")
def test_what_is_private_is_never_readable_by_others(tmp_path: Path, usual_modes: None) -> None:
    """Guards against a private model that others may read while it is written, or in its copy: its mode came last, and in a
    copy never."""
    private, copy = tmp_path / "m.distill", tmp_path / "copy.distill"
    private.write_bytes(b"old")
    private.chmod(0o600)
    for place, like in ((private, None), (copy, private)):
        with written_aside(place, like) as aside:
            aside.write_bytes(b"new")
            assert aside.stat().st_mode & 0o777 == 0o600
        assert place.stat().st_mode & 0o777 == 0o600
    private.chmod(0o640)
    with written_aside(copy, private) as aside:
        aside.write_bytes(b"new")
        assert aside.stat().st_mode & 0o777 == 0o600
    assert copy.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name == "nt", reason="no such modes")
@pytest.mark.parametrize("way", ["folder", "file", "trial", "library", "note"])
def test_distills_own_folder_is_its_owners_alone(
    tmp_path: Path, usual_modes: None, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Guards against the decoded sound of private recordings that everybody on the computer may read."""
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "data" / "distill"))
    if way == "folder":
        make_folder(home() / "cache")
    elif way == "file":
        write_json(home() / "presets.json", {})
    elif way == "trial":
        monkeypatch.setattr(Path, "rmdir", lambda _: None)
        ensure_writable(home() / "runs")
    elif way == "library":
        Library(pytest.fail).models()
    else:
        with noted_as_held(tmp_path / "a"):
            pass
    assert home().stat().st_mode & 0o777 == 0o700
    assert home().parent.stat().st_mode & 0o777 == 0o755


def test_what_is_written_outlasts_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a file that is gone after a power cut although it was written to its end: it is on the disk before it has
    its name, and then its name, and those of new folders, are."""
    path, synced = tmp_path / "deep" / "a.bin", []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_ino, path.exists())))
    with written_aside(path) as temporary:
        temporary.write_bytes(b"whole")
    assert synced == [(one.stat().st_ino, one != path) for one in (path, path.parent, tmp_path)]


@pytest.mark.parametrize("error", [ValueError("ours"), KeyboardInterrupt()])
def test_what_fails_in_between_leaves_the_old_file(error: BaseException, tmp_path: Path) -> None:
    """Guards against a crash or a Ctrl-C that replaces a good file by half of a new one."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), written_aside(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "input/output error"),
        (errno.ENOENT, "its folder is not there any more. Bring the folder back"),
    ],
)
def test_a_refusal_is_put_into_words(code: int, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with pytest.raises(OutputError, match=words) as caught, written_aside(path):
        raise OSError(code, os.strerror(code))
    assert str(path) in caught.value.what
    assert names(tmp_path) == []


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(OutputError, match="a folder of that name"), written_aside(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"x")
    assert names(tmp_path) == ["a.bin"]


def test_an_error_without_a_number_has_words_too() -> None:
    assert "odd" in output_error(Path("a"), OSError("odd")).what
    assert "oserror" in output_error(Path("a"), OSError()).what


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="too long"), written_aside(tmp_path / ("ä" * 200)) as temporary:
        temporary.write_bytes(b"x")
    assert names(tmp_path) == []


def test_a_long_name_that_is_allowed(tmp_path: Path) -> None:
    """Guards against a temporary name that is longer than the name asked for."""
    with written_aside(tmp_path / ("x" * 250 + ".wav")) as temporary:
        temporary.write_bytes(b"x")
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("there", [True, False])
def test_the_trial_leaves_no_trace(there: bool, tmp_path: Path) -> None:
    """Guards against empty folders left behind by a run that was refused a moment later."""
    folder = tmp_path / "a" / "b"
    if there:
        folder.mkdir(parents=True)
    before = names(tmp_path)
    ensure_writable(folder)
    assert names(tmp_path) == before


def test_the_trial_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a message about a hidden file the person has never heard of."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputError) as caught:
        ensure_writable(tmp_path / "new")
    assert caught.value.what == f"{tmp_path / 'new'} cannot be written: the disk is read-only."
    assert names(tmp_path) == []


def test_a_disk_that_is_only_read_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a bare error of the system: a read-only disk also refuses to remove what was never written there, and
    so a model there made no new audio."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match="the disk is read-only"), written_aside(tmp_path / "a.bin") as temporary:
        refuse(temporary)


def test_what_is_only_read_on_windows_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a bare error of the system and a file left behind: Windows neither replaces nor deletes what is only
    read, as the new file was by then, too."""
    replace, unlink = Path.replace, Path.unlink

    def check(path: Path) -> None:
        if path.exists() and not path.stat().st_mode & stat.S_IWUSR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def replace_there(path: Path, target: Path) -> Path:
        check(target)
        return replace(path, target)

    def unlink_there(path: Path, missing_ok: bool = False) -> None:
        check(path)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "replace", replace_there)
    monkeypatch.setattr(Path, "unlink", unlink_there)
    path = tmp_path / "a.codes"
    path.write_text("old")
    path.chmod(0o444)
    with (
        pytest.raises(OutputError, match=r"a\.codes cannot be written: writing is not allowed"),
        written_aside(path) as aside,
    ):
        aside.write_text("new")
    assert names(tmp_path) == ["a.codes"]


def test_what_cannot_be_cleared_away_hides_no_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against "permission denied" in place of the words: cleaning up fails where writing has failed."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match="the disk is full"), written_aside(tmp_path / "a.bin"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_folder_that_cannot_be_looked_into_is_refused_in_words(
    tmp_path: Path, unreachable: Callable[[Path, int], None]
) -> None:
    """Guards against an error of the system's own where a folder may not be entered, or its disk is not connected any more."""
    inside = tmp_path / "private" / "sub"
    for path in (inside, inside / "a.wav"):
        unreachable(path, errno.EACCES)
    with pytest.raises(OutputError), written_aside(inside / "a.wav") as aside:
        aside.write_bytes(b"new")
    with (
        pytest.raises(OutputError),
        output_file(inside / "a.wav", tmp_path / "b.wav", endings=[".wav"]) as path,
        written_aside(path),
    ):
        pytest.fail("written")
    with pytest.raises(OutputError):
        ensure_writable(inside)


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("file")
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OutputError, match="file"):
            ensure_writable(folder)
        with pytest.raises(OutputError, match="file"):
            make_folder(folder)


def test_a_missing_source_is_not_called_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    """Guards against "copy.txt cannot be written: no such file" when it is the original that is missing."""
    with pytest.raises(OutputError) as caught, written_aside(tmp_path / "copy.txt") as aside:
        aside.write_bytes((tmp_path / "original.txt").read_bytes())
    assert "original.txt is not there" in caught.value.what
    assert not list(tmp_path.iterdir())


def test_a_folder_that_may_be_written_to_and_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against "cannot be written" of a file that is written: only its folder cannot be opened to be synced."""
    real = os.open

    def refuses(path: Path, flags: int, *rest: int, **more: int) -> int:
        if path == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuses)
    with written_aside(tmp_path / "a.txt") as aside:
        aside.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
