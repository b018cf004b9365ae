"""Files appear whole or not at all: written aside, synced, renamed."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.errors import OutputError

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some room or choose another folder."),
    errno.EDQUOT: ("the disk quota is used up", "Free some room or choose another folder."),
    errno.EROFS: ("the disk is read-only", "Choose a folder that can be written to."),
    errno.EACCES: ("writing is not allowed there", "Choose a folder that can be written to."),
    errno.EPERM: ("writing is not allowed there", "Choose a folder that can be written to."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Choose another folder."),
    errno.EEXIST: ("a file of that name stands where a folder is needed", "Choose another folder."),
    errno.EISDIR: ("a folder of that name is in the way", "Choose another name."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name."),
}


def output_error(path: Path, error: OSError) -> OutputError:
    """An operating system's refusal to write, in words."""
    reason, fix = _REASONS.get(error.errno or 0, (error.strerror or str(error), "Choose another folder."))
    return OutputError(f"{path} cannot be written: {reason}.", fix)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path``; when the block ends well its content becomes ``path``.

    Missing parent folders are made. When anything fails the temporary file is removed and ``path`` stays as it was.

    Raises:
        OutputError: if the file system refuses.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def ensure_writable(folder: Path) -> None:
    """Makes the folder and proves, before any work is spent, that a file can be written there.

    Raises:
        OutputError: if it cannot.
    """
    probe = folder / f".distill-{secrets.token_hex(4)}"
    with written_aside(probe) as temporary:
        temporary.write_bytes(b"can be written")
    probe.unlink()
