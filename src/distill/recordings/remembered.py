"""A cache of measurements of recordings that take long, as JSON beside their decoded audio.

Everything is kept under the SHA-256 of what it was measured of, so it is right as long as it is measured in the same way.
"""

import contextlib
import json
import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from distill.files.home import make_folders
from distill.files.remade import used_now
from distill.recordings.cache import cache_folder


def remembered(name: str, measured: Callable[[], Any]) -> Any:
    """What was measured under that name, or is measured now.

    Args:
        name: says of what and how it was measured, as the beginning of a file name.
        measured: gives JSON.
    """
    place = cache_folder() / f"{name}.json"
    found = recalled(name)
    if found is not None:
        return found
    value = measured()
    aside = place.with_name(f"{secrets.token_hex(8)}.tmp")
    # A disk that is full, another person's cache: then it is measured the next time too.
    with contextlib.suppress(OSError):
        make_folders(place.parent)
        try:
            aside.write_text(json.dumps([value, _digest(value)]), encoding="utf-8")
            aside.replace(place)
        finally:
            aside.unlink(missing_ok=True)
    return value


def recalled(name: str) -> Any:
    """What was measured under that name; None where it was not, or is not whole: then it has to be measured."""
    place = cache_folder() / f"{name}.json"
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    match found:
        case [value, str(digest)] if digest == _digest(value):
            used_now(place)
            return value
    return None


def _digest(value: Any) -> str:
    """SHA-256 of JSON: what a disk has changed may still be JSON, and of another shape."""
    return sha256(json.dumps(value).encode()).hexdigest()
