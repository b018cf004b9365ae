"""MPEG-4 files (M4A) out of which bytes are missing: the table of their sound tells places, which are wrong behind the gap.

How many bytes are missing the file says itself: its sound is as much shorter than its box. Where they are missing is shown by
decoding. The first packet that cannot be decoded where the table has it ends behind the beginning of the gap, and the last one
that cannot be decoded that much earlier begins before its end. What is in between is left out; all else is certain.
"""

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from distill.files.regular import open_regular
from distill.formats.content import Content, FileContent, places_of
from distill.formats.spliced import Part, Spliced

if TYPE_CHECKING:
    import av.packet

STRICT = {"err_detect": "crccheck+explode"}
"""FFmpeg plays damaged sound as noise otherwise."""
_MOST_MISSING = 2**26
"""Bytes; a gap is filled with zeros in memory."""
_TABLE = re.compile(b"moov")
_FEWEST_BEHIND = 16
"""So many packets in a row that can be decoded are no chance; where there are fewer, the file simply breaks off."""


class Gap(NamedTuple):
    """Where bytes are missing, as places in the file that is read in the place of the damaged one."""

    parts: list[Part]
    start: int
    stop: int

    def spoils(self, packet: "av.packet.Packet") -> bool:
        """Whether a packet lies in it, or reaches into it."""
        return packet.pos is not None and packet.pos < self.stop and packet.pos + packet.size > self.start


def gap_in(path: Path) -> Gap | None:
    """Where bytes are missing in the middle of an MPEG-4 file; None where none are, or nothing is certain."""
    state = path.stat()
    return _gap_in(path, state.st_ino, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _gap_in(path: Path, *_: int) -> Gap | None:
    with open_regular(path) as file:
        content = FileContent(file)
        begin, end, missing = _shortened_box(content)
        size = len(content)
    if not 0 < missing <= _MOST_MISSING:
        return None

    def with_gap(start: int, stop: int) -> list[Part]:
        return [(0, start), bytes(missing + stop - start), (stop, size)]

    at_end, at_begin = _undecodable(path, with_gap(end, end)), _undecodable(path, with_gap(begin, begin))
    if at_end is None or at_begin is None or at_begin.behind < _FEWEST_BEHIND:
        return None
    start, stop = max(begin, at_begin.last - missing), min(end, at_end.first)
    if start > stop or 2 * (stop - start) > end - begin:
        return None
    return Gap(with_gap(start, stop), start, stop + missing)


def _shortened_box(content: Content) -> tuple[int, int, int]:
    """From where to where the sound lies (``mdat``, ISO 14496-12), and how many bytes of it are missing; zeros if none are."""
    at, size = 0, len(content)
    has_table = False
    while at + 16 <= size:
        name, told, head = content[at + 4 : at + 8], int.from_bytes(content[at : at + 4], "big"), 8
        if told == 1:
            told, head = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        if told < head:
            break
        if name == b"mdat":
            end = size if has_table else max(places_of(_TABLE, content, 0, size), default=-1) - 4
            is_table = has_table or (end > at + head and content[end + 12 : end + 16] == b"mvhd")
            if (
                is_table
                and end < at + told
                and (has_table or end + int.from_bytes(content[end : end + 4], "big") <= size)
            ):
                return at + head, end, at + told - end
        has_table = has_table or name == b"moov"
        at += told
    return 0, 0, 0


class _Undecodable(NamedTuple):
    """The packets of a file that cannot be decoded."""

    first: int
    """Where the first of them ends."""
    last: int
    """Where the last of them begins."""
    behind: int
    """How many follow it."""


def _undecodable(path: Path, parts: list[Part]) -> _Undecodable | None:
    """Which packets cannot be decoded if the file is read so; None where there is nothing but these."""
    import av

    first = last = behind = decoded = 0
    with Spliced(open_regular(path), parts) as file:
        try:
            with av.open(file, format="mov", metadata_errors="ignore") as container:
                tracks = container.streams.audio
                if (
                    not tracks or tracks[0].codec_context is None
                ):  # no sound, or no decoder for it: said where it is read
                    return None
                stream = tracks[0]
                stream.codec_context.options = STRICT
                for packet in container.demux(stream):
                    if packet.pos is None or not packet.size:
                        continue
                    try:
                        packet.decode()
                    except av.FFmpegError:
                        first = first or packet.pos + packet.size
                        last, behind = packet.pos, 0
                    else:
                        behind += 1
                        decoded += 1
        except av.FFmpegError:  # whoever reads it meets the same error, and says it
            return None
    return _Undecodable(first or 2**63, last, behind) if decoded else None
