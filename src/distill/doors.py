"""Lazy doors: a folder hands on the names of its files, and imports a file when one of its names is taken."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def opening(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__``: PyTorch takes seconds to import, so it waits until something of it is used.

    Args:
        homes: from a module to the names that ``package`` hands on from it, with spaces between them.

    Returns:
        ``find(name)``, which raises AttributeError for every other name, as a module does.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}

    def find(name: str) -> Any:
        if name in home_of:
            return getattr(import_module(home_of[name]), name)
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    return find
