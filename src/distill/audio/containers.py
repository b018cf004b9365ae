"""What an audio file really holds, whatever its header claims: by content, in pieces that libsndfile can read whole.

A recorder that lost power leaves sizes of zero, a stream leaves them open, joined MP3 and Ogg files describe their first part
only, and a variable-rate MP3 without its table is as long as its first frame suggests. Where the content holds more than the
header claims, the file is read as if its header were right: spliced from new header bytes and stretches of the file itself.
Formats as described in EBU Tech 3306 (RF64, BW64), Apple's CAF and AIFF-C specifications, RFC 3533 (Ogg), ISO 11172-3 (MP3) and
RFC 9639 (FLAC).
"""

import io
import mmap
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from distill.files.regular import open_regular

Part = bytes | tuple[int, int]
"""New bytes, or from where to where in the file."""

_OPEN = 2**32 - 1
_AS_MUCH_AS_CAN_BE = 2**31 - 2**16
_MPEG_KILOBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_OGG_MOST_LINKS = 1000
_MOST_GAPS = 1000

_KINDS = (
    (b"fLaC", "FLAC"),
    (b"OggS", "Ogg"),
    (b"caff", "CAF"),
    (b".snd", "AU"),
    (b"riff\x2e\x91\xcf\x11", "W64"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (b"\x1a\x45\xdf\xa3", "Matroska"),
    (b"MAC ", "APE"),
    (b"wvpk", "WavPack"),
    (b"#!AMR", "AMR"),
    (b"DSD ", "DSF"),
    (b"TTA1", "TTA"),
)


def kind_of(path: Path) -> str:
    """What a file is by its first bytes: ``WAV``, ``AIFF``, ``MP3``, ``AAC`` and so on; empty where it is no sound we know.

    Raises:
        OSError: if it cannot be read.
    """
    with open_regular(path) as file:
        head = file.read(16)
        if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            return "WAV"
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return "AIFF"
        if head[4:8] == b"ftyp":
            return "AAC"
        for opening, kind in _KINDS:
            if head.startswith(opening):
                return kind
        begin = _after_id3(head, 0)
        if begin:
            file.seek(begin)
            head = file.read(4)
        if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # layer 0 is none of MP3
            return "AAC"
        if (size := _mpeg_frame(head[:4])[0]) and (begin or _is_followed(file, begin + size)):
            return "MP3"
    return ""


class Spliced(io.RawIOBase):
    """New bytes and stretches of a file, read as one file."""

    def __init__(self, file: BinaryIO, parts: Sequence[Part]) -> None:
        self._file = file
        self._parts = [part for part in parts if (len(part) if isinstance(part, bytes) else part[1] - part[0]) > 0]
        self._begins = [0]
        for part in self._parts:
            self._begins.append(self._begins[-1] + (len(part) if isinstance(part, bytes) else part[1] - part[0]))
        self._at = self._index = 0

    def close(self) -> None:
        """Closes the file itself."""
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._begins[-1]}[whence])
        self._index = 0
        return self._at

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._at < self._begins[-1]:
            while self._begins[self._index + 1] <= self._at:
                self._index += 1
            part, inside = self._parts[self._index], self._at - self._begins[self._index]
            wanted = min(len(view) - done, self._begins[self._index + 1] - self._at)
            if isinstance(part, bytes):
                piece = part[inside : inside + wanted]
            else:
                self._file.seek(part[0] + inside)
                piece = self._file.read(wanted)
            if not piece:
                break
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done


def spliced(path: Path) -> tuple[list["Spliced"], float | None]:
    """The parts in which libsndfile reads all of a file, and the seconds its header claims where that is wrong.

    Without parts the file is best read as it is.

    Raises:
        OSError: if it cannot be read.
    """
    kind = kind_of(path)
    read = {"WAV": _wav, "AIFF": _aiff, "CAF": _caf, "AU": _au, "MP3": _mp3, "Ogg": _ogg, "FLAC": _flac}.get(kind)
    if read is None:
        return [], None
    file = open_regular(path)
    links: list[list[Part]] = []
    try:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            links, claim = read(content)
        return [Spliced(file, parts) for parts in links], claim
    finally:
        if not links:
            file.close()


_Links = tuple[list[list[Part]], float | None]
_AS_IT_IS: _Links = ([], None)


def _wav(content: mmap.mmap) -> _Links:
    """Sizes that are zero, open or too small; several data chunks; BW64."""
    order = ">" if content[:4] == b"RIFX" else "<"
    end = len(content)
    sound: list[tuple[int, int]] = []
    shape = b""
    long_size = None
    at, claimed, is_plain = 12, 0, content[:4] in (b"RIFF", b"RIFX")
    while at + 8 <= end:
        name = content[at : at + 4]
        size = struct.unpack(order + "I", content[at + 4 : at + 8])[0]
        begin = at + 8
        if name == b"ds64" and size >= 24:
            long_size = struct.unpack("<Q", content[begin + 8 : begin + 16])[0]
        elif name == b"fmt " and not shape:
            shape = content[begin : begin + min(size, 4096)]
        elif name == b"data":
            claim = long_size if size == _OPEN and long_size is not None else size
            claimed += claim
            stop = begin + claim
            if stop > end or size == 0 or not _is_chunk(content, stop + stop % 2, order):
                stop = end
            sound.append((begin, stop))
            size = stop - begin
        elif not _is_chunk(content, at, order):
            break
        at = begin + size + size % 2
    if len(shape) < 16 or not sound:
        return _AS_IT_IS
    alignment = max(1, struct.unpack(order + "H", shape[12:14])[0])
    rate = struct.unpack(order + "I", shape[8:12])[0]  # bytes a second
    sound = [(begin, stop - (stop - begin) % alignment) for begin, stop in sound]
    held = sum(stop - begin for begin, stop in sound)
    if is_plain and len(sound) == 1 and held <= claimed:
        # What is written to a pipe claims as much as there can be; a download that broke off claims what it should have been.
        return [], claimed / rate if rate and held < claimed < _AS_MUCH_AS_CAN_BE else None
    header = content[:4] if content[:4] == b"RIFX" else b"RIFF"
    total = 4 + 8 + len(shape) + len(shape) % 2 + 8 + held
    parts: list[Part] = [header + struct.pack(order + "I", min(total, _OPEN)) + b"WAVE"]
    if total >= _OPEN:
        parts = [b"RF64" + b"\xff" * 4 + b"WAVE", b"ds64" + struct.pack("<IQQQI", 28, total + 36, held, 0, 0)]
    parts.append(b"fmt " + struct.pack(order + "I", len(shape)) + shape + b"\0" * (len(shape) % 2))
    parts.append(b"data" + struct.pack(order + "I", min(held, _OPEN)))
    parts += sound
    # Half a second of rubbish behind the sound is no sign of anything; a claim of nothing is.
    return [parts], claimed / rate if rate and held != claimed else None


def _is_chunk(content: mmap.mmap, at: int, order: str) -> bool:
    """Whether a chunk begins there, or the file ends."""
    if at + 8 > len(content):
        return len(content) - at < 8
    name, size = content[at : at + 4], struct.unpack(order + "I", content[at + 4 : at + 8])[0]
    return all(32 <= letter < 127 for letter in name) and (at + 8 + size <= len(content) or name == b"data")


def _aiff(content: mmap.mmap) -> _Links:
    """Sound that is longer than its chunk says."""
    at, end = 12, len(content)
    common = None
    while at + 8 <= end:
        name, size = content[at : at + 4], struct.unpack(">I", content[at + 4 : at + 8])[0]
        if name == b"COMM" and size >= 18:
            common = at
        if name == b"SSND" and common is not None:
            stop = at + 8 + size
            compression = content[common + 26 : common + 30] if content[8:12] == b"AIFC" else b"NONE"
            if (size > 8 and stop <= end and _is_chunk(content, stop + stop % 2, ">")) or compression not in (
                b"NONE", b"sowt", b"fl32", b"FL32", b"twos", b"in24",
            ):  # fmt: skip
                return _AS_IT_IS
            channels, frames, bits = struct.unpack(">hIh", content[common + 8 : common + 16])
            width = max(1, channels * -(-bits // 8))
            held = (end - at - 16) // width
            if held <= min(frames, (size - 8) // width) and size > 8:
                return _AS_IT_IS
            head = bytearray(content[: at + 8])
            head[4:8] = struct.pack(">I", at + 16 + held * width - 8)
            head[common + 10 : common + 14] = struct.pack(">I", held)
            head[at + 4 : at + 8] = struct.pack(">I", 8 + held * width)
            rate = _extended(content[common + 16 : common + 26])
            claim = min(frames, max(0, size - 8) // width)
            return [[bytes(head), (at + 8, at + 16 + held * width)]], claim / rate if rate else None
        at += 8 + size + size % 2
    return _AS_IT_IS


def _extended(number: bytes) -> float:
    exponent, mantissa = struct.unpack(">HQ", number)
    return float(mantissa) * 2.0 ** ((exponent & 0x7FFF) - 16383 - 63) if exponent & 0x7FFF < 16383 + 40 else 0.0


def _caf(content: mmap.mmap) -> _Links:
    """A data chunk of open length, or one that is longer than it says."""
    at, end = 8, len(content)
    rate = 0.0
    while at + 12 <= end:
        name, size = content[at : at + 4], struct.unpack(">q", content[at + 4 : at + 12])[0]
        if name == b"desc" and at + 44 <= end:
            frequency, _, _, width = struct.unpack(">d4sII", content[at + 12 : at + 32])
            rate = frequency * width
        if name == b"data":
            stop = at + 12 + size
            is_chunk = size > 0 and stop + 12 <= end and content[stop : stop + 4].isalnum()
            if rate <= 0 or (size > 4 and stop <= end and (stop >= end - 12 or is_chunk)):
                return _AS_IT_IS
            head = bytearray(content[: at + 12])
            head[at + 4 : at + 12] = struct.pack(">q", end - at - 12)
            return [[bytes(head), (at + 12, end)]], None if size < 0 else max(0, size - 4) / rate
        if size < 0:
            break
        at += 12 + size
    return _AS_IT_IS


def _au(content: mmap.mmap) -> _Links:
    """Nothing follows the sound in this format, so that all of the rest is sound."""
    if len(content) < 24:
        return _AS_IT_IS
    begin, size, encoding, rate, channels = struct.unpack(">IIIII", content[4:24])
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0) * channels
    if size == _OPEN or begin + size >= len(content) or not width or not rate:
        return _AS_IT_IS
    head = content[:8] + struct.pack(">I", _OPEN)
    return [[head, (12, len(content))]], size / (width * rate)


def _flac(content: mmap.mmap) -> _Links:
    """A count of samples that is smaller than what the last frame says."""
    if len(content) < 42 or content[4] & 0x7F != 0:
        return _AS_IT_IS
    smallest, largest = struct.unpack(">HH", content[8:12])
    packed = int.from_bytes(content[18:26], "big")
    rate, claimed = packed >> 44, packed & (2**36 - 1)
    if not claimed or not rate:
        return _AS_IT_IS  # libsndfile counts for itself
    found = 0
    for at in _backwards(content, max(42, len(content) - 2**18)):
        if (end := _flac_frame_end(content, at, largest if smallest == largest else 0)) is not None:
            found = end
            break
    if found <= claimed or found > 2 * claimed + 2**31:
        return _AS_IT_IS
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


def _ogg(content: mmap.mmap) -> _Links:
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
        return _AS_IT_IS
    return [[link] for link in zip(begins, [*begins[1:], len(content)], strict=True)], None


def _mp3(content: mmap.mmap) -> _Links:
    """Frames counted instead of believed: joined files, tables that are missing or tell of the first part only."""
    frames: list[list[int]] = []  # stretches of sound without gaps
    count = tables = claimed = gaps = 0
    first = b""
    is_constant = True
    at = _after_id3(content[:10], 0)
    while at + 4 <= len(content):
        size, samples, rate = _mpeg_frame(content[at : at + 4])
        if not size or (count and (content[at + 1] ^ first[1]) & 0xFE) or (count and rate != _mpeg_frame(first)[2]):
            at = _next_mpeg_frame(content, at + 1)
            gaps += 1
            if gaps > _MOST_GAPS:
                return _AS_IT_IS
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
        return _AS_IT_IS
    if tables == 1 and claimed > count:
        return _AS_IT_IS  # cut off: reading it to its end says where
    _, samples, rate = _mpeg_frame(first)
    parts: list[Part] = [_own_table(first, count)]
    parts += [(begin, stop) for begin, stop in frames]
    return [parts], claimed * samples / rate if tables else None


def _after_id3(head: bytes, at: int) -> int:
    if head[:3] != b"ID3" or len(head) < 10:
        return at
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return at + 10 + size + (10 if head[5] & 0x10 else 0)


def _mpeg_frame(head: bytes) -> tuple[int, int, int]:
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


def _is_followed(file: BinaryIO, size: int) -> bool:
    file.seek(size)
    return bool(_mpeg_frame(file.read(4))[0])


def _next_mpeg_frame(content: mmap.mmap, at: int) -> int:
    """Behind rubbish and tags: where a frame begins that another one follows."""
    while (at := content.find(b"\xff", at)) >= 0:
        size = _mpeg_frame(content[at : at + 4])[0]
        if size and (at + size + 4 > len(content) or _mpeg_frame(content[at + size : at + size + 4])[0]):
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
        size = _mpeg_frame(head)[0]
        place = _table_place(head)
        if size >= place + 12:
            table = head + bytes(place - 4) + b"Xing" + struct.pack(">II", 1, count)
            return table + bytes(size - len(table))
    raise AssertionError("no frame is that small")
