"""Files that a killed process leaves behind, and how to tell them from files that are still being written.

    .distill-HOST-PID-XXXXXXXX.part   content that is written aside: its name says whose it is
    announced/XXXXXXXX.json           in Distill's own folder: a piece that is about to be written (``runs/piece_notes.py``)
    held/XXXXXXXX.json                in Distill's own folder: an empty file that holds a name, and the process that holds it

What belongs to a process that still runs, or to another computer, is never touched.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from distill.files.home import home, make_folders
from distill.files.process import began, host, lives, this_process
from distill.files.regular import absolute

_PART = re.compile(r"\.distill-(?P<host>[0-9a-f]{8})-(?P<pid>\d{1,10})-[0-9a-f]{8}\.part")
_NOTES = "held"
_ANNOUNCED = "announced"


def announced_folder() -> Path:
    """Where pieces are announced that are about to be written, a JSON file each."""
    return home() / _ANNOUNCED


def part_beside(path: Path, ending: str = "") -> Path:
    """A hidden name beside ``path`` for content that is written aside, which says that it is this process's."""
    return path.with_name(f".distill-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.part{ending}")


def clear_parts(folder: Path) -> None:
    """Removes from a folder what processes of this computer had begun to write there when they were killed."""
    for path in folder.glob(".distill-*.part*"):
        found = _PART.match(path.name)
        if found is None or found["host"] != _host() or began(int(found["pid"])) is not None:
            continue
        with contextlib.suppress(OSError):  # gone by now, or not ours to remove: it does no harm, and others may be
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def noted_as_held(path: Path) -> Iterator[None]:
    """Notes, for as long as the block lasts, that the empty file at ``path`` is this process's."""
    place = home() / _NOTES / f"{secrets.token_hex(8)}.json"
    told = {"path": os.fsencode(absolute(path)).hex(), "file": _identity(path), "process": this_process()}
    with contextlib.suppress(OSError):  # a disk that is only read: then nobody clears up after this process
        make_folders(place.parent)
        place.write_text(json.dumps(told), encoding="utf-8")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # a disk that is only read by now: the next command clears the note
            place.unlink(missing_ok=True)


def clear_held() -> None:
    """Removes the empty files that held a name for a process which was killed.

    A file goes only if it is the very one that was noted, and still empty; of several that clear up at once, the one that gets
    to remove the note removes the file.
    """
    for note in (home() / _NOTES).glob("*.json"):
        try:
            told = json.loads(note.read_bytes())
            path, file, is_alive = Path(os.fsdecode(bytes.fromhex(told["path"]))), told["file"], lives(told["process"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # being written, or removed, at this moment
            continue
        if is_alive is not False:
            continue
        with contextlib.suppress(OSError):  # another process was quicker, or the disk is only read
            note.unlink()
            clear_parts(path.parent)
            if file is not None and _identity(path) == file:
                path.unlink()


def _identity(path: Path) -> list[int] | None:
    """What tells an empty file from all others, also from a later one of its name; None if there is no empty file."""
    try:
        state = path.lstat()
    except OSError:
        return None
    return None if state.st_size else [state.st_dev, state.st_ino, state.st_mtime_ns]


def _host() -> str:
    return sha256(host().encode(errors="surrogateescape")).hexdigest()[:8]
