"""Edits sound as codes from words: ``mirror 2-4``, ``graft other levels det``, ``reimagine 5-7 seed 3``.

The same words are the options of ``distill edit`` and the fields of an edit that is asked of ``distill serve``.

A span is in seconds (``2-4``, or ``2.5-`` to the end), in columns (``c94-c188``), or ``all``; a place in seconds or a column.
"""

import dataclasses
import math
import secrets
from collections.abc import Callable
from pathlib import PurePath

import numpy as np
import torch

from distill.codes import edit
from distill.codes.codes_file import Codes
from distill.counted import counted
from distill.errors import SettingError
from distill.making.drawing import Sampling
from distill.making.operations import Operation
from distill.making.reimagine import reimagine
from distill.models.model_file import Model
from distill.settings import temperatures

LONGEST_SECONDS = 3 * 3600.0
"""What a sound may grow to, unless there is another limit: a slip of the keyboard fills the memory."""
_LARGEST = 2**40
"""More is a slip of the keyboard, or meant to do harm."""
_SPANS = "Write 2-4 (seconds), 2.5- (to the end), c94-c188 (columns) or all."


class Editing:
    """A sound's codes as they are changed.

    Args:
        read: gives the codes of another sound.
        most: columns that the sound may grow to; three hours' if not given.
    """

    def __init__(self, model: Model, given: Codes, read: Callable[[str], Codes], most: int | None = None) -> None:
        self._model, self._given, self._read = model, given, read
        self._most = int(LONGEST_SECONDS * model.codec.frame_rate) if most is None else most
        self.grid, self._samples = given.codes.numpy(), given.samples
        self._locked = np.zeros(self.grid.shape, bool)

    def as_codes(self) -> Codes:
        """The sound as it is now."""
        return dataclasses.replace(self._given, codes=torch.from_numpy(self.grid), samples=self._samples)

    def apply(self, operation: Operation) -> str:
        """Does one operation, and says what was done.

        Raises:
            SettingError: if it cannot be done.
        """
        if operation.name in ("graft", "blend"):
            return self._with_another(operation)
        details, grid, end = operation.details, self.grid, self._seconds(self.as_codes())
        chosen = self._selection(operation.value, details.get("levels"), end, len(grid))
        where = self._in_words(chosen, end)
        match operation.name:
            case "lock":
                self._locked |= chosen.mask(grid)
                return f"Locked {where}."
            case "mirror":
                return self._take(edit.mirror(grid, chosen, self._locked), f"Mirrored {where}", chosen)
            case "rotate":
                by = self._column("by", details["by"])
                rotated = edit.rotate(grid, chosen, by, self._locked)
                return self._take(rotated, f"Rotated {where} by {counted(by, 'column')}", chosen)
            case "repeat":
                return self._repeat(chosen, _whole("times", details["times"]), where)
            case "fill":
                codes = [_whole("code", part) for part in details["code"].split(",")]
                filled = edit.fill(grid, chosen, codes, self._model.codec.codebook_size)
                return self._take(filled, f"Filled {where} with {details['code']}", chosen)
            case "copy":
                to = self._place(details["to"])
                pasted = edit.paste(grid, edit.copy(grid, chosen), to)
                there = edit.Selection(to, to + chosen.length, chosen.levels)
                return self._take(pasted, f"Copied {where} to column {to}", there)
            case "insert":
                to = self._place(details["to"])
                return self._insert(edit.copy(grid, chosen), to, f"Inserted {where} at column {to}.")
            case "delete":
                self._locked = edit.delete_unlocked(self._locked, chosen.first, chosen.stop)
                self.grid, hop = edit.delete(grid, chosen.first, chosen.stop), self._model.codec.hop
                self._samples = edit.samples_left(self._samples, len(grid), chosen.first, chosen.stop, hop)
                return f"Deleted {where}."
        return self._reimagine(chosen, details, where)

    def _repeat(self, chosen: edit.Selection, times: int, where: str) -> str:
        if len(chosen.levels) == self.grid.shape[1]:
            self._check_room((times - 1) * chosen.length)
        after, words = edit.repeat(self.grid, chosen, times), f"Repeated {where}, {times} times in all"
        behind = edit.Selection(chosen.stop, chosen.first + times * chosen.length, chosen.levels)
        if len(after) == len(self.grid):
            return self._take(after, words, behind)
        return self._insert(edit.copy(after, behind), chosen.stop, f"{words}.")

    def _with_another(self, operation: Operation) -> str:
        """Grafts or blends another sound, where both have columns."""
        details, there = operation.details, self._read(operation.value)
        other, end = there.codes.numpy(), min(self._seconds(self.as_codes()), self._seconds(there))
        columns = min(len(self.grid), len(other))
        chosen = self._selection(details.get("over"), details.get("levels"), end, columns)
        where, name = self._in_words(chosen, end), PurePath(operation.value).name
        if operation.name == "graft":
            return self._take(edit.graft(self.grid, other, chosen), f"Took {where} from {name}", chosen)
        weight = _number("weight", details["weight"])
        mixed = edit.blend(self.grid, other, chosen, weight, self._model.codec.quantizer.codebooks.cpu().numpy())
        free = ~self._locked[chosen.cells()].all(axis=1)
        snapped = [int((mixed.snapped[free] == kind).sum()) for kind in range(3)]
        return self._take(
            mixed.grid,
            f"Blended {weight:g} of {name} into {where}: {snapped[2]} columns have codes between "
            f"the two, {snapped[0]} kept their own, {snapped[1]} took the other's; their mean distance to the mix is "
            f"{mixed.off[free].sum() / max(1, free.sum()):.2f} of that between the two sounds",
            chosen,
        )

    def _reimagine(self, chosen: edit.Selection, details: dict[str, str], where: str) -> str:
        seed = _whole("seed", details["seed"]) if "seed" in details else secrets.randbelow(2**31)
        if not 0 <= seed < 2**31:
            raise SettingError(f"The seed {seed} is out of range.", f"Choose one from 0 to {2**31 - 1}.")
        sampling = Sampling(temperatures(details.get("temperature", "1")))
        free = torch.from_numpy(chosen.mask(self.grid) & ~self._locked)
        drawn = reimagine(self._model, torch.from_numpy(self.grid), free, 1, sampling, seed)[0].numpy()
        return self._take(drawn, f"Re-imagined {where} with seed {seed}", chosen)

    def _take(self, after: np.ndarray, words: str, changed: edit.Selection) -> str:
        """Takes an edit of a selection but for locked cells, and says of how many columns these are."""
        self.grid = edit.keep(self.grid, after, self._locked)
        return f"{words}{edit.said_of_locked(changed, self._locked)}."

    def _insert(self, clip: edit.Clip, column: int, words: str) -> str:
        self._check_room(len(clip.codes))
        hop, columns = self._model.codec.hop, len(self.grid)
        self.grid = edit.insert(self.grid, clip, column)
        self._samples = edit.samples_with(self._samples, columns, column, len(clip.codes), hop)
        self._locked = edit.insert_unlocked(self._locked, column, len(clip.codes))
        return words

    def _check_room(self, more: int) -> None:
        if len(self.grid) + more > self._most:
            rate = self._model.codec.frame_rate
            raise SettingError(
                f"The sound would grow to {(len(self.grid) + more) / rate:.0f} s; {self._most / rate:.0f} s are the limit.",
                "Repeat or insert less.",
            )

    def _selection(self, span: str | None, levels: str | None, end: float, columns: int) -> edit.Selection:
        first, stop = self._span(span, columns)
        if not 0 <= first < stop <= columns:
            raise SettingError(
                f"The span {span} is not within the sound, which lasts {end:.2f} s ({counted(columns, 'column')}).",
                "Choose a beginning within it and an end after that.",
            )
        chosen = None if levels is None else edit.levels_named(levels, self._model.codec.num_quantizers)
        return edit.select(self.grid, first, stop, chosen)

    def _span(self, text: str | None, columns: int) -> tuple[int, int]:
        if text is None or text == "all":
            return 0, columns
        begin, dash, end = text.partition("-")
        if not dash:
            raise SettingError(f"'{text}' is not a SPAN.", _SPANS)
        first = self._column("span", begin)
        stop = columns if not end else self._column("span", end)
        is_in_columns = begin[:1] == end[:1] == "c"
        return first, first + 1 if stop == first and not is_in_columns else stop  # seconds shorter than a column

    def _place(self, text: str) -> int:
        column, columns = self._column("to", text), len(self.grid)
        if not 0 <= column <= columns:
            raise SettingError(
                f"The place {text} is not within the sound, which lasts {self._seconds(self.as_codes()):.2f} s "
                f"({counted(columns, 'column')}).",
                "Choose one within it.",
            )
        return column

    def _column(self, name: str, text: str) -> int:
        """``3.5`` (seconds) or ``c164``."""
        if text[:1] == "c":
            return _whole(name, text[1:])
        return round(_number(name, text) * self._model.codec.frame_rate)

    def _in_words(self, chosen: edit.Selection, end: float) -> str:
        return chosen.in_words(self._model.codec.num_quantizers, self._model.codec.frame_rate, end)

    def _seconds(self, sound: Codes) -> float:
        return sound.samples / self._model.codec.sample_rate


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= _LARGEST:
        if name == "span":
            raise SettingError(f"'{text}' is not a place that a SPAN can begin or end at.", _SPANS)
        raise SettingError(f"--{name} needs a number, not '{text}'.", "See distill edit --help for how it is written.")
    return number


def _whole(name: str, text: str) -> int:
    """A number of columns, of times, of a code: half of one is a slip, and would be taken for another one."""
    number = _number(name, text)
    if not number.is_integer():
        raise SettingError(
            f"--{name} needs a whole number, not '{text}'.", "See distill edit --help for how it is written."
        )
    return int(number)
