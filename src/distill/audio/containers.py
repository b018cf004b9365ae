"""What an audio file really holds, whatever its header claims: recognised by content, in parts that libsndfile can read.

A recorder that lost power leaves sizes of zero, a stream leaves them open, joined MP3 and Ogg files describe their first part
only, and a variable-rate MP3 without its table is as long as its first frame suggests. Where the content holds more than the
header claims, the file is read as if its header were right: spliced from new header bytes and stretches of the file itself
(``spliced``). What a file holds is found out by its format (``chunks``, ``flac``, ``mpeg``, ``ogg``).
"""

import mmap
import re
from pathlib import Path
from typing import BinaryIO, Literal

from distill.audio.chunks import aiff, au, caf, w64, wav
from distill.audio.disguised import archive_suffix
from distill.audio.flac import flac, is_beheaded_flac
from distill.audio.id3 import skip_id3
from distill.audio.mpeg import begins_later, is_followed, is_layer_2, mp3, mpeg_frame
from distill.audio.ogg import ogg
from distill.audio.spliced import AS_IT_IS, Links, Spliced
from distill.audio.suffixes import AUDIO_SUFFIXES
from distill.files.regular import open_regular

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
    (b"Creative Voice File", "VOC"),
    (b"NIST_1A", "NIST"),
    (b" paf", "PAF"),
    (b"fap ", "PAF"),
    (b"2BIT", "AVR"),
    (b"PVF1", "PVF"),
    (b"Extended Instrument: ", "XI"),
    (b"MATLAB 5.0 MAT-file", "MAT5"),
    (b"ALawSoundFile**", "WVE"),
    *((bytes([0x64, 0xA3, number, 0]), "IRCAM") for number in range(1, 5)),
    *((bytes([0, number, 0xA3, 0x64]), "IRCAM") for number in range(1, 5)),
)
COMPRESSED_CAF = "compressed CAF"
"""As programs for telephones write it; libsndfile reads no more than what follows."""
_PLAIN_CAF = (b"lpcm", b"ulaw", b"alaw")
_LOSSLESS_CAF = tuple(b"alac" + number.to_bytes(4, "big") for number in range(1, 5))
_HEAD = 36
_OTHERS_IN_OGG = {b"\x7fFLA": "Ogg FLAC", b"Spee": "Speex"}
_PROTECTED = (b"aax ", b"aaxc", b"M4P ")
_MPEG_SUFFIXES = (".mp3", ".mpga", ".mp2")
_BEGINNING = 2**16
_OPENINGS = re.compile(
    rb"(?:RIFF|RIFX|RF64|BW64)....WAVE|FORM....AIF[FC]|fLaC\x00\x00\x00\x22|caff\x00\x01|OggS\x00\x02|riff\x2e\x91\xcf\x11",
    re.DOTALL,
)
"""What is looked for where a file called like sound begins with something else."""
_SUBFORMATS = (
    bytes.fromhex("000000001000800000aa00389b71"),
    bytes.fromhex("00002107d3118644c8c1ca000000"),
)
"""How the names of subformats end that libsndfile knows: Microsoft's, and that of B-format."""
_WAV_FORMATS = {0, 1, 2, 3, 6, 7, 0x10, 0x11, 0x31, 0x40, 0x45, 0x64, 0x65, 0xFFFE}
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
    begin = skip_id3(file)
    file.seek(begin)
    head = file.read(_HEAD)
    if kind := _kind_of_head(head):
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
        kind = _kind_of_head(content[match.start() : match.start() + _HEAD])
        if kind in _READERS:
            return kind, begin + match.start()
    if suffix == ".flac" and content and is_beheaded_flac(file):
        return "FLAC", begin
    return "", begin


def _kind_of_head(head: bytes) -> str:
    """What begins so, but for MPEG, which takes more than one look; empty where it is no sound we know."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "WAV"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if head[:4] == b"FORM" and head[8:12] in (b"8SVX", b"16SV"):
        return "8SVX"
    if head[4:8] == b"ftyp":
        return "protected" if head[8:12] in _PROTECTED else "AAC"
    if head[:4] == b"OggS" and head[28:32] in _OTHERS_IN_OGG:
        return _OTHERS_IN_OGG[head[28:32]]
    if head.startswith(b"caff") and head[28:32] not in _PLAIN_CAF and head[28:36] not in _LOSSLESS_CAF:
        return COMPRESSED_CAF
    for opening, kind in _KINDS:
        if head.startswith(opening):
            return kind
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # layer 0 is none of MP3
        return "AAC"
    return ""


def wav_packing(path: Path) -> str | None:
    """How the sound of a WAV file is packed, where libsndfile cannot unpack it; None for any other file."""
    with open_regular(path) as file:
        head = file.read(4096)
    at = head.find(b"fmt ", 12)
    order: Literal["big", "little"] = "big" if head[:4] == b"RIFX" else "little"
    size = int.from_bytes(head[at + 4 : at + 8], order)
    if head[8:12] != b"WAVE" or at < 0 or size < 16 or len(head) < at + 8 + size:  # cut off before it says how
        return None
    number, bits = (int.from_bytes(head[at + place : at + place + 2], order) for place in (8, 22))
    if number not in _WAV_FORMATS:
        return f"format {number:#06x}"
    if number == 3 and bits not in (32, 64):
        return f"floats of {bits} bits"
    if number == 0xFFFE and head[at + 34 : at + 48] not in _SUBFORMATS:
        return "a format of its maker's own"
    return "in pieces" if head.find(b"wavl", at) > 0 else None


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
        read = _READERS.get(kind)
        if read is None:
            return [], links
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if kind == "FLAC":
                links = flac(content, begin)
            elif begin and kind not in ("MP3", "Ogg"):
                links = Links([[(begin, len(content))]])
            else:
                links = read(content)
        return [Spliced(file, parts) for parts in links.parts], links
    finally:
        if not links.parts:
            file.close()
