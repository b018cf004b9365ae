"""How near new audio comes to the recordings, without a counterpart for each: does all of it move, ring and vary as they do?

Five figures, and each judges what the others cannot hear. *Movement*: how the levels of 24 bands from 1 to 16 kHz move, 4 to
180 times a second, beside how they move in the recordings; a codec that repeats itself at every position buzzes there, a
blurred one stands still. *Comb*: the share of partials that lie at multiples of the rate of positions; by chance it is 12 %.
*Fréchet*: the Fréchet distance of what all seconds sound like (means and deviations of 64 log-mel bands); 0 is the same
distribution. *Near-copies*: the share of seconds that correlate over 0.95 with a second of the recordings, beside how many
of their own seconds do with another; the first three are at their best when the recordings are simply played back. *Beat*: how
much onsets repeat after the time after which those of the recordings do most.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.audio import pitch
from distill.audio.distance import mel_filterbank
from distill.audio.mixing import as_trained, mono
from distill.audio.rate import SAMPLE_RATE
from distill.audio.texture import FASTEST, SLOWEST, movement
from distill.making.drawing import Sampling
from distill.making.grains import JOIN_COSTS, Bank, Stretch
from distill.making.onsets import mean_echo, strongest_period
from distill.making.sampling import Generation, generate
from distill.making.tolls import Tolls, measured_tolls
from distill.making.voices import RecordingsVoice
from distill.models.model_file import Model
from distill.originality.passages import AS_IT_IS, Nearest, Passages
from distill.recordings.passages import Passage

PIECES, PIECE_SECONDS = 16, 5.0
"""What is drawn to compare both voices: with four pieces, chance chose the farther voice every fifth time (docs/voices.md)."""
FIRST_SEED = 1_000_000
"""Far from those that a person begins with, so that nobody's piece has decided which voice it is given."""
FEWEST_WINDOWS = 10
"""Fewer seconds of recordings say nothing of how near new audio comes to them."""
MOST_SECONDS = 240.0
"""How many seconds of the recordings are compared with, in parts from all over them."""
MOST_QUOTED_SECONDS = 3600.0
"""How many seconds of them near-copies are looked for in; an hour costs 12 s of a core and half a gigabyte for a while."""
NEAR_COPY = 0.95
"""Correlation from which a second is a near-copy."""
MORE_COPIES = 0.02
"""By how much the recordings' voice may have more near-copies than the codec's has of the same codes: joins that let it quote
more are not considered, unless all do."""
AXES = 24
"""Principal axes in which the Fréchet distance is taken."""
_TONE_STEP = pitch.WINDOW // 2
_COMB_WIDTH = 0.06
"""The share of the distance between two multiples that counts to either side."""
_MEL_FRAME, _MEL_STEP, _MEL_BINS = 2048, 480, 64


@dataclass(frozen=True)
class Nearness:
    """How far new audio is from the recordings; 0 is as near as they are to themselves."""

    movement_db: float
    """NaN where no recording sounds for long enough to be seen moving, as with short hits."""
    comb: float
    """The comb of the sound itself, not compared with that of the recordings."""
    frechet: float
    near_copies: float
    """Share of the seconds that sound, as it is."""
    natural_comb: float
    natural_near_copies: float
    """Share of the recordings' seconds that are like another, a second away or more."""
    beat: float = 0.0
    """Autocorrelation of the onsets at the recordings' strongest period, the mean of all parts of five seconds."""
    natural_beat: float = 0.0
    """That of the recordings."""

    @property
    def distance(self) -> float:
        """One number: half the Fréchet distance weighs as much as 2 dB of movement, 14 % comb, 23 % near-copies or 0.23 of
        the autocorrelation of onsets.

        Near-copies up to what the recordings repeat of themselves, as textures and loops do, weigh a third of that.
        """
        comb = max(0.0, self.comb - max(self.natural_comb, 0.12))
        copies = self.near_copies + 2 * max(0.0, self.near_copies - self.natural_near_copies)
        beat = 3 * max(0.0, self.natural_beat - self.beat)
        movement = 0.0 if math.isnan(self.movement_db) else self.movement_db
        return movement / 3 + 5 * comb + math.log(max(self.frechet, 1e-3)) + copies + beat


class Reference:
    """What the recordings sound like as a whole.

    Args:
        audio: each recording, or a part of it, float32 ``[C, N]`` at 48 kHz.
        frame_rate: positions a second, whose multiples a comb stands at.
        whole: all that could be quoted, each recording in blocks like ``audio``, which near-copies are looked for in; ``audio``
            if not given.
    """

    def __init__(
        self, audio: Sequence[np.ndarray], frame_rate: float, whole: Iterable[Iterable[np.ndarray]] | None = None
    ) -> None:
        self._frame_rate = frame_rate
        self._movement = _movement(audio)
        self._comb = _comb(audio, frame_rate)
        seconds = _seconds(audio)
        self._centre, self._spread = seconds.mean(dim=0), seconds.std(dim=0, correction=0) + 1e-3
        self._axes = torch.linalg.svd((seconds - self._centre) / self._spread, full_matrices=False)[2][:AXES].T
        self._seconds = self._projected(seconds)
        self._passages = Passages.of(((one,) for one in audio) if whole is None else whole, depth=math.inf)
        own = self._nearest(audio)
        self._near_copies_within = _near_share(self._passages.elsewhere(own.source, own.seconds))
        self.period, self.beat = strongest_period(audio)
        """After how many frames the onsets of the recordings repeat most (``onsets.py``), and how much."""

    @property
    def windows(self) -> int:
        """How many seconds, every half second, there are to compare with."""
        return len(self._seconds)

    def nearness(self, audio: Sequence[np.ndarray]) -> Nearness:
        """Of new audio, each piece float32 ``[C, N]`` at 48 kHz."""
        apart = _decibels(_movement(audio)) - _decibels(self._movement)
        return Nearness(
            movement_db=float(np.sqrt(np.mean(np.square(apart)))) if self._movement.any() else math.nan,
            comb=_comb(audio, self._frame_rate),
            frechet=self.frechet(audio),
            near_copies=_near_share(self._nearest(audio).similarity),
            natural_comb=self._comb,
            natural_near_copies=self._near_copies_within,
            beat=mean_echo(audio, self.period) if self.period else 0.0,
            natural_beat=self.beat,
        )

    def frechet(self, audio: Sequence[np.ndarray]) -> float:
        """The Fréchet distance alone, of new audio as in :meth:`nearness`."""
        return self.frechet_of(self.described(audio))

    def described(self, audio: Sequence[np.ndarray]) -> Tensor:
        """What every second of it sounds like, every half second, in the axes of the Fréchet distance: ``[W, AXES]``."""
        return self._projected(_seconds(audio))

    def frechet_of(self, described: Tensor) -> float:
        """The Fréchet distance of seconds that are :meth:`described`."""
        return _frechet(self._seconds, described)

    def _nearest(self, audio: Iterable[np.ndarray]) -> Nearest:
        return Nearest.joined([self._passages.nearest((one,), AS_IT_IS) for one in audio])

    def _projected(self, seconds: Tensor) -> Tensor:
        found: Tensor = (seconds - self._centre) / self._spread @ self._axes
        return found


def reference_of(model: Model, passages: Sequence[Passage]) -> Reference:
    """What the recordings that a model was trained on sound like, four minutes of them at most.

    Near-copies are looked for in all of them, or of more than an hour in the first :func:`quotable_share` of each.
    """
    channels, share = model.codec.channels, quotable_share(passages)
    beginnings = (replace(one, stop=one.start + round(share * one.samples)) for one in passages)
    whole = (one.blocks(channels) for one in beginnings)
    return Reference(excerpts(passages, channels), model.codec.frame_rate, whole)


def quotable_share(passages: Iterable[Passage]) -> float:
    """The share of each passage that near-copies are looked for in."""
    return MOST_QUOTED_SECONDS / max(MOST_QUOTED_SECONDS, sum(passage.seconds for passage in passages))


def by_codecs_voice(model: Model, reference: Reference) -> tuple[list[Generation], Nearness]:
    """A few new pieces, and how near they are in the codec's voice."""
    pieces = generate(model, PIECE_SECONDS, PIECES, Sampling(), FIRST_SEED)
    return pieces, reference.nearness([one.audio(model) for one in pieces])


@dataclass(frozen=True)
class Compared:
    """Both voices of a model, side by side."""

    figures: dict[str, float | int | str]
    """What a header says of them, and which is ``nearer``."""
    tolls: Tolls
    """With which the recordings' voice was heard."""


def compared(model: Model, passages: Sequence[Passage], reference: Reference, *, evens: bool = True) -> Compared | None:
    """Both voices on the same few new pieces.

    Returns:
        None where the recordings are too short to compare anything with.

    Args:
        passages: what the model was trained on, in the order of ``model.trained_on``.
        reference: that of :func:`reference_of`.
        evens: whether what grains cost is measured; else it is as the model has it.
    """
    codec = model.codec
    if reference.windows < FEWEST_WINDOWS:
        return None
    stretches = [
        Stretch(
            name=source.name,
            audio=as_trained(passage.recording.audio, codec.channels, source.gain, source.mix),
            begin=passage.start,
            codes=source.codes,
            take=source.take,
            sha256=source.sha256,
        )
        for source, passage in zip(model.trained_on, passages, strict=True)
    ]
    bank = Bank.of(model, stretches)
    pieces, by_codec = by_codecs_voice(model, reference)

    def by_grains(bank: Bank, join_cost: float) -> Nearness:
        voice = RecordingsVoice(bank, codec.channels, codec.sample_rate, longest_seconds=1.0, join_cost=join_cost)
        return reference.nearness([replace(one, voice=voice).audio(model) for one in pieces])

    by_cost = {cost: by_grains(bank, cost) for cost in JOIN_COSTS}
    join_cost = suited(by_codec, by_cost)
    tolls = measured_tolls(model, bank, join_cost) if evens else Tolls.of(model)
    heard = by_grains(bank.with_tolls(tolls.of_stretches), join_cost) if tolls.of_stretches else by_cost[join_cost]
    return Compared(noted(by_codec, heard, join_cost), tolls)


def noted(by_codec: Nearness, by_recordings: Nearness, join_cost: float) -> dict[str, float | int | str]:
    """What a model's header says of both voices; nothing of what could not be measured."""
    nearer = "recordings" if by_recordings.distance < by_codec.distance else "codec"
    figures: dict[str, float | int | str] = {"nearer": nearer, "join_cost": join_cost}
    figures["natural_near_copies"] = round(by_codec.natural_near_copies, 3)
    for name, nearness in (("codec", by_codec), ("recordings", by_recordings)):
        if not math.isnan(nearness.movement_db):
            figures[f"{name}_movement_db"] = round(nearness.movement_db, 2)
        figures[f"{name}_comb"] = round(nearness.comb, 3)
        figures[f"{name}_frechet"] = round(nearness.frechet, 2)
        figures[f"{name}_near_copies"] = round(nearness.near_copies, 3)
    return figures


def suited(by_codec: Nearness, by_cost: Mapping[float, Nearness]) -> float:
    """What a join is to cost: the nearest of those with at most 2 % more near-copies than the codec's voice has.

    Of the one with the fewest where all have more.
    """
    fewest = min(one.near_copies for one in by_cost.values())
    most = max(by_codec.near_copies + MORE_COPIES, fewest)
    return min(
        (cost for cost, one in by_cost.items() if one.near_copies <= most), key=lambda cost: by_cost[cost].distance
    )


def in_words(voices: Mapping[str, float | int | str]) -> str:
    """Which voice is used by default and why, in a sentence."""
    names = {"recordings": "the recordings' voice", "codec": "the codec's voice"}
    nearer, other = names if voices["nearer"] == "recordings" else reversed(names)

    def figures(name: str, digits: Callable[[float], str]) -> str:
        return f"{digits(float(voices[f'{nearer}_{name}']))} ({digits(float(voices[f'{other}_{name}']))})"

    moves = ""
    if f"{nearer}_movement_db" in voices and f"{other}_movement_db" in voices:
        moves = f"movement off by {figures('movement_db', lambda decibels: f'{decibels:g} dB')}; "
    copies = figures("near_copies", lambda share: f"{100 * share:.0f} %")
    return (
        f"New audio will be in {names[nearer]}, which is nearer by these figures together ({names[other]} in brackets): "
        f"Fréchet distance {figures('frechet', in_digits)}; {moves}seconds that nearly repeat one of the recordings {copies}, "
        f"in the recordings themselves {100 * float(voices['natural_near_copies']):.0f} %. --voice overrides this."
    )


def in_digits(frechet: float) -> str:
    """``0.123``, ``12.3``, ``1234``: three digits, or all that stand before the point."""
    return f"{frechet:.3g}" if frechet < 999.5 else f"{frechet:.0f}"


def excerpts(passages: Sequence[Passage], channels: int) -> list[np.ndarray]:
    """Parts of ten seconds from all over the recordings, about four minutes at most.

    A remainder of less than a second belongs to the part before it: alone it would count as a second that is mostly silence.
    """
    length = 10 * SAMPLE_RATE
    parts = []
    for passage in passages:
        last = max(0, passage.samples - SAMPLE_RATE)
        parts += [(passage, *part) for part in pairwise([*range(0, last + 1, length), passage.samples])]
    share = MOST_SECONDS * SAMPLE_RATE / sum(passage.samples for passage in passages)
    if share < 1:
        most = max(1, round(share * len(parts)))  # parts are as short as the recordings may be
        parts = [parts[index] for index in np.unique(np.linspace(0, len(parts) - 1, most).astype(np.int64))]
    return [passage.read(start, stop, channels) for passage, start, stop in parts]


def _near_share(similarity: np.ndarray) -> float:
    """The share of near-copies among seconds that sound, of their similarity to the nearest other ``[W]``."""
    sounding = similarity[~np.isnan(similarity)]
    return float((sounding > NEAR_COPY).mean()) if len(sounding) else 0.0


def _mono(audio: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(mono(audio)[0]))


def _spectra(sound: Tensor, size: int, window: int, step: int, *, centred: bool = True) -> Tensor:
    """Magnitudes ``[F, size // 2 + 1]``."""
    least = window if centred else size
    spectra = torch.stft(
        F.pad(sound, (0, max(0, least - len(sound)))),
        size,
        step,
        window,
        torch.hann_window(window),
        center=centred,
        pad_mode="constant",
        return_complex=True,
    )
    return spectra.abs().T


def _movement(audio: Iterable[np.ndarray]) -> np.ndarray:
    """Mean spectrum over time of the levels of all bands that sound ``[201]``: a bin a hertz."""
    found = [movement(mono(one)[0]) for one in audio]
    total: np.ndarray = sum((moved for moved, _ in found), np.zeros(1))
    return total / max(sum(count for _, count in found), 1)


def _decibels(moved: np.ndarray) -> np.ndarray:
    decibels: np.ndarray = 10 * np.log10(moved[SLOWEST:FASTEST] + 1e-9)
    return decibels


def _comb(audio: Iterable[np.ndarray], frame_rate: float) -> float:
    """Share of the partials from 60 to 5000 Hz near a multiple of the frame rate; 0 where there are no partials.

    Partials are found much as in ``audio/pitch.py``. One finder for both would move the figures that model files hold, and
    with them the voice that was measured to be nearer.
    """
    bin_hz = SAMPLE_RATE / pitch.WINDOW
    low, high = round(pitch.LOWEST / bin_hz), round(pitch.HIGHEST / bin_hz)
    on = found = 0
    for one in audio:
        levels = _spectra(_mono(one), pitch.WINDOW, pitch.WINDOW, _TONE_STEP, centred=False)
        levels = 20 * torch.log10((levels / (pitch.WINDOW / 4)).clamp(min=1e-7))[:, : 2 * high]
        levels = levels[levels.amax(dim=1) >= pitch.SILENT_DB]
        if not len(levels):
            continue
        floor = _floor(levels)
        centre = levels[:, low:high]
        peak = (centre > levels[:, low - 1 : high - 1]) & (centre >= levels[:, low + 1 : high + 1])
        peak &= (centre > levels[:, low - 2 : high - 2]) & (centre > levels[:, low + 2 : high + 2])
        peak &= centre > centre.amax(dim=1, keepdim=True) - 30
        peak &= centre - floor[:, low:high] > 12
        frame, place = torch.nonzero(peak, as_tuple=True)
        left, here, right = (levels[frame, place + low + step] for step in (-1, 0, 1))
        shift = 0.5 * (left - right) / (left - 2 * here + right).clamp(max=-1e-6)
        multiple = (place + low + shift) * bin_hz / frame_rate
        on += int(((multiple - multiple.round()).abs() < _COMB_WIDTH).sum())
        found += len(place)
    return on / found if found else 0.0


def _floor(levels: Tensor) -> Tensor:
    """Median level around each bin ``[F, bins]``, over about half an octave."""
    floor = torch.empty_like(levels)
    edge = 8
    while edge < levels.shape[1]:
        stop = min(levels.shape[1], max(edge + 1, round(edge * 2**0.25)))
        width = max(4, round(edge * 0.18))
        around = levels[:, max(0, edge - width) : stop + width]
        floor[:, edge:stop] = around.median(dim=1, keepdim=True).values
        edge = stop
    floor[:, :8] = levels[:, :8]
    return floor


def _seconds(audio: Iterable[np.ndarray]) -> Tensor:
    """What every second sounds like ``[W, 2 · 64]``, every half second: means and deviations of log-mel bands over time."""
    filters = mel_filterbank(SAMPLE_RATE, _MEL_FRAME, _MEL_BINS, 40.0)
    found = []
    for one in audio:
        sound = _mono(one)
        sound = F.pad(sound, (0, max(0, SAMPLE_RATE - len(sound))))
        mel = (_spectra(sound, _MEL_FRAME, _MEL_FRAME, _MEL_STEP) @ filters).clamp(min=1e-5).log()
        windows = mel.unfold(0, 100, 50)  # [W, 64, 100]
        found.append(torch.cat([windows.mean(dim=2), windows.std(dim=2, correction=0)], dim=1))
    return torch.cat(found).double()


def _frechet(a: Tensor, b: Tensor) -> float:
    """Fréchet distance of two clouds of points ``[n, D]``, as if each were normally distributed."""
    size = a.shape[1]
    least = 1e-3 * torch.eye(size, dtype=torch.float64)
    first, second = (torch.cov(one.T).reshape(size, size) + least if len(one) > 1 else least for one in (a, b))
    root = torch.linalg.eigvals(first @ second).real.clamp(min=0).sqrt().sum()
    apart = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    return float(apart + first.trace() + second.trace() - 2 * root)
