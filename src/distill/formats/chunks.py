"""Chunked files (WAV, AIFF, CAF, and AU's one header), and what they really hold where a chunk's length is wrong.

Formats as described in EBU Tech 3306 (RF64, BW64) and in Apple's CAF and AIFF-C specifications.
"""

import struct
from dataclasses import dataclass, field

from distill.formats.content import Content
from distill.formats.ends import begins_file
from distill.formats.spliced import AS_IT_IS, Links
from distill.formats.wav_header import OPEN, wav_header

_TOO_MUCH = 2**47
"""A size of 64 bits beyond it is one that was left open."""
_AS_MUCH_AS_CAN_BE = 2**31 - 2**16
TAGS = (b"TAG", b"ID3", b"APETAGEX")
"""How tags begin that programs put behind a file of any kind."""
_RUBBISH_S = 0.05
"""So little behind the sound is no sound that a recorder did not count."""


@dataclass
class _Wav:
    """What the chunks of a WAV file hold."""

    order: str
    """Of bytes, as ``struct`` names it."""
    is_plain: bool
    """Whether libsndfile finds all of it: one file, one description of the sound, and chunks of even length."""
    shape: bytes = b""
    """The description of the sound: content of its ``fmt`` chunk."""
    sound: list[tuple[int, int]] = field(default_factory=list)
    """Begin and end of the sound in each data chunk, in bytes of the file."""
    claimed: int = 0
    """How many bytes of sound the sizes of these chunks claim."""
    is_open: bool = False
    """Whether one of these sizes was left open."""
    end: int = 0
    """Where another file may begin."""

    def add_sound(self, content: Content, begin: int, size: int, long_size: int | None) -> int:
        """Takes up the data chunk whose content begins at ``begin``; returns where its sound ends.

        Args:
            size: as the chunk says.
            long_size: of 64 bits, as a chunk before it says for one that says ``OPEN``.
        """
        claim = size
        if size == OPEN and long_size is not None:
            claim = long_size
            self.is_open |= claim > _TOO_MUCH
        elif size == OPEN:
            self.is_open = True
        self.claimed += claim
        stop = begin + claim
        if size == 0 or stop > len(content) or not _is_over(content, stop, self.shape, self.order):
            stop = len(content)
        self.sound.append((begin, stop))
        return stop


def wav(content: Content) -> Links:
    """Sizes that are zero, open or too small; several data chunks; BW64."""
    found = _wav_chunks(content)
    if len(found.shape) < 16 or not found.sound:
        return AS_IT_IS
    order, shape, claimed = found.order, found.shape, found.claimed
    alignment = max(1, struct.unpack(order + "H", shape[12:14])[0])
    rate = _bytes_a_second(shape, order)
    sound = [(begin, stop - (stop - begin) % alignment) for begin, stop in found.sound]
    held = sum(stop - begin for begin, stop in sound)
    if found.is_plain and len(sound) == 1 and held <= claimed:
        # What is written to a pipe claims as much as there can be; a download that broke off claims what it should have been.
        claim = claimed / rate if rate and held < claimed < _AS_MUCH_AS_CAN_BE else None
        return Links(claim=claim, end=found.end)
    claim = claimed / rate if rate and held != claimed and not found.is_open else None
    return Links([[wav_header(shape, held, order), *sound]], claim, end=found.end)


def _wav_chunks(content: Content) -> _Wav:
    """Goes from chunk to chunk, up to the end or a file that holds other sound."""
    order = ">" if content[:4] == b"RIFX" else "<"
    found = _Wav(order, is_plain=content[:4] in (b"RIFF", b"RIFX"))
    long_size = None
    joined = 0  # where the last of several files begins
    at, end = 12, len(content)
    while at + 8 <= end:
        name = content[at : at + 4]
        size = struct.unpack(order + "I", content[at + 4 : at + 8])[0]
        begin = at + 8
        if name == b"ds64" and size >= 24 and begin + 24 <= end:
            long_size = struct.unpack("<Q", content[begin + 8 : begin + 16])[0]
        elif name in (b"RIFF", b"RIFX") and content[begin : begin + 4] == b"WAVE":  # another file behind this one
            joined, at, found.is_plain = at, begin + 4, False
            continue
        elif name == b"fmt ":
            shape = content[begin : begin + min(size, 4096)]
            if found.shape and shape != found.shape:
                at = joined or at
                break
            # libsndfile takes one, before the sound.
            found.is_plain = found.is_plain and not found.shape and not found.sound
            found.shape = shape
        elif name == b"data":
            size = found.add_sound(content, begin, size, long_size) - begin
        elif begins_file(content, at) or not _is_chunk(content, at, order):
            break
        at = begin + size
        if size % 2 and (_is_chunk(content, at + 1, order) or not _is_chunk(content, at, order)):
            at += 1
        elif size % 2 and at + 8 <= end:
            found.is_plain = False  # some programs leave out the byte that makes a chunk even
    found.end = at
    return found


def _bytes_a_second(shape: bytes, order: str) -> int:
    """What a second of sound takes; of plain samples reckoned, as some programs leave the field empty."""
    code, channels, hertz, said, _, bits = (int(number) for number in struct.unpack(order + "HHIIHH", shape[:16]))
    return hertz * channels * -(-bits // 8) if code in (1, 3, 0xFFFE) else said


def _is_over(content: Content, stop: int, shape: bytes, order: str) -> bool:
    """Whether what is behind the sound is something else: another chunk, a tag, or too little to be sound."""
    if _is_chunk(content, stop + stop % 2, order) or content[stop : stop + 8].startswith(TAGS):
        return True
    if begins_file(content, stop):
        return True
    rate = _bytes_a_second(shape, order) if len(shape) >= 16 else 0
    return len(content) - stop < _RUBBISH_S * rate


def _is_chunk(content: Content, at: int, order: str) -> bool:
    """Whether a chunk begins there, or the file ends."""
    if at + 8 > len(content):
        return len(content) - at < 8
    name, size = content[at : at + 4], struct.unpack(order + "I", content[at + 4 : at + 8])[0]
    return all(32 <= letter < 127 for letter in name) and (at + 8 + size <= len(content) or name == b"data")


def aiff(content: Content) -> Links:
    """Sound that is longer than its chunk says."""
    at, common = 12, None
    while at + 8 <= len(content):
        name, size = content[at : at + 4], struct.unpack(">I", content[at + 4 : at + 8])[0]
        if name == b"COMM" and size >= 18:
            common = at
        if name == b"SSND" and common is not None:
            return _aiff_sound(content, common, at, size)
        at += 8 + size + size % 2
    return AS_IT_IS


def _aiff_sound(content: Content, common: int, at: int, size: int) -> Links:
    """What an AIFF file is read as whose sound of ``size`` bytes begins ``at``, as the chunk at ``common`` describes it."""
    stop, end = at + 8 + size, len(content)
    compression = content[common + 26 : common + 30] if content[8:12] == b"AIFC" else b"NONE"
    behind = _chunks_end(content, stop, ">I") if size > 8 else end
    if behind < end and begins_file(content, behind):
        return Links(end=behind)
    is_over = size > 8 and stop <= end and _is_chunk(content, stop + stop % 2, ">")
    if is_over or compression not in (b"NONE", b"sowt", b"fl32", b"FL32", b"twos", b"in24"):
        return AS_IT_IS
    channels, frames, bits = struct.unpack(">hIh", content[common + 8 : common + 16])
    width = max(1, channels * -(-bits // 8))
    held = (end - at - 16) // width
    rate = _extended(content[common + 16 : common + 26])
    claimed = min(frames, max(0, size - 8) // width)
    if held <= claimed and size > 8:
        return Links(claim=claimed / rate if rate and held < claimed else None)
    head = bytearray(content[: at + 8])
    head[4:8] = struct.pack(">I", at + 16 + held * width - 8)
    head[common + 10 : common + 14] = struct.pack(">I", held)
    head[at + 4 : at + 8] = struct.pack(">I", 8 + held * width)
    return Links([[bytes(head), (at + 8, at + 16 + held * width)]], claimed / rate if rate else None)


def _chunks_end(content: Content, at: int, size_form: str) -> int:
    """Where the chunks end that lie there, or another file begins among them; their sizes are stored so."""
    width = struct.calcsize(size_form)
    at += at % 2 if width == 4 else 0
    while at + 4 + width <= len(content) and not begins_file(content, at) and content[at : at + 4].isalnum():
        size = struct.unpack(size_form, content[at + 4 : at + 4 + width])[0]
        if size < 0:
            break
        at += 4 + width + size
        at += at % 2 if width == 4 else 0
    return at


def _extended(number: bytes) -> float:
    exponent, mantissa = struct.unpack(">HQ", number)
    return float(mantissa) * 2.0 ** ((exponent & 0x7FFF) - 16383 - 63) if exponent & 0x7FFF < 16383 + 40 else 0.0


def caf(content: Content) -> Links:
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
            behind = _chunks_end(content, stop, ">q") if size > 0 else end
            if behind < end and begins_file(content, behind):
                return Links(end=behind)
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


def au(content: Content) -> Links:
    """Nothing follows the sound in this format, so that all of the rest is sound."""
    if len(content) < 24:
        return AS_IT_IS
    begin, size, encoding, rate, channels = struct.unpack(">IIIII", content[4:24])
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0) * channels
    if size == OPEN or not width or not rate:
        return AS_IT_IS
    if begins_file(content, begin + size):
        return Links(end=begin + size)
    if begin + size >= len(content):
        is_short = len(content) < begin + size < begin + _AS_MUCH_AS_CAN_BE
        return Links(claim=size / (width * rate) if is_short else None)
    head = content[:8] + struct.pack(">I", OPEN)
    return Links([[head, (12, len(content))]], size / (width * rate))


def w64(content: Content) -> Links:
    """libsndfile reads what there is; how much the header says is told."""
    at, end, rate = 40, len(content), 0
    while at + 24 <= end:
        name, size = content[at : at + 4], struct.unpack("<Q", content[at + 16 : at + 24])[0]
        if name == b"fmt " and at + 36 <= end:
            rate = struct.unpack("<I", content[at + 32 : at + 36])[0]
        if name == b"data":
            stop = at + size + -size % 8
            behind = _w64_end(content, stop, content[at + 4 : at + 16]) if size > 24 else end
            if begins_file(content, behind):
                return Links(end=behind)
            # What is behind the sound is another chunk, or sound that was not counted.
            is_counted = size > 24 and (end - stop < 24 or content[stop + 4 : stop + 16] == content[at + 4 : at + 16])
            is_wrong = rate and size < _TOO_MUCH and (end < at + size or not is_counted)
            return Links(claim=max(0, size - 24) / rate if is_wrong else None)
        if size < 24:
            break
        at += size + -size % 8
    return AS_IT_IS


def _w64_end(content: Content, at: int, guid: bytes) -> int:
    """Where the chunks end that lie there, whose names end so."""
    while content[at + 4 : at + 16] == guid and (size := int.from_bytes(content[at + 16 : at + 24], "little")) >= 24:
        at += size + -size % 8
    return at
