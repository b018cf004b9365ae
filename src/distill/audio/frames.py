"""Files made of frames or pages, counted instead of believed: FLAC, Ogg and MP3.

Formats as described in RFC 9639 (FLAC), RFC 3533 (Ogg) and ISO 11172-3 (MP3).
"""

import math
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
_MOST_LINKS = 1000
_FLAC_BEGIN = b"fLaC\0\0\0\x22"
_MOST_GAPS = 1000
_MOST_TAGS = 0.01


def flac(content: mmap.mmap) -> Links:
    """Counts of samples that are not what the last frame says (an encoder that was stopped, a copy that broke off), and files
    one after the other."""
    begins = [0]
    while (at := content.find(_FLAC_BEGIN, begins[-1] + 42)) >= 0 and len(begins) <= _MOST_LINKS:
        begins.append(at)
    links = [_one_flac(content, begin, stop) for begin, stop in zip(begins, [*begins[1:], len(content)], strict=True)]
    if not 1 < len(begins) <= _MOST_LINKS and links[0][0][0] == (0, len(content)):
        return AS_IT_IS
    return [parts for parts, _ in links], links[0][1]


def _one_flac(content: mmap.mmap, begin: int, stop: int) -> tuple[list[Part], float | None]:
    """In which parts a file is read that lies there in another one, and the seconds that it claims."""
    as_it_is: list[Part] = [(begin, stop)]
    if stop - begin < 42 or content[begin + 4] & 0x7F != 0:
        return as_it_is, None
    smallest, largest = struct.unpack(">HH", content[begin + 8 : begin + 12])
    packed = int.from_bytes(content[begin + 18 : begin + 26], "big")
    rate, claimed = packed >> 44, packed & (2**36 - 1)
    if not rate:
        return as_it_is, None
    claim = claimed / rate
    last = _last_flac_frame(content, begin, stop, largest if smallest == largest else 0)
    if last is None:
        return as_it_is, claim
    at, (before, found) = last
    if (not claimed or found <= claimed) and not _is_whole(content[at:stop]):  # it broke off within this frame
        found, stop = before, at
    elif not claimed:
        return as_it_is, None  # libsndfile counts for itself
    if not found or found == claimed or found > 2 * claimed + 2**31:
        return as_it_is, claim
    head = content[begin : begin + 18] + (packed - claimed + min(found, 2**36 - 1)).to_bytes(8, "big")
    return [head, (begin + 26, stop)], claim


def _last_flac_frame(content: mmap.mmap, begin: int, stop: int, fixed: int) -> tuple[int, tuple[int, int]] | None:
    """Where the last frame begins, and from which sample to which it lasts.

    What looks like a frame may be chance, once in some hundred files; so one counts only where another ends at its beginning.
    """
    seen: list[tuple[int, tuple[int, int]]] = []
    for at in _backwards(content, max(begin + 42, stop - 2**18), stop):
        span = _flac_frame(content, at, fixed)
        if span is None:
            continue
        for later in seen:
            if later[1][0] == span[1]:
                return later
        seen.append((at, span))
    return seen[-1] if seen and seen[-1][1][0] == 0 else None


def _backwards(content: mmap.mmap, first: int, stop: int) -> Iterator[int]:
    at = stop
    while (at := content.rfind(b"\xff", first, at)) >= 0:
        if at + 6 < len(content) and content[at + 1] & 0xFE == 0xF8:
            yield at


def _flac_frame(content: mmap.mmap, at: int, fixed: int) -> tuple[int, int] | None:
    """From which sample of the whole file to which a frame lasts that begins there; None if none does (its check sum is
    wrong)."""
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
        return number, number + block
    return (number * fixed, number * fixed + block) if fixed else None


def _is_whole(frame: bytes) -> bool:
    """Whether the last frame of a file is all there, by its own check sum, whatever comes behind it.

    That sum also comes right by chance, once in some ten frames that broke off; those are refused as damaged then.
    """
    check = 0
    for place, byte in enumerate(frame):
        check = (check << 8 & 0xFFFF) ^ _CRC16[check >> 8 ^ byte]
        if check == 0 and place > 8:
            return True
    return False


def _crc16_of(byte: int) -> int:
    check = byte << 8
    for _ in range(8):
        check = (check << 1 ^ 0x8005 if check & 0x8000 else check << 1) & 0xFFFF
    return check


_CRC16 = [_crc16_of(byte) for byte in range(256)]


def _crc8(data: bytes) -> int:
    check = 0
    for byte in data:
        check ^= byte
        for _ in range(8):
            check = (check << 1 ^ 0x07 if check & 0x80 else check << 1) & 0xFF
    return check


def ogg(content: mmap.mmap) -> Links:
    """Streams one after the other (a radio's tracks): each is a file of its own to libsndfile, which reads the first."""
    begins: list[int] = []
    at = after_id3(content[:10], 0)
    was_begin = is_end = False
    while at + 27 <= len(content) and content[at : at + 4] == b"OggS":
        is_begin = bool(content[at + 5] & 2)
        if is_begin and not was_begin:
            begins.append(at)
        was_begin = is_begin
        is_end = bool(content[at + 5] & 4)
        segments = content[at + 26]
        at += 27 + segments + sum(content[at + 27 : at + 27 + segments])
    claim = None if is_end and at <= len(content) else math.inf
    if not 1 <= len(begins) <= _MOST_LINKS or begins == [0]:
        return [], claim
    return [[link] for link in zip(begins, [*begins[1:], len(content)], strict=True)], claim


def mp3(content: mmap.mmap) -> Links:
    """Frames counted instead of believed: joined files, tables that are missing or describe the first part only."""
    frames: list[list[int]] = []  # stretches of sound without gaps
    count = tables = table_at = claimed = gaps = 0
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
            table_at = at
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
    if tables == 1 and len(frames) == 1 and claimed in (count, count + 1):
        # Tags in front and behind are left out where they are so long that libsndfile warns of them on the screen.
        begin, stop = table_at, frames[0][1]
        is_short = len(content) - (stop - begin) > _MOST_TAGS * (stop - begin)
        return ([[(begin, stop)]], None) if is_short and frames[0][0] > begin else AS_IT_IS
    if not count or (not tables and is_constant and len(frames) == 1):
        return AS_IT_IS
    if tables == 1 and claimed > count and len(frames) > 1:
        return AS_IT_IS  # damaged in the middle, not cut off
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
