"""What is said where a name fits several things in the library."""

from collections.abc import Sequence

from distill.errors import LibraryError

_SHOWN = 10


def could_be_any(name: str, kinds: str, those: Sequence[str], fix: str) -> LibraryError:
    """That a name could be any of several things, with the first ten of them, a line each, and how many more there are.

    Args:
        kinds: what they are, in the plural.
    """
    more = len(those) - _SHOWN
    return LibraryError(
        f"'{name}' could be any of {len(those)} {kinds}:",
        fix,
        [*those[:_SHOWN], *([f"and {more} more"] if more > 0 else [])],
    )
