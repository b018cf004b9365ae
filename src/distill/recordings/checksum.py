"""Whether the sound in a FLAC file is what was put into it: its header holds an MD5 checksum of all samples (RFC 9639).

Each frame has a checksum of its own, so damage within a frame is met where it is decoded. Only this one tells that a frame is
missing or stands in another's place.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import BinaryIO

import soundfile

from distill.files.regular import open_regular
from distill.formats.containers import spliced
from distill.formats.files import AudioInfo
from distill.formats.spliced import Spliced
from distill.recordings.remembered import remembered
from distill.recordings.seen import digest_of

_VERSION = 1
"""To be raised when files are judged in another way: what was found before is kept under its number."""
_BYTES = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3}
_HEAD, _SUM = 42, slice(26, 42)
_BLOCK = 65_536
CHANGED = (
    "Its sound does not match its checksum: some of it is missing or was changed. All that is there is used; "
    "copy it again from its source if you can."
)


def remark_on(info: AudioInfo) -> str:
    """What a person should know of a file: its own remark, and that its checksum is wrong, which is looked at once.

    Raises:
        AudioFileError: if it cannot be read.
    """
    if info.format != "FLAC":
        return info.remark
    is_wrong = remembered(f"{digest_of(info.path)}.checksum-{_VERSION}", lambda: is_changed(info.path))
    return " ".join(filter(None, (info.remark, CHANGED if is_wrong else "")))


def is_changed(path: Path) -> bool:
    """Whether a FLAC file holds the checksum of other samples.

    False for one that is damaged, breaks off, or has the wrong length in its header: it is told of for that.
    """
    parts, links = spliced(path)
    with contextlib.ExitStack() as stack:
        files: list[BinaryIO | Spliced] = [*parts] or [open_regular(path)]
        for file in files:
            stack.callback(file.close)
        made_of = links.parts or [()]
        mended = [any(isinstance(part, bytes) for part in one) for one in made_of]
        return any(_is_changed(file) for file, is_mended in zip(files, mended, strict=True) if not is_mended)


def _is_changed(file: BinaryIO | Spliced) -> bool:
    head = file.read(_HEAD)
    told = head[_SUM]
    file.seek(0)
    if not head.startswith(b"fLaC") or not any(
        told
    ):  # another file behind it; left open by an encoder that wrote into a pipe
        return False
    found = hashlib.md5(usedforsecurity=False)
    with soundfile.SoundFile(file) as sound:
        width = _BYTES.get(sound.subtype)
        if width is None:
            return False
        sound.seekable = lambda: False  # to seek after every block fails in streams
        left = sound.frames  # what comes behind them may be a tag, at which libsndfile fails
        try:
            while left > 0 and len(block := sound.read(min(_BLOCK, left), dtype="int32", always_2d=True)):
                left -= len(block)
                # Left-aligned in 32 bits; the sum is of the bytes that hold the sample, the lowest first.
                samples = block.astype("<i4").reshape(-1, 1).view("u1")
                found.update(samples[:, 4 - width :].tobytes())
        except soundfile.LibsndfileError:  # whoever decodes it says where
            return False
    return found.digest() != told
