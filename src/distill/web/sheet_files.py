"""The files of sheets (``sheets.py``): what lies in them, and how it is read and written.

    sheets/ID/sheet.json     what it is of, and the codes it began with
    sheets/ID/steps.jsonl    one line for every step, undo and redo; a half-written last line is left out
    sheets/ID.gone/          one that was closed (closed_sheets.py)

A row of the history's grid is ``[codes of the Q levels, locks of the Q levels]``, so that a lock is a step like any other and
moves with its column.
"""

import base64
import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from distill.codes.edit import samples_left, samples_with
from distill.codes.history import History, Step
from distill.errors import LibraryError
from distill.files.atomic import append_line, output_error, write_json
from distill.files.home import home
from distill.web.code_bytes import from_bytes, text_of

Way: TypeAlias = Literal["undo", "redo"]


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
        """Of its sound as it is now; a column more is a hop more."""
        samples, columns, hop = self.about.samples, len(self.original), self.about.hop
        for step in self.history.past:
            gone, come = len(step.before), len(step.after)
            if not gone:
                samples = samples_with(samples, columns, step.first, come, hop)
            elif come:
                samples += (come - gone) * hop
            else:
                samples = samples_left(samples, columns, step.first, step.first + gone, hop)
            columns += come - gone
        return samples


def folder() -> Path:
    """Where all sheets are."""
    return home() / "sheets"


def is_open(given: str) -> bool:
    """Whether there is an open sheet of that id."""
    return is_id(given) and (folder() / given / "sheet.json").is_file()


def is_id(text: str) -> bool:
    """Whether this can be the id of a sheet."""
    return re.fullmatch(r"[0-9a-f]{12}", text) is not None


def marks(folder: Path) -> tuple[int, ...]:
    """Change whenever the files of a sheet do."""
    found: list[int] = []
    for path in (folder / "sheet.json", folder / "steps.jsonl"):
        status = path.stat() if path.exists() else None
        found += (0, 0) if status is None else (status.st_size, status.st_mtime_ns)
    return tuple(found)


def _rows(text: str, width: int) -> np.ndarray:
    return from_bytes(base64.b64decode(text), width)


def write(about: About, codes: np.ndarray) -> None:
    """Writes what a sheet is of, and the codes ``[S, Q]`` it began with.

    Raises:
        OutputError: if the file system refuses.
    """
    told = {"about": dataclasses.asdict(about), "codes": text_of(codes)}
    write_json(folder() / about.id / "sheet.json", told)


def append_step(given: str, step: Step) -> None:
    """Writes a step of the sheet with that id.

    Raises:
        OutputError: if the file system refuses.
    """
    told = {"do": step.words, "first": step.first, "before": text_of(step.before), "after": text_of(step.after)}
    _append(given, told | ({"pair": step.pair} if step.pair else {}))


def append_move(given: str, way: Way) -> None:
    """Writes that the sheet with that id went a step back or forth.

    Raises:
        OutputError: if the file system refuses.
    """
    _append(given, {way: True})


def _append(given: str, line: dict[str, Any]) -> None:
    path = folder() / given / "steps.jsonl"
    try:
        append_line(path, json.dumps(line))
    except OSError as error:
        raise output_error(path, error) from error


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


def read(folder: Path) -> Sheet:
    """The sheet in a folder, with all that was done to it.

    Raises:
        LibraryError: if its files are damaged.
    """
    try:
        content = json.loads((folder / "sheet.json").read_bytes())
        about = About(**content["about"])
        original = _rows(content["codes"], about.levels)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder / "sheet.json") from error
    history = History(np.concatenate([original, np.zeros_like(original)], axis=1))
    steps, version = folder / "steps.jsonl", 0
    for line in steps.read_bytes().splitlines() if steps.is_file() else []:
        try:
            told = json.loads(line)
        except ValueError:  # a crash cut it short; what comes after it was made without it
            continue
        version += 1
        try:
            history = _stepped(history, told, about.levels)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise _damaged(steps) from error
    return Sheet(about, original, history, version)


def _stepped(history: History, told: dict[str, Any], levels: int) -> History:
    """The history after one line of ``steps.jsonl``."""
    if "undo" in told:
        return history.undo()
    if "redo" in told:
        return history.redo()
    before, after = (_rows(told[name], 2 * levels) for name in ("before", "after"))
    return history.do(Step(told["do"], told["first"], before, after, told.get("pair", "")))
