"""Do tones keep their pitch? The mel distance is blind to it: its longest window is 43 ms, its bins are 23 Hz wide.

Spectra of 341 ms (Hann, hop a quarter), 60 Hz to 5 kHz. A partial is a local maximum that stands out of its
surroundings (the median over half an octave) and is not much weaker than the strongest of its frame. A reconstruction
keeps a partial if it has one at that pitch and about that level; what it has where the recording has nothing is
invented. Noise with the right envelope keeps 0.13 to 0.2 of the partials by chance, 10 cents off; judge kept, cents and
invented together."""

from dataclasses import dataclass, field

import numpy as np

from distill.audio.rate import SAMPLE_RATE

WINDOW, HOP = 16_384, 4096
LOWEST, HIGHEST = 60.0, 5000.0
SILENT_DB = -60.0
"""Frames of the recording whose strongest bin is below this are not judged."""
NEAR_CENTS, FAR_CENTS, NEAR_DB = 20.0, 50.0, 12.0
_HERTZ = np.arange(WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
_FIRST, _LAST = np.searchsorted(_HERTZ, [LOWEST, HIGHEST])
_AROUND = np.geomspace(40.0, 8000.0, 46)  # six an octave, where the surroundings are measured


@dataclass
class PitchScore:
    """Counts, so that recordings can be added up."""

    partials: int = 0
    """How many partials the recordings have."""
    kept: int = 0
    invented: int = 0
    distances: list[float] = field(default_factory=list)
    """Cents between each partial kept and its twin."""

    @property
    def kept_share(self) -> float:
        """1 is perfect; NaN where the recordings have no partials."""
        return self.kept / self.partials if self.partials else float("nan")

    @property
    def cents(self) -> float:
        """Median; NaN where none was kept."""
        return float(np.median(self.distances)) if self.distances else float("nan")

    @property
    def invented_share(self) -> float:
        """Invented partials for every one of the recordings; 0 is perfect."""
        return self.invented / self.partials if self.partials else float("nan")

    def __add__(self, other: "PitchScore") -> "PitchScore":
        return PitchScore(
            self.partials + other.partials,
            self.kept + other.kept,
            self.invented + other.invented,
            self.distances + other.distances,
        )


def compare_pitch(estimate: np.ndarray, reference: np.ndarray) -> PitchScore:
    """Judges one mono sound ``[N]`` beside the recording ``[N]``, both at 48 kHz."""
    score = PitchScore()
    made, wanted = _decibels(estimate), _decibels(reference)
    audible = wanted.max(axis=1) >= SILENT_DB
    made, wanted = made[audible], wanted[audible]
    made_over, wanted_over = made - _surroundings(made), wanted - _surroundings(wanted)
    for sound, over, original, original_over in zip(made, made_over, wanted, wanted_over, strict=True):
        partials, levels = _partials(original, original_over, stands_out=12, span=30, most=20)
        found, found_levels = _partials(sound, over, stands_out=9, span=42, most=80)
        score.partials += len(partials)
        cents = _cents(partials, found)
        cents[np.abs(levels[:, None] - found_levels) > NEAR_DB] = np.inf
        nearest = cents.min(axis=1, initial=np.inf)
        kept = nearest <= NEAR_CENTS
        score.kept += int(kept.sum())
        score.distances += nearest[kept].tolist()
        loud, _ = _partials(sound, over, stands_out=12, span=30, most=20)
        anything, _ = _partials(original, original_over, stands_out=6, span=60, most=200)
        score.invented += int((_cents(loud, anything).min(axis=1, initial=np.inf) > FAR_CENTS).sum())
    return score


def _decibels(audio: np.ndarray) -> np.ndarray:
    """dBFS of each bin of each frame: ``[N] → [F, WINDOW // 2 + 1]``."""
    padded = np.pad(audio.astype(np.float32), (0, max(0, WINDOW - len(audio))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(WINDOW + 1)[:-1])) / (WINDOW / 4)
    decibels: np.ndarray = 20 * np.log10(np.maximum(spectrum, 1e-7))
    return decibels


def _surroundings(decibels: np.ndarray) -> np.ndarray:
    """The median of the half octave around each bin, measured at some pitches and interpolated between them."""
    medians = []
    for hertz in _AROUND:
        reach = max(4, round(0.175 * hertz * WINDOW / SAMPLE_RATE))
        place = round(hertz * WINDOW / SAMPLE_RATE)
        medians.append(np.median(decibels[:, max(0, place - reach) : place + reach + 1], axis=1))
    levels = np.stack(medians, axis=1)
    place = np.searchsorted(_AROUND, _HERTZ).clip(1, len(_AROUND) - 1)
    share = ((_HERTZ - _AROUND[place - 1]) / (_AROUND[place] - _AROUND[place - 1])).clip(0, 1)
    around: np.ndarray = levels[:, place - 1] * (1 - share) + levels[:, place] * share
    return around


def _partials(
    decibels: np.ndarray, over: np.ndarray, *, stands_out: float, span: float, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hertz and dBFS of the partials of one frame, the strongest first."""
    here = decibels[_FIRST:_LAST]
    is_peak = (here > decibels[_FIRST + 1 : _LAST + 1]) & (here >= decibels[_FIRST - 1 : _LAST - 1])
    is_peak &= (here > decibels[_FIRST + 2 : _LAST + 2]) & (here > decibels[_FIRST - 2 : _LAST - 2])
    is_peak &= (here > here.max() - span) & (over[_FIRST:_LAST] > stands_out)
    places = np.flatnonzero(is_peak) + _FIRST
    places = places[np.argsort(-decibels[places])][:most]
    left, middle, right = decibels[places - 1], decibels[places], decibels[places + 1]
    # The top of the parabola through three points of a logarithmic spectrum.
    shift = 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-6)
    return (places + shift) * SAMPLE_RATE / WINDOW, middle


def _cents(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far each is from each: ``[len(some), len(others)]``."""
    cents: np.ndarray = 1200 * np.abs(np.log2(others[None, :] / some[:, None]))
    return cents
