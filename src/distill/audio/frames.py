"""Files made of frames or pages, counted instead of believed: FLAC, Ogg and MP3.

Formats as described in RFC 9639 (FLAC), RFC 3533 (Ogg) and ISO 11172-3 (MP3).
"""

import mmap
import struct
from collections.abc import Iterator
from typing import BinaryIO

from distill.audio.spliced import AS_IT_IS, Links, Part

_MPEG_KILOBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_OGG_MOST_LINKS = 1000
_MOST_GAPS = 1000


def flac(content: mmap.mmap) -> Links:
    """A count of samples that is smaller than what the last frame says."""
    if len(content) < 42 or content[4] & 0x7F != 0:
        return AS_IT_IS
    smallest, largest = struct.unpack(">HH", content[8:12])
    packed = int.from_bytes(content[18:26], "big")
    rate, claimed = packed >> 44, packed & (2**36 - 1)
    if not claimed or not rate:
        return AS_IT_IS  # libsndfile counts for itself
    found = 0
    for at in _backwards(content, max(42, len(content) - 2**18)):
        if (end := _flac_frame_end(content, at, largest if smallest == largest else 0)) is not None:
            found = end
            break
    if found <= claimed or found > 2 * claimed + 2**31:
        return AS_IT_IS
    head = content[:18] + (packed - claimed + min(found, 2**36 - 1)).to_bytes(8, "big")
    return [[head, (26, len(content))]], claimed / rate


def _backwards(content: mmap.mmap, first: int) -> Iterator[int]:
    at = len(content)
    while (at := content.rfind(b"\xff", first, at)) >= 0:
        if at + 6 < len(content) and content[at + 1] & 0xFE == 0xF8:
            yield at


def _flac_frame_end(content: mmap.mmap, at: int, fixed: int) -> int | None:
    """After how many samples of the whole file a frame that begins there ends; None if none does (its check sum is wrong)."""
    header = content[at : at + 17]
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
        return number + block
    return number * fixed + block if fixed else None


def _crc8(data: bytes) -> int:
    check = 0
    for byte in data:
        check ^= byte
        for _ in range(8):
            check = (check << 1 ^ 0x07 if check & 0x80 else check << 1) & 0xFF
    return check


def ogg(content: mmap.mmap) -> Links:
    """Streams one after the other (a radio's tracks): each is a file of its own to libsndfile, which reads the first."""
    begins = []
    at = 0
    was_begin = False
    while at + 27 <= len(content) and content[at : at + 4] == b"OggS":
        is_begin = bool(content[at + 5] & 2)
        if is_begin and not was_begin:
            begins.append(at)
        was_begin = is_begin
        segments = content[at + 26]
        at += 27 + segments + sum(content[at + 27 : at + 27 + segments])
    if not 1 < len(begins) <= _OGG_MOST_LINKS:
        return AS_IT_IS
    return [[link] for link in zip(begins, [*begins[1:], len(content)], strict=True)], None


def mp3(content: mmap.mmap) -> Links:
    """Frames counted instead of believed: joined files, tables that are missing or describe the first part only."""
    frames: list[list[int]] = []  # stretches of sound without gaps
    count = tables = claimed = gaps = 0
    first = b""
    is_constant = True
    at = after_id3(content[:10], 0)
    while at + 4 <= len(content):
        size, samples, rate = mpeg_frame(content[at : at + 4])
        if not size or (count and (content[at + 1] ^ first[1]) & 0xFE) or (count and rate != mpeg_frame(first)[2]):
            at = _next_mpeg_frame(content, at + 1)
            gaps += 1
            if gaps > _MOST_GAPS:
                return AS_IT_IS
            continue
        if at + size > len(content):
            break
        table = _table_of_contents(content, at, size)
        if table is not None:
            tables += 1
            claimed = table if tables == 1 else claimed
        else:
            is_constant = is_constant and (not count or content[at + 2] >> 4 == first[2] >> 4)
            first = first or content[at : at + 4]
            count += 1
            if frames and frames[-1][1] == at:
                frames[-1][1] = at + size
            else:
                frames.append([at, at + size])
        at += size
    if (
        not count
        or (tables == 1 and len(frames) == 1 and claimed in (count, count + 1))
        or (not tables and is_constant and len(frames) == 1)
    ):
        return AS_IT_IS
    if tables == 1 and claimed > count:
        return AS_IT_IS  # cut off: reading it to its end says where
    _, samples, rate = mpeg_frame(first)
    parts: list[Part] = [_own_table(first, count)]
    parts += [(begin, stop) for begin, stop in frames]
    return [parts], claimed * samples / rate if tables else None


def after_id3(head: bytes, at: int) -> int:
    """Where the sound begins behind a tag that begins at ``at``, given its first ten bytes."""
    if head[:3] != b"ID3" or len(head) < 10:
        return at
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return at + 10 + size + (10 if head[5] & 0x10 else 0)


def mpeg_frame(head: bytes) -> tuple[int, int, int]:
    """(bytes, samples, samples a second) of a layer-3 frame with that header; zeros if it is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0, 0, 0
    version = head[1] >> 3 & 3
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0, 0, 0
    hertz = _MPEG_RATES[version][rate]
    kilobits = _MPEG_KILOBITS[1 if version == 3 else 2][bitrate]
    samples = 1152 if version == 3 else 576
    return samples // 8 * kilobits * 1000 // hertz + (head[2] >> 1 & 1), samples, hertz


def is_followed(file: BinaryIO, size: int) -> bool:
    """Whether an MP3 frame begins at that byte of the file."""
    file.seek(size)
    return bool(mpeg_frame(file.read(4))[0])


def _next_mpeg_frame(content: mmap.mmap, at: int) -> int:
    """Behind rubbish and tags: where a frame begins that another one follows."""
    while (at := content.find(b"\xff", at)) >= 0:
        size = mpeg_frame(content[at : at + 4])[0]
        if size and (at + size + 4 > len(content) or mpeg_frame(content[at + size : at + size + 4])[0]):
            return at
        at += 1
    return len(content)


def _table_place(head: bytes) -> int:
    is_mono = head[3] >> 6 == 3
    return 4 + ((17 if is_mono else 32) if head[1] >> 3 & 3 == 3 else (9 if is_mono else 17))


def _table_of_contents(content: mmap.mmap, at: int, size: int) -> int | None:
    """The frames that a Xing, Info or VBRI frame claims, 0 if it does not say; None for a frame of sound."""
    frame = content[at : at + min(size, 200)]
    place = _table_place(frame)
    if frame[place : place + 4] in (b"Xing", b"Info"):
        has_count = len(frame) >= place + 12 and frame[place + 7] & 1
        return struct.unpack(">I", frame[place + 8 : place + 12])[0] if has_count else 0
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return int(struct.unpack(">I", frame[50:54])[0])
    return None


def _own_table(first: bytes, count: int) -> bytes:
    """A frame that says how many follow."""
    for bitrate in range(1, 15):
        head = bytes([first[0], first[1] | 1, bitrate << 4 | first[2] & 0x0C, first[3]])
        size = mpeg_frame(head)[0]
        place = _table_place(head)
        if size >= place + 12:
            table = head + bytes(place - 4) + b"Xing" + struct.pack(">II", 1, count)
            return table + bytes(size - len(table))
    raise AssertionError("no frame is that small")
