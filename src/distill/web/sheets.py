"""Sheets: sounds that are open as codes, with everything that was done to them, kept on disk.

    sheets/ID/sheet.json     what it is of, and the codes it began with
    sheets/ID/steps.jsonl    one line for every step, undo and redo; a half-written last line is left out
    sheets/ID.gone/          one that was closed (closed_sheets.py)

A row of the history's grid is ``[codes of the Q levels, locks of the Q levels]``, so that a lock is a step like any other and
moves with its column. What is in memory is only a copy of the files, and is read again when they have changed.
"""

import base64
import dataclasses
import itertools
import json
import re
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from distill.codes.history import History, Step, step_between
from distill.durations import duration
from distill.errors import LibraryError, SettingError
from distill.files.atomic import output_error, written_aside
from distill.files.home import home
from distill.web import places

LONGEST_COLUMNS = 60_000
"""Of one sheet: some 21 minutes."""
_KEPT = 8
_LONGEST_NAME = 120
_NUMBER = re.compile(r" \(\d+\)$")


@dataclass(frozen=True)
class About:
    """What a sheet is of; nothing of it but the name ever changes."""

    id: str
    name: str
    model: str
    """Path of the model file it was opened with."""
    origin: str
    """By which the library finds the model elsewhere."""
    codec: str
    """Fingerprint of encoder and codebooks."""
    sample_rate: int
    hop: int
    levels: int
    entries: int
    """Of each codebook."""
    samples: int
    """Of the sound it was opened from."""
    made: str
    """When it was opened: ISO 8601, UTC."""


@dataclass(frozen=True)
class Sheet:
    """A sound as codes, and what was done to it."""

    about: About
    original: np.ndarray
    """The codes it began with: ``[S, Q]`` int64."""
    history: History
    """Of rows ``[S, 2·Q]``: codes and locks."""
    version: int = 0
    """How many steps, undos and redos there were: whoever has a copy knows by it whether it is still the same."""

    @property
    def codes(self) -> np.ndarray:
        """``[S, Q]`` int64"""
        return self.history.grid[:, : self.about.levels]

    @property
    def locked(self) -> np.ndarray:
        """bool ``[S, Q]``"""
        locks: np.ndarray = self.history.grid[:, self.about.levels :] == 1
        return locks

    @property
    def samples(self) -> int:
        """Of its sound as it is now; a column more or less is a hop more or less."""
        return self.about.samples + (len(self.codes) - len(self.original)) * self.about.hop


_cache: dict[Path, tuple[tuple[int, ...], Sheet]] = {}
turn = threading.RLock()
"""One change at a time; whoever makes two that belong together holds it over both."""


def sheets() -> list[About]:
    """All that are open and can be read (:func:`damaged`), the newest first."""
    return sorted(_all()[0], key=lambda about: (about.made, about.id), reverse=True)


def damaged() -> list[LibraryError]:
    """What to say of open sheets whose files cannot be read; they are kept as they are."""
    return _all()[1]


def sheet(given: str) -> Sheet:
    """One of them as it is now.

    Raises:
        LibraryError: if there is none, or its files are damaged.
    """
    own = folder() / given
    if not _is_open(given):
        raise LibraryError("This sound is not open any more.", "Open it again in Codes.")
    with turn:
        if own in _cache and _cache[own][0] == _marks(own):
            return _cache[own][1]
        return _remember(own, _read(own))


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
    _write(about, codes)
    return sheet(about.id)


def rename(one: Sheet, name: str) -> Sheet:
    """The sheet under another name.

    Raises:
        SettingError: if it is empty.
    """
    if not name.strip() or not name.isprintable():
        raise SettingError("A sound needs a name.", "Give it one of letters, digits and spaces.")
    _write(dataclasses.replace(one.about, name=name.strip()[:_LONGEST_NAME]), one.original)
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
        now = check_unchanged(based_on)
        check_room(len(codes))
        grid = np.concatenate([codes, locked.astype(np.int64)], axis=1)
        step = step_between(words, now.history.grid, grid)
        step = dataclasses.replace(step, pair=f"{pair}:{other}" if pair else "")
        told = {"do": words, "first": step.first, "before": _text(step.before), "after": _text(step.after)}
        _append(now.about.id, told | ({"pair": step.pair} if pair else {}))
        return _changed(now, now.history.do(step)), step


def check_unchanged(known: Sheet) -> Sheet:
    """The sheet as it is now, if nothing was done to it since it was read.

    Raises:
        SettingError: if it was changed meanwhile, in another tab.
    """
    now = sheet(known.about.id)
    if now.version != known.version:
        raise SettingError("This sound was just changed in another tab.", "Look at it there, or reload this page.")
    return now


def check_room(columns: int) -> None:
    """Refuses a sound that would get longer than can be edited at once.

    Raises:
        SettingError: if it would.
    """
    if columns > LONGEST_COLUMNS:
        raise SettingError("The sound would get too long.", f"Keep it below {LONGEST_COLUMNS} columns.")


def undo(given: str) -> list[tuple[Sheet, Step]]:
    """One step back, and that step; in two sheets where they were swapped; nothing where there is no step."""
    return _back_or_forth(given, "undo")


def redo(given: str) -> list[tuple[Sheet, Step]]:
    """One step forth again, as :func:`undo`."""
    return _back_or_forth(given, "redo")


def _back_or_forth(given: str, way: Literal["undo", "redo"]) -> list[tuple[Sheet, Step]]:
    with turn:
        now = sheet(given)
        steps = now.history.past if way == "undo" else now.history.future
        if not steps:
            return []
        moved = [_moved_one(now, way)]
        pair, _, other = steps[-1].pair.partition(":")
        # The other sheet may be closed, or have gone on by itself since.
        if other and _is_open(other):
            there = sheet(other)
            theirs = there.history.past if way == "undo" else there.history.future
            if theirs and theirs[-1].pair.partition(":")[0] == pair:
                moved.append(_moved_one(there, way))
        return moved


def _moved_one(now: Sheet, way: Literal["undo", "redo"]) -> tuple[Sheet, Step]:
    _append(now.about.id, {way: True})
    if way == "redo":
        return _changed(now, now.history.redo()), now.history.future[-1]
    step = now.history.past[-1]
    return _changed(now, now.history.undo()), dataclasses.replace(step, before=step.after, after=step.before)


def model_of(one: About) -> Path:
    """The model file of a sheet, wherever it is now.

    Raises:
        LibraryError: if it is gone.
    """
    if Path(one.model).is_file():
        return Path(one.model)
    for entry in places.library().models():
        if entry.is_there and entry.origin == one.origin:
            return entry.path
    raise LibraryError(
        f"The model that made the codes of '{one.name}' is not where it was.", "Put it back, or import it in Library."
    )


def in_bytes(grid: np.ndarray) -> bytes:
    """Codes as the worker and the page take them: int16, little-endian, row by row."""
    return grid.astype("<i2").tobytes()


def from_bytes(body: bytes, width: int) -> np.ndarray:
    """The inverse of :func:`in_bytes`: int64 ``[n, width]``."""
    return np.frombuffer(body, "<i2").astype(np.int64).reshape(-1, width)


def folder() -> Path:
    """Where all sheets are."""
    return home() / "sheets"


def _is_open(given: str) -> bool:
    return is_id(given) and (folder() / given / "sheet.json").is_file()


def is_id(text: str) -> bool:
    """Whether this can be the id of a sheet."""
    return re.fullmatch(r"[0-9a-f]{12}", text) is not None


def _marks(folder: Path) -> tuple[int, ...]:
    """Change whenever the files of a sheet do."""
    marks: list[int] = []
    for path in (folder / "sheet.json", folder / "steps.jsonl"):
        status = path.stat() if path.exists() else None
        marks += (0, 0) if status is None else (status.st_size, status.st_mtime_ns)
    return tuple(marks)


def _remember(folder: Path, one: Sheet) -> Sheet:
    _cache.pop(folder, None)
    _cache[folder] = (_marks(folder), one)
    while len(_cache) > _KEPT:
        _cache.pop(next(iter(_cache)))
    return one


def _changed(one: Sheet, history: History) -> Sheet:
    changed = dataclasses.replace(one, history=history, version=one.version + 1)
    return _remember(folder() / one.about.id, changed)


def _text(grid: np.ndarray) -> str:
    return base64.b64encode(in_bytes(grid)).decode()


def _rows(text: str, width: int) -> np.ndarray:
    return from_bytes(base64.b64decode(text), width)


def _write(about: About, codes: np.ndarray) -> None:
    with written_aside(folder() / about.id / "sheet.json") as aside:
        aside.write_text(json.dumps({"about": dataclasses.asdict(about), "codes": _text(codes)}), encoding="utf-8")


def _append(given: str, line: dict[str, Any]) -> None:
    path = folder() / given / "steps.jsonl"
    try:
        with path.open("ab+") as file:
            file.seek(max(file.tell() - 1, 0))
            if file.read(1) not in (b"", b"\n"):  # a crash cut the last line short
                file.write(b"\n")
            file.write(json.dumps(line).encode() + b"\n")
    except OSError as error:
        raise output_error(path, error) from error


def _all() -> tuple[list[About], list[LibraryError]]:
    """Open sheets, and what to say of those that cannot be read."""
    found, wrong = [], []
    for path in sorted(folder().glob("*/sheet.json")):
        if is_id(path.parent.name):
            try:
                about = about_of(path)
            except LibraryError as error:
                wrong.append(error)
            else:
                found += [] if about is None else [about]
    return found, wrong


def about_of(path: Path) -> About | None:
    """What a sheet is of; None where it is not there (any more).

    Raises:
        LibraryError: if it cannot be read.
    """
    try:
        return About(**json.loads(path.read_bytes())["about"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error


def _damaged(file: Path) -> LibraryError:
    return LibraryError(
        f"A sound that was open in Codes cannot be read: {file} is damaged.",
        f"Open that sound again. The file is kept; delete {file.parent} when you do not need it.",
    )


def _read(folder: Path) -> Sheet:
    try:
        told = json.loads((folder / "sheet.json").read_bytes())
        about = About(**told["about"])
        original = _rows(told["codes"], about.levels)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder / "sheet.json") from error
    history = History(np.concatenate([original, np.zeros_like(original)], axis=1))
    steps, version = folder / "steps.jsonl", 0
    for line in steps.read_bytes().splitlines() if steps.is_file() else []:
        try:
            read = json.loads(line)
        except ValueError:  # a crash cut it short; what comes after it was made without it
            continue
        version += 1
        try:
            history = _stepped(history, read, about.levels)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise _damaged(steps) from error
    return Sheet(about, original, history, version)


def _stepped(history: History, read: dict[str, Any], levels: int) -> History:
    """The history after one line of ``steps.jsonl``."""
    if "undo" in read:
        return history.undo()
    if "redo" in read:
        return history.redo()
    before, after = (_rows(read[name], 2 * levels) for name in ("before", "after"))
    return history.do(Step(read["do"], read["first"], before, after, read.get("pair", "")))
