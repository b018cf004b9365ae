"""Numbers of things, and their names, in words."""

from collections.abc import Sequence

NAMED = 3
"""How many names a sentence holds where no other number is given."""


def counted(number: int, one: str, many: str = "") -> str:
    """``1 recording``, ``12 recordings``; ``many`` where the plural is not ``one`` with an s."""
    return f"{number} {one if abs(number) == 1 else many or f'{one}s'}"


def some_of(names: Sequence[str], most: int = NAMED) -> str:
    """Names in a sentence, and how many more there are."""
    if len(names) > most:
        return ", ".join(names[:most]) + f" and {len(names) - most} more"
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]
