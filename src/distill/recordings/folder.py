"""All files below a folder that look like sound, by name or by content, and what could not be read."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from distill.counted import counted
from distill.errors import CorpusError
from distill.files.names import advice_on_missing, readable
from distill.files.regular import absolute, broken_link, is_folder
from distill.formats.containers import kind_of
from distill.formats.suffixes import AUDIO_SUFFIXES, FILM_SUFFIXES, MORE_SUFFIXES, PACKED_SUFFIXES
from distill.formats.unusable import UNPACK
from distill.recordings.verdicts import FileReport, FileVerdict

_PLACEHOLDER = ".icloud"
_OF_PROGRAMS = (
    ".git", ".hg", ".svn", ".venv", ".cache", ".tox", ".thumbnails", ".dropbox", ".stversions", ".sync", ".Trash",
    ".Spotlight-", ".fseventsd", ".TemporaryItems", ".DocumentRevisions-", ".AppleDouble", ".MobileBackups",
)  # fmt: skip
"""How hidden folders begin that are no person's: deleted, kept or found again by a program."""
_MOST_HIDDEN = 10_000
"""So many files and folders are looked at in a hidden one: it may be a whole system."""


def listed(folder: Path) -> tuple[list[Path], list[FileReport]]:
    """What looks like sound in it, and what could not be looked at; a CorpusError where there is neither."""
    check_folder(folder)
    paths, ignored, reports = audio_files(folder)
    if not paths and not reports:
        others = counted(ignored, "other file is", "other files are")
        nothing = "holds nothing but hidden files and empty folders" if any(folder.iterdir()) else "is empty"
        what = f"{folder} holds no audio; {others} in it." if ignored else f"{folder} {nothing}."
        raise CorpusError(what, "Put recordings in it: WAV, AIFF, FLAC, OGG, MP3 and others.")
    return paths, reports


def check_folder(folder: Path) -> None:
    """Refuses what is no folder that can be looked into.

    Raises:
        CorpusError: with what it is.
    """
    if broken := broken_link(folder):
        raise CorpusError(*broken)
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise CorpusError(f"The folder {folder} does not exist.", advice_on_missing(folder)) from error
    except OSError as error:
        why, fix = _refusal(error)
        raise CorpusError(f"The folder {folder} {why}.", f"{fix}.") from error
    if not stat.S_ISDIR(mode):
        raise CorpusError(f"{folder} is a file; a folder of recordings is needed.", "Give the folder that it is in.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise CorpusError(f"You have no permission to read the folder {folder}.", "Change its permissions.")


def audio_files(folder: Path) -> tuple[list[Path], int, list[FileReport]]:
    """All below ``folder`` that looks like sound, by name or content, sorted; how many others; what cannot be looked at."""
    found: list[Path] = []
    ignored = 0
    reports: list[FileReport] = []
    for path in _walk(folder, reports):
        if _looks_like_sound(path):
            found.append(path)
        elif path.suffix == _PLACEHOLDER:
            name = name_below(path.with_name(path.name.removeprefix(".").removesuffix(_PLACEHOLDER)), folder)
            why = "It is in the cloud, not on this disk; only its placeholder is here."
            reports.append(_unread(name, why, "Download it, and try again."))
        elif path.suffix.lower() in PACKED_SUFFIXES:
            why = "It is an archive, and archives are not opened."
            reports.append(_unread(name_below(path, folder), why, UNPACK))
        else:
            ignored += 1
    return sorted(found, key=lambda path: name_below(path, folder)), ignored, reports


def _unread(name: str, why: str, fix: str) -> FileReport:
    return FileReport(name, FileVerdict.UNREADABLE, why, fix)


def _looks_like_sound(path: Path) -> bool:
    if path.suffix.lower() in AUDIO_SUFFIXES | MORE_SUFFIXES | FILM_SUFFIXES:
        return True
    return is_sound(path)


def is_sound(path: Path) -> bool:
    """Whether a file holds sound, whatever it is called."""
    try:
        return bool(kind_of(path))
    except OSError:  # no regular file, or none of ours
        return False


def _walk(top: Path, reports: list[FileReport]) -> Iterator[Path]:
    """Files below ``top`` that are not hidden (macOS' ``._`` companions are); no folder is entered twice.

    Folders that cannot be read go into ``reports``.
    """
    folders = [(top, absolute(top))]
    seen = {folders[0][1]}
    while folders:
        folder, real = folders.pop()
        below = []
        for entry in _entries_of(folder, top, reports):
            if entry.name.startswith("."):
                if _is_placeholder(entry):
                    yield entry
                elif hidden := _hidden_sound(entry, top):
                    reports.append(hidden)
            elif not is_folder(entry):
                if lost := _lost(entry, top):
                    reports.append(lost)
                else:
                    yield entry
            else:
                is_link = entry.is_symlink()
                target = absolute(entry) if is_link else real / entry.name
                # A link to a folder above would bring in its whole surroundings, and this folder once more.
                if target not in seen and not (is_link and any(one.is_relative_to(target) for one in seen)):
                    seen.add(target)
                    below.append((entry, target))
        folders += reversed(below)


def _lost(entry: Path, top: Path) -> FileReport | None:
    """What is said of an entry that nobody can look at; None of a file, also of one that is not there, as reading it says."""
    try:
        entry.stat()
    except FileNotFoundError:
        if entry.suffix or not entry.is_symlink():
            return None
        words = f"It is a link to {entry.readlink()}, which is not there."  # to a folder, as far as can be told
        return _unread(name_below(entry, top), words, "Connect the disk that it is on, or delete the link.")
    except OSError as error:
        if error.errno != errno.ELOOP:
            why, fix = _refusal(error)
            return _unread(name_below(entry, top), f"It {why}.", f"{fix}, or move it away.")
    return None


def _refusal(error: OSError) -> tuple[str, str]:
    """Why something cannot be read, and what to do, as parts of sentences."""
    if isinstance(error, PermissionError):
        return "cannot be read without permission", "Change its permissions"
    return f"cannot be read ({error.strerror})", "Check the disk it is on"


def _entries_of(folder: Path, top: Path, reports: list[FileReport]) -> list[Path]:
    """What lies in a folder, in order; nothing of one that cannot be read, which goes into ``reports``.

    Raises:
        CorpusError: if it is ``top`` itself.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        why, fix = _refusal(error)
        if folder == top:
            raise CorpusError(f"The folder {folder} {why}.", f"{fix}.") from error
        words = f"This folder {why}, so nothing in it is used."
        reports.append(_unread(f"{name_below(folder, top)}/", words, f"{fix}, or move it away."))
        return []


def _is_placeholder(path: Path) -> bool:
    """Whether it stands for a sound that is in the cloud, as macOS keeps it."""
    inner = path.name.removesuffix(_PLACEHOLDER)
    return inner != path.name and Path(inner).suffix.lower() in AUDIO_SUFFIXES | MORE_SUFFIXES


def _hidden_sound(path: Path, top: Path) -> FileReport | None:
    """What is said of a hidden file or folder; None if there is no sound in it, or no person hid it."""
    name = name_below(path, top)
    if is_folder(path):
        if path.is_symlink() or path.name.startswith(_OF_PROGRAMS) or not _holds_sound(path):
            return None
        why = "This folder is hidden, so the sound in it is not used."
        return _unread(f"{name}/", why, "Give it a name without the dot at its beginning to use it.")
    if not is_sound(path):
        return None
    return _unread(name, "It is hidden, as its name begins with a dot.", "Give it a name without the dot to use it.")


def _holds_sound(folder: Path) -> bool:
    """Whether there is sound below it, among so many files and folders that it takes no time to look."""
    looked_at = 0
    for where, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(_OF_PROGRAMS)]
        looked_at += 1
        for name in names:
            looked_at += 1
            path = Path(where, name)
            if path.suffix.lower() in AUDIO_SUFFIXES | MORE_SUFFIXES and is_sound(path):
                return True
            if looked_at > _MOST_HIDDEN:
                return False
        if looked_at > _MOST_HIDDEN:
            return False
    return False


def name_below(path: Path, folder: Path) -> str:
    """The path below the folder, with slashes, as :func:`distill.files.names.readable` text."""
    return readable(path.relative_to(folder).as_posix())
