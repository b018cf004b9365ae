"""The beat of new audio: sounds begin when those of the recordings begin.

When something begins is worth so few bits that a prior trained on minutes does not learn it, even if its input says where in
the beat a position lies (docs/prior.md). So the beat changes the logits while codes are drawn. A linear map in the model file
gives the levels of mel bands from codebook vectors (``codes/descriptions.py``), so the rise of the bands from one position to
the next can be read from codes alone:

    opening      ▂▁▇▁▂▁▅▁▂▁▇▁▃▁▅▁▂▁▇▁     rises around the place in the recordings with which a piece begins: their period by
                                           autocorrelation, and
    profile      ▂▁▇▁ ▂▁▅▁                 folded by it, how high they are at each moment of the beat
    new audio    every code's probability times e^(strength · profile · the rise that it would make)

The strength is measured for each model (``strength.py``). Pieces whose opening has no clear period are drawn as they would be
without, and so is everything of models without the map or with strength 0.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.audio.distance import LogMel
from distill.audio.rate import SAMPLE_RATE
from distill.codes.descriptions import entry_descriptions, linear_map, summed
from distill.making.openings import Openings
from distill.models.header import BANDS
from distill.models.model_file import Model, Source
from distill.models.vqvae import ConvVQVAE
from distill.recordings.passages import Passage

LEVELS = 2
"""Quantizer levels, coarse to fine, whose logits the beat changes: finer ones say little about loudness."""
HIGHEST = 4.0
"""Rises are clipped at so many standard deviations of the recordings' own: the loudest code must not win every beat."""
SHORTEST_SECONDS, LONGEST_SECONDS = 0.3, 1.5
"""Of a beat."""
COMMON_SECONDS, OCTAVES = 0.6, 0.7
"""Of a period, its double and its half, the one near to this is taken for the beat: a bell over so many octaves (Ellis 2007,
"Beat tracking by dynamic programming")."""
AROUND_SECONDS = 8.0
"""How much of a recording around a place is analysed."""
LEAST_ECHO = 0.15
"""Autocorrelation of the rises from which there is a beat: a third of the sound's own, two thirds of what all recordings share.
Eight seconds of chance come to 0.13 somewhere."""
BINS = 16
"""Parts of a beat."""
MOST_WINDOWS = 64
"""The mean autocorrelation of at most so many parts of the recordings gives the period that they share."""
_BEND, _BENDS = 0.05, 41
"""How far (a share of it) a period may lie from a whole number of positions, and in how many steps it is searched."""


def learn_bands(codec: ConvVQVAE, passages: Sequence[Passage], sources: Sequence[Source]) -> list[list[float]]:
    """The linear map from a position's codebook vectors, added up, to the levels of mel bands there: ``[C + 1, BANDS]``.

    The last row is added. Fitted to the passages and their codes in ``sources`` (``codes/descriptions.py``). Empty where no
    passage is as long as a position.
    """
    measure = LogMel(SAMPLE_RATE, 2 * codec.hop, codec.hop, BANDS)
    table = linear_map(
        codec, passages, [source.codes for source in sources], lambda audio: measure(audio[None, None])[0, 0]
    )
    rows: list[list[float]] = table.tolist()
    return [[round(value, 5) for value in row] for row in rows]


def echo_of(rises: np.ndarray) -> np.ndarray:
    """Autocorrelation of the rises ``[S]``, by positions apart: ``[S]``, 1 at the first. Without rises there is none."""
    if not len(rises):
        return np.zeros(0)
    spectrum = np.fft.rfft(rises - rises.mean(), 2 * len(rises))
    echo = np.fft.irfft(np.abs(spectrum) ** 2)[: len(rises)]
    return np.asarray(echo / max(echo[0], 1e-12))


@dataclass(frozen=True)
class Pulse:
    """The beat around one place: its period in positions, and how much higher than usual rises are, from that place on."""

    period: float
    profile: np.ndarray
    """``[BINS]``, in the recordings' usual rise."""

    def grid(self, cycle: "Cycle") -> tuple[float, float]:
        """Where the beats of a loop lie that begins there: the first one and their period, in its positions."""
        period = cycle.period(self.period)
        return int(self.profile.argmax()) / BINS * period, period

    def course(self, first: int, count: int, period: float | None = None) -> np.ndarray:
        """The profile at ``count`` positions from ``first`` on, counted from the place: ``[count]``."""
        at = np.arange(first, first + count) / (period or self.period) % 1 * BINS
        bin_ = np.floor(at).astype(np.int64)
        share = at - bin_
        course: np.ndarray = self.profile[bin_ % BINS] * (1 - share) + self.profile[(bin_ + 1) % BINS] * share
        return course


class Metronome:
    """Finds the beat of recordings in their codes.

    Args:
        bands: the map of :func:`learn_bands`.
    """

    def __init__(self, codec: ConvVQVAE, bands: Sequence[Sequence[float]], sources: Sequence[Source]) -> None:
        table = torch.tensor(bands, device=codec.quantizer.codebooks.device)
        self.levels = entry_descriptions(codec.quantizer.codebooks, table)
        """What each entry adds to the bands: ``[Q, K, BANDS]``."""
        self.sources = sources
        self._rate = codec.frame_rate
        self._shortest, self._longest = round(SHORTEST_SECONDS * self._rate), round(LONGEST_SECONDS * self._rate)
        self._window = round(AROUND_SECONDS * self._rate)

    @classmethod
    def of(cls, model: Model) -> "Metronome | None":
        """That of a model; None where its file holds no map or no strength."""
        header = model.header
        return cls(model.codec, header.bands, model.trained_on) if header.bands and header.beat_strength else None

    def rises(self, codes: Tensor) -> np.ndarray:
        """How much the bands rise at each of the positions ``[S, Q]`` on average: ``[S]``, 0 at the first."""
        bands = summed(self.levels, codes.to(self.levels.device))
        found: np.ndarray = (bands[1:] - bands[:-1]).relu().mean(dim=1).cpu().double().numpy()
        return np.concatenate([[0.0], found])

    @cached_property
    def _rises_of_parts(self) -> list[np.ndarray]:
        """Rises of parts from all over the recordings."""
        parts = [
            (source.codes, start)
            for source in self.sources
            for start in range(0, max(1, len(source.codes) - self._window // 2), self._window // 2)
        ]
        chosen = np.unique(np.linspace(0, len(parts) - 1, min(len(parts), MOST_WINDOWS)).astype(np.int64))
        return [self.rises(parts[index][0][parts[index][1] :][: self._window]) for index in chosen]

    @cached_property
    def usual(self) -> float:
        """The standard deviation of the recordings' rises."""
        return max(float(np.concatenate(self._rises_of_parts).std()), 1e-9)

    @cached_property
    def _shared(self) -> np.ndarray:
        """Mean autocorrelation of the recordings' rises, by positions apart."""
        echoes = [echo_of(one)[: self._longest] for one in self._rises_of_parts if len(one) >= self._longest]
        return np.mean(echoes, axis=0) if echoes else np.zeros(self._longest)

    def pulse(self, codes: Tensor, place: int) -> Pulse | None:
        """The beat of a sound ``[S, Q]`` around one of its positions; None where there is no clear one.

        What the recordings share counts twice as much as the sound's own: a bar's worth of it is soon mistaken.
        """
        first = max(0, min(place - self._window // 2, len(codes) - self._window))
        rises = self.rises(codes[first : first + self._window])
        stop = min(self._longest, len(rises) - 1)
        if stop <= self._shortest or not rises.std():
            return None
        lags = np.arange(self._shortest, stop)
        echo = echo_of(rises)
        octaves = np.log2(lags / self._rate / COMMON_SECONDS)
        both = (echo + 2 * self._resized(len(echo)))[lags] / 3
        best = int((both * np.exp(-0.5 * (octaves / OCTAVES) ** 2)).argmax())
        if both[best] < LEAST_ECHO:
            return None
        lag = int(lags[best])
        at = np.arange(len(rises)) + first - place
        folds = [
            (_folded(rises, at, period), period) for period in lag * np.geomspace(1 / (1 + _BEND), 1 + _BEND, _BENDS)
        ]
        (profile, share), period = max(folds, key=lambda fold: fold[0][1])
        # So much of the variance any period explains by chance; what is left is taken to be the beat's.
        by_chance = 2 / 3 * (BINS - 1) / len(rises)
        kept = max(0.0, 1 - by_chance / max(share, 1e-9)) ** 0.5
        return Pulse(float(period), (profile - rises.mean()) * kept / self.usual)

    def _resized(self, count: int) -> np.ndarray:
        return np.pad(self._shared, (0, max(0, count - len(self._shared))))[:count]


@dataclass(frozen=True)
class Cycle:
    """The length of a loop in positions, which is to hold a whole number of beats."""

    positions: float
    beats: int | None = None
    """How many it is counted in; by the recordings' tempo if not given."""

    def period(self, own: float) -> float:
        """The period of its beat, given that of the recordings: the nearest one, or the nearest double or half of its own."""
        if self.beats is None:
            return self.positions / max(1, round(self.positions / own))
        counted = self.positions / self.beats
        doublings = round(math.log2(own / counted))
        while doublings > 0 and self.beats % 2**doublings:  # or the loop would end in the middle of a beat
            doublings -= 1
        return float(counted * 2.0**doublings)


class Beat:
    """Changes the logits of several streams by their beats.

    Args:
        course: strength times profile at every position of each stream, those given included: ``[B, P]``.
        pulses: of each stream, where that is to be known; None of one without a beat.
    """

    def __init__(self, metronome: Metronome, course: Tensor, pulses: Sequence[Pulse | None] = ()) -> None:
        self._metronome, self.pulses = metronome, pulses
        device = metronome.levels.device
        self._push = course.to(device, torch.float32) / metronome.usual
        self._most = HIGHEST * metronome.usual
        self._before = self._push.new_zeros(0)
        """Levels of the bands at the position before, less what the codes drawn since add to them: ``[B, BANDS]``."""

    def after(self, positions: int) -> "Beat":
        """The same beat, beginning so many positions later."""
        other = copy.copy(self)
        other._push = F.pad(self._push, (positions, 0))
        return other

    def tilt(self, logits: Tensor, codes: Tensor, at: int, level: int) -> Tensor:
        """The logits ``[B, K]`` of a level at position ``at`` of the codes ``[B, P, Q]``, drawn as far as there."""
        if level >= LEVELS:
            return logits
        levels = self._metronome.levels
        if level == 0:
            self._before = summed(levels, codes[:, at - 1])
        else:
            self._before = self._before - levels[level - 1][codes[:, at, level - 1]]
        rise = (levels[level] - self._before[:, None]).relu_().mean(dim=2).clamp_(max=self._most)  # [B, K]
        return torch.addcmul(logits, rise, self._push[:, at, None])


def beat_of_openings(
    model: Model, openings: Openings, seeds: Sequence[int], positions: int, cycle: Cycle | None = None
) -> Beat | None:
    """The beat of pieces that begin as recordings do; None where the model has no metronome or no opening has a beat.

    Args:
        positions: how long the pieces are.
        cycle: that of a loop.
    """
    metronome = Metronome.of(model)
    if metronome is None:
        return None
    places = [openings.place(seed) for seed in seeds]
    pulses = [metronome.pulse(model.trained_on[index].codes, place) for index, place in places]
    return _beat(metronome, model.header.beat_strength, pulses, 0, positions, cycle)


def beat_of_prompt(model: Model, prompt: Tensor, count: int, positions: int) -> Beat | None:
    """The beat of ``count`` streams that all go on from the codes ``[P, Q]``, with ``positions`` further ones."""
    metronome = Metronome.of(model)
    if metronome is None:
        return None
    pulses = [metronome.pulse(prompt, len(prompt) - 1)] * count
    return _beat(metronome, model.header.beat_strength, pulses, 1 - len(prompt), len(prompt) + positions)


def _beat(
    metronome: Metronome,
    strength: float,
    pulses: Sequence[Pulse | None],
    first: int,
    count: int,
    cycle: Cycle | None = None,
) -> Beat | None:
    if not any(pulses):
        return None

    def course(pulse: Pulse | None) -> np.ndarray:
        if pulse is None:
            return np.zeros(count)
        return strength * pulse.course(first, count, None if cycle is None else cycle.period(pulse.period))

    return Beat(metronome, torch.from_numpy(np.stack([course(pulse) for pulse in pulses])), pulses)


def _folded(rises: np.ndarray, at: np.ndarray, period: float) -> tuple[np.ndarray, float]:
    """Mean rises by moment of the beat ``[BINS]``, and the share of their variance that these explain."""
    moment = at / period % 1 * BINS
    low = np.floor(moment).astype(np.int64)
    share = moment - low
    high = (low + 1) % BINS
    low %= BINS
    weights = np.bincount(low, 1 - share, BINS) + np.bincount(high, share, BINS)
    profile = (np.bincount(low, rises * (1 - share), BINS) + np.bincount(high, rises * share, BINS)) / np.maximum(
        weights, 1e-9
    )
    explained = profile[low] * (1 - share) + profile[high] * share
    return profile, float(explained.var() / rises.var())
