"""Where a sound came from: for every second the passage of the recordings that is most like it.

Passages are pictures: a second of log-mel, 64 bins by 100 frames. Two are compared by the correlation of their mean-free
pictures, so that level does not matter. Whatever lies more than 50 dB below a picture's peak counts as silence: the empty
parts of two clean recordings resemble each other, and hiss would hide a copy (docs/copying.md has the figures). The query is
also tried higher and lower, faster and slower, since a copy that was transposed or stretched is still a copy.

Comparing all with all at full size would take far longer than making the sound did. So pictures are first compared as
thumbnails, on the corpus' own principal axes, at every 50 ms; then the best few as they are, to 10 ms:

    picture 100 × 64  ──means of 5 × 2──▶  thumbnail 20 × 32  ──project──▶  96 numbers  ──product with all──▶  best 24
                                                                                                                  │
    nearest passage  ◀───────────────────── correlation with the whole pictures around them ◀─────────────────────┘
"""

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.audio.distance import FLOOR, mel_filterbank
from distill.audio.rate import SAMPLE_RATE

FRAME = 480
"""Samples a frame: 10 ms."""
FRAMES = 100
"""Frames in a passage: one second."""
BINS = 64
LOWEST_HZ = 40.0
DEPTH_DB = 50.0
"""How far below its peak a picture counts."""
SILENT = 1e-3
"""RMS below which a second counts as silent: -60 dBFS; beside quiet recordings less (``_BELOW_LOUDEST``)."""
_BELOW_LOUDEST = 1e-2
"""A second that is less than 40 dB below the recordings' loudest is not silent: quiet recordings can be copied too. It is the
loudest of an ordinary recording, in the middle of all: a knock on the microphone in one makes the others no silence."""
_WINDOW = 2048
_STEP, _TILE_BINS = 5, 2
_TILES = FRAMES // _STEP
_AXES = 96
_REFINED = 24
"""Candidates of the coarse search that are compared exactly."""
_SAMPLE = 4000
"""How many thumbnails the principal axes are computed from."""
_AT_ONCE = 10_000_000
"""Coarse comparisons made at once; like _FRAMES_AT_ONCE, it bounds the memory."""
_FRAMES_AT_ONCE = 1000


@dataclass(frozen=True)
class Search:
    """The changes a sound may have been through and still be found."""

    semitones: tuple[float, ...] = tuple(step / 2 for step in range(-6, 7))
    """How many semitones higher it may be."""
    stretches: tuple[float, ...] = (0.9, 0.95, 1.0, 1.05, 1.1)
    """How many times as long it may be."""

    @property
    def variants(self) -> list[tuple[float, float]]:
        return [(semitones, stretch) for semitones in self.semitones for stretch in self.stretches]


AS_IT_IS = Search((0.0,), (1.0,))


@dataclass(frozen=True)
class Nearest:
    """For each second of a sound the nearest passage of the recordings; arrays ``[W]``."""

    similarity: np.ndarray
    """Correlation of the pictures, -1 to 1; NaN where the second is silent, or there is nothing to compare it with."""
    source: np.ndarray
    """Index of the recording in the list that was given; -1 where silent."""
    seconds: np.ndarray
    """Where in that recording the passage begins."""
    semitones: np.ndarray
    """How many semitones higher than the passage the sound is."""
    stretch: np.ndarray
    """How many times as long as the passage the sound is."""

    @classmethod
    def joined(cls, parts: "Sequence[Nearest]") -> "Nearest":
        """Several sounds that follow each other as one."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class Passages:
    """Every second of the recordings, at every twentieth of a second.

    Args:
        pictures: of each recording its log-mel ``[F, BINS]`` and the power ``[F]`` of its frames, as :func:`pictured` gives
            them; what is kept is 92 MB an hour. Shorter ones than a second are followed by silence.
        takes: a number for each recording; near-copies of one take share theirs and are never each other's neighbours.
        depth: decibels under its peak that a picture is seen; infinite to see all.
        recordings: a number for each, which the stretches of one recording share, where not all are whole recordings; the
            stretches do not overlap.
    """

    def __init__(
        self,
        pictures: Iterable[tuple[Tensor, Tensor]],
        takes: Sequence[int] | None = None,
        depth: float = DEPTH_DB,
        recordings: Sequence[int] | None = None,
    ) -> None:
        self._depth = depth * math.log(10) / 20
        whole, power = [], []
        for mel, level in pictures:
            # Whole tiles, so that the grid begins anew with each recording.
            short = max(0, FRAMES - len(mel)) or -len(mel) % _STEP
            whole.append(F.pad(mel, (0, 0, 0, short), value=math.log(FLOOR)))
            power.append(F.pad(level, (0, short)))
        lengths = [len(one) for one in power]
        self._takes, self._recordings = (
            torch.tensor(list(range(len(lengths)) if numbers is None else numbers), dtype=torch.int64)
            for numbers in (takes, recordings)
        )
        self._begins = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int64)
        self._mel = torch.cat([torch.zeros(0, BINS), *whole])  # [F, BINS]
        starts, levels = _levels(lengths, torch.cat([torch.zeros(0), *power]))
        source = torch.searchsorted(self._begins, starts, right=True) - 1
        loudest = torch.zeros(len(lengths), dtype=levels.dtype).scatter_reduce(0, source, levels, "amax")
        ordinary = float(loudest[loudest > 0].quantile(0.5)) if loudest.any() else 1.0
        self._silent = min(SILENT, _BELOW_LOUDEST * math.sqrt(ordinary))
        # Silence resembles silence, which means nothing. What is nothing but zeros is silent even so.
        self._starts = starts[(levels >= self._silent**2) & (levels > 0)]  # [P], frames
        self._source = torch.searchsorted(self._begins, self._starts, right=True) - 1
        tiles = _tiled(self._mel[None])[0] if lengths else torch.zeros(0, BINS // _TILE_BINS)
        self._axes = self._principal_axes(tiles)
        places = [self._thumbnails(tiles, starts) @ self._axes for starts in self._starts.split(4096)]
        self._coarse = torch.cat(places) if places else torch.zeros(0, _AXES)

    @classmethod
    def of(
        cls,
        sounds: Iterable[Iterable[np.ndarray]],
        takes: Sequence[int] | None = None,
        depth: float = DEPTH_DB,
        recordings: Sequence[int] | None = None,
    ) -> "Passages":
        """The passages of recordings, each in blocks, float32 ``[C, n]`` at 48 kHz."""
        return cls((pictured(spectra(blocks)) for blocks in sounds), takes, depth, recordings)

    def nearest(
        self, blocks: Iterable[np.ndarray], search: Search | None = None, *, exclude: int | None = None
    ) -> Nearest:
        """The nearest passage for every second of a sound; a remainder is judged with the end of the last whole second.

        Args:
            blocks: float32 ``[C, n]`` at 48 kHz; shorter ones than a second are followed by silence.
            exclude: a take that is left out, to compare it with all others.
        """
        return self.nearest_to(list(spectra(blocks)), search, exclude=exclude)

    def nearest_to(
        self, sound: Sequence[tuple[Tensor, Tensor]], search: Search | None = None, *, exclude: int | None = None
    ) -> Nearest:
        """The same for a sound that was taken apart already, by :func:`spectra`."""
        search = search or Search()
        power = torch.cat([level for _, level in sound])
        short = max(0, FRAMES - len(power))
        power = F.pad(power, (0, short))
        mels = torch.cat([_log_mels(magnitudes, search.semitones) for magnitudes, _ in sound], dim=1)
        mels = F.pad(mels, (0, 0, 0, short), value=math.log(FLOOR))  # [semitones, F, BINS]
        starts = _seconds(len(power))
        result = _unknown(len(starts))
        kept = None if exclude is None else self._takes[self._source] != exclude
        audible = [number for number, start in enumerate(starts) if self._is_audible(power[start : start + FRAMES])]
        variants = search.variants
        at_once = max(1, _AT_ONCE // (len(variants) * max(1, len(self._starts))))
        for begin in range(0, len(audible), at_once):
            numbers = audible[begin : begin + at_once]
            begins = torch.tensor([starts[number] for number in numbers])
            pictures = torch.stack([_stretched(mels, begins, stretch) for stretch in search.stretches], dim=2)
            self._search(
                result,
                numbers,
                pictures.flatten(1, 2),
                variants,
                None if kept is None else kept[None].expand(len(numbers), -1),
            )
        return result

    def elsewhere(self, source: np.ndarray, seconds: np.ndarray, *, exclude: int | None = None) -> np.ndarray:
        """How like each of these passages ``[W]`` the recordings are elsewhere: in other takes, or a second away or more.

        One take, ``exclude``, can be left out, as in :meth:`nearest`. What repeats need not keep to the grid of frames, so the
        passage is also looked for as it is half a frame later.

        A passage with a near twin is one that the recordings repeat: a loop, a drone, a pause full of hiss. NaN where there is
        nothing to compare with, or no passage (source -1).
        """
        result = _unknown(len(source))
        for number in np.flatnonzero(np.asarray(source) >= 0):
            here = int(source[number])
            frame = int(self._begins[here]) + round(float(seconds[number]) * SAMPLE_RATE / FRAME)
            is_other_take = self._takes[self._source] != self._takes[here]
            is_same_recording = self._recordings[self._source] == self._recordings[here]
            is_apart = (self._source != here) | ((self._starts - frame).abs() >= FRAMES)
            kept = is_other_take | (is_same_recording & is_apart)
            if exclude is not None:
                kept &= self._takes[self._source] != exclude
            frames = torch.arange(frame, frame + FRAMES)
            picture, next_ones = self._mel[frames], self._mel[(frames + 1).clamp(max=int(self._begins[here + 1]) - 1)]
            pictures = torch.stack([picture, picture.lerp(next_ones, 0.5)])
            self._search(result, [int(number)], pictures[None], [(0.0, 1.0)] * len(pictures), kept[None])
        return result.similarity

    def _is_audible(self, power: Tensor) -> bool:
        level = float(power.mean())
        return level >= self._silent**2 and level > 0

    def _search(
        self,
        result: Nearest,
        numbers: Sequence[int],
        pictures: Tensor,
        variants: Sequence[tuple[float, float]],
        kept: Tensor | None,
    ) -> None:
        """Fills in the seconds ``numbers [B]`` from their ``pictures [B, V, FRAMES, BINS]``; ``kept [B, P]`` may be found."""
        if not len(self._starts):
            return
        thumbnails = self._normal(_tiled(pictures.flatten(0, 1)).flatten(1)) @ self._axes
        scores = (thumbnails @ self._coarse.T).unflatten(0, pictures.shape[:2])  # [B, V, P]
        if kept is not None:
            scores.masked_fill_(~kept[:, None], -torch.inf)
        whole = self._normal(pictures.flatten(2))
        for number, row, pictured in zip(numbers, scores.flatten(1), whole, strict=True):
            best, places = row.topk(min(_REFINED, len(row)))
            places = places[best > -torch.inf]
            if len(places):
                self._refine(result, number, pictured, places, variants)

    def _refine(
        self, result: Nearest, number: int, pictures: Tensor, places: Tensor, variants: Sequence[tuple[float, float]]
    ) -> None:
        """Compares whole ``pictures [V, FRAMES · BINS]`` around the candidates; ``places`` count variants × passages."""
        variant, passage = places // len(self._starts), places % len(self._starts)
        begins = self._begins[self._source[passage]][:, None]
        ends = self._begins[self._source[passage] + 1][:, None]
        near = self._starts[passage][:, None] + torch.arange(1 - _STEP, _STEP)
        near = near.clamp(min=begins).clamp(max=ends - FRAMES)  # [n, offsets]
        others = self._normal(self._mel[near[:, :, None] + torch.arange(FRAMES)].flatten(2))
        likeness = torch.einsum("nod,nd->no", others, pictures[variant])
        best = int(likeness.argmax())
        candidate, offset = divmod(best, near.shape[1])
        result.similarity[number] = min(1.0, float(likeness.flatten()[best]))
        result.source[number] = int(self._source[passage[candidate]])
        result.seconds[number] = int(near[candidate, offset] - begins[candidate, 0]) * FRAME / SAMPLE_RATE
        result.semitones[number], result.stretch[number] = variants[int(variant[candidate])]

    def _principal_axes(self, tiles: Tensor) -> Tensor:
        every = max(1, len(self._starts) // _SAMPLE)
        sample = self._thumbnails(tiles, self._starts[::every])
        _, vectors = torch.linalg.eigh(sample.T @ sample)
        return vectors[:, -_AXES:]

    def _thumbnails(self, tiles: Tensor, starts: Tensor) -> Tensor:
        windows = tiles[(starts // _STEP)[:, None] + torch.arange(_TILES)]
        return self._normal(windows.flatten(1))

    def _normal(self, pictures: Tensor) -> Tensor:
        """Cut off at the depth, mean-free, of length one: ``[..., d]``, so that products are correlations."""
        seen = torch.maximum(pictures, pictures.amax(dim=-1, keepdim=True) - self._depth)
        centred = seen - seen.mean(dim=-1, keepdim=True)
        return centred / centred.norm(dim=-1, keepdim=True).clamp(min=1e-6)


def spectra(blocks: Iterable[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
    """Spectra of a sound in blocks ``[C, n]``: magnitudes ``[F, 1025]``, and the power ``[F]`` of 10 ms each.

    Both are root mean squares over the channels, not of their mean: a copy whose channels cancel each other, or one of
    which was turned upside down, looks as it did before. Frames are centred on multiples of 10 ms, where their power begins,
    with silence beyond both ends of the sound; they come a thousand at a time at most.
    """
    taper = torch.hann_window(_WINDOW)
    pending = torch.zeros(1, _WINDOW // 2)

    def framed(samples: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for first in range(0, (samples.shape[1] - _WINDOW) // FRAME + 1, _FRAMES_AT_ONCE):
            part = samples[:, first * FRAME : (first + _FRAMES_AT_ONCE - 1) * FRAME + _WINDOW]
            frames = part.unfold(1, _WINDOW, FRAME)  # [C, F, _WINDOW]
            own = frames[..., _WINDOW // 2 : _WINDOW // 2 + FRAME]
            magnitudes = torch.fft.rfft(frames * taper).abs()
            together = magnitudes[0] if len(magnitudes) == 1 else magnitudes.square().mean(dim=0).sqrt()
            yield together, own.square().mean(dim=(0, 2))

    for block in blocks:
        new = torch.from_numpy(np.ascontiguousarray(block, dtype=np.float32))
        pending = torch.cat([pending.expand(len(new), -1), new], dim=1)
        if pending.shape[1] >= _WINDOW:
            yield from framed(pending)
            pending = pending[:, ((pending.shape[1] - _WINDOW) // FRAME + 1) * FRAME :]
    # A sound of no samples still has the frame around its beginning.
    pending = F.pad(pending, (0, _WINDOW // 2))
    if pending.shape[1] >= _WINDOW:
        yield from framed(pending)


def pictured(sound: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """What is kept of a recording's :func:`spectra`: its log-mel ``[F, BINS]``, and the power ``[F]`` of its frames."""
    parts = [(log_mel(magnitudes), level) for magnitudes, level in sound]
    mel, level = (torch.cat(column) for column in zip(*parts, strict=True))
    return mel, level


def log_mel(magnitudes: Tensor) -> Tensor:
    """Natural logarithm of 64 mel bins ``[F, 64]`` of ``[F, 1025]``."""
    return (magnitudes @ _filters(0.0)).clamp(min=FLOOR).log()


def _log_mels(magnitudes: Tensor, semitones: Sequence[float]) -> Tensor:
    """:func:`log_mel` as if the sound were so many semitones lower, in one product: ``[len(semitones), F, 64]``.

    The filters move, not the sound: that is exact, and costs no more than not transposing.
    """
    filters = torch.cat([_filters(one) for one in semitones], dim=1)
    return (magnitudes @ filters).clamp(min=FLOOR).log().unflatten(1, (len(semitones), BINS)).transpose(0, 1)


@functools.cache
def _filters(semitones: float) -> Tensor:
    return mel_filterbank(SAMPLE_RATE, _WINDOW, BINS, LOWEST_HZ, 2 ** (semitones / 12))


def _seconds(frames: int) -> list[int]:
    """The first frame of every second of a sound, and of its last second if a tenth or more is left over."""
    starts = list(range(0, max(1, frames - FRAMES + 1), FRAMES))
    remainder = frames - FRAMES - starts[-1]
    return [*starts, frames - FRAMES] if remainder >= FRAMES // 10 else starts


def _levels(lengths: Sequence[int], power: Tensor) -> tuple[Tensor, Tensor]:
    """The first frame of every passage, and its mean power."""
    begins = np.cumsum([0, *lengths])
    ranges = [torch.arange(begin, begin + n - FRAMES + 1, _STEP) for begin, n in zip(begins, lengths, strict=False)]
    starts = torch.cat([torch.zeros(0, dtype=torch.int64), *ranges])
    total = F.pad(power.double().cumsum(0), (1, 0))
    return starts, (total[starts + FRAMES] - total[starts]) / FRAMES


def _stretched(mels: Tensor, starts: Tensor, stretch: float) -> Tensor:
    """``FRAMES`` frames of ``mels [V, F, BINS]`` from each of ``starts [B]`` on, as they would be had the sound not been
    stretched: ``[B, V, FRAMES, BINS]``."""
    last = mels.shape[1] - 1
    # What would run over the end begins earlier instead.
    first = starts.clamp(max=max(0.0, last - stretch * (FRAMES - 1)))
    places = (first[:, None] + stretch * torch.arange(FRAMES)).clamp(max=last)  # [B, FRAMES]
    low = places.floor().long()
    between = (places - low)[None, :, :, None]
    return mels[:, low].lerp(mels[:, (low + 1).clamp(max=last)], between).transpose(0, 1)


def _tiled(pictures: Tensor) -> Tensor:
    """Means over tiles of 50 ms by two bins: ``[..., F, BINS] → [..., F / 5, 32]``."""
    return pictures.unflatten(-2, (-1, _STEP)).unflatten(-1, (-1, _TILE_BINS)).mean(dim=(-3, -1))


def _unknown(count: int) -> Nearest:
    return Nearest(np.full(count, np.nan), np.full(count, -1), np.zeros(count), np.zeros(count), np.ones(count))
