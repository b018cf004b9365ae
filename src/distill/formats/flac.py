"""FLAC: its length is counted from frames, not taken from the header (RFC 9639)."""

import struct
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from distill.formats.content import Content, FileContent
from distill.formats.ends import first_in
from distill.formats.flac_frames import Stretch, whole_stretches
from distill.formats.flac_header import right_header
from distill.formats.id3 import after_id3
from distill.formats.spliced import AS_IT_IS, Links, Part

_MOST_PARTS = 1000
"""Of files one after the other, and of stretches in one; what is behind is told as lost."""
_MUCH_BEHIND = 2**16
"""So many bytes behind the last whole frame are more than a frame that broke off."""
_FLAC_BEGIN = b"fLaC\0\0\0\x22"
_NO_HEADER = _FLAC_BEGIN + bytes(34)


def is_beheaded_flac(file: BinaryIO) -> bool:
    """Whether there are frames in a file, though it does not begin as a FLAC: its first bytes are gone or damaged."""
    content = FileContent(file)
    return right_header(content, _NO_HEADER, 0, len(content)) != _NO_HEADER[:26]


def flac(content: Content, begin: int | None = None) -> Links:
    """Counts of samples that are not what the last frame says (an encoder that was stopped, a copy that broke off), and files
    one after the other; the first is where it is said to ``begin``, or behind the tags."""
    begins = [after_id3(content) if begin is None else begin]
    while (at := content.find(_FLAC_BEGIN, begins[-1] + 42)) >= 0 and len(begins) < _MOST_PARTS:
        begins.append(at)
    end = at if at >= 0 else len(content)
    # Not among the blocks in front, in which there are pictures.
    if at < 0 and (other := first_in(content, max(begins[-1] + 42, _description_end(content, begins[-1])), end)) >= 0:
        return Links(end=other)
    links = [_one_flac(content, begin, stop) for begin, stop in zip(begins, [*begins[1:], end], strict=True)]
    if len(begins) == 1 and links[0].parts == [[(0, len(content))]]:
        return AS_IT_IS
    places: list[float] = []
    before = 0.0
    for link in links:
        places += [before + place for place in link.lost]
        before += link.seconds
    parts = [part for link in links for part in link.parts]
    lost, claim = sum(link.lost_seconds for link in links), links[0].claim
    if end < len(content):  # what is behind is told as lost
        places.append(before)
        lost += (before + lost) * (len(content) - end) / end
        claim = None
    return Links(parts, claim, tuple(places), lost)


class _Stream(NamedTuple):
    """How one stream of a file is read."""

    parts: list[list[Part]]
    claim: float | None = None
    """The seconds that it claims."""
    seconds: float = 0.0
    """What it holds, where that was counted."""
    lost: tuple[float, ...] = ()
    lost_seconds: float = 0.0


def _one_flac(content: Content, begin: int, stop: int) -> _Stream:
    as_it_is: list[list[Part]] = [[(begin, stop)]]
    is_beheaded = content[begin : begin + 4] != _FLAC_BEGIN[:4]
    if not is_beheaded and (stop - begin < 42 or content[begin + 4] & 0x7F != 0):
        return _Stream(as_it_is)
    own = _NO_HEADER if is_beheaded else content[begin : begin + 42]
    frames_from = begin if is_beheaded else begin + 42
    header = right_header(content, own, frames_from, stop)
    is_right = header == own[:26]
    smallest, largest = struct.unpack(">HH", header[8:12])
    packed = int.from_bytes(header[18:26], "big")
    rate, claimed = packed >> 44, packed & (2**36 - 1)
    if not rate:
        return _Stream(as_it_is)
    fixed = largest if smallest == largest else 0
    found = whole_stretches(content, frames_from, stop, fixed, claimed)
    if not found:
        return _Stream(as_it_is, claimed / rate)
    stretches, behind = found[:_MOST_PARTS], found[_MOST_PARTS:]
    end, held = stretches[-1].last, sum(one.last - one.first for one in stretches)
    is_whole = len(stretches) == 1 and not stretches[0].first
    is_counted = bool(claimed) or not is_whole or stretches[-1].stop < stop  # else libsndfile counts for itself
    is_joined = _description_end(content, begin) == stretches[0].begin
    is_described = is_right and is_joined
    if (end == claimed <= held and is_described) or end > 2 * claimed + 2**31 or (is_right and not is_counted):
        return _Stream(as_it_is, claimed / rate, held / rate)
    gaps = _gaps(stretches, claimed, stop, is_joined)
    if behind:  # told as lost, with the holes in it
        gaps = [*(gap for gap in gaps if gap[0] < held), (held, max(claimed, behind[-1].last) - end)]
    if is_beheaded and stretches[0].first:
        gaps = [(0, stretches[0].first), *gaps]
    claim = None if is_beheaded or behind or (gaps and claimed - end in (0, gaps[-1][1])) else claimed / rate
    head = header[:18]
    if is_whole and is_described:
        parts: list[list[Part]] = [[_with_count(head, packed, end), (begin + 26, stretches[0].stop)]]
    else:  # each with the one block that must be there, marked as the last
        head = head[:4] + b"\x80" + head[5:]
        parts = [
            [_with_count(head, packed, one.last - one.first) + bytes(16), (one.begin, one.stop)] for one in stretches
        ]
    lost = sum(samples for _, samples in gaps)
    return _Stream(parts, claim, held / rate, tuple(place / rate for place, _ in gaps), lost / rate)


def _description_end(content: Content, begin: int) -> int:
    """Where the blocks end that describe the sound, by the lengths that they say; -1 where one of them is none."""
    at, is_last = begin + 4, False
    while not is_last and at + 4 <= len(content):
        kind, is_last = content[at] & 0x7F, bool(content[at] & 0x80)
        if kind == 127 or (kind == 0 and at > begin + 4):  # the first block is the only one of its kind
            return -1
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
    return at


def _with_count(head: bytes, packed: int, samples: int) -> bytes:
    return head + (packed & ~(2**36 - 1) | min(samples, 2**36 - 1)).to_bytes(8, "big")


def _gaps(stretches: Sequence[Stretch], claimed: int, stop: int, is_joined: bool) -> list[tuple[int, int]]:
    """Behind how many samples that can be read some cannot, and how many; ``is_joined``: the first follows on the header."""
    gaps, held = [], 0
    # What is cut out of a longer stream goes on counting from there.
    expected = 0 if stretches[-1].last <= claimed and not is_joined else stretches[0].first
    for one in stretches:
        if one.first > expected:
            gaps.append((held, one.first - expected))
        held += one.last - one.first
        expected = one.last
    if claimed > expected and stop - stretches[-1].stop > _MUCH_BEHIND:
        gaps.append((held, claimed - expected))
    return gaps
