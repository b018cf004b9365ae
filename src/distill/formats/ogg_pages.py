"""Ogg pages as they are written (RFC 3533)."""

import struct
import zlib

_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def page_with(head: bytes, sizes: bytes, body: bytes, *, serial: int | None = None) -> bytes:
    """A page of these segments, with the checksum that it needs.

    Args:
        head: the first 26 bytes of the page that it takes the place of.
        sizes: the size of each segment.
        body: the segments.
        serial: the number of its stream, where it is to be another one.
    """
    number = head[14:18] if serial is None else struct.pack("<I", serial)
    before, behind = head[:14] + number + head[18:22], bytes([len(sizes)]) + sizes + body
    return before + struct.pack("<I", _checksum(before + bytes(4) + behind)) + behind


def is_right(page: bytes) -> bool:
    """Whether the checksum of a page is that of its bytes."""
    return struct.unpack("<I", page[22:26])[0] == _checksum(page[:22] + bytes(4) + page[26:])


def _checksum(page: bytes) -> int:
    # Ogg's CRC runs from the top bit, without start value or final flip; zlib's is its mirror image with both.
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
