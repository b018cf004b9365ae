"""What an audio file really holds, whatever its header claims: by content, in pieces that libsndfile can read whole.

A recorder that lost power leaves sizes of zero, a stream leaves them open, joined MP3 and Ogg files describe their first part
only, and a variable-rate MP3 without its table is as long as its first frame suggests. Where the content holds more than the
header claims, the file is read as if its header were right: spliced from new header bytes and stretches of the file itself
(``spliced``). What a file holds is found out by its format (``chunks``, ``frames``).
"""

import mmap
from pathlib import Path

from distill.audio.chunks import aiff, au, caf, w64, wav
from distill.audio.frames import after_id3, flac, is_followed, mp3, mpeg_frame, ogg
from distill.audio.spliced import Part, Spliced
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
    *((bytes([0x64, 0xA3, number, 0]), "IRCAM") for number in range(1, 5)),
    *((bytes([0, number, 0xA3, 0x64]), "IRCAM") for number in range(1, 5)),
)
_WAV_FORMATS = {0, 1, 2, 3, 6, 7, 0x10, 0x11, 0x31, 0x40, 0x45, 0x64, 0x65, 0xFFFE}
_READERS = {"WAV": wav, "AIFF": aiff, "CAF": caf, "AU": au, "MP3": mp3, "Ogg": ogg, "FLAC": flac, "W64": w64}
"""By kind, what finds the parts of a file that its header does not describe."""


def kind_of(path: Path) -> str:
    """What a file is by its first bytes: ``WAV``, ``AIFF``, ``MP3``, ``AAC`` and so on; empty where it is no sound we know.

    Raises:
        OSError: if it cannot be read.
    """
    with open_regular(path) as file:
        head = file.read(32)
        if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            return "WAV"
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return "AIFF"
        if head[:4] == b"FORM" and head[8:12] in (b"8SVX", b"16SV"):
            return "8SVX"
        if head[4:8] == b"ftyp":
            return "AAC"
        for opening, kind in _KINDS:
            if head.startswith(opening):
                return kind
        begin = after_id3(head, 0)
        if begin:
            file.seek(begin)
            head = file.read(4)
            if head in (b"OggS", b"fLaC"):
                return "Ogg" if head == b"OggS" else "FLAC"
        if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # layer 0 is none of MP3
            return "AAC"
        if (size := mpeg_frame(head[:4])[0]) and (begin or is_followed(file, begin + size)):
            return "MP3"
    return ""


def wav_format(path: Path) -> int | None:
    """By which number a WAV file names how its sound is packed, where libsndfile knows none of that number."""
    with open_regular(path) as file:
        head = file.read(4096)
    at = head.find(b"fmt ", 12)
    if head[8:12] != b"WAVE" or at < 0 or len(head) < at + 10:
        return None
    number = int.from_bytes(head[at + 8 : at + 10], "big" if head[:4] == b"RIFX" else "little")
    return None if number in _WAV_FORMATS else number


def spliced(path: Path) -> tuple[list[Spliced], float | None]:
    """The parts in which libsndfile reads all of a file, and the seconds its header claims where that is wrong.

    Without parts the file is best read as it is.

    Raises:
        OSError: if it cannot be read.
    """
    kind = kind_of(path)
    read = _READERS.get(kind)
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
