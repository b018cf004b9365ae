"""Numbers of things, their names, and bytes, in words."""

import math
from collections.abc import Sequence

NAMED = 3
"""How many names a sentence holds where no other number is given."""


def counted(number: int, one: str, many: str = "") -> str:
    """``1 recording``, ``12 recordings``; ``many`` where the plural is not ``one`` with an s."""
    return f"{number} {one if abs(number) == 1 else many or f'{one}s'}"


def bytes_in_words(count: float) -> str:
    """So many bytes: ``3 kB``, ``0.4 MB``, ``12.0 GB``; in the unit that suits the rounded number."""
    if round(count / 1e6, 1) >= 1000:
        return f"{count / 1e9:.1f} GB"
    kilobytes = math.ceil(count / 1e3)
    return f"{count / 1e6:.1f} MB" if kilobytes >= 100 else f"{kilobytes} kB"


def some_of(names: Sequence[str], most: int = NAMED) -> str:
    """Names in a sentence, and how many more there are."""
    if len(names) > most:
        return ", ".join(names[:most]) + f" and {len(names) - most} more"
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]
