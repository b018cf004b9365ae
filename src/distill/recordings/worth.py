"""What is wrong with a recording though it is usable, and which of the copies of a take is used."""

import math

from distill.audio.rate import SAMPLE_RATE
from distill.recordings.inspection import Found
from distill.recordings.verdicts import FileReport

QUIET = 1e-2  # -40 dBFS
CLIPPED = 0.01
_OFFSET = 0.02
_LONG_ENOUGH, _MOMENT = 5.0, 0.16  # seconds; a knock may touch three frames of 50 ms
_EXACT = frozenset({"PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"})
_COARSE = frozenset({"PCM_S8", "PCM_U8", "ULAW", "ALAW", "GSM610", "IMA_ADPCM", "MS_ADPCM", "VOX_ADPCM", "DPCM_8"})
_PADDING = 0.25
_WHOLE_RATE = 32_000
_LOSSY_HOLDS, _MONO_HOLDS = 0.7, 0.45


def is_quiet(file: FileReport) -> bool:
    """Whether what is learned from it comes out hardly to be heard."""
    return file.peak_db < 20 * math.log10(QUIET)


def is_displaced(file: FileReport) -> bool:
    """Whether it lies off the middle by a constant that takes room from the sound."""
    return abs(file.offset) > _OFFSET


def is_clipped(file: FileReport) -> bool:
    """Whether so many of its samples are at its highest level that it was likely cut off there."""
    return file.clipped > CLIPPED


def is_a_moment(file: FileReport) -> bool:
    """Whether all of it but a moment is so much quieter that the moment may be none of it: a knock on the microphone."""
    return file.seconds >= _LONG_ENOUGH and file.loud <= _MOMENT


def worth(found: Found) -> tuple[int, bool, int, bool, int, int, int, str]:
    """By what one copy is chosen: most sound in it, no noise of a coarse format, then how much of the spectrum it can hold,
    less in a lossy format and in mono, then a stereo mix of the musician's own before one that is made here, then what it is
    not warned of, as whoever mends a take may keep it as it was, and then how much of the spectrum it does hold."""
    exact = found.subtype in _EXACT
    # Codecs add up to a tenth of a second at the ends, which shall not decide where it falls on a border of the rounding.
    sounding = (1 - found.levels.silence) * found.audio.shape[1] / SAMPLE_RATE + (_PADDING if exact else 0)
    # Of an exact file the rate says it: a dull sound is no damaged one, and what a codec invents above it no gain.
    whole = exact and found.report.sample_rate >= _WHOLE_RATE
    can_hold = SAMPLE_RATE / 2 if whole else found.levels.bandwidth * (1 if exact else _LOSSY_HOLDS)
    return (
        round(2 * sounding),
        found.subtype not in _COARSE,
        round(can_hold * (1 if found.levels.stereo else _MONO_HOLDS) / 1000),
        found.report.channels <= 2,
        -sum(is_wrong(found.report) for is_wrong in (is_quiet, is_displaced, is_clipped)),
        round(found.levels.bandwidth / 1000),
        found.audio.shape[1],
        found.sha256,
    )
