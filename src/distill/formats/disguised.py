"""Files named like sound that are something else: an archive, a web page saved in place of a download, zeros."""

from pathlib import Path

from distill.files.regular import open_regular

_ARCHIVES = (
    (b"PK\x03\x04", ".zip"),
    (b"PK\x05\x06", ".zip"),
    (b"Rar!\x1a\x07", ".rar"),
    (b"7z\xbc\xaf\x27\x1c", ".7z"),
    (b"\x1f\x8b\x08", ".gz"),
    (b"\xfd7zXZ\x00", ".xz"),
)
_PAGES = (b"<!doctype html", b"<html")


def archive_suffix(path: Path) -> str | None:
    """How an archive should be called by its content; None for any other file.

    Raises:
        OSError: if it cannot be read.
    """
    head = _head(path)
    return next((suffix for opening, suffix in _ARCHIVES if head.startswith(opening)), None)


def is_web_page(path: Path) -> bool:
    """Whether it is a page of the web, as is kept where a download needs a login.

    Raises:
        OSError: if it cannot be read.
    """
    return _head(path).removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGES)


def is_blank(path: Path) -> bool:
    """Whether there are only zeros where a header should be, as in copies from broken cards and unfinished downloads.

    Raises:
        OSError: if it cannot be read.
    """
    return not any(_head(path))


def _head(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read(512)
