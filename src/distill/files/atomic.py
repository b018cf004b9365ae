"""Files appear whole or not at all: written aside, synced, renamed."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from distill.errors import OutputError
from distill.files.home import make_folders
from distill.files.leftovers import clear_parts, part_beside
from distill.files.regular import absolute, is_file, is_folder, is_link

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space or choose another folder."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space or choose another folder."),
    errno.EROFS: ("the disk is read-only", "Choose a folder that can be written to."),
    errno.EACCES: ("writing is not allowed there", "Choose a folder that can be written to."),
    errno.EPERM: ("writing is not allowed there", "Choose a folder that can be written to."),
    errno.ENOENT: ("its folder is not there any more", "Bring the folder back, or choose another one."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Choose another folder."),
    errno.EEXIST: ("a file is where a folder is needed", "Choose another folder."),
    errno.EISDIR: ("a folder of that name is in the way", "Choose another name."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name."),
}

_WITHOUT_MODES = frozenset({errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a disk says that keeps no modes, as those of cameras and some in networks."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Error numbers that can only have come from writing, wherever they surface."""


def output_error(path: Path, error: OSError) -> OutputError:
    """An operating system's refusal to write, as an error with words."""
    reason, fix = _REASONS.get(error.errno or 0, (_own_words(error), "Choose another folder."))
    return OutputError(f"{path} cannot be written: {reason}.", fix)


@contextmanager
def written_aside(path: Path, like: Path | None = None) -> Iterator[Path]:
    """Gives a temporary path beside ``path``; when the block ends well its content becomes ``path``.

    Missing parent folders are made. A file that is replaced keeps its mode, and a link its place: what it leads to is written.
    Until the new one has that mode only its owner can read it. When anything fails the temporary file is removed and ``path``
    stays as it was.

    Args:
        like: a file whose mode it gets instead, as that of which it is a copy.

    Raises:
        OutputError: if the file system refuses, or a file to read from is missing.
    """
    place = absolute(path) if is_link(path) else path
    temporary = part_beside(place, path.suffix)
    # Windows has no modes but that a file is only read, and a copy of one need not be.
    kept = place if like is None or os.name == "nt" else like
    new_folders = [folder for folder in place.parents if not is_folder(folder)]
    try:
        make_folders(place.parent)
        if is_file(kept):
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        _keep_mode(kept, temporary)
        temporary.replace(place)
        for folder in (place.parent, *(folder.parent for folder in new_folders)):
            sync_folder(folder)
    except FileNotFoundError as error:
        missing = None if error.filename is None else Path(os.fsdecode(error.filename))
        if missing is None or missing == temporary or missing in (path, place, *place.parents):
            raise output_error(path, error) from error
        raise OutputError(
            f"{missing} is not there, or not any more, so {path} was not written.",
            f"Check that {missing.name} is still there, under that name.",
        ) from error
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        discard(temporary)


def write_json(path: Path, told: object) -> None:
    """Writes what JSON can hold to ``path``, whole or not at all.

    Raises:
        OutputError: if the file system refuses.
    """
    with written_aside(path) as aside:
        aside.write_text(json.dumps(told), encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Adds a line to a file, on a line of its own even where a crash cut the last one short.

    Raises:
        OSError: if the file system refuses.
    """
    with path.open("ab+") as file:
        file.seek(max(file.tell() - 1, 0))
        if file.read(1) not in (b"", b"\n"):
            file.write(b"\n")
        file.write(f"{line}\n".encode())


def mark(place: Path, *, is_set: bool) -> None:
    """Sets a mark, an empty file that says yes by being there, or takes it away.

    Raises:
        OutputError: if the file system refuses.
    """
    try:
        if is_set:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        else:
            place.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(place, error) from error


def discard(path: Path) -> None:
    """Removes what a write that failed may have left, as far as the disk lets it: why it does not would take the place of the
    error that says why nothing was written."""
    with suppress(OSError):
        try:
            path.unlink(missing_ok=True)
        except PermissionError:  # Windows removes nothing that is only read
            path.chmod(0o600)
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes a new name in the folder outlast a power cut, where the system can (Windows and some network disks cannot)."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:  # EACCES: a folder that may be written to and not be read
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise


def _keep_mode(kept: Path, temporary: Path) -> None:
    """Gives the new file the mode of one that is there, such as that which it replaces, where the disk has modes."""
    try:
        shutil.copymode(kept, temporary)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in _WITHOUT_MODES:
            raise


def ensure_writable(folder: Path) -> None:
    """Proves, before any work is spent, that a file can be written to the folder, and leaves no trace of the trial.

    What a process that was killed had begun to write there goes at the same time.

    Raises:
        OutputError: if it cannot.
    """
    trial = part_beside(folder / "trial")
    made: list[Path] = []
    try:
        for missing in reversed([one for one in (folder, *folder.parents) if not is_folder(one)]):
            make_folders(missing)
            made.append(missing)
        try:
            trial.write_bytes(bytes(4096))
            trial.unlink()
        finally:
            discard(trial)
        clear_parts(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        for one in reversed(made):
            with suppress(OSError):  # another process has begun to use it
                one.rmdir()


def make_folder(folder: Path) -> Path:
    """Makes the folder if it does not exist.

    Raises:
        OutputError: if the file system refuses.
    """
    try:
        make_folders(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    return folder


def _own_words(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).rstrip(".").lower()
