"""Checks the arguments of the Python functions: a wrong type is refused with a message."""

import numbers
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.errors import SettingError

LARGEST_SEED = 2**31 - 1


def path(value: object, what: str) -> Path:
    """A path that was given as one, or as text.

    Raises:
        SettingError: if it is something else, or empty, which would be the folder that the program runs in.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise _refused(what, value, "a path is needed", "Give it as text or as a pathlib.Path.")
    text = os.fspath(value)
    if not text:
        raise _refused(what, value, "an empty path leads nowhere", 'Give "." for the folder that the program runs in.')
    if "\0" in text:
        raise _refused(what, value, "no path can hold a null character", "Give it as text or as a pathlib.Path.")
    return Path(text)


def number(value: object, what: str) -> None:
    """Refuses what is no number; whether it is in range is for whoever uses it.

    Raises:
        SettingError: with what came.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise _refused(what, value, "a number is needed", f"Give a number, such as {what}=5.")


def whole(value: object, what: str) -> None:
    """Refuses what is no whole number.

    Raises:
        SettingError: with what came.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise _refused(what, value, "a whole number is needed", f"Give a whole number, such as {what}=1.")


def plain(value: Any) -> Any:
    """A number of another library, such as one of NumPy's, as Python's own, which can be saved; all else as it is."""
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def seed(value: Any) -> None:
    """Refuses what the command would not take as ``--seed``.

    Raises:
        SettingError: with what came.
    """
    whole(value, "seed")
    if not 0 <= value <= LARGEST_SEED:
        raise SettingError(f"The seed {value} is out of range.", f"Choose 0 to {LARGEST_SEED}.")


def one_of(kind: type, value: object, what: str, fix: str) -> None:
    """Refuses what is not of a kind.

    Raises:
        SettingError: with what came.
    """
    if not isinstance(value, kind):
        raise _refused(what, value, f"a distill.{kind.__name__} is needed", fix)


def where_given(check: Callable[[object, str], object], **values: object) -> None:
    """The same check of several values, but for those that were left out."""
    for what, value in values.items():
        if value is not None:
            check(value, what)


def _refused(what: str, value: object, needed: str, fix: str) -> SettingError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else type(value).__name__
    return SettingError(f"{what} is {shown}; {needed}.", fix)
