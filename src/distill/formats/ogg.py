"""Ogg: its length is counted from pages, streams that follow each other are all read, and so is what is behind damage.

Format as described in RFC 3533.
"""

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from distill.files.regular import open_regular
from distill.formats.content import Content, FileContent
from distill.formats.ends import begins_file
from distill.formats.id3 import after_id3
from distill.formats.ogg_pages import is_right
from distill.formats.spliced import Links

_MOST_PARTS = 20_000
"""Stretches of sound, each read behind all of its header; counted once for each stretch of that."""
_MOST_TRIES = 1000
"""How often the name of a page may stand where none is whole."""
_BEGINNING, _FAMILY = 2**16, 18
"""Bytes among which an Opus file is described, and where in its description the family of its channels stands."""
_PACKETS = ((b"OpusHead", 2), (b"\x01vorbis", 3))
"""In how many packets a stream is described, by how the first begins."""
_HEAD = struct.Struct("<4sBBq4sIIB")
"""Capture pattern, version, flags, granule position, serial number, page number, checksum, number of segments."""
_BEGIN, _END = 2, 4
"""Flags of the first and the last page of a stream."""


class _Page(NamedTuple):
    """A page that is whole."""

    at: int
    stop: int
    """From where to where it lies in the file."""
    is_begin: bool
    is_end: bool
    granule: int
    """How far the sound reaches with it, as its stream counts; 0 or less where it does not say."""
    serial: bytes
    number: int
    packets_ended: int
    """How many packets end in it."""
    opening: bytes
    """What it holds begins with these bytes."""


@dataclass
class _Stream:
    """What is read as one file: the pages that describe the sound, and those of the sound itself."""

    begin: int
    header: list[tuple[int, int]] = field(default_factory=list)
    stretches: list[tuple[int, int]] = field(default_factory=list)
    """Of both: from where to where their pages follow each other."""
    serials: dict[bytes, int] = field(default_factory=dict)
    """By the serial number of a logical stream, the number of its last page."""
    rate: int = 0
    seconds: float = 0.0
    """Up to the end of its last page."""
    is_end: bool = False
    missing_packets: int = 0
    """Of those that describe the sound."""
    is_readable: bool = True
    """Whether what describes the sound is whole."""

    @property
    def parts(self) -> int:
        """How many stretches of the file are read for it."""
        return max(1, len(self.header)) * len(self.stretches)

    def knows(self, page: _Page) -> bool:
        """Whether the page is of a logical stream whose beginning is there."""
        return page.is_begin or page.serial in self.serials

    def count(self, page: _Page) -> int:
        """Notes the number of a page; how many are missing before it."""
        missing = 0 if page.is_begin else page.number - self.serials[page.serial] - 1
        self.serials[page.serial] = page.number
        return missing

    def describe(self, packet: bytes) -> None:
        """Notes what the first packet of a logical stream says."""
        self.rate = _rate(packet) or self.rate
        self.missing_packets += next((count for name, count in _PACKETS if packet.startswith(name)), 1)

    def seconds_at(self, page: _Page) -> float:
        """Up to the end of a page."""
        return page.granule / self.rate if self.rate and page.granule > 0 else self.seconds

    def add(self, page: _Page, is_behind_gap: bool) -> None:
        """Takes a page to be read: of the header or of the sound, in the last stretch of it or a new one."""
        is_header = not self.stretches and page.granule <= 0
        found = self.header if is_header else self.stretches
        if is_header:
            self.missing_packets -= page.packets_ended
        if found and not is_behind_gap:
            found[-1] = found[-1][0], page.stop
        else:
            found.append((page.at, page.stop))


class _Streams:
    """The streams of a file, page by page, and what is lost of them."""

    def __init__(self) -> None:
        self.is_damaged = False
        """Whether something that is no page, or of no known stream, lies before the next page."""
        self._all: list[_Stream] = []
        self._lost: list[float] = []  # seconds of sound before each place
        self._lost_seconds = 0.0
        self._before = 0.0  # seconds of the streams before the last
        self._parts_before = 0
        self._was_begin = self._is_cut = False

    @property
    def are_too_many(self) -> bool:
        """Whether there are as many parts as can be read."""
        return bool(self._all) and self._parts_before + self._all[-1].parts > _MOST_PARTS

    def cut(self, share: float) -> None:
        """Ends here; what is behind is told as lost, ``share`` times as much as there was."""
        heard = self._before + self._all[-1].seconds
        self._lost.append(heard - self._lost_seconds)
        self._lost_seconds += heard * share
        self._is_cut = True

    def take(self, page: _Page) -> None:
        """Takes the next page."""
        if page.is_begin and not self._was_begin:
            self._begin(page.at)
        self._was_begin = page.is_begin
        if not self._all:
            self.is_damaged = True
            return
        stream = self._all[-1]
        if not stream.is_readable and page.granule > 0 and stream.rate:
            stream.seconds, stream.is_end = stream.seconds_at(page), page.is_end
        if not stream.knows(page):  # its beginning is lost
            self.is_damaged = stream.is_readable
            return
        missing = stream.count(page)
        if page.is_begin:
            stream.describe(page.opening)
        seconds = stream.seconds_at(page)
        is_behind_gap = missing > 0 or self.is_damaged
        if is_behind_gap:
            if not page.is_begin and stream.missing_packets > 0:  # in what describes the sound
                stream.is_readable = False
                stream.serials.clear()
            # Pages last about as long as each other.
            share = missing / (missing + 1) if missing > 0 and stream.is_readable else 0.0
            self._lost.append(self._before + stream.seconds - self._lost_seconds)
            self._lost_seconds += share * max(0.0, seconds - stream.seconds)
            self.is_damaged = False
        stream.add(page, is_behind_gap)
        stream.seconds, stream.is_end = seconds, page.is_end

    def _begin(self, at: int) -> None:
        if self._all:
            last = self._all[-1]
            self._lost_seconds += 0.0 if last.is_readable else last.seconds
            self._before += last.seconds
            self._parts_before += max(1, last.parts)
        self._all.append(_Stream(at))

    def links(self, stop: int) -> Links:
        """How they are read; the file has ``stop`` bytes."""
        is_whole = bool(self._all) and self._all[-1].is_end and not self.is_damaged
        claim = None if self._is_cut or is_whole else math.inf
        lost_seconds = self._lost_seconds
        if self._all and not self._all[-1].is_readable:
            lost_seconds += self._all[-1].seconds
        streams = [stream for stream in self._all if stream.is_readable]
        if self._lost and not streams:
            return Links(is_unreadable=True)
        if not streams or (len(streams) == 1 and not self._lost and streams[0].begin == 0):
            return Links(claim=claim)
        if not self._lost:
            ends = [*(stream.begin for stream in streams[1:]), stop]
            return Links([[(stream.begin, end)] for stream, end in zip(streams, ends, strict=True)], claim)
        parts = [[*stream.header, stretch] for stream in streams for stretch in stream.stretches]
        return Links(parts, claim, tuple(self._lost), lost_seconds)


def ogg(content: Content) -> Links:
    """Streams one after the other (a radio's tracks), each a file of its own to libsndfile, which reads the first; and pages
    that are damaged or missing, behind which a stream begins again with its header."""
    streams = _Streams()
    stop, at = len(content), after_id3(content)
    end = 0
    while at < stop:
        page = _page_at(content, at)
        if page is None:
            if begins_file(content, at) not in ("", "Ogg"):
                break
            at = _next_page(content, at + 1)
            if at < 0:
                break
            streams.is_damaged = True
            continue
        if streams.are_too_many:
            streams.cut((stop - at) / at)
            break
        streams.take(page)
        at = end = page.stop
    return streams.links(stop)._replace(end=end)


def opus_family(path: Path) -> int:
    """What an Opus file says of its channels, as a number of RFC 7845; 0 where it says nothing, or is another file.

    Raises:
        OSError: if it cannot be read.
    """
    with open_regular(path) as file:
        file.seek(after_id3(FileContent(file)))
        content = file.read(_BEGINNING)
    at = content.find(b"OpusHead")
    return content[at + _FAMILY] if 0 <= at < len(content) - _FAMILY else 0


def _page_at(content: Content, at: int) -> _Page | None:
    """The page that lies there; None where none is, or its checksum is wrong."""
    size = _page_size(content, at)
    if not size:
        return None
    _, _, flags, granule, serial, number, _, segments = _HEAD.unpack(content[at : at + _HEAD.size])
    packet = at + _HEAD.size + segments
    lengths = content[at + _HEAD.size : packet]
    return _Page(
        at=at,
        stop=at + size,
        is_begin=bool(flags & _BEGIN),
        is_end=bool(flags & _END),
        granule=granule,
        serial=serial,
        number=number,
        packets_ended=sum(length < 255 for length in lengths),
        opening=content[packet : at + size][:16],
    )


def _page_size(content: Content, at: int) -> int:
    """The bytes of the page that lies there; 0 where none is, or its checksum is wrong."""
    if content[at : at + 4] != b"OggS" or at + _HEAD.size > len(content):
        return 0
    packet = at + _HEAD.size + content[at + 26]
    end = packet + sum(content[at + _HEAD.size : packet])
    return end - at if end <= len(content) and is_right(content[at:end]) else 0


def _next_page(content: Content, at: int) -> int:
    """Where the next page begins that is whole; -1 if there is none."""
    for _ in range(_MOST_TRIES):
        at = content.find(b"OggS", at)
        if at < 0 or _page_size(content, at):
            return at
        at += 1
    return -1


def _rate(packet: bytes) -> int:
    """In what the pages of a stream count, by its first packet: samples a second, 0 if it is not known."""
    if packet.startswith(b"OpusHead"):
        return 48_000
    return int(struct.unpack("<I", packet[12:16])[0]) if packet.startswith(b"\x01vorbis") and len(packet) >= 16 else 0
