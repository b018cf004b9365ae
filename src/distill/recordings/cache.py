"""Audio decoded once: 48 kHz float32 arrays on disk that training reads through a memory map.

One ``.npy`` file per recording, named by the SHA-256 of the recording's bytes, under ``home()/cache``, with what was measured
of it beside it (``remembered``). Where channels are mixed, the name says how, so that no mix of an earlier version is met. All
can be deleted at any time; the next import makes them again.
"""

import contextlib
import errno
import functools
import mmap
import os
import secrets
import time
import tokenize
from collections.abc import Collection
from pathlib import Path

import numpy as np

from distill.errors import OutputError
from distill.files.atomic import discard, output_error
from distill.files.home import home, make_folders, on_another_disk
from distill.files.remade import deleted, make_room, used_now
from distill.formats.files import AudioInfo, probe, read_blocks, samples_at_48k

try:
    import resource
except ImportError:  # Windows, where no such limit stands in the way
    resource = None  # type: ignore[assignment]

_OPEN_FILES = 8192
_DAY = 24 * 3600
_LONGEST_UNUSED = {".tmp": _DAY, ".json": 90 * _DAY}
"""Seconds. An unfinished file this old was left by a process that died; measures are small, and dear to find out again."""


def kept_as(sha256: str, reading: str) -> str:
    """By which the sound of a file is kept; its bytes have that digest, and ``reading`` says how its channels are mixed."""
    return f"{sha256}.{reading}" if reading else sha256


def decoded(recording: Path | AudioInfo, key: str) -> np.memmap:
    """The file's sound at 48 kHz, float32 ``[C, N]``, read-only; decoded only when not in the cache yet.

    What ``probe`` gave may stand for the path; ``key`` is what :func:`kept_as` gives. Raises AudioFileError when the file
    cannot be decoded, OutputError when the cache cannot be written. Two processes may ask for the same file at once.
    """
    place = cache_folder() / f"{key}.npy"
    found = _open_whole(place)
    if found is None:
        sha256, _, reading = key.partition(".")
        if reading:  # in any other mix it is not met again
            for other in _kept(sha256):
                forget(other.name.removesuffix(".npy"))
        info = recording if isinstance(recording, AudioInfo) else probe(recording)
        _decode_to(place, info)
        found = _open_whole(place)
        if found is None:
            raise OutputError(
                f"The decoded audio of {info.path.name} did not arrive whole in {place.parent}.",
                f"Check that disk, or {on_another_disk()}",
            )
    used_now(place)
    return found


def cached(sha256: str) -> np.memmap | None:
    """What :func:`decoded` gave for a file with these bytes; None where it is not kept any more."""
    for place in _kept(sha256):
        if (found := _open_whole(place)) is not None:
            used_now(place)
            return found
    return None


def _kept(sha256: str) -> list[Path]:
    """Where the sound of a file with these bytes may lie, in whichever mix."""
    return [cache_folder() / f"{sha256}.npy", *cache_folder().glob(f"{sha256}.*.npy")]


def let_go(audio: np.ndarray) -> None:
    """Gives back the memory in which what was read of a memory map lies; it can be read again at any time.

    So a pass over hours of sound, and windows drawn from all over them, hold no more than what they look at.
    """
    mapped = audio.base
    while isinstance(mapped, np.ndarray):
        mapped = mapped.base
    if isinstance(mapped, mmap.mmap) and not audio.flags.writeable and hasattr(mapped, "madvise"):  # Windows has none
        mapped.madvise(mmap.MADV_DONTNEED)


def forget(key: str) -> None:
    """Deletes what was decoded of a file that turned out to be another one by then."""
    with contextlib.suppress(OSError):  # mapped on Windows: then it goes with the next trimming
        (cache_folder() / f"{key}.npy").unlink(missing_ok=True)


def trim_cache(limit_bytes: int = 8 * 2**30, keep: Collection[str] = ()) -> int:
    """Deletes the least recently used files until the cache fits in ``limit_bytes``; returns the bytes freed.

    Recordings whose SHA-256 is in ``keep`` always stay, and so does what was measured, until nobody has asked for it for three
    months. A mapped array stays readable on POSIX.
    """
    arrays = []
    freed = 0
    for file in cache_folder().glob("*"):
        if file.suffix == ".npy":
            arrays.append(file)
        elif (longest := _LONGEST_UNUSED.get(file.suffix)) is not None:
            try:
                state = file.stat()
            except FileNotFoundError:  # another process trims too
                continue
            if time.time() - state.st_mtime > longest:
                freed += deleted(file, state.st_size)
    return freed + make_room(arrays, limit_bytes, lambda file: file.name.partition(".")[0] in keep)


def cache_folder() -> Path:
    """Where the decoded audio lies."""
    return home() / "cache"


def _decode_to(place: Path, info: AudioInfo) -> None:
    samples = samples_at_48k(info)
    aside = place.with_name(f"{secrets.token_hex(8)}.tmp")
    try:
        make_folders(place.parent)
        # Plain writes, not a writable memory map: on a full disk a map kills the process, a write says why.
        with aside.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (info.channels, samples)}
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            done = 0
            for block in read_blocks(info):
                for channel, row in enumerate(block):
                    if row.any():  # of silence most file systems keep nothing
                        file.seek(start + 4 * (channel * samples + done))
                        file.write(row.astype("<f4", copy=False).tobytes())
                done += block.shape[1]
            file.truncate(start + 4 * info.channels * samples)
            file.flush()
            os.fsync(file.fileno())
        try:
            aside.replace(place)
        except PermissionError:
            # Windows refuses to replace a file that another process has mapped: then that one is as good.
            if _open_whole(place) is None:
                raise
    except OSError as error:
        raise OutputError(
            f"The decoded audio of {info.path.name} cannot be kept: {output_error(place.parent, error).what}",
            f"Free some space, or {on_another_disk()}"
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            else f"Let that folder be written to, or {on_another_disk()}",
        ) from error
    finally:
        discard(aside)


@functools.cache
def _allow_many_open_files() -> None:
    """Every memory map holds a file open, and the usual limit of 256 on macOS is fewer than the recordings we promise."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _open_whole(place: Path) -> np.memmap | None:
    """The mapped array, or None when there is none or it is not whole."""
    _allow_many_open_files()
    try:
        array = np.load(place, mmap_mode="r", allow_pickle=False)
        size = place.stat().st_size
    except (FileNotFoundError, ValueError, EOFError, SyntaxError, tokenize.TokenError):
        return None  # the last two: numpy reads the header as Python
    if not isinstance(array, np.memmap) or array.dtype != np.float32 or array.ndim != 2:
        return None
    return array if array.offset + array.nbytes == size else None
