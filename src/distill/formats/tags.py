"""Tags that every reader reads, in any script: ID3 (version 2.3, UTF-16) in MP3 and WAV files.

libsndfile writes UTF-8 into MP3 files and calls it Latin-1, and WAV files get only the INFO list of RIFF, which some
readers pass over.
"""

import struct
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from distill.formats.id3 import tag_of, tag_size

_FRAMES = {"title": b"TIT2", "software": b"TSSE"}


def normalised(tags: Mapping[str, str]) -> dict[str, str]:
    """The same texts, composed (NFC), as most readers expect them."""
    return {name: unicodedata.normalize("NFC", text) for name, text in tags.items()}


def tag_mp3(path: Path, tags: Mapping[str, str]) -> None:
    """Puts the tags in the place of those an MP3 file begins with."""
    with path.open("rb+") as file:
        file.seek(tag_size(file.read(10)))
        sound = file.read()
        file.seek(0)
        file.write(_id3(tags) + sound)
        file.truncate()


def tag_wav(path: Path, tags: Mapping[str, str]) -> None:
    """Puts the tags behind the last chunk of a WAV file."""
    tag = _id3(tags)
    with path.open("rb+") as file:
        end = file.seek(0, 2)
        chunk = b"\0" * (end % 2) + b"id3 " + struct.pack("<I", len(tag)) + tag + b"\0" * (len(tag) % 2)
        if end + len(chunk) - 8 >= 2**32:
            return  # the sound is worth more than its tags, which the INFO list holds as well
        file.write(chunk)
        file.seek(4)
        file.write(struct.pack("<I", end + len(chunk) - 8))


def _id3(tags: Mapping[str, str]) -> bytes:
    frames = b""
    for name, text in tags.items():
        encoded = text.encode("utf-16")
        if name == "comment":
            name_of_frame, content = b"COMM", b"\x01eng" + "".encode("utf-16") + b"\0\0" + encoded
        else:
            name_of_frame, content = _FRAMES[name], b"\x01" + encoded
        frames += name_of_frame + struct.pack(">IH", len(content), 0) + content
    return tag_of(frames)
