"""What the header of a FLAC stream should say, by the headers of its frames (RFC 9639), where its own is damaged."""

import itertools
from collections import Counter
from typing import NamedTuple

from distill.formats.content import Content
from distill.formats.flac_frames import frames_begin_at, span_of_frame

_RATES = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
_BITS = (0, 8, 12, 0, 16, 20, 24, 32)
_LOOKED_AT = 32
"""Chance makes one that looks like a frame in some megabytes; so many of them agree by no chance."""
_HEADER = 26  # bytes, with the number of samples at their end
_FEWEST = 16  # samples a frame may have


class _Frame(NamedTuple):
    block: int
    """Its samples, where all frames have as many; else 0."""
    rate: int
    """Hz; this and ``bits`` are 0 where the frame leaves it to the stream's header."""
    channels: int
    bits: int


def right_header(content: Content, own: bytes, begin: int, stop: int) -> bytes:
    """The first 26 bytes of a stream: its ``own`` where the frames between two bytes of the file do not contradict them."""
    header = bytes(own[:_HEADER])
    places = itertools.islice(frames_begin_at(content, begin, stop), _LOOKED_AT)
    seen = Counter(_frame(content, place) for place in places)
    if not seen:
        return header
    told, count = seen.most_common(1)[0]
    if count < 2:
        return header
    least, most = (int.from_bytes(header[at : at + 2], "big") for at in (8, 10))
    packed = int.from_bytes(header[18:26], "big")
    rate, channels, bits = packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    is_right = told.rate in (0, rate) and told.channels == channels and told.bits in (0, bits)
    if is_right and (told.block == most == least or (not told.block and most >= _FEWEST)):
        return header
    block = told.block or 2**16 - 1
    packed = (told.rate or rate) << 44 | told.channels - 1 << 41 | (told.bits or bits) - 1 << 36 | packed & 2**36 - 1
    least = told.block or _FEWEST
    return header[:8] + least.to_bytes(2, "big") + block.to_bytes(2, "big") + bytes(6) + packed.to_bytes(8, "big")


def _frame(content: Content, at: int) -> _Frame:
    head = content[at : at + 4]
    first, last = span_of_frame(content, at, 1) or (0, 0)
    rate = head[2] & 15
    channels = head[3] >> 4
    return _Frame(
        0 if head[1] & 1 else last - first,
        _RATES[rate] if rate < len(_RATES) else 0,
        channels + 1 if channels < 8 else 2,
        _BITS[head[3] >> 1 & 7],
    )
