"""Inspects one file of a folder: the verdict on it, usable or not, why, and what to do."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from distill.audio.mixing import mix_in_words
from distill.durations import duration
from distill.errors import AudioFileError
from distill.formats.files import AudioInfo, samples_at_48k
from distill.recordings.cache import decoded, forget, kept_as
from distill.recordings.checksum import remark_on
from distill.recordings.measure import Levels, levels_of
from distill.recordings.seen import digest_of, shape_of
from distill.recordings.verdicts import FileReport, FileVerdict, settled

SHORTEST_SECONDS = 0.05
LONGEST_SECONDS = 6 * 3600.0
"""Decoded, six hours in stereo fill the whole cache; a header that says more is more often damaged than true."""
_SILENT = 1e-4  # -80 dBFS: what a 16-bit file holds of nothing but its own rounding stays below
_WHOLE_NUMBERS = (
    "PCM", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "VOX_ADPCM", "NMS_ADPCM", "GSM610", "G721", "G723", "DWVW", "DPCM",
    "ALAC", "APE", "TTA", "Ogg FLAC", "AMR",
)  # fmt: skip
"""How formats begin that are decoded to such."""
_SHOWN_DB = 0.05
"""What is less would be shown as 0.0."""


@dataclass(frozen=True)
class Found:
    """A usable file, and what was measured of it."""

    report: FileReport
    path: Path
    sha256: str
    audio: np.memmap
    levels: Levels
    subtype: str
    key: str
    """By which its decoded sound is kept, and what is measured of it."""


def inspect(path: Path, name: str, by_bytes: Mapping[str, str], by_samples: Mapping[str, str]) -> Found | FileReport:
    """What can be used of a file that is called ``name`` in the report; otherwise the report says why it cannot.

    Args:
        by_bytes: names of the usable files so far, by the SHA-256 of their bytes.
        by_samples: the same by their samples.
    """
    try:
        before = _stamp(path)
        info = shape_of(path)
        report = FileReport(
            name,
            FileVerdict.USED,
            seconds=info.seconds,
            sample_rate=info.sample_rate,
            channels=info.own_channels,
            unread=info.unread,
        )
        if refused := _of_wrong_length(report, info):
            return refused
        sha256 = digest_of(path)
        key = kept_as(sha256, info.reading)
        audio = _decoded_whole(info, key)
        if _stamp(path) != before:
            forget(key)
            raise AudioFileError(
                f"{path.name} changed while it was read.", "Wait until whatever writes it is done, and try again."
            )
    except AudioFileError as error:
        return FileReport(name, FileVerdict.UNREADABLE, _without_name(error.what, path), error.fix)
    levels = levels_of(key, audio, info.subtype)
    report = replace(
        report,
        peak_db=20 * math.log10(max(levels.peak, 1e-10)),
        silence=levels.silence,
        loud=levels.loud,
        offset=levels.offset,
        clipped=levels.clipped,
        bandwidth=levels.bandwidth,
        remark=_remark(remark_on(info), levels, info.subtype),
    )
    if levels.peak < _SILENT or levels.span < _SILENT:
        constant = levels.peak >= _SILENT
        return replace(
            report,
            verdict=FileVerdict.SILENT,
            reason="It holds one constant value." if constant else "Nothing in it is louder than -80 dBFS.",
            fix=_also(f"{'Record' if constant else 'Raise its level, record'} it again, or leave it out.", info),
        )
    twin = by_bytes.get(sha256) or by_samples.get(levels.digest)
    if twin:
        return replace(
            report,
            verdict=FileVerdict.DUPLICATE,
            reason=f"It is the same sound as {twin}, sample by sample.",
            fix=settled("one of the two is used.", info.unread),
            duplicate_of=twin,
        )
    return Found(report, path, sha256, audio, levels, info.subtype, key)


def _of_wrong_length(report: FileReport, info: AudioInfo) -> FileReport | None:
    """The report on a file that is too short or too long to be learned from; None on any other."""
    if info.seconds < SHORTEST_SECONDS:
        fix = "Export it with its decay or some silence after it, join it with others, or leave it out."
        return replace(
            report,
            verdict=FileVerdict.SHORT,
            reason=f"It lasts {1000 * info.seconds:.4g} ms; {1000 * SHORTEST_SECONDS:.0f} ms are needed.",
            fix=_also(fix, info),
        )
    if info.seconds > LONGEST_SECONDS:
        return replace(
            report,
            verdict=FileVerdict.LONG,
            reason=f"It lasts {duration(info.seconds)}; at most {duration(LONGEST_SECONDS)} can be learned from.",
            fix="Cut out the parts whose sound you want; if it is not really that long, export it again.",
        )
    return None


def _decoded_whole(info: AudioInfo, key: str) -> np.memmap:
    """Its sound ``[C, N]`` from the cache.

    Raises:
        AudioFileError: if it cannot be read to its end.
    """
    audio = decoded(info, key)
    if audio.shape != (info.channels, samples_at_48k(info)):  # kept by an earlier version, which read less of it
        forget(key)
        audio = decoded(info, key)
    return audio


def _also(words: str, info: AudioInfo) -> str:
    return f"{words} {info.unread}".rstrip()


def _without_name(what: str, path: Path) -> str:
    """A sentence about a file as it stands behind the file's name."""
    for name in (str(path), path.name):
        if what.startswith(f"{name} "):
            return f"It {what[len(name) + 1 :]}"
    return what


def _remark(of_file: str, levels: Levels, subtype: str) -> str:
    loud = ""
    if levels.peak > 1 and subtype.startswith(_WHOLE_NUMBERS):  # they end at full scale; what lies between may not
        loud = "Peaks pass full scale once resampled to 48 kHz, so the level is turned down to fit."
    elif levels.peak > 1:
        over = 20 * math.log10(levels.peak)
        said = f"{over:.1f} dB" if over >= _SHOWN_DB else "less than 0.1 dB"
        loud = f"It peaks {said} above full scale without clipping, and is turned down to full scale."
    return " ".join(filter(None, (of_file, mix_in_words(levels.mix), loud)))


def _stamp(path: Path) -> tuple[int, int] | None:
    """Differs when the file was written to in between; none where there is none, which reading it says better."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns
