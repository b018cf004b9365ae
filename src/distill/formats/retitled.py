"""Changes the title in a file that Distill wrote; its sound and its other tags stay the same, byte for byte."""

import errno
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from distill.files.atomic import output_error, written_aside
from distill.files.regular import open_regular
from distill.formats.content import Content, FileContent
from distill.formats.id3 import VERSION_3, tag_of, tag_size
from distill.formats.ogg_pages import page_with
from distill.formats.tags import normalised

_BLOCK = 2**20
_LAST = 0x80
"""The bit that marks the last of the blocks in front of the sound of a FLAC file."""
_COMMENTS = 4

Change = tuple[int, int, bytes]
"""From where to where what else stands, in the order of the file."""


def retitle(path: Path, was: str, title: str) -> bool:
    """Gives a WAV, FLAC, Ogg Vorbis or MP3 file another title, where it has the title ``was`` and no other.

    Returns:
        Whether it has the new title now. A file with another title, or with tags that are not as Distill writes them, is not
        touched.

    Raises:
        OutputError: if the file cannot be read or written; then it is as it was.
    """
    changes = _changes(path, *normalised({"was": was, "title": title}).values())
    if not changes:
        return False
    with written_aside(path) as aside, open_regular(path) as file, aside.open("wb") as out:
        for start, stop, new in changes:
            _copy(file, out, start - file.tell())
            out.write(new)
            file.seek(stop)
        shutil.copyfileobj(file, out)
    return True


def _changes(path: Path, was: str, title: str) -> list[Change]:
    edit = _EDITS.get(path.suffix.lower())
    try:
        if edit is None or not path.stat().st_size:
            return []
        with open_regular(path) as file:
            return list(edit(FileContent(file), was, title))
    except OSError as error:
        raise output_error(path, error) from error
    except (struct.error, IndexError, ValueError):  # not as Distill writes it
        return []


def _copy(file: BinaryIO, out: BinaryIO, count: int) -> None:
    while count:
        block = file.read(min(count, _BLOCK))
        if not block:
            raise OSError(errno.EIO, "it became shorter while it was read")
        out.write(block)
        count -= len(block)


def _wav(content: Content, was: str, title: str) -> Iterator[Change]:
    """Its list of tags is in front of the sound, the ID3 tag behind it."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return
    changes = []
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack("<4sI", content[at : at + 8])
        start, stop = at + 8, at + 8 + size
        if stop > len(content):
            return
        new = None
        if name == b"LIST" and content[start : start + 4] == b"INFO":
            new = _info(content[start:stop], was, title)
        elif name == b"id3 ":
            new = _id3(content[start:stop], was, title)
        if new is not None:
            whole = name + struct.pack("<I", len(new)) + new + b"\0" * (len(new) % 2)
            changes.append((at, min(stop + size % 2, len(content)), whole))
        at = stop + size % 2
    longer = sum(len(new) - (stop - start) for start, stop, new in changes)
    if changes:
        yield 4, 8, struct.pack("<I", len(content) - 8 + longer)
        yield from changes


def _info(chunk: bytes, was: str, title: str) -> bytes | None:
    """The list of tags with another title; None if it has not that one."""
    said, at, found = b"INFO", 4, False
    while at + 8 <= len(chunk):
        name, size = struct.unpack("<4sI", chunk[at : at + 8])
        text = chunk[at + 8 : at + 8 + size]
        if name == b"INAM" and text.rstrip(b"\0").decode("utf-8") == was:
            text, found = _ended(title.encode()), True
        said += name + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
        at += 8 + size + size % 2
    return said if found else None


def _ended(text: bytes) -> bytes:
    """With one zero or two, so that its length is even."""
    return text + b"\0" * (2 - len(text) % 2)


def _mp3(content: Content, was: str, title: str) -> Iterator[Change]:
    size = tag_size(content[:10])
    new = _id3(content[:size], was, title)
    if new is not None:
        yield 0, size, new


def _id3(tag: bytes, was: str, title: str) -> bytes | None:
    """An ID3 tag (version 2.3, as in ``tags``) with another title; None if it has not that one."""
    if tag[:6] != VERSION_3:
        return None
    frames, at, found = b"", 10, False
    while at + 10 <= len(tag) and tag[at]:
        name, size, flags = struct.unpack(">4sIH", tag[at : at + 10])
        text = tag[at + 10 : at + 10 + size]
        if name == b"TIT2" and text[:1] == b"\1" and text[1:].decode("utf-16").rstrip("\0") == was:
            text, found = b"\1" + title.encode("utf-16"), True
        frames += name + struct.pack(">IH", len(text), flags) + text
        at += 10 + size
    if not found:
        return None
    return tag_of(frames)


def _flac(content: Content, was: str, title: str) -> Iterator[Change]:
    at = 4
    while content[:4] == b"fLaC" and at + 4 <= len(content):
        kind, stop = content[at], at + 4 + int.from_bytes(content[at + 1 : at + 4], "big")
        if kind & ~_LAST == _COMMENTS:
            new, _ = _comments(content[at + 4 : stop], was, title)
            if new is not None:
                yield at, stop, bytes([kind]) + len(new).to_bytes(3, "big") + new
            return
        if kind & _LAST:
            return
        at = stop


def _ogg(content: Content, was: str, title: str) -> Iterator[Change]:
    """Its tags are the first packet of its second page, in front of the codebooks, which end there too."""
    at = 27 + content[26] + sum(content[27 : 27 + content[26]])
    head, count = content[at : at + 26], content[at + 26]
    sizes = content[at + 27 : at + 27 + count]
    start = at + 27 + count
    body = content[start : start + sum(sizes)]
    if head[:4] != b"OggS" or not body.startswith(b"\3vorbis") or sizes[-1] == 255 or len(body) != sum(sizes):
        return
    new, rest = _comments(body[7:], was, title)
    first = next(number for number, size in enumerate(sizes, 1) if size < 255)
    if new is None or 7 + rest + 1 != sum(sizes[:first]):
        return
    packet = body[:7] + new + b"\1"
    segments = bytes([255] * (len(packet) // 255) + [len(packet) % 255]) + sizes[first:]
    if len(segments) <= 255:
        yield at, start + len(body), page_with(head, segments, packet + body[7 + rest + 1 :])


def _comments(block: bytes, was: str, title: str) -> tuple[bytes | None, int]:
    """Vorbis comments with another title, or None if they have not that one; and how long they were."""
    (size,) = struct.unpack("<I", block[:4])
    (count,) = struct.unpack("<I", block[4 + size : 8 + size])
    said, at, found = block[: 8 + size], 8 + size, False
    for _ in range(count):
        (size,) = struct.unpack("<I", block[at : at + 4])
        text = block[at + 4 : at + 4 + size]
        name, _, value = text.decode("utf-8").partition("=")
        if name.upper() == "TITLE" and value == was:
            text, found = f"{name}={title}".encode(), True
        said += struct.pack("<I", len(text)) + text
        at += 4 + size
    return (said if found else None), at


_EDITS: dict[str, Callable[[Content, str, str], Iterator[Change]]] = {
    ".wav": _wav,
    ".flac": _flac,
    ".ogg": _ogg,
    ".mp3": _mp3,
}
