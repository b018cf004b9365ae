"""Does noise stay noise? A distance of spectra prefers a smooth blur to grain that is as alive as the recording's.

The loudness of 24 bands between 1 and 16 kHz every 2.5 ms, and how fast it moves: the spectrum of each band's decibels
over a second, 4 to 180 Hz, averaged over seconds and bands that sound."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from distill.audio.bands import bins_of_bands
from distill.audio.rate import SAMPLE_RATE

WINDOW, HOP, PADDED = 240, 120, 1024
BANDS = 24
LOUD = 1e-7 * BANDS
"""Energy of a band from which it is judged."""
_FRAMES = SAMPLE_RATE // HOP  # of one second
_FILTERS = bins_of_bands(PADDED, SAMPLE_RATE, np.geomspace(1000, 16_000, BANDS + 1))
SLOWEST, FASTEST = 4, 181
"""Hz between which movement is judged, which is what a bin of a second's spectrum is."""
_LINES = 15
"""Hz from which a narrow line in the movement counts as buzz."""


@dataclass
class TextureScore:
    """Sums over seconds and bands, so that recordings can be added up."""

    made: np.ndarray
    """Summed movement spectrum of the reconstruction, ``[201]``."""
    wanted: np.ndarray
    """The same of the recording."""
    count: int

    @property
    def movement(self) -> float:
        """Root mean square difference of both movement spectra in dB; 0 is natural. NaN where nothing sounds."""
        return float(np.sqrt(np.mean(self._difference() ** 2)))

    @property
    def grain(self) -> float:
        """Their mean difference in dB; below 0 the reconstruction is blurred."""
        return float(np.mean(self._difference()))

    @property
    def line(self) -> float:
        """dB by which the strongest buzz stands out further than it does in the recording; 0 is natural."""
        if not self.count:
            return float("nan")
        return max(0.0, _strongest_line(self.made / self.count) - max(0.0, _strongest_line(self.wanted / self.count)))

    def _difference(self) -> np.ndarray:
        if not self.count:
            return np.full(1, np.nan)
        made, wanted = (sums[SLOWEST:FASTEST] / self.count for sums in (self.made, self.wanted))
        decibels: np.ndarray = 10 * np.log10(np.maximum(made, 1e-12) / np.maximum(wanted, 1e-12))
        return decibels

    @classmethod
    def nothing(cls) -> "TextureScore":
        """Empty sums, to add others to."""
        return cls(np.zeros(_FRAMES // 2 + 1), np.zeros(_FRAMES // 2 + 1), 0)

    def __add__(self, other: "TextureScore") -> "TextureScore":
        return TextureScore(self.made + other.made, self.wanted + other.wanted, self.count + other.count)


def compare_texture(estimate: np.ndarray, reference: np.ndarray) -> TextureScore:
    """Judges one mono sound ``[N]`` beside the recording ``[N]``, both at 48 kHz."""
    wanted, made = _energies(reference), _energies(estimate)
    score = TextureScore.nothing()
    for part, sounding in _sounding(wanted):
        score += TextureScore(_movement(made[sounding, part]), _movement(wanted[sounding, part]), int(sounding.sum()))
    return score


def movement(audio: np.ndarray) -> tuple[np.ndarray, int]:
    """How one mono sound ``[N]`` at 48 kHz moves, with nothing beside it.

    Returns:
        The spectra of movement summed over seconds and bands that sound ``[201]``, a bin a hertz; and how many those were.
    """
    energies, total, count = _energies(audio), np.zeros(_FRAMES // 2 + 1), 0
    for part, sounding in _sounding(energies):
        total += _movement(energies[sounding, part])
        count += int(sounding.sum())
    return total, count


def _sounding(energies: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Every second of the frames of ``[BANDS, F]``, half a second apart, and which bands sound for most of it."""
    loud = energies > LOUD
    for start in range(0, energies.shape[1] - _FRAMES + 1, _FRAMES // 2):
        part = slice(start, start + _FRAMES)
        yield part, loud[:, part].mean(axis=1) > 0.5


def _energies(audio: np.ndarray) -> np.ndarray:
    """The level of each band every 2.5 ms: ``[N] → [BANDS, F]``; a second at least."""
    audio = np.pad(audio.astype(np.float32), (0, max(0, SAMPLE_RATE - len(audio))))
    padded = np.pad(audio, (WINDOW // 2, WINDOW // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    spectrum = np.fft.rfft(frames * np.hanning(WINDOW + 1)[:-1].astype(np.float32), n=PADDED)
    energies: np.ndarray = (np.square(np.abs(spectrum)) @ _FILTERS).T
    return energies


def _movement(energies: np.ndarray) -> np.ndarray:
    """The movement of bands ``[b, F]``, summed over them: ``[F // 2 + 1]``."""
    decibels = 10 * np.log10(energies + 1e-9)
    moved = (decibels - decibels.mean(axis=1, keepdims=True)) * np.hanning(_FRAMES)
    spectrum: np.ndarray = np.square(np.abs(np.fft.rfft(moved))).sum(axis=0)
    return spectrum


def _strongest_line(movement: np.ndarray) -> float:
    decibels = 10 * np.log10(movement + 1e-9)
    padded = np.pad(decibels, 7, mode="edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 15), axis=1)
    return float((decibels - around)[_LINES:FASTEST].max())
