"""FLAC and Ogg: their length is counted from frames or pages, not taken from the header.

Formats as described in RFC 9639 (FLAC) and RFC 3533 (Ogg).
"""

import math
import mmap
import struct
from collections.abc import Iterator

from distill.audio.id3 import after_id3
from distill.audio.spliced import AS_IT_IS, Links, Part

_MOST_LINKS = 1000
_FLAC_BEGIN = b"fLaC\0\0\0\x22"


def flac(content: mmap.mmap) -> Links:
    """Counts of samples that are not what the last frame says (an encoder that was stopped, a copy that broke off), and files
    one after the other."""
    begins = [after_id3(content)]
    while (at := content.find(_FLAC_BEGIN, begins[-1] + 42)) >= 0 and len(begins) <= _MOST_LINKS:
        begins.append(at)
    links = [_one_flac(content, begin, stop) for begin, stop in zip(begins, [*begins[1:], len(content)], strict=True)]
    if not 1 < len(begins) <= _MOST_LINKS and links[0][0][0] == (0, len(content)):
        return AS_IT_IS
    return Links([parts for parts, _ in links], links[0][1])


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
    at = after_id3(content)
    was_begin = is_end = False
    numbers: dict[bytes, int] = {}  # by stream, of its last page
    before = seconds = 0.0  # of the streams before, and of this one
    rate = 0
    while at + 27 <= len(content) and content[at : at + 4] == b"OggS":
        is_begin = bool(content[at + 5] & 2)
        stream, number = content[at + 14 : at + 18], struct.unpack("<I", content[at + 18 : at + 22])[0]
        if is_begin and not was_begin:
            begins.append(at)
            before, seconds = before + seconds, 0.0
        if not is_begin and number > numbers.get(stream, number) + 1:  # pages are missing
            return Links(broken_at=before + seconds)
        numbers[stream] = number
        was_begin = is_begin
        is_end = bool(content[at + 5] & 4)
        segments = content[at + 26]
        packet = at + 27 + segments
        if is_begin:
            rate = _ogg_rate(content[packet : packet + 16])
        granule = struct.unpack("<q", content[at + 6 : at + 14])[0]
        if rate and granule > 0:
            seconds = granule / rate
        at = packet + sum(content[at + 27 : packet])
    if begins and at < len(content) and content.find(b"OggS", at) >= 0:
        return Links(broken_at=before + seconds)
    claim = None if is_end and at <= len(content) else math.inf
    if not 1 <= len(begins) <= _MOST_LINKS or begins == [0]:
        return Links(claim=claim)
    return Links([[link] for link in zip(begins, [*begins[1:], len(content)], strict=True)], claim)


def _ogg_rate(packet: bytes) -> int:
    """In what the pages of a stream count, by its first packet: samples a second, 0 if it is not known."""
    if packet.startswith(b"OpusHead"):
        return 48_000
    return int(struct.unpack("<I", packet[12:16])[0]) if packet.startswith(b"\x01vorbis") and len(packet) >= 16 else 0
