"""What a process leaves that is killed with kill -9: the next command clears it away, and nothing that is still in use."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distill.errors import OutputError
from distill.files.atomic import ensure_writable, written_aside
from distill.files.home import home
from distill.files.leftovers import clear_held, clear_parts, noted_as_held, part_beside
from distill.files.names import reserving, reserving_exactly
from distill.files.process import lives, this_process

_BEGUN = """
import sys, time
from pathlib import Path
from distill.files.atomic import written_aside
from distill.files.names import reserving
with reserving(Path(sys.argv[1])) as path, written_aside(path) as aside:
    aside.write_bytes(b"half")
    print(path.name, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Another process that is about to write ``a.wav``, and has begun to."""
    started: list[subprocess.Popen[str]] = []

    def begin() -> "subprocess.Popen[str]":
        words = [sys.executable, "-c", _BEGUN, str(tmp_path / "a.wav")]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == f"a{'' if len(started) == 1 else f'-{len(started)}'}.wav\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


def parts(folder: Path) -> list[Path]:
    return list(folder.glob(".distill-*"))


def notes() -> list[Path]:
    return list((home() / "held").glob("*"))


def test_a_name_that_a_killed_process_held_is_free_again(
    writing: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    """Guards against ``mine-5-2.wav`` beside an empty ``mine-5.wav`` that stays for good."""
    process = writing()
    with reserving(tmp_path / "a.wav") as path:
        assert path.name == "a-2.wav", "the other process still runs"
        path.write_text("mine")
    ensure_writable(tmp_path)
    assert len(parts(tmp_path)) == 1
    process.kill()
    process.wait()
    assert names(tmp_path) == ["a-2.wav", "a.wav"]
    ensure_writable(tmp_path)
    assert not parts(tmp_path)
    with reserving(tmp_path / "a.wav") as path:
        assert path.name == "a.wav"
        path.write_text("mine")
    assert not notes()
    assert (tmp_path / "a.wav").read_text() == "mine"


def test_the_same_of_a_name_that_was_chosen(writing: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    process = writing()
    with pytest.raises(OutputError, match="already exists"), reserving_exactly(tmp_path / "a.wav"):
        pass
    process.kill()
    process.wait()
    with reserving_exactly(tmp_path / "a.wav"):
        (tmp_path / "a.wav").write_text("mine")
    assert not notes()


@pytest.mark.parametrize("change", ["written", "emptied anew", "gone"])
def test_only_the_very_file_that_was_noted_is_removed(
    change: str, writing: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    """Guards against an empty file of a person, or of a process that runs, which has the name of one that was left."""
    process = writing()
    process.kill()
    process.wait()
    left = tmp_path / "a.wav"
    left.unlink()
    if change == "written":
        left.write_text("theirs")
    elif change == "emptied anew":
        left.touch()
    clear_held()
    assert not notes()
    assert left.exists() == (change != "gone")


def test_a_file_that_was_not_empty_when_it_was_noted_stays(tmp_path: Path) -> None:
    """Guards against a file with something in it that goes because nothing was noted of it."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound")
    note = home() / "held" / "one.json"
    note.parent.mkdir(parents=True)
    gone = {**this_process(), "began": "at another moment"}
    note.write_text(json.dumps({"path": os.fsencode(path).hex(), "file": None, "process": gone}))
    clear_held()
    assert path.exists()
    assert not note.exists()


def test_of_many_that_clear_up_at_once_none_takes_what_another_holds(
    writing: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = writing()
    process.kill()
    process.wait()
    start, held, errors = threading.Barrier(8), [], []

    def work(number: int) -> None:
        start.wait()
        try:
            with reserving(tmp_path / "a.wav") as path:
                held.append(path)
                with written_aside(path) as aside:
                    aside.write_text(str(number))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(set(held)) == 8
    assert sorted(path.read_text() for path in held) == [str(number) for number in range(8)]


def test_what_belongs_to_another_computer_or_to_nobody_stays(tmp_path: Path) -> None:
    kept = [
        tmp_path / ".distill-0a1b2c3d.part.wav",
        tmp_path / ".distill-00000000-99999999-0a1b2c3d.part.wav",
        tmp_path / "taken.wav",
    ]
    for path in kept:
        path.touch()
    state = kept[-1].stat()
    note = home() / "held" / "one.json"
    note.parent.mkdir(parents=True)
    told = {
        "path": os.fsencode(kept[-1]).hex(),
        "file": [state.st_dev, state.st_ino, state.st_mtime_ns],
        "process": {"host": "elsewhere", "pid": 99999999, "began": "then"},
    }
    note.write_text(json.dumps(told))
    (note.parent / "two.json").write_text("{")
    clear_held()
    clear_parts(tmp_path)
    assert all(path.exists() for path in (*kept, note))


def test_what_belongs_to_another_container_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a container that takes the processes of another one for dead, as it sees none of them: both have the
    host's name."""
    plain, gone = os.readlink, 2**22 + 1  # no process has that number
    elsewhere = {"/proc/self/ns/pid": "pid:[4026532999]"}
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: gone)
        kept = [tmp_path / "a.wav", part_beside(tmp_path / "a.wav")]
        for path in kept:
            path.touch()
        note = noted_as_held(kept[0])
        note.__enter__()
    with monkeypatch.context() as patched:
        patched.setattr(os, "readlink", lambda path, **how: elsewhere.get(os.fspath(path)) or plain(path, **how))
        clear_held()
        clear_parts(tmp_path)
        assert all(path.exists() for path in kept)
    clear_held()
    assert not any(path.exists() for path in kept), "here it is known to be gone"


@pytest.mark.skipif(os.name == "nt", reason="no ps there")
def test_a_process_began_at_one_moment_in_whatever_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a living process that another terminal takes for dead, as its language or time zone is another one: on
    macOS and the BSDs ``ps`` says when it began."""
    ps = tmp_path / "ps"
    ps.write_text('#!/bin/sh\necho "Mon Nov 30 of ${TZ:-here} in ${LC_ALL:-my language}"\n')
    ps.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.platform", "darwin")
    me = this_process()
    older = {**me, "began": "Mon Nov 30 of here in my language"}
    for name, other in (("TZ", "America/New_York"), ("LC_ALL", "de_DE")):
        monkeypatch.setenv(name, other)
        assert lives(me)
    assert lives(older) is not False, "an earlier version noted it, and it may run"
    assert lives({**me, "began": me["began"].replace("30", "29")}) is False
