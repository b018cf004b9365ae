"""Remembers the digest of each file by its place, size and dates, so that hundreds of hours start without being read again.

A file is known by its place, size, inode, and the moments it was written to and changed at. What was written to within the last
seconds is looked at anew every time: a second change within one tick of the clock would not show.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill.files.regular import absolute
from distill.formats.files import AudioInfo, file_digest, probe
from distill.recordings.remembered import recalled, remembered

_VERSION = 9
"""To be raised when ``probe`` finds other things in the same file."""
_SETTLED_S = 3.0


def shape_of(path: Path) -> AudioInfo:
    """What :func:`distill.formats.files.probe` gives, looked at once.

    Raises:
        AudioFileError: if the file is not usable audio.
    """

    def looked_at() -> dict[str, Any]:
        return {name: value for name, value in asdict(probe(path)).items() if name != "path"}

    return AudioInfo(path=path, **_once(path, "shape", looked_at))


def digest_of(path: Path) -> str:
    """SHA-256 of the file's bytes, read once.

    Raises:
        AudioFileError: if it cannot be read.
    """
    return str(_once(path, "bytes", lambda: file_digest(path)))


def known_digest(path: Path) -> str | None:
    """The same where it is known already; nothing is read."""
    name = _name(path, "bytes")
    found = None if name is None else recalled(name)
    return found if isinstance(found, str) else None


def _once(path: Path, what: str, measured: Callable[[], Any]) -> Any:
    name = _name(path, what)
    return measured() if name is None else remembered(name, measured)


def _name(path: Path, what: str) -> str | None:
    """Under which it is kept; None where it may not be, or there is no such file, which reading it says better."""
    try:
        state = path.stat()
    except OSError:
        return None
    if time.time() - max(state.st_mtime, state.st_ctime) < _SETTLED_S:
        return None
    stamp = (str(absolute(path)), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    return f"{hashlib.sha256(repr(stamp).encode()).hexdigest()}.{what}-{_VERSION}"
