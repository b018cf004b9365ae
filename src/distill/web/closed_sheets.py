"""Closed sheets: for thirty days they can be reopened, with their whole history; then they are deleted.

A clock that is ahead for a while takes none of these days away: what seems over for the first time stays for as long again.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from distill.errors import LibraryError, OutputError
from distill.files.atomic import sync_folder
from distill.web import places, sheet_files, sheets
from distill.web.sheet_files import About, Sheet

CLOSED_DAYS = 30
"""So long a closed sheet can be opened again."""
_GONE = ".gone"
_SPARED = "spared"
"""The file in a closed sheet whose days seemed over once."""


@dataclass(frozen=True)
class Closed:
    """A sheet that was closed."""

    about: About
    until: datetime
    """Until when it can be opened again."""


def closed() -> list[Closed]:
    """Those that were closed, the last one first. What was closed too long ago is deleted here."""
    return sorted(_all()[0], key=lambda one: one.until, reverse=True)


def damaged() -> list[LibraryError]:
    """What to say of closed ones that cannot be read; they are never deleted."""
    return _all()[1]


def _all() -> tuple[list[Closed], list[LibraryError]]:
    return places.readable(_read, sheet_files.folder().glob(f"*{_GONE}"))


def _read(folder: Path) -> Closed | None:
    """The closed sheet in a folder; None where it is there no more, be it that its days are over.

    Raises:
        LibraryError: if it cannot be read.
    """
    try:
        about, since = sheet_files.about_of(folder / "sheet.json"), folder.stat().st_mtime
    except FileNotFoundError:  # opened again at this moment
        return None
    now, days = datetime.now(UTC), timedelta(days=CLOSED_DAYS)
    until = datetime.fromtimestamp(since, UTC) + days
    if until <= now and (folder / _SPARED).exists():
        shutil.rmtree(folder, ignore_errors=True)  # what a system refuses to delete stays on the list
    elif until <= now:
        until = now + days
        # Where it cannot be written (opened again at this moment, a disk that is only read) nothing is deleted either.
        with suppress(OSError):
            (folder / _SPARED).touch()  # which dates the folder anew
    return Closed(about, until) if about is not None and folder.is_dir() else None


def close(given: str) -> None:
    """Takes a sheet off the list of those that are open; :func:`reopen` brings it back.

    Raises:
        LibraryError: if there is none, or its files are damaged.
        OutputError: if the file system refuses.
    """
    folder = sheet_files.folder() / sheets.sheet(given).about.id
    _move(folder, folder.with_name(folder.name + _GONE))


def reopen(given: str) -> Sheet:
    """Brings back a sheet that was closed.

    Raises:
        LibraryError: if there is none.
        OutputError: if the file system refuses.
    """
    folder = sheet_files.folder() / given
    gone = folder.with_name(folder.name + _GONE)
    if sheet_files.is_id(given) and gone.is_dir() and not folder.exists():
        _move(gone, folder)
    return sheets.sheet(given)


def _move(folder: Path, target: Path) -> None:
    try:
        (folder / _SPARED).unlink(missing_ok=True)
        os.utime(folder)  # from now on its days are counted; after the move a list could find it too old already
        folder.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise OutputError(f"{folder} cannot be moved ({error.strerror}).", "Close what holds it open.") from error
