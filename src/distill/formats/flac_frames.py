"""The frames of a FLAC stream, each with two checksums of its own: so damage is found, and where sound goes on behind it.

Format as described in RFC 9639.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from distill.formats.chunks import TAGS
from distill.formats.content import Content, places_of

_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_LOOK_AHEAD = 64
"""Among so many next places that look like a frame is the true one: chance makes one in some megabytes."""
_AT_ONCE = 2**24  # bytes
_LONGEST_FRAME = 2**18  # bytes, as encoders write them
_MOST_BYTES, _LONGEST_HEAD = 33, 1024
"""What a frame takes at most: eight channels of 32 bits and one more, for each of its samples."""


class Stretch(NamedTuple):
    """Whole frames that follow each other: from where to where in the file, and from which sample to which."""

    begin: int
    stop: int
    first: int
    last: int


def whole_stretches(content: Content, begin: int, stop: int, fixed: int, claimed: int) -> list[Stretch]:
    """The frames between two bytes whose checksums are right, joined where they follow each other.

    Args:
        fixed: samples of every frame but the last, where all have as many; else 0.
        claimed: samples of the whole file, as its header says.
    """
    found = [
        (at, *span)
        for at in places_of(_SYNC, content, begin, stop)
        if (span := span_of_frame(content, at, fixed)) is not None
    ]
    frames: list[Stretch] = []
    index = 0
    while index < len(found):
        at, first, last = found[index]
        # A frame ends where the one begins that goes on with the sample behind it.
        ahead = range(index + 1, min(index + 1 + _LOOK_AHEAD, len(found)))
        following = next((other for other in ahead if found[other][1] == last), None)
        if following is not None and found[following][0] - at <= _MOST_BYTES * (last - first) + _LONGEST_HEAD:
            frames.append(Stretch(at, found[following][0], first, last))
        index = following or index + 1
    right = _are_right(content, frames)
    sound = [frame for frame, is_right in zip(frames, right, strict=True) if is_right]
    if found:
        at, first, last = found[-1]
        is_ahead = not sound or first >= sound[-1].last
        if is_ahead and _is_whole(content[at : min(stop, at + _LONGEST_FRAME)], last == claimed):
            sound.append(Stretch(at, stop, first, last))
    stretches: list[Stretch] = []
    for frame in sound:
        before = stretches[-1] if stretches else None
        if before is not None and (before.stop, before.last) == (frame.begin, frame.first):
            stretches[-1] = Stretch(before.begin, frame.stop, before.first, frame.last)
        else:
            stretches.append(frame)
    return stretches


def frames_begin_at(content: Content, begin: int, stop: int) -> Iterator[int]:
    """Where between two bytes there is the header of a frame, by its check sum."""
    for at in places_of(_SYNC, content, begin, stop):
        if span_of_frame(content, at, 1) is not None:
            yield at


def span_of_frame(content: Content, at: int, fixed: int) -> tuple[int, int] | None:
    """From which sample of the whole file to which a frame lasts that begins there; None if none does (its check sum is
    wrong)."""
    header = content[at : at + 17]
    if len(header) < 6:
        return None
    block_code, is_variable = header[2] >> 4, header[1] & 1
    length = 0 if header[4] < 0x80 else 8 - (header[4] ^ 0xFF).bit_length()
    if length == 1 or length > 7 or not block_code or len(header) < 8 + length:
        return None
    number = header[4] if not length else header[4] & (0x7F >> length)
    for byte in header[5 : 4 + max(1, length)]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    place = 4 + max(1, length)
    if block_code in (6, 7):
        block = int.from_bytes(header[place : place + block_code - 5], "big") + 1
        place += block_code - 5
    else:
        block = 192 if block_code == 1 else 576 << block_code - 2 if block_code < 6 else 256 << block_code - 8
    place += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if place >= len(header) or _crc8(header[:place]) != header[place]:
        return None
    if is_variable:
        return number, number + block
    return (number * fixed, number * fixed + block) if fixed else None


def _is_whole(frame: bytes, is_the_last: bool) -> bool:
    """Whether the last frame of a file is all there, by its own check sum.

    That sum also comes right by chance, once in some ten frames that broke off. So a tag or nothing has to be behind it,
    unless the header says that it is the last one: then anything may.
    """
    check, table = 0, _crc16_of_two()[:256].tolist()
    for place, byte in enumerate(frame):
        check = (check << 8 & 0xFFFF) ^ table[check >> 8 ^ byte]
        behind = frame[place + 1 : place + 17]
        if check == 0 and place > 8 and (is_the_last or not any(behind) or behind.startswith(TAGS)):
            return True
    return False


def _crc8(data: bytes) -> int:
    check = 0
    for byte in data:
        check ^= byte
        for _ in range(8):
            check = (check << 1 ^ 0x07 if check & 0x80 else check << 1) & 0xFF
    return check


@functools.cache
def _crc16_of_two() -> np.ndarray:
    """By the two bytes that are next, mixed with the sum so far: uint16 ``[65536]``; the first 256 do for one byte."""
    check = np.arange(2**16, dtype=np.uint16)
    for _ in range(16):
        check = np.where(check >> 15, check << 1 ^ 0x8005, check << 1).astype(np.uint16)
    return check


def _are_right(content: Content, frames: Sequence[Stretch]) -> np.ndarray:
    """Whether the check sum at the end of each frame is that of its bytes, bool ``[n]``: many frames at a time."""
    table = _crc16_of_two()
    right = np.zeros(len(frames), bool)
    order = sorted(range(len(frames)), key=lambda number: frames[number].stop - frames[number].begin)
    while order:
        longest = frames[order[-1]].stop - frames[order[-1]].begin
        longest += longest % 2
        count = max(1, _AT_ONCE // longest)
        batch, order = order[-count:], order[:-count]
        # Zeros in front change no sum; so all can end together.
        held = np.zeros((len(batch), longest), np.uint8)
        for row, number in zip(held, batch, strict=True):
            frame = content[frames[number].begin : frames[number].stop]
            row[longest - len(frame) :] = np.frombuffer(frame, np.uint8)
        check = np.zeros(len(batch), np.uint16)
        for pair in np.ascontiguousarray(held.view(">u2").T):
            check = table[check ^ pair]
        right[batch] = check == 0
    return right
