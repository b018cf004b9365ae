"""Ogg: its length is counted from pages, streams that follow each other are all read, and so is what is behind damage.

Format as described in RFC 3533.
"""

import math
import mmap
import struct
from dataclasses import dataclass, field

from distill.audio.id3 import after_id3
from distill.audio.ogg_pages import is_right
from distill.audio.spliced import Links, Part

_MOST_PARTS = 20_000
_MOST_TRIES = 1000
"""How often the name of a page may stand where none is whole."""
_PACKETS = ((b"OpusHead", 2), (b"\x01vorbis", 3))
"""In how many packets a stream is described, by how the first begins."""
_HEAD = 27


@dataclass
class _Stream:
    """What is read as one file: the pages that describe the sound, and those of the sound itself."""

    begin: int
    header: list[Part] = field(default_factory=list)
    stretches: list[tuple[int, int]] = field(default_factory=list)
    """From where to where pages of sound follow each other."""
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


def ogg(content: mmap.mmap) -> Links:
    """Streams one after the other (a radio's tracks), each a file of its own to libsndfile, which reads the first; and pages
    that are damaged or missing, behind which a stream begins again with its header."""
    streams: list[_Stream] = []
    lost: list[float] = []
    lost_seconds = before = 0.0  # of the streams before
    is_damaged = was_begin = is_cut = False
    parts_before = 0  # of the streams before the last
    stop = len(content)
    at = after_id3(content)
    while at < stop:
        size = _page_size(content, at)
        if not size:
            following = _next_page(content, at + 1)
            if following < 0:
                break
            is_damaged, at = True, following
            continue
        is_begin = bool(content[at + 5] & 2)
        if streams and parts_before + len(streams[-1].stretches) > _MOST_PARTS:  # what is behind is told as lost
            lost.append(before + streams[-1].seconds - lost_seconds)
            lost_seconds += (before + streams[-1].seconds) * (stop - at) / at
            is_cut = True
            break
        serial = content[at + 14 : at + 18]
        number = struct.unpack("<I", content[at + 18 : at + 22])[0]
        if is_begin and not was_begin:
            lost_seconds += streams[-1].seconds if streams and not streams[-1].is_readable else 0.0
            before += streams[-1].seconds if streams else 0.0
            parts_before += max(1, len(streams[-1].stretches)) if streams else 0
            streams.append(_Stream(at))
        was_begin = is_begin
        granule = struct.unpack("<q", content[at + 6 : at + 14])[0]
        if streams and not streams[-1].is_readable and granule > 0 and streams[-1].rate:
            streams[-1].seconds, streams[-1].is_end = granule / streams[-1].rate, bool(content[at + 5] & 4)
        if not streams or (not is_begin and serial not in streams[-1].serials):  # its beginning is lost
            is_damaged, at = not streams or streams[-1].is_readable, at + size
            continue
        stream = streams[-1]
        missing = 0 if is_begin else number - stream.serials[serial] - 1
        stream.serials[serial] = number
        if is_begin:
            packet = content[at + _HEAD + content[at + 26] : at + size][:16]
            stream.rate = _rate(packet) or stream.rate
            stream.missing_packets += next((count for name, count in _PACKETS if packet.startswith(name)), 1)
        seconds = granule / stream.rate if stream.rate and granule > 0 else stream.seconds
        is_gap = missing > 0 or is_damaged
        if is_gap:
            if not is_begin and stream.missing_packets > 0:  # in what describes the sound
                stream.is_readable = False
                stream.serials.clear()
            # Pages last about as long as each other.
            share = missing / (missing + 1) if missing > 0 and stream.is_readable else 0.0
            lost.append(before + stream.seconds - lost_seconds)
            lost_seconds += share * max(0.0, seconds - stream.seconds)
            is_damaged = False
        if not stream.stretches and granule <= 0:
            stream.header.append((at, at + size))
            stream.missing_packets -= sum(
                length < 255 for length in content[at + _HEAD : at + _HEAD + content[at + 26]]
            )
        elif stream.stretches and not is_gap:
            stream.stretches[-1] = stream.stretches[-1][0], at + size
        else:
            stream.stretches.append((at, at + size))
        stream.seconds, stream.is_end = seconds, bool(content[at + 5] & 4)
        at += size
    claim = None if is_cut or (streams and streams[-1].is_end and not is_damaged) else math.inf
    if streams and not streams[-1].is_readable:
        lost_seconds += streams[-1].seconds
    streams = [stream for stream in streams if stream.is_readable]
    if lost and not streams:
        return Links(is_unreadable=True)
    if not streams or (len(streams) == 1 and not lost and streams[0].begin == 0):
        return Links(claim=claim)
    if not lost:
        ends = [*(stream.begin for stream in streams[1:]), stop]
        return Links([[(stream.begin, end)] for stream, end in zip(streams, ends, strict=True)], claim)
    parts = [[*stream.header, stretch] for stream in streams for stretch in stream.stretches]
    return Links(parts, claim, tuple(lost), lost_seconds)


def _page_size(content: mmap.mmap, at: int) -> int:
    """The bytes of the page that lies there; 0 where none is, or its checksum is wrong."""
    if content[at : at + 4] != b"OggS" or at + _HEAD > len(content):
        return 0
    packet = at + _HEAD + content[at + 26]
    end = packet + sum(content[at + _HEAD : packet])
    return end - at if end <= len(content) and is_right(content[at:end]) else 0


def _next_page(content: mmap.mmap, at: int) -> int:
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
