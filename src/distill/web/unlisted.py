"""Runs that were taken off the page's list. All they wrote stays, and one that is written to again is listed again."""

from pathlib import Path

from distill.errors import OutputError
from distill.files.atomic import mark
from distill.files.home import home
from distill.files.names import last_written


def unlist(run: Path, *, is_running: bool) -> None:
    """Takes a run off the list.

    Raises:
        OutputError: if it is at work, or the file system refuses.
    """
    if is_running:
        raise OutputError("This run is at work.", "Stop it first.")
    mark(_note(run), is_set=True)


def relist(run: Path) -> None:
    """Puts it back.

    Raises:
        OutputError: if the file system refuses.
    """
    mark(_note(run), is_set=False)


def is_unlisted(run: Path) -> bool:
    """Whether it was taken off the list, and has not gone on since."""
    try:
        return _note(run).stat().st_mtime >= last_written(run)
    except FileNotFoundError:
        return False


def _note(run: Path) -> Path:
    return home() / "unlisted" / run.name
