"""Where Distill keeps what is not the person's own output: decoded audio, runs, locks."""

import os
from pathlib import Path

import platformdirs

from distill.errors import SettingError
from distill.files.regular import absolute

PROGRESS = "DISTILL_PROGRESS"
"""In the environment of a command: a file in which another program, such as the dashboard, wants to read how far it is."""
_HERE = f"$DISTILL_HOME{os.sep}"
"""How a path begins in a note, where it lies in Distill's own folder."""


def expanded(path: Path) -> Path:
    """The path with a ``~`` or ``~user`` at its beginning written out.

    Raises:
        SettingError: if there is no such user.
    """
    try:
        return path.expanduser()
    except (RuntimeError, ValueError) as error:  # the latter where a name holds a NUL
        user, rest = path.parts[0][1:], str(path)[1:]
        raise SettingError(f"There is no user '{user}'.", f"Write ~/{rest} for what is in your own folder.") from error


def home() -> Path:
    """The data folder, from the root on: ``DISTILL_HOME`` if set, else the platform's place for user data.

    Raises:
        SettingError: if it is set to the folder of a user that there is not.
    """
    chosen = os.environ.get("DISTILL_HOME")
    place = expanded(Path(chosen)) if chosen else Path(platformdirs.user_data_dir("distill", appauthor=False))
    return place.absolute()


def as_noted(path: str) -> str:
    """A path as it stands in notes: in Distill's own folder it begins there, as that folder may be moved."""
    for own in (home(), absolute(home())):
        if path.startswith(f"{own}{os.sep}"):
            return _HERE + path.removeprefix(f"{own}{os.sep}")
    return path


def as_found(noted: str, own: Path | None = None) -> str:
    """Where a path leads that was noted with :func:`as_noted`, by where Distill's own folder is now, without links.

    Args:
        own: that folder, without links, where thousands of notes are read; looked up if not given.
    """
    return f"{own or absolute(home())}{os.sep}{noted.removeprefix(_HERE)}" if noted.startswith(_HERE) else noted


def on_another_disk() -> str:
    """What to do where the disk of Distill's own folder will not do: a new folder would have no models and no runs."""
    return f"move Distill's folder {home()} to another disk, and set DISTILL_HOME to where it is then."


def make_folders(folder: Path) -> None:
    """Makes a folder and those above it, where they are not there; Distill's own for its owner alone, as the sound of private
    recordings lies in it.

    Raises:
        OSError: if the file system refuses.
        SettingError: as :func:`home`.
    """
    if folder.is_relative_to(own := home()):
        own.mkdir(0o700, parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
