"""An estimate before the first import of a folder starts: time and disk space."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distill.audio.rate import SAMPLE_RATE
from distill.counted import bytes_in_words, counted
from distill.durations import about
from distill.errors import AudioFileError
from distill.files.home import on_another_disk
from distill.formats.files import AudioInfo, read_blocks
from distill.recordings.cache import cache_folder, cached
from distill.recordings.inspection import LONGEST_SECONDS, SHORTEST_SECONDS
from distill.recordings.measure import measure
from distill.recordings.seen import known_digest, shape_of
from distill.recordings.sketches import Sketch

WORTH_TELLING_S = 1800.0
"""Less sound than this is read before one has read about it."""
_TRIED_S = 30


def first_reading(paths: Sequence[Path]) -> str:
    """Plain words for what reading these files takes that were not read before; empty where it is little.

    The time follows from what half a minute of the first that can be read takes here and now, so a beginning that is silent
    makes it look shorter.
    """
    new = [info for path in paths if (info := _unread(path)) is not None]
    seconds = sum(info.seconds for info in new)
    if seconds < WORTH_TELLING_S:
        return ""
    needed = sum(4 * SAMPLE_RATE * info.channels * info.seconds for info in new)
    place = cache_folder()
    free = shutil.disk_usage(next(folder for folder in (place, *place.parents) if folder.exists())).free
    room = f"up to {bytes_in_words(needed)} in {place}, where {bytes_in_words(free)} are free"
    pace = next((pace for info in new if (pace := _pace(info)) is not None), None)
    time_taken = "" if pace is None else f"about {about(seconds * pace)} (at the pace of their first half minute) and "
    words = (
        f"{about(seconds)} of sound in {counted(len(new), 'file')} are read for the first time. "
        f"That takes {time_taken}{room}. "
        "Later starts take seconds."
    )
    if needed > free:
        words += f" That may be too little, though silence takes no room. If it is, {on_another_disk()}"
    return words


def _unread(path: Path) -> AudioInfo | None:
    try:
        info = shape_of(path)
    except AudioFileError:  # its verdict will say so
        return None
    if not SHORTEST_SECONDS <= info.seconds <= LONGEST_SECONDS:  # it is not read at all
        return None
    digest = known_digest(path)
    return None if digest is not None and cached(digest) is not None else info


def _pace(info: AudioInfo) -> float | None:
    """Seconds that a second of sound takes; None where the file cannot be read, as its verdict will say."""
    started = time.perf_counter()
    parts: list[np.ndarray] = []
    samples = 0
    try:
        for block in read_blocks(info):  # in blocks of any size
            parts.append(block)
            samples += block.shape[1]
            if samples >= _TRIED_S * SAMPLE_RATE:
                break
    except AudioFileError:
        return None
    sound = np.concatenate(parts, axis=1)
    Sketch(sound, measure(sound, info.subtype).mix)
    return (time.perf_counter() - started) / (samples / SAMPLE_RATE)
