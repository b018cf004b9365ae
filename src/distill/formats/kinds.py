"""What a file is by its first bytes."""

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
_COMPRESSED_CAF = "compressed CAF"
"""As programs for telephones write it; libsndfile reads no more than what follows."""
_PLAIN_CAF = (b"lpcm", b"ulaw", b"alaw")
_LOSSLESS_CAF = tuple(b"alac" + number.to_bytes(4, "big") for number in range(1, 5))
_OTHERS_IN_OGG = {b"\x7fFLA": "Ogg FLAC", b"Spee": "Speex"}
_PICTURES = (
    b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"crx ",
)  # fmt: skip
"""Brands of MPEG-4 files that hold photographs (HEIF, AVIF, Canon's CR3)."""
_PROTECTED = (b"aax ", b"aaxc", b"M4P ")
HEAD = 36
"""So many bytes are enough to tell."""


def kind_of_head(head: bytes) -> str:
    """What begins so, but for MPEG, which takes more than one look; empty where it is no sound we know."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "WAV"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if head[:4] == b"FORM" and head[8:12] in (b"8SVX", b"16SV"):
        return "8SVX"
    if head[4:8] == b"ftyp" and head[8:12] in _PICTURES:
        return ""
    if head[4:8] == b"ftyp":
        return "protected" if head[8:12] in _PROTECTED else "AAC"
    if head[:4] == b"OggS" and head[28:32] in _OTHERS_IN_OGG:
        return _OTHERS_IN_OGG[head[28:32]]
    if head.startswith(b"caff") and head[28:32] not in _PLAIN_CAF and head[28:36] not in _LOSSLESS_CAF:
        return _COMPRESSED_CAF
    for opening, kind in _KINDS:
        if head.startswith(opening):
            return kind
    if is_adts(head):
        return "AAC"
    return ""


def is_adts(head: bytes) -> bool:
    """Whether a bare frame of AAC begins so (ADTS, ISO 13818-7)."""
    return len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0  # layer 0 is none of MP3
