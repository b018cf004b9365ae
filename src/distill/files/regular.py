"""Opening a file that somebody else made: only a regular file, and without ever waiting for it; and where a path leads."""

import errno
import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from distill.errors import SettingError

_LONGEST_LINE = 4096
_TEXT = "Give a text file (UTF-8) that you can read."


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


def first_line(path: Path, called: str) -> str:
    """The first line of a small text file that holds a secret; a pipe will do.

    Args:
        called: what is in it, for an error.

    Raises:
        FileNotFoundError: if it is not there.
        SettingError: if it cannot be read, or holds something else than text.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(_LONGEST_LINE)  # a device might go on for ever
    except FileNotFoundError:
        raise
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SettingError(f"The {called} in {path} cannot be read: {why}.", _TEXT) from error
    text = line.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    if not text.isprintable() or "\N{REPLACEMENT CHARACTER}" in text:
        raise SettingError(f"The {called} in {path} cannot be read: it is not text.", _TEXT)
    return text


def absolute(path: Path) -> Path:
    """Where a path leads, from the root on and without links; one that leads back to itself stays as it is.

    ``Path.resolve`` raises a RuntimeError there (Python 3.11 and 3.12), wherever a person names such a link.
    """
    return Path(os.path.realpath(path))


def is_folder(path: Path) -> bool:
    """Whether there is a folder, as far as can be told.

    ``Path.is_dir`` raises an OSError until Python 3.14 where a disk is not connected any more, or a folder above may not be
    entered.
    """
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """The same of a regular file."""
    return os.path.isfile(path)  # noqa: PTH113


def is_there(path: Path) -> bool:
    """The same of anything."""
    return os.path.exists(path)  # noqa: PTH110


def is_link(path: Path) -> bool:
    """The same of a link, wherever it leads."""
    return os.path.islink(path)  # noqa: PTH114


def digest_of_place(path: Path) -> str:
    """SHA-256 (hex) of where a path leads; its names need not be text."""
    return sha256(os.fsencode(absolute(path))).hexdigest()


def broken_link(path: Path) -> tuple[str, str] | None:
    """What a link is that leads to nothing, and what to do; None for whatever else there is, or is not."""
    if not is_link(path):
        return None
    try:
        path.stat()
    except FileNotFoundError:
        leads = f"{path} is a link to {path.readlink()}, which is not there."
        return leads, "Put what it leads to back to where it was, or delete the link."
    except OSError as error:
        if error.errno == errno.ELOOP:
            return f"{path} is a link that leads back to itself.", "Delete the link."
    return None


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def native(path: Path) -> str | bytes:
    """A path as libsndfile's Python library takes it: as text it refuses a name that is no UTF-8, or not of the locale."""
    return str(path) if os.name == "nt" else os.fsencode(path)
