"""Two channels from more without losing any: surround by the places of its loudspeakers, several microphones side by side."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import soundfile

Matrix = tuple[tuple[float, ...], tuple[float, ...]]
"""How much of each channel goes to the left, and how much to the right."""

MOST_CHANNELS = 64
"""What mixing desks record at once; more is a header that is wrong."""
_HALF = 0.5**0.5  # -3 dB
# ITU-R BS.775, but with the low frequencies, which may be all there is of a bass drum.
_PLACES = {
    "FL": (1.0, 0.0), "FR": (0.0, 1.0), "FC": (_HALF, _HALF), "LFE": (_HALF, _HALF),
    "BL": (_HALF, 0.0), "BR": (0.0, _HALF), "BC": (0.5, 0.5), "SL": (_HALF, 0.0), "SR": (0.0, _HALF),
    "FLC": (1.0, 0.0), "FRC": (0.0, 1.0), "TC": (0.5, 0.5), "TFL": (_HALF, 0.0), "TFR": (0.0, _HALF), "TFC": (0.5, 0.5),
    "TBL": (_HALF, 0.0), "TBR": (0.0, _HALF), "TBC": (0.5, 0.5),
}  # fmt: skip
_GET_CHANNEL_MAP, _GET_AMBISONIC, _B_FORMAT = 0x1100, 0x1201, 0x41  # libsndfile's SFC_… and SF_AMBISONIC_B_FORMAT
_LIBSNDFILES = (
    *("", "", "FL", "FR", "FC", "FL", "FR", "FC", "BC", "BL", "BR", "LFE", "FLC", "FRC", "SL", "SR"),
    *("TC", "TFL", "TFR", "TFC", "TBL", "TBR", "TBC"),
)
"""Places by libsndfile's numbers, SF_CHANNEL_MAP_…"""
_FLAC = {
    3: "FL FR FC", 4: "FL FR BL BR", 5: "FL FR FC BL BR", 6: "FL FR FC LFE BL BR", 7: "FL FR FC LFE BC SL SR",
    8: "FL FR FC LFE BL BR SL SR",
}  # fmt: skip
_OGG = {
    3: "FL FC FR", 4: "FL FR BL BR", 5: "FL FC FR BL BR", 6: "FL FC FR BL BR LFE", 7: "FL FC FR SL SR BC LFE",
    8: "FL FC FR SL SR BL BR LFE",
}  # fmt: skip
"""Formats that have one order for each number of channels (RFC 9639; Vorbis I, 4.3.9; RFC 7845)."""
_SURROUND, _AMBISONIC = 1, 2
_TWO_SIDES = "It is an Ambisonic recording (B-format), of which the two sides are made: left and right."
_CANCELS = 0.2  # of the energy that they have apart is left on one side: -7 dB


class Downmix(NamedTuple):
    """How a file of more than two channels is made stereo, and how that is said."""

    matrix: Matrix
    remark: str
    is_of_polarity: bool = False
    """Whether the polarity of its channels means a direction (B-format), so that none may be inverted."""


def downmix_of(file: soundfile.SoundFile, family: int = 0) -> Downmix | None:
    """How the channels of an open file become two; None where they are no more, or too many.

    Args:
        family: what an Opus file says of its channels (RFC 7845, 8486): 1 surround, 2 Ambisonics, anything else nothing.
    """
    count = file.channels
    if not 2 < count <= MOST_CHANNELS:
        return None
    if file.subtype == "OPUS" and family != _SURROUND:
        return _ambisonic(count) if family == _AMBISONIC else downmix(count)
    if file.format == "WAVEX" and count >= 4 and _is_b_format(file):
        # W is 3 dB down in it: with Y it makes two microphones that face left and right.
        rest = (0.0,) * (count - 4)
        return Downmix(((_HALF, 0.0, 0.5, 0.0, *rest), (_HALF, 0.0, -0.5, 0.0, *rest)), _TWO_SIDES, is_of_polarity=True)
    orders = _FLAC if file.format == "FLAC" else _OGG if file.format == "OGG" else {}
    return downmix(count, orders[count].split() if count in orders else _told(file))


def _ambisonic(count: int) -> Downmix:
    """Of channels in Opus' order (W, Y, Z, X, ...) at one level, behind which there may be a stereo pair of its own."""
    rest = count - math.isqrt(count) ** 2
    sides = [[0.5, sign / 2, *[0.0] * (count - 2)] for sign in (1, -1)]
    if rest == 2:
        sides[0][-2] = sides[1][-1] = 1.0
    most = 1.0 + (rest == 2)
    left, right = (tuple(part / most for part in side) for side in sides)
    return Downmix((left, right), _TWO_SIDES, is_of_polarity=True)


def downmix(count: int, places: Sequence[str] = ()) -> Downmix:
    """The same for ``count`` channels at these places of loudspeakers, as FFmpeg calls them; of none that are known, the odd
    ones go left and the even ones right, as pairs of microphones are recorded."""
    if len(places) == count and all(place in _PLACES for place in places):
        sides = tuple(zip(*(_PLACES[place] for place in places), strict=True))
        if all(map(any, sides)):
            return Downmix(_level(sides), f"It is a surround recording: its {count} channels are mixed to stereo.")
    left = tuple(float(number % 2 == 0) for number in range(count))
    right = tuple(float(number % 2 or number == count - 1) for number in range(count))
    last = ", the last one to both" if count % 2 else ""
    remark = f"Its {count} channels are mixed to stereo: odd ones to the left, even ones to the right{last}."
    return Downmix(_level((left, right)), remark)


def kept_sound(mixed: Downmix, covariance: np.ndarray) -> Downmix:
    """The same mix, or where channels cancel each other on a side, as with a microphone wired the wrong way round, one with
    some inverted, so that no sound is lost.

    Args:
        covariance: ``[C, C]``, energies of the channels and what they have in common.
    """
    weights = np.asarray(mixed.matrix)
    apart = (weights**2) @ np.diag(covariance)
    together = np.einsum("sc,cd,sd->s", weights, covariance, weights)
    if mixed.is_of_polarity or not (together < _CANCELS * apart).any():
        return mixed
    shared = covariance * (weights.T @ weights)
    signs = np.zeros(len(shared))
    # From the loudest down, each is added so that it raises the level.
    for channel in np.argsort(-np.diag(shared), kind="stable"):
        signs[channel] = -1.0 if shared[channel] @ signs < 0 else 1.0
    turned = [str(number + 1) for number, sign in enumerate(signs) if sign < 0]
    left, right = (tuple(float(part) for part in side) for side in np.where(weights, weights * signs, 0.0))
    which = f"channel {turned[0]} is" if len(turned) == 1 else f"channels {', '.join(turned[:-1])} and {turned[-1]} are"
    words = f"Some cancel each other (opposite polarity), so {which} inverted first."
    return Downmix((left, right), f"{mixed.remark} {words}")


def in_two(block: np.ndarray, matrix: Sequence[Sequence[float]]) -> np.ndarray:
    """A block ``[n, C]`` as ``[n, 2]``; as it is where there is no matrix."""
    return block @ np.asarray(matrix, np.float32).T if len(matrix) else block


def _level(sides: Sequence[Sequence[float]]) -> Matrix:
    """So that no mix of full channels is above full scale, both sides by the same."""
    most = max(map(sum, sides))
    left, right = (tuple(part / most for part in side) for side in sides)
    return left, right


def _told(file: soundfile.SoundFile) -> list[str]:
    """The places that the file itself gives its channels; empty where it gives none.

    libsndfile reads them out of every format that has them, but soundfile hands on neither this nor :func:`_is_b_format`; so
    its own binding is asked. Should that get other names, the tests of surround files fail.
    """
    numbers = soundfile._ffi.new("int[]", file.channels)
    size = file.channels * soundfile._ffi.sizeof("int")
    if not soundfile._snd.sf_command(file._file, _GET_CHANNEL_MAP, numbers, size):
        return []
    return [_LIBSNDFILES[number] if 0 <= number < len(_LIBSNDFILES) else "" for number in numbers]


def _is_b_format(file: soundfile.SoundFile) -> bool:
    return bool(soundfile._snd.sf_command(file._file, _GET_AMBISONIC, soundfile._ffi.NULL, 0) == _B_FORMAT)
