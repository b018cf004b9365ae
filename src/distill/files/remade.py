"""Files of a cache, which can be made again at any time: the least recently used are removed when they take too much space."""

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

_ONLY_READ = {errno.EROFS, errno.EACCES, errno.EPERM}


def used_now(path: Path) -> None:
    """Notes that a file was used. Where it may only be read (another person's cache, a disk that is only read) its date stays.

    Another process may have deleted it by now.
    """
    try:
        os.utime(path)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in _ONLY_READ:
            raise


def make_room(files: Iterable[Path], most_bytes: float, keeps: Callable[[Path], bool]) -> int:
    """Deletes the least recently used of the files until all fit in so many bytes; gives the bytes freed.

    Args:
        keeps: which files stay whatever they take.
    """
    found = []
    for file in files:
        try:
            state = file.stat()
        except FileNotFoundError:  # another process makes room too
            continue
        found.append((state.st_mtime, min(state.st_size, 512 * getattr(state, "st_blocks", 1 << 62)), file))
    excess = sum(size for _, size, _ in found) - most_bytes
    freed = 0
    for _, size, file in sorted(found):
        if freed >= excess:
            break
        if not keeps(file):
            freed += deleted(file, size)
    return freed


def deleted(file: Path, size: int) -> int:
    """Deletes a file of so many bytes; gives the bytes freed."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:  # only read; or on Windows mapped by another process, so in use after all
        if error.errno not in _ONLY_READ:
            raise
        return 0
    return size
