"""Chunked files (WAV, AIFF, CAF, and AU's one header), and what they really hold where a chunk's length is wrong.

Formats as described in EBU Tech 3306 (RF64, BW64) and in Apple's CAF and AIFF-C specifications.
"""

import mmap
import struct

from distill.audio.spliced import AS_IT_IS, Links, Part

_OPEN = 2**32 - 1
_TOO_MUCH = 2**47
"""A size of 64 bits beyond it is one that was left open."""
_AS_MUCH_AS_CAN_BE = 2**31 - 2**16
TAGS = (b"TAG", b"ID3", b"APETAGEX")
"""How tags begin that programs put behind a file of any kind."""
_RUBBISH_S = 0.05
"""So little behind the sound is no sound that a recorder did not count."""


def wav(content: mmap.mmap) -> Links:
    """Sizes that are zero, open or too small; several data chunks; BW64."""
    order = ">" if content[:4] == b"RIFX" else "<"
    end = len(content)
    sound: list[tuple[int, int]] = []
    shape = b""
    long_size = None
    at, claimed, is_plain, is_open = 12, 0, content[:4] in (b"RIFF", b"RIFX"), False
    while at + 8 <= end:
        name = content[at : at + 4]
        size = struct.unpack(order + "I", content[at + 4 : at + 8])[0]
        begin = at + 8
        if name == b"ds64" and size >= 24 and begin + 24 <= end:
            long_size = struct.unpack("<Q", content[begin + 8 : begin + 16])[0]
        elif name in (b"RIFF", b"RIFX") and content[begin : begin + 4] == b"WAVE":  # another file behind this one
            at, is_plain = begin + 4, False
            continue
        elif name == b"fmt " and not shape:
            shape = content[begin : begin + min(size, 4096)]
            is_plain = is_plain and not sound
        elif name == b"fmt ":
            if content[begin : begin + min(size, 4096)] != shape:
                return AS_IT_IS
            is_plain = False  # libsndfile takes one
        elif name == b"data":
            claim = long_size if size == _OPEN and long_size is not None else size
            is_open = is_open or (claim == _OPEN if size == _OPEN and long_size is None else claim > _TOO_MUCH)
            claimed += claim
            stop = begin + claim
            is_over = stop <= end and size > 0 and _is_over(content, stop, shape, order)
            if not is_over:
                stop = end
            sound.append((begin, stop))
            size = stop - begin
        elif not _is_chunk(content, at, order):
            break
        at = begin + size
        if size % 2 and (_is_chunk(content, at + 1, order) or not _is_chunk(content, at, order)):
            at += 1
        elif size % 2 and at + 8 <= end:
            is_plain = False  # some programs leave out the byte that makes a chunk even
    if len(shape) < 16 or not sound:
        return AS_IT_IS
    alignment = max(1, struct.unpack(order + "H", shape[12:14])[0])
    rate = _bytes_a_second(shape, order)
    sound = [(begin, stop - (stop - begin) % alignment) for begin, stop in sound]
    held = sum(stop - begin for begin, stop in sound)
    if is_plain and len(sound) == 1 and held <= claimed:
        # What is written to a pipe claims as much as there can be; a download that broke off claims what it should have been.
        return Links(claim=claimed / rate if rate and held < claimed < _AS_MUCH_AS_CAN_BE else None)
    header = content[:4] if content[:4] == b"RIFX" else b"RIFF"
    total = 4 + 8 + len(shape) + len(shape) % 2 + 8 + held
    parts: list[Part] = [header + struct.pack(order + "I", min(total, _OPEN)) + b"WAVE"]
    if total >= _OPEN:
        parts = [b"RF64" + b"\xff" * 4 + b"WAVE", b"ds64" + struct.pack("<IQQQI", 28, total + 36, held, 0, 0)]
    parts.append(b"fmt " + struct.pack(order + "I", len(shape)) + shape + b"\0" * (len(shape) % 2))
    parts.append(b"data" + struct.pack(order + "I", min(held, _OPEN)))
    parts += sound
    return Links([parts], claimed / rate if rate and held != claimed and not is_open else None)


def _bytes_a_second(shape: bytes, order: str) -> int:
    """What a second of sound takes; of plain samples reckoned, as some programs leave the field empty."""
    code, channels, hertz, said, _, bits = (int(number) for number in struct.unpack(order + "HHIIHH", shape[:16]))
    return hertz * channels * -(-bits // 8) if code in (1, 3, 0xFFFE) else said


def _is_over(content: mmap.mmap, stop: int, shape: bytes, order: str) -> bool:
    """Whether what is behind the sound is something else: another chunk, a tag, or too little to be sound."""
    if _is_chunk(content, stop + stop % 2, order) or content[stop : stop + 8].startswith(TAGS):
        return True
    rate = _bytes_a_second(shape, order) if len(shape) >= 16 else 0
    return len(content) - stop < _RUBBISH_S * rate


def _is_chunk(content: mmap.mmap, at: int, order: str) -> bool:
    """Whether a chunk begins there, or the file ends."""
    if at + 8 > len(content):
        return len(content) - at < 8
    name, size = content[at : at + 4], struct.unpack(order + "I", content[at + 4 : at + 8])[0]
    return all(32 <= letter < 127 for letter in name) and (at + 8 + size <= len(content) or name == b"data")


def aiff(content: mmap.mmap) -> Links:
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
                return AS_IT_IS
            channels, frames, bits = struct.unpack(">hIh", content[common + 8 : common + 16])
            width = max(1, channels * -(-bits // 8))
            held = (end - at - 16) // width
            rate = _extended(content[common + 16 : common + 26])
            if held <= (claimed := min(frames, (size - 8) // width)) and size > 8:
                return Links(claim=claimed / rate if rate and held < claimed else None)
            head = bytearray(content[: at + 8])
            head[4:8] = struct.pack(">I", at + 16 + held * width - 8)
            head[common + 10 : common + 14] = struct.pack(">I", held)
            head[at + 4 : at + 8] = struct.pack(">I", 8 + held * width)
            claim = min(frames, max(0, size - 8) // width)
            return Links([[bytes(head), (at + 8, at + 16 + held * width)]], claim / rate if rate else None)
        at += 8 + size + size % 2
    return AS_IT_IS


def _extended(number: bytes) -> float:
    exponent, mantissa = struct.unpack(">HQ", number)
    return float(mantissa) * 2.0 ** ((exponent & 0x7FFF) - 16383 - 63) if exponent & 0x7FFF < 16383 + 40 else 0.0


def caf(content: mmap.mmap) -> Links:
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
                return AS_IT_IS
            head = bytearray(content[: at + 12])
            head[at + 4 : at + 12] = struct.pack(">q", end - at - 12)
            return Links([[bytes(head), (at + 12, end)]], None if size < 0 else max(0, size - 4) / rate)
        if size < 0:
            break
        at += 12 + size
    return AS_IT_IS


def au(content: mmap.mmap) -> Links:
    """Nothing follows the sound in this format, so that all of the rest is sound."""
    if len(content) < 24:
        return AS_IT_IS
    begin, size, encoding, rate, channels = struct.unpack(">IIIII", content[4:24])
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0) * channels
    if size == _OPEN or not width or not rate:
        return AS_IT_IS
    if begin + size >= len(content):
        return Links(claim=size / (width * rate) if size < _AS_MUCH_AS_CAN_BE else None)
    head = content[:8] + struct.pack(">I", _OPEN)
    return Links([[head, (12, len(content))]], size / (width * rate))


def w64(content: mmap.mmap) -> Links:
    """libsndfile reads what there is; how much the header says is told."""
    at, end, rate = 40, len(content), 0
    while at + 24 <= end:
        name, size = content[at : at + 4], struct.unpack("<Q", content[at + 16 : at + 24])[0]
        if name == b"fmt " and at + 36 <= end:
            rate = struct.unpack("<I", content[at + 32 : at + 36])[0]
        if name == b"data":
            stop = at + size + -size % 8
            # What is behind the sound is another chunk, or sound that was not counted.
            is_counted = size > 24 and (end - stop < 24 or content[stop + 4 : stop + 16] == content[at + 4 : at + 16])
            is_wrong = rate and size < _TOO_MUCH and (end < at + size or not is_counted)
            return Links(claim=max(0, size - 24) / rate if is_wrong else None)
        if size < 24:
            break
        at += size + -size % 8
    return AS_IT_IS
