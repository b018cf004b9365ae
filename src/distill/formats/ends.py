"""Where the sound of a file ends, and another file begins behind it: two in one, joined by hand, or from a rescued disk."""

import itertools
import re

from distill.counted import bytes_in_words
from distill.formats.content import Content, places_of
from distill.formats.id3 import past_tags
from distill.formats.kinds import HEAD, is_adts, kind_of_head
from distill.formats.mpeg import is_mp3_at

_MOST_ZEROS = 4096
"""Programs fill up to the end of a block."""
_IN_A_ROW = 4
"""So many frames of AAC are no chance."""
_FRAME = re.compile(rb"\xff[\xe2\xe3\xf0-\xf3\xf8-\xfb]")
"""How frames of MPEG layer 3 and of AAC begin; nothing in a row of 0xff, of which disks are full."""
_LOSSLESS = re.compile(rb"wvpk.{4}[\x02-\x10]\x04.{6}\0{4}|MAC [\x80-\xff]\x0f\0\0", re.DOTALL)
"""How a first block of WavPack begins, and a file of Monkey's Audio."""
_WAVPACK_HEAD, _INITIAL = 32, 0x800
"""Bytes of a block's header, and the flag of the first block for one stretch of sound."""
_SHORTEST = 128
"""Bytes. What is shorter is a tag, or the rest of one."""
_NAMES = {"AAC": "M4A or AAC"}


def begins_file(content: Content, at: int) -> str:
    """Which kind of sound another file is that begins there, perhaps behind tags and zeros; empty where none does."""
    return _found(content, at)[0] if at > 0 else ""


def begin_of(content: Content) -> int:
    """Where a file begins behind the tags and zeros before it."""
    return _found(content, 0)[1]


def _found(content: Content, at: int) -> tuple[str, int]:
    if at <= len(content) - _SHORTEST:
        tags = past_tags(content, at)
        # An MPEG-4 file begins with zeros of its own.
        places = at, tags, *(past_tags(content, _past_zeros(content, place)) for place in (at, tags))
        for begin in dict.fromkeys(places):
            if kind := _kind_at(content, begin):
                return kind, begin
    return "", at


def is_padded(content: Content, at: int) -> bool:
    """Whether nothing but tags and zeros lies there, up to the end of the file."""
    return _past_zeros(content, past_tags(content, at)) == len(content)


def _past_zeros(content: Content, at: int) -> int:
    zeros = content[at : at + _MOST_ZEROS]
    return at + len(zeros) - len(zeros.lstrip(b"\0"))


def _kind_at(content: Content, at: int) -> str:
    head = content[at : at + HEAD]
    if is_adts(head):
        return "AAC" if adts_end(content, at, _IN_A_ROW) > at else ""
    return kind_of_head(head) or ("MP3" if is_mp3_at(content, at) else "")


def first_in(content: Content, begin: int, stop: int) -> int:
    """Where the next file begins whose first bytes are too long to come about by chance; -1 where none does."""
    places = []
    for needle, before in (
        (b"WAVE", 8), (b"AIFF", 8), (b"AIFC", 8), (b"fLaC\0\0\0\x22", 0), (b"caff\0\1\0\0desc", 0), (b".snd\0\0\0", 0),
        (b"OggS\0\2\0\0\0\0\0\0\0\0", 0), (b"riff\x2e\x91\xcf\x11", 0), (b"ftypM4", 4), (b"ftypisom", 4), (b"ftypmp4", 4),
        (b"ftypqt", 4), (b"TTA1\1\0", 0), (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0), (b"DSD \x1c\0\0\0\0\0\0\0", 0),
        (b"#!AMR", 0),
    ):  # fmt: skip
        at = begin
        while (at := content.find(needle, at, stop)) >= 0:
            if at - before > begin and kind_of_head(content[at - before : at - before + HEAD]):
                places.append(at - before)
                break
            at += 1
    places += itertools.islice(places_of(_LOSSLESS, content, begin + 1, stop), 1)
    stop = min(places, default=stop)
    for at in places_of(_FRAME, content, begin + 1, stop):
        if at <= len(content) - _SHORTEST and _kind_at(content, at):
            return at
    return min(places, default=-1)


def adts_end(content: Content, begin: int, most: int = 2**31) -> int:
    """Where bare frames of AAC end that follow each other; ``begin`` where there are fewer than two, or than ``most``."""
    at, count = begin, 0
    while count < most and at + 7 <= len(content) and is_adts(head := content[at : at + 7]):
        size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if size < 7 or at + size > len(content):
            break
        at += size
        count += 1
    return at if count >= min(2, most) and (most >= 2**31 or count == most) else begin


def wavpack_end(content: Content) -> int:
    """Where the blocks of a WavPack file end (WavPack 4 & 5 Binary File Format), or a second file begins among them."""
    at, has_sound = 0, False
    while content[at : at + 4] == b"wvpk" and at + _WAVPACK_HEAD <= len(content):
        size, index, samples, flags = (
            int.from_bytes(content[at + place : at + place + 4], "little") for place in (4, 16, 20, 24)
        )
        # A block without samples holds remarks, and one more for the same samples other channels.
        is_first = samples > 0 and index == 0 and content[at + 10] == 0 and bool(flags & _INITIAL)
        if (is_first and has_sound) or at + 8 + size > len(content):
            break
        has_sound |= samples > 0
        at += 8 + size
    return at


def boxes_end(content: Content) -> int:
    """Where the boxes of an MPEG-4 file end (ISO 14496-12), or a second file begins among them."""
    at, end = 0, len(content)
    while at + 8 <= end:
        size, name = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(content[at + 8 : at + 16], "big")
        if size < 8 or at + size > end or not name.isascii() or (at and begins_file(content, at) == "AAC"):
            break
        at += size
    return at


def unread_behind(kind: str, size: int) -> str:
    """What is said of another file that is not read."""
    return (
        f"Behind its sound is another file ({_NAMES.get(kind, kind)}, {bytes_in_words(size)}), which is not read; "
        "save it as a file of its own to use it."
    )
