"""Edits of a sheet as the page asks for them, and what each does."""

import base64
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, Field

from distill.codes import edit
from distill.errors import SettingError
from distill.web import sheets
from distill.web.code_bytes import check_codes, rows_given
from distill.web.sheet_files import Sheet

_MOST = sheets.LONGEST_COLUMNS
Codes = Annotated[str, Field(description="Codes as int16, little-endian, row by row, in base64.", max_length=900_000)]
Column = Annotated[int, Field(ge=0, le=_MOST)]
Levels = Annotated[list[int], Field(min_length=1, max_length=4)]
SheetId = Annotated[str, Field(max_length=12)]


class Cells(BaseModel):
    """Columns ``first`` up to, not including, ``stop``, on some levels."""

    first: Column
    stop: Column
    levels: Levels


class Lock(Cells):
    """Keeps cells as they are, or no longer."""

    do: Literal["lock", "unlock"]


class Mirror(Cells):
    """Turns them around in time."""

    do: Literal["mirror"]


class Rotate(Cells):
    """Moves them later; what leaves comes in at the other end."""

    do: Literal["rotate"]
    by: int = Field(ge=-_MOST, le=_MOST)


class Repeat(Cells):
    """Lets them come several times in a row."""

    do: Literal["repeat"]
    times: int = Field(ge=2, le=1000)


class Fill(Cells):
    """Puts one code into all of them."""

    do: Literal["fill"]
    code: int = Field(ge=0, le=32_767)


class Delete(BaseModel):
    """Takes columns out."""

    do: Literal["delete"]
    first: Column
    stop: Column


class Paste(BaseModel):
    """Puts cells over what is there, or whole columns in between."""

    do: Literal["paste", "insert"]
    codes: Codes
    levels: Levels
    column: Column


class Graft(Cells):
    """Takes cells from another sheet, or exchanges them with it."""

    do: Literal["graft", "swap"]
    other: SheetId
    other_first: Column
    other_version: int | None = None
    """That is looked at; as it is where it is None."""


class Take(BaseModel):
    """Takes a proposal or a blend: whole columns over what is there, but for locked cells."""

    do: Literal["take"]
    first: Column
    codes: Codes
    words: str = Field(max_length=300)


Edit: TypeAlias = Annotated[
    Lock | Mirror | Rotate | Repeat | Fill | Delete | Paste | Graft | Take, Field(discriminator="do")
]


def edited(one: Sheet, asked: Edit) -> tuple[str, np.ndarray, np.ndarray]:
    """What an edit does, in words, and the codes and locks it leads to.

    Raises:
        SettingError: if it cannot be done.
    """
    codes, locked = one.codes, one.locked
    match asked:
        case Delete():
            gone = edit.select(codes, asked.first, asked.stop)
            words = f"Deleted {where(one, gone)}"
            return words, edit.delete(codes, gone.first, gone.stop), edit.delete_unlocked(locked, gone.first, gone.stop)
        case Paste():
            clip = edit.Clip(rows_of(asked.codes, len(asked.levels), one.about.entries), tuple(sorted(asked.levels)))
            at = f"at {min(asked.column * one.about.hop, one.samples) / one.about.sample_rate:.2f} s"
            if asked.do == "insert":
                longer = edit.insert(codes, clip, asked.column)
                return f"Inserted {at}", longer, edit.insert_unlocked(locked, asked.column, len(clip.codes))
            onto = edit.Selection(asked.column, asked.column + len(clip.codes), clip.levels)
            pasted = edit.keep(codes, edit.paste(codes, clip, asked.column), locked)
            return f"Pasted {at}{edit.said_of_locked(onto, locked)}", pasted, locked
        case Take():
            columns = rows_of(asked.codes, one.about.levels, one.about.entries)
            clip = edit.Clip(columns, tuple(range(one.about.levels)))
            return asked.words, edit.keep(codes, edit.paste(codes, clip, asked.first), locked), locked
        case Graft():
            raise AssertionError("it needs two sheets")
    chosen = edit.select(codes, asked.first, asked.stop, asked.levels)
    there, stay = where(one, chosen), edit.said_of_locked(chosen, locked)
    match asked:
        case Lock():
            mask = chosen.mask(codes)
            return f"{asked.do.capitalize()}ed {there}", codes, locked | mask if asked.do == "lock" else locked & ~mask
        case Mirror():
            return f"Mirrored {there}{stay}", edit.mirror(codes, chosen, locked), locked
        case Rotate():
            return f"Rotated {there}{stay}", edit.rotate(codes, chosen, asked.by, locked), locked
        case Fill():
            filled = edit.fill(codes, chosen, asked.code, one.about.entries)
            return f"Set {there} to {asked.code}{stay}", edit.keep(codes, filled, locked), locked
        case Repeat():
            if len(chosen.levels) == one.about.levels:  # before the copies take memory
                sheets.check_room(len(codes) + (asked.times - 1) * chosen.length)
            after, words = edit.repeat(codes, chosen, asked.times), f"Repeated {there}, {asked.times} times in all"
            if len(after) > len(codes):
                return words, after, edit.insert_unlocked(locked, chosen.stop, len(after) - len(codes))
            behind = edit.Selection(chosen.stop, chosen.first + asked.times * chosen.length, chosen.levels)
            return f"{words}{edit.said_of_locked(behind, locked)}", edit.keep(codes, after, locked), locked


def rows_of(text: str, width: int, entries: int) -> np.ndarray:
    """Codes that the page sent: int64 ``[n, width]``.

    Raises:
        SettingError: if they are none.
    """
    try:
        body = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise SettingError("What was sent is not codes.", "Reload the page and try again.") from error
    rows = rows_given(body, width, "Reload the page and try again.")
    check_codes(rows, entries, f"Choose from 0 to {entries - 1}.")
    return rows


def where(one: Sheet, chosen: edit.Selection) -> str:
    """A selection in words."""
    about = one.about
    return chosen.in_words(about.levels, about.sample_rate / about.hop, one.samples / about.sample_rate, "–")
