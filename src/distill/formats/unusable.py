"""Why a file is not usable audio, and what to do: it cannot be opened, or it is something else than its name says."""

import stat
from pathlib import Path
from typing import Literal

from distill.errors import AudioFileError
from distill.files.beside import sound_of_sidecar
from distill.files.names import CODES_SUFFIX, MODEL_SUFFIX, advice_on_missing, command
from distill.files.regular import broken_link, open_regular
from distill.formats.containers import kind_of
from distill.formats.content import FileContent
from distill.formats.disguised import archive_suffix, is_blank, is_web_page
from distill.formats.flac_header import right_header
from distill.formats.id3 import after_id3
from distill.formats.more_formats import film
from distill.formats.suffixes import AUDIO_SUFFIXES, EXTRA_SUFFIXES, FILM_SUFFIXES, PACKED_SUFFIXES

UNPACK = "Unpack it, and use what is in it."
_SUBFORMATS = (
    bytes.fromhex("000000001000800000aa00389b71"),
    bytes.fromhex("00002107d3118644c8c1ca000000"),
)
"""How the names of subformats end that libsndfile knows: Microsoft's, and that of B-format."""
_WAV_FORMATS = {0, 1, 2, 3, 6, 7, 0x10, 0x11, 0x31, 0x40, 0x45, 0x64, 0x65, 0xFFFE}
_FLAC_BITS = (8, 16, 24)


def check_regular(path: Path) -> None:
    """Raises AudioFileError unless ``path`` is a file that can be read and has something in it."""
    fix = "Check the name and the place."
    if broken := broken_link(path):
        raise AudioFileError(*broken)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioFileError(f"{path} is a folder; an audio file is needed.", "Give one file inside it.")
        if not stat.S_ISREG(mode):
            raise AudioFileError(
                f"{path} is a pipe, a socket or a device, not a file.", "Leave it out, or give an audio file."
            )
        with path.open("rb") as file:
            if not file.read(1):
                raise AudioFileError(f"{path.name} is empty (0 bytes).", "Export it again, or leave it out.")
    except PermissionError as error:
        raise AudioFileError(f"You have no permission to read {path}.", "Change its permissions.") from error
    except FileNotFoundError as error:
        raise AudioFileError(f"{path} does not exist.", advice_on_missing(path, fix)) from error
    except OSError as error:
        raise AudioFileError(f"{path} cannot be opened: {error.strerror}.", fix) from error


def kind_at(path: Path) -> str:
    """What a file begins as, as ``kind_of``.

    Raises:
        AudioFileError: if it cannot be opened.
    """
    try:
        return kind_of(path)
    except OSError as error:
        raise AudioFileError(f"{path} cannot be opened: {error.strerror}.", "Check the name and the place.") from error


def no_audio(path: Path, is_packed: bool = False) -> AudioFileError:
    """What is said of a file that cannot be opened; ``is_packed``: it is whole, as far as is known, but of a rare encoding."""
    kind = kind_at(path)
    if path.suffix.lower() in FILM_SUFFIXES and kind in ("", "protected"):
        return film(path)
    if not kind:
        return _of_no_kind(path)
    if kind == "protected":
        return AudioFileError(
            f"{path.name} is copy-protected, so it cannot be read.",
            "Leave it out, or get an unprotected copy.",
        )
    packed = _packing_of(path)
    if packed is not None or is_packed:
        what = f"holds {kind} sound" if packed is None else f"is a {kind} file whose sound is"
        return AudioFileError(
            f"{path.name} {what} encoded in a way that cannot be read{f' ({packed})' if packed else ''}.",
            "Export it as plain WAV (PCM), or as FLAC of 16 or 24 bits, or leave it out.",
        )
    return AudioFileError(
        f"{path.name} is damaged: it begins as {kind}, but is not readable as audio.",
        "Export it again, or leave it out.",
    )


def _packing_of(path: Path) -> str | None:
    """How the sound of a WAV or FLAC file is packed, where libsndfile cannot unpack it; None for any other file."""
    with open_regular(path) as file:
        content = FileContent(file)
        begin = after_id3(content)
        head = content[begin : begin + 4096]
        if head.startswith(b"fLaC") and len(head) >= 42:
            packed = int.from_bytes(right_header(content, head[:42], begin + 42, len(content))[18:26], "big")
            rate, bits = packed >> 44, (packed >> 36 & 31) + 1
            return f"samples of {bits} bits" if rate and bits not in _FLAC_BITS else None
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


def _of_no_kind(path: Path) -> AudioFileError:
    """What is said of a file that does not begin as any sound does."""
    suffix = path.suffix.lower()
    if suffix in AUDIO_SUFFIXES | EXTRA_SUFFIXES:
        return _despite_its_name(path)
    if suffix == MODEL_SUFFIX:
        return AudioFileError(f"{path.name} is a model, not a recording.", "Give an audio file.")
    if suffix == CODES_SUFFIX:
        words = command("distill", "decode", "MODEL", path)
        return AudioFileError(f"{path.name} holds codes, not sound.", f"Make sound of them with: {words}")
    if (sound := sound_of_sidecar(path)) is not None:
        return AudioFileError(f"{path.name} describes the piece {sound.name} and holds no sound.", f"Give {sound}")
    if suffix in PACKED_SUFFIXES or archive_suffix(path) is not None:
        return AudioFileError(f"{path.name} is an archive, and archives are not opened.", UNPACK)
    return AudioFileError(
        f"{path.name} is of a kind that cannot be read.", "Export it as WAV or FLAC, or leave it out."
    )


def _despite_its_name(path: Path) -> AudioFileError:
    """What is said of such a file if its name is that of an audio file."""
    if (own := archive_suffix(path)) is not None:
        return AudioFileError(
            f"{path.name} is an archive despite its name, and archives are not opened.",
            f"Rename it to end in {own}, unpack it, and use what is in it.",
        )
    if is_web_page(path):
        return AudioFileError(
            f"{path.name} is a web page despite its name: the download went wrong.",
            "Download it again, or leave it out.",
        )
    if is_blank(path):
        return AudioFileError(
            f"{path.name} holds only zeros where its sound should begin: a copy of it went wrong.",
            "Copy it again from its source, or leave it out.",
        )
    return AudioFileError(
        f"{path.name} is not readable as audio: it is not an audio file despite its name.",
        "Export it again as WAV or FLAC, or leave it out.",
    )
