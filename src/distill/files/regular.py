"""Opening a file that somebody else made: only a regular file, and without ever waiting for it; and where a path leads."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Opens a file to read its bytes; a named pipe, a device or a folder is refused at once.

    Raises:
        OSError: if it is none, or cannot be opened.
    """
    # Opening a pipe that nobody writes to would wait for ever.
    try:
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - handed out
    except IsADirectoryError as error:
        raise OSError(errno.EISDIR, "it is a folder", str(path)) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return file


def absolute(path: Path) -> Path:
    """Where a path leads, from the root on and without links; one that leads back to itself stays as it is.

    ``Path.resolve`` raises a RuntimeError there (Python 3.11 and 3.12), wherever a person names such a link.
    """
    return Path(os.path.realpath(path))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
