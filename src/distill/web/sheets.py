"""Sheets: sounds that are open as codes, and what may be done to them. They are kept on disk (``sheet_files.py``).

What is in memory is only a copy of the files, and is read again when they have changed.
"""

import dataclasses
import itertools
import re
import secrets
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from distill.codes.history import History, Step, step_between
from distill.durations import duration
from distill.errors import LibraryError, SettingError
from distill.files.regular import is_file
from distill.web import places, sheet_files
from distill.web.sheet_files import About, Sheet, Way

LONGEST_COLUMNS = 60_000
"""Of one sheet: some 21 minutes."""
_KEPT = 8
_LONGEST_NAME = 120
_NUMBER = re.compile(r" \(\d+\)$")

_cache: dict[Path, tuple[tuple[int, ...], Sheet]] = {}
turn = threading.RLock()
"""One change at a time; whoever makes two that belong together holds it over both."""


def sheets() -> list[About]:
    """All that are open and can be read (:func:`damaged`), the newest first."""
    return sorted(_all()[0], key=lambda about: (about.made, about.id), reverse=True)


def damaged() -> list[LibraryError]:
    """What to say of open sheets whose files cannot be read; they are kept as they are."""
    return _all()[1]


def sheet(given: str, version: int | None = None) -> Sheet:
    """One of them as it is now.

    Args:
        version: of the copy that whoever asks has; None where they take it as it is.

    Raises:
        LibraryError: if there is none, or its files are damaged.
        SettingError: if it was changed since that version, in another tab.
    """
    own = sheet_files.folder() / given
    if not sheet_files.is_open(given):
        raise LibraryError("This sound is not open any more.", "Open it again in Codes.")
    with turn:
        is_known = own in _cache and _cache[own][0] == sheet_files.marks(own)
        one = _cache[own][1] if is_known else _remember(own, sheet_files.read(own))
    if version not in (None, one.version):
        raise SettingError("This sound was just changed in another tab.", "Look at it as it is now, and choose again.")
    return one


def untouched(name: str, codec: str, codes: np.ndarray) -> Sheet | None:
    """An open sheet of that name with these codes ``[S, Q]``, to which nothing was done yet."""
    same = [one for one in sheets() if one.codec == codec and name in (one.name, _NUMBER.sub("", one.name))]
    found = (sheet(about.id) for about in same)
    return next((one for one in found if not one.version and np.array_equal(one.original, codes)), None)


def _free_name(name: str) -> str:
    """So called, or with a number where another that is open has this name."""
    taken = {about.name for about in sheets()}
    numbered = (f"{name} ({number})" for number in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)


def open_sheet(
    name: str, model: Path, origin: str, about_model: dict[str, Any], codes: np.ndarray, samples: int
) -> Sheet:
    """A new sheet of codes ``[S, Q]``.

    Raises:
        SettingError: if they are too long.
        OutputError: if it cannot be written.
    """
    if len(codes) > LONGEST_COLUMNS:
        seconds = LONGEST_COLUMNS * about_model["hop"] / about_model["sample_rate"]
        raise SettingError(
            f"{name} is longer than the {duration(seconds)} that can be edited at once.",
            "Cut a part out of it first.",
        )
    about = About(
        id=secrets.token_hex(6),
        name=_free_name(name[:_LONGEST_NAME]),
        model=str(model),
        origin=origin,
        codec=about_model["codec"],
        sample_rate=about_model["sample_rate"],
        hop=about_model["hop"],
        levels=about_model["levels"],
        entries=about_model["entries"],
        samples=samples,
        made=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
    sheet_files.write(about, codes)
    return sheet(about.id)


def rename(one: Sheet, name: str) -> Sheet:
    """The sheet under another name.

    Raises:
        SettingError: if it is empty.
    """
    if not name.strip() or not name.isprintable():
        raise SettingError("A sound needs a name.", "Give it one of letters, digits and spaces.")
    sheet_files.write(dataclasses.replace(one.about, name=name.strip()[:_LONGEST_NAME]), one.original)
    return sheet(one.about.id)


def do(
    words: str, codes: np.ndarray, locked: np.ndarray, *, based_on: Sheet, pair: str = "", other: str = ""
) -> tuple[Sheet, Step]:
    """Takes one step: what the sheet was based on becomes codes ``[S, Q]`` with locks ``[S, Q]``.

    Args:
        pair: the same for two steps, in this sheet and in the ``other``, that are undone together.

    Raises:
        SettingError: if the sheet was changed meanwhile, in another tab, or would be too long.
    """
    with turn:
        now = sheet(based_on.about.id, based_on.version)
        check_room(len(codes))
        grid = np.concatenate([codes, locked.astype(np.int64)], axis=1)
        step = step_between(words, now.history.grid, grid)
        step = dataclasses.replace(step, pair=f"{pair}:{other}" if pair else "")
        sheet_files.append_step(now.about.id, step)
        return _changed(now, now.history.do(step)), step


def check_room(columns: int) -> None:
    """Refuses a sound that would get longer than can be edited at once.

    Raises:
        SettingError: if it would.
    """
    if columns > LONGEST_COLUMNS:
        raise SettingError("The sound would get too long.", f"Keep it below {LONGEST_COLUMNS} columns.")


def back_or_forth(given: str, way: Way, version: int | None = None) -> list[tuple[Sheet, Step]]:
    """One step back or forth again, and that step; in two sheets where they were swapped; nothing where there is no step.

    Args:
        version: as for :func:`sheet`.

    Raises:
        SettingError: if the sheet was changed since that version, in another tab.
    """
    with turn:
        now = sheet(given, version)
        steps = now.history.past if way == "undo" else now.history.future
        if not steps:
            return []
        moved = [_moved_one(now, way)]
        pair, _, other = steps[-1].pair.partition(":")
        # The other sheet may be closed, or have gone on by itself since.
        if other and sheet_files.is_open(other):
            there = sheet(other)
            theirs = there.history.past if way == "undo" else there.history.future
            if theirs and theirs[-1].pair.partition(":")[0] == pair:
                moved.append(_moved_one(there, way))
        return moved


def _moved_one(now: Sheet, way: Way) -> tuple[Sheet, Step]:
    sheet_files.append_move(now.about.id, way)
    if way == "redo":
        return _changed(now, now.history.redo()), now.history.future[-1]
    step = now.history.past[-1]
    return _changed(now, now.history.undo()), dataclasses.replace(step, before=step.after, after=step.before)


def model_of(one: About) -> Path:
    """The model file of a sheet, wherever it is now.

    Raises:
        LibraryError: if it is gone.
    """
    opened_with = Path(one.model)
    alike = [entry.path for entry in places.library().models() if entry.is_there and entry.origin == one.origin]
    if opened_with in alike or (not alike and is_file(opened_with)):  # whoever opens it sees whether it is another one
        return opened_with
    if alike:
        return alike[0]
    raise LibraryError(
        f"The model that made the codes of '{one.name}' is not where it was.", "Put it back, or import it in Library."
    )


def _remember(folder: Path, one: Sheet) -> Sheet:
    _cache.pop(folder, None)
    _cache[folder] = (sheet_files.marks(folder), one)
    while len(_cache) > _KEPT:
        _cache.pop(next(iter(_cache)))
    return one


def _changed(one: Sheet, history: History) -> Sheet:
    changed = dataclasses.replace(one, history=history, version=one.version + 1)
    return _remember(sheet_files.folder() / one.about.id, changed)


def _all() -> tuple[list[About], list[LibraryError]]:
    """Open sheets, and what to say of those that cannot be read."""
    paths = sorted(sheet_files.folder().glob("*/sheet.json"))
    return places.readable(sheet_files.about_of, [path for path in paths if sheet_files.is_id(path.parent.name)])
