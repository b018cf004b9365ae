"""MP3: its length is counted from frames, whatever lies between them (ISO 11172-3), not taken from the header."""

import math
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from distill.formats.content import Content
from distill.formats.id3 import after_id3, past_tags, tag_size
from distill.formats.kinds import HEAD, kind_of_head
from distill.formats.spliced import AS_IT_IS, Links, Part

_MPEG_KILOBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_LAYER_2_KILOBITS = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_MPEG_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_MOST_GAPS = 20_000
_MOST_TAGS = 0.01
_SURE = 8
"""So many frames in a row are no chance: the sound goes on in another form, or begins here."""
_FEW = 3
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI")
_MUCH_BEHIND = 20
"""So many frames of something unknown behind the last one are sound that cannot be read rather than a tag."""


@dataclass
class _Run:
    """Frames of one rate and one number of channels."""

    first: bytes = b""
    """The header of its first frame that is sound."""
    count: int = 0
    size: int = 0
    stretches: list[list[int]] = field(default_factory=list)
    """From where to where frames follow each other."""
    tables: list[tuple[int, int]] = field(default_factory=list)
    """Where a frame is that is a table, and how many frames it claims."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """After how many frames there is something that is no sound and no tag, and how many bytes of it."""
    is_constant: bool = True
    last: tuple[int, int] = (0, 0)
    """From where to where its last frame lies."""

    def take(self, content: Content, at: int, size: int, gap: int | None) -> None:
        """Counts the frame at ``at``; ``gap`` is where something else began before it."""
        table = _table_of_contents(content, at, size)
        if table is not None:  # what is before it is the end of another file
            self.tables.append((at, table))
            return
        if gap is not None and self.count and not content[gap : gap + 11].startswith(_TAGS):
            self._lose_last()
            self.gaps.append((self.count, at - gap))
        head = content[at : at + 4]
        self.is_constant = self.is_constant and (not self.count or head[2] >> 4 == self.first[2] >> 4)
        self.first = self.first or head
        self.count += 1
        self.size += size
        self.last = at, at + size
        if self.stretches and self.stretches[-1][1] == at:
            self.stretches[-1][1] = at + size
        else:
            self.stretches.append([at, at + size])

    def _lose_last(self) -> None:
        """The frame before damage reaches into it as a rule, and would be heard as a burst of noise."""
        begin, stop = self.stretches[-1]
        if self.count > 1 and self.last[0] >= begin and self.last[1] == stop:
            self.stretches[-1][1] = self.last[0]
            self.count -= 1
            self.size -= self.last[1] - self.last[0]
            if self.last[0] == begin:
                self.stretches.pop()

    @property
    def frame_seconds(self) -> float:
        _, samples, rate = mpeg_frame(self.first)
        return samples / rate


def mp3(content: Content) -> Links:
    """Joined files, tables that are missing or describe the first part only, and damage: frames are found behind it again."""
    runs: list[_Run] = []
    form = b""
    at = after_id3(content)
    gap: int | None = None  # where it began
    gaps = 0
    while at + 4 <= len(content):
        size = mpeg_frame(content[at : at + 4])[0]
        new = _form(content[at : at + 4]) if size else b""
        if not size or (new != form and not _goes_on(content, at, _SURE if runs else 2)):
            gaps += 1
            if gap is None and runs and kind_of_head(_head_behind_tags(content, at)):  # another file
                break
            if gaps > _MOST_GAPS:  # what is behind is told as lost
                break
            gap, at = at if gap is None else gap, _next_mpeg_frame(content, at + 1)
            continue
        if at + size > len(content):
            break
        if new != form:
            runs.append(_Run())
            form = new
        runs[-1].take(content, at, size, gap)
        at += size
        gap = None
    sounds = [run for run in runs if run.count]
    if not sounds:
        return AS_IT_IS
    links = Links([_parts(run) for run in sounds]) if len(sounds) > 1 else _one_run(content, sounds[0])
    return links._replace(end=sounds[-1].last[1])


def _one_run(content: Content, run: _Run) -> Links:
    begin, end = run.stretches[0][0], run.stretches[-1][1]
    claimed = run.tables[0][1] if run.tables else 0
    is_claimed = len(run.tables) == 1 and claimed > 0
    if len(run.stretches) == 1 and is_claimed and claimed in (run.count, run.count + 1):
        if (empty := _emptied(content, run.tables[0][0])) is not None:
            return Links([[empty, (begin, end)]])
        # Tags in front and behind are left out where they are so long that libsndfile warns of them on the screen.
        table = run.tables[0][0]
        is_short = len(content) - (end - table) > _MOST_TAGS * (end - table)
        first = after_id3(content)
        is_believed = tag_size(content[first : first + 10]) > 0  # by libsndfile, which then finds nothing behind it
        return Links([[(table, end)]]) if (is_short or is_believed) and begin > table else AS_IT_IS
    places = [count * run.frame_seconds for count, _ in run.gaps]
    lost = sum(size for _, size in run.gaps) * run.count / run.size + len(run.gaps)
    if places and is_claimed and run.count <= claimed <= 2 * (run.count + lost):
        lost = claimed - run.count
    told = claimed * run.frame_seconds if claimed and not places else None
    behind = (len(content) - end) * run.count / run.size  # frames
    if not claimed and behind and not content[end : end + 11].startswith(_TAGS):
        is_cut = behind < 4 and bool(mpeg_frame(content[end : end + 4])[0])
        if is_cut or (behind > 2 and not any(content[end : end + 4096])):
            told = math.inf
        elif behind > _MUCH_BEHIND:
            places.append(run.count * run.frame_seconds)
            lost += behind
    parts: list[Part] = _parts(run)
    if not run.tables and run.is_constant and len(run.stretches) == 1:
        if begin == after_id3(content) and end == len(content):
            return AS_IT_IS
        parts = [(begin, end)]
    return Links([parts], told, tuple(places), max(1, lost) * run.frame_seconds if places else 0.0)


def _parts(run: _Run) -> list[Part]:
    return [_own_table(run.first, run.count), *((begin, end) for begin, end in run.stretches)]


def _head_behind_tags(content: Content, at: int) -> bytes:
    begin = past_tags(content, at)
    return content[begin : begin + HEAD]


def _form(head: bytes) -> bytes:
    """What must not change from frame to frame: version, layer, rate, whether there is one channel or two."""
    return bytes([head[1] & 0xFE, head[2] & 0x0C, head[3] >> 6 == 3])


def _row(content: Content, at: int, most: int = _SURE) -> tuple[int, int]:
    """How many frames of one form follow each other there, ``most`` at most, and where the last ends, by its header."""
    first, count = content[at : at + 4], 0
    while count < most and (size := mpeg_frame(head := content[at : at + 4])[0]) and _form(head) == _form(first):
        at, count = at + size, count + 1
    return count, at


def _goes_on(content: Content, at: int, wanted: int) -> bool:
    """Whether so many frames of one form follow each other there, or fewer up to the end."""
    count, end = _row(content, at, wanted)
    return count == wanted or end + 4 > len(content) or content[end : end + 8].startswith(_TAGS)


def is_mp3_at(content: Content, at: int) -> bool:
    """Whether so many frames of one form begin there that it is no chance, or a few, up to the end."""
    count, end = _row(content, at)
    if count < _FEW or end > len(content):
        return False
    return count == _SURE or end == len(content) or content[end : end + 8].startswith(_TAGS)


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


def is_layer_2(content: bytes) -> bool:
    """Whether frames of MPEG layer 2 begin so: one that another one follows."""
    if len(content) < 4 or content[0] != 0xFF or content[1] & 0xE6 != 0xE4:
        return False
    version, bitrate, rate = content[1] >> 3 & 3, content[2] >> 4, content[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return False
    kilobits = _LAYER_2_KILOBITS if version == 3 else _MPEG_KILOBITS[2]
    size = 144 * kilobits[bitrate] * 1000 // _MPEG_RATES[version][rate] + (content[2] >> 1 & 1)
    return content[size : size + 2] == content[:2]


def is_followed(file: BinaryIO, size: int) -> bool:
    """Whether an MP3 frame begins at that byte of the file."""
    file.seek(size)
    return bool(mpeg_frame(file.read(4))[0])


def begins_later(content: bytes) -> bool:
    """Whether frames begin somewhere in the first bytes of a file: one that was cut off in front, or has rubbish there."""
    at = -1
    while (at := content.find(b"\xff", at + 1)) >= 0:
        if _row(content, at)[0] == _SURE:
            return True
    return False


def _next_mpeg_frame(content: Content, at: int) -> int:
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


def _table_of_contents(content: Content, at: int, size: int) -> int | None:
    """The frames that a Xing, Info or VBRI frame claims, 0 if it does not say; None for a frame of sound."""
    frame = content[at : at + min(size, 200)]
    place = _table_place(frame)
    if frame[place : place + 4] in (b"Xing", b"Info"):
        has_count = len(frame) >= place + 12 and frame[place + 7] & 1
        return struct.unpack(">I", frame[place + 8 : place + 12])[0] if has_count else 0
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return int(struct.unpack(">I", frame[50:54])[0])
    return None


def _emptied(content: Content, at: int) -> bytes | None:
    """A table without the sound that it seems to hold; None for one that holds none.

    libsndfile's MP3 decoder would play that sound before all else, and partly from memory that it never wrote to, so that
    it is another one each time.
    """
    head = content[at : at + 4]
    frame, place = content[at : at + mpeg_frame(head)[0]], _table_place(head)
    if not any(frame[4:place]) or frame[36:40] == b"VBRI":
        return None
    return head + bytes(place - 4) + frame[place:]


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
