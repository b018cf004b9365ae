"""What an audio file really holds, whatever its header claims: recognised by content, in parts that libsndfile can read.

A recorder that lost power leaves sizes of zero, a stream leaves them open, joined MP3 and Ogg files describe their first part
only, and a variable-rate MP3 without its table is as long as its first frame suggests. Where the content holds more than the
header claims, the file is read as if its header were right: spliced from new header bytes and stretches of the file itself
(``spliced``). What a file holds is found out by its format (``chunks``, ``flac``, ``mpeg``, ``ogg``).
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from distill.counted import some_of
from distill.files.regular import open_regular
from distill.formats.chunks import aiff, au, caf, w64, wav
from distill.formats.content import Content, FileContent
from distill.formats.disguised import archive_suffix
from distill.formats.ends import begin_of, begins_file, unread_behind
from distill.formats.flac import flac, is_beheaded_flac
from distill.formats.id3 import after_id3
from distill.formats.kinds import HEAD, kind_of_head
from distill.formats.mpeg import begins_later, is_followed, is_layer_2, mp3, mpeg_frame
from distill.formats.ogg import ogg
from distill.formats.spliced import AS_IT_IS, Links, Part, Spliced
from distill.formats.suffixes import AUDIO_SUFFIXES

_MPEG_SUFFIXES = (".mp3", ".mpga", ".mp2")
_BEGINNING = 2**16
_MOST_JOINED, _MOST_BEHIND = 100, 2**27
"""Files joined to each other, and bytes behind the first: for each file, all that follow may be looked through."""
_MOST_NAMED = 7
_OPENINGS = re.compile(
    rb"(?:RIFF|RIFX|RF64|BW64)....WAVE|FORM....AIF[FC]|fLaC\x00\x00\x00\x22|caff\x00\x01|OggS\x00\x02|riff\x2e\x91\xcf\x11",
    re.DOTALL,
)
"""What is looked for where a file called like sound begins with something else."""
_JOIN_THEIR_OWN = ("MP3", "Ogg", "FLAC")
_READERS = {"WAV": wav, "AIFF": aiff, "CAF": caf, "AU": au, "MP3": mp3, "Ogg": ogg, "FLAC": flac, "W64": w64}
"""By kind, what finds the parts of a file that its header does not describe."""


def kind_of(path: Path) -> str:
    """What a file is by its first bytes: ``WAV``, ``AIFF``, ``MP3``, ``AAC`` and so on; empty where it is no sound we know.

    Raises:
        OSError: if it cannot be read.
    """
    with open_regular(path) as file:
        return _opening(file, path)[0]


def _opening(file: BinaryIO, path: Path) -> tuple[str, int]:
    """What a file is, and where that begins: behind its tags, or behind rubbish."""
    begin = after_id3(FileContent(file))
    file.seek(begin)
    head = file.read(HEAD)
    if kind := kind_of_head(head):
        return kind, begin
    if (size := mpeg_frame(head[:4])[0]) and (begin or is_followed(file, begin + size)):
        return "MP3", begin
    suffix = path.suffix.lower()
    file.seek(begin)
    content = file.read(_BEGINNING)
    if suffix in _MPEG_SUFFIXES:
        if is_layer_2(content):
            return "MP2", begin
        if begins_later(content):
            return "MP3", begin
    if suffix not in AUDIO_SUFFIXES or archive_suffix(path) is not None:
        return "", begin
    for match in _OPENINGS.finditer(content):
        kind = kind_of_head(content[match.start() : match.start() + HEAD])
        if kind in _READERS:
            return kind, begin + match.start()
    if suffix == ".flac" and content and is_beheaded_flac(file):
        return "FLAC", begin
    return "", begin


def spliced(path: Path) -> tuple[list[Spliced], Links]:
    """The parts in which libsndfile reads all of a file, and what there is to say of it.

    Without parts the file is best read as it is.

    Raises:
        OSError: if it cannot be read.
    """
    file = open_regular(path)
    links = AS_IT_IS
    try:
        kind, begin = _opening(file, path)
        if kind in _READERS:
            links = _links_of(file, kind, begin)
        return [Spliced(file, parts) for parts in links.parts], links
    finally:
        if not links.parts:
            file.close()


def _links_of(file: BinaryIO, kind: str, begin: int) -> Links:
    """How a file is read, and any others that are joined to it."""
    content = FileContent(file)
    first = _of_kind(content, kind, begin)
    other = begins_file(content, first.end)
    if not other or other == kind in _JOIN_THEIR_OWN:
        return first
    return _joined(_of_kind(FileContent(file, first.end), kind, begin), kind, file, first.end, other)


def _joined(links: Links, kind: str, file: BinaryIO, at: int, other: str) -> Links:
    """The same with the files that begin in it, from the one of kind ``other`` on.

    One that is damaged, takes another library, or is one too many, is told of, and so is all that is behind it.
    """
    parts = [*links.parts] or [[(0, at)]]
    links = links._replace(
        claim=math.inf if links.claim == math.inf else None
    )  # what is said of one goes for all otherwise
    kinds = [kind]
    while other:
        rest = FileContent(file, first=at)
        is_read = other in _READERS and len(rest) <= _MOST_BEHIND and len(kinds) < _MOST_JOINED
        begin = begin_of(rest)
        one = _of_kind(rest, other, begin) if is_read else AS_IT_IS
        following = begins_file(rest, one.end)
        following = "" if following == other in _JOIN_THEIR_OWN else following
        if following:
            one = _of_kind(FileContent(file, one.end, at), other, begin)._replace(end=one.end)
        if not is_read or links.is_unreadable or one.is_unreadable or one.lost:
            return links._replace(parts=parts, remark=_in_one(kinds), unread=unread_behind(other, len(rest)))
        stop = one.end if following else len(rest)
        parts += [_shifted(part, at) for part in one.parts or [[(begin, stop)]]]
        kinds.append(other)
        # What one header says is no count of them all; that one breaks off is worth telling.
        links = links._replace(claim=math.inf if math.inf in (links.claim, one.claim) else None)
        at, other = at + stop, following
    return links._replace(parts=parts, remark=_in_one(kinds))


def _of_kind(content: Content, kind: str, begin: int) -> Links:
    if kind == "FLAC":
        return flac(content, begin)
    if begin and kind not in ("MP3", "Ogg"):
        return Links([[(begin, len(content))]])
    return _READERS[kind](content)


def _shifted(parts: Sequence[Part], by: int) -> list[Part]:
    return [part if isinstance(part, bytes) else (part[0] + by, part[1] + by) for part in parts]


def _in_one(kinds: Sequence[str]) -> str:
    """What is said of several files in one; empty of one."""
    if len(kinds) < 2:
        return ""
    return f"It is {len(kinds)} files one after the other ({some_of(kinds, _MOST_NAMED)}); all are used."
