"""Joins grains without an audible seam: alignment, cross-fades and levels.

    old grain   ~~~~~~~~~~~~~~~~~~~~~~~~~╲ ~ ~ ~ ~      it would have gone on; that is compared with the new one
    new grain               ~ ~ ~ ~ ~ ~ ╱~~~~~~~~~~~~~~~~~~~~~~~~
                                       │                the border of positions that the path chose
                            ◀── room ──┼── room ──▶     the cross-fade lies somewhere in here, never in another join's room

1. The new grain is moved by up to 11 ms to where its waveform agrees best with the old one's, by cross-correlation as
   in WSOLA (Verhelst and Roelands 1993): tones keep their phase.
2. The cross-fade is put where it touches no attack of either, nor lets one be heard twice: 2 ms beside one, 40 ms in a tone.
3. Its gains keep the power: they add up to 1 where the waveforms agree, and their squares do where they do not. They also add
   up to 1 where loud sound would clip otherwise.
4. The level of the new grain leans towards that of the old.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from distill.audio.mixing import in_channels
from distill.audio.rate import SAMPLE_RATE
from distill.making.borders import excerpt
from distill.making.grains import Grain, Stretch

_MILLISECOND = SAMPLE_RATE // 1000
ROOM = 30 * _MILLISECOND
"""The most by which sound is moved to either side of a border; never more than half a grain."""
FADES = tuple(length * _MILLISECOND for length in (2, 5, 10, 20, 40))
"""Lengths that a cross-fade may have, in samples."""
COMPARED = 18 * _MILLISECOND
"""Samples to either side of a border that are compared to align both sides."""
MOST_SHIFT = 512
"""Samples that a grain may be moved for the sake of alignment: a period of 47 Hz in all."""
SHIFT_COST = 0.1
"""How much more alike the waveforms must be (correlation) for the largest move."""
LEANING, MOST_GAIN_DB = 0.6, 6.0
"""Share of a difference in level that is made up for, and the most that is."""
_EDGE = _MILLISECOND
"""Over so many samples a recording that begins or ends in the middle of a wave is faded."""
_RISE_DB, _FULL_RISE_DB = 6.0, 18.0
"""How much sound must rise within a few milliseconds to count as an attack, and as a full one."""
_QUIET = 1e-9


@dataclass(frozen=True)
class Placed:
    """A grain as it is heard. Lengths and places in samples."""

    stretch: int
    start: int
    """In the piece: where its fade begins."""
    length: int
    """With both fades."""
    source: int
    """In the recording: where its fade begins."""
    gain: float
    """In decibels."""
    fade_in: int
    fade_out: int
    correlation: float = 1.0
    """How well its waveform agrees with that of the grain before, where both are heard; 1 for the first."""


@dataclass(frozen=True)
class _Join:
    start: int
    """The extent of the cross-fade, in samples from the border."""
    length: int
    shift: int
    """Samples by which the new grain is read later."""
    correlation: float
    gain: float
    """The gain of the new grain, in decibels."""


class _GrainSound:
    """The sound of one grain in the piece's time: sample n of the piece is sample ``n + offset`` of the recording."""

    def __init__(self, audio: np.ndarray, channels: int, offset: int) -> None:
        self.audio, self.channels, self.offset = audio, channels, offset
        self.gain = 0.0  # decibels

    def read(self, start: int, stop: int) -> np.ndarray:
        """Its sound from ``start`` to ``stop`` of the piece, ``[channels, n]``, at its gain."""
        return self.plain(start, stop) * np.float32(10 ** (self.gain / 20))

    def plain(self, start: int, stop: int) -> np.ndarray:
        """As :meth:`read`, as it is in the recording."""
        first = start + self.offset
        found = excerpt(self.audio, first, stop + self.offset)
        length = self.audio.shape[1]
        if first < _EDGE or stop + self.offset > length - _EDGE:
            at = np.arange(first, stop + self.offset)
            found *= np.clip(np.minimum(at + 1, length - at) / _EDGE, 0, 1).astype(np.float32)
        return in_channels(found, self.channels, "mean")


def render(
    stretches: Sequence[Stretch], grains: Iterable[Grain], hop: int, channels: int
) -> Iterator[tuple[np.ndarray, tuple[Placed, ...]]]:
    """The sound of grains that follow each other, in blocks ``[channels, n]``, each with the grains that end in it.

    Grain after grain is read and forgotten, so any length needs the same memory; ``positions · hop`` samples come in all.
    """
    voice: _GrainSound | None = None
    begun = Placed(stretch=0, start=0, length=0, source=0, gain=0.0, fade_in=0, fade_out=0)
    border = given = last = 0
    for grain in grains:
        stretch, length = stretches[grain.stretch], grain.positions * hop
        offset = stretch.begin + grain.position * hop - border
        new = _GrainSound(stretch.audio, channels, offset)
        if voice is None:
            begun = Placed(stretch=grain.stretch, start=0, length=0, source=offset, gain=0.0, fade_in=0, fade_out=0)
        else:
            join = _join(voice, new, border, min(ROOM, last // 2, length // 2))
            new.offset += join.shift
            new.gain = _without_clipping(new, border, length, join.gain)
            start, stop = border + join.start, border + join.start + join.length
            done = replace(begun, length=stop - begun.start, fade_out=join.length)
            fade = cross_fade(voice.read(start, stop), new.read(start, stop))
            yield np.concatenate([voice.read(given, start), fade], axis=1), (done,)
            begun = Placed(
                stretch=grain.stretch,
                start=start,
                length=0,
                source=start + new.offset,
                gain=round(new.gain, 2),
                fade_in=join.length,
                fade_out=0,
                correlation=round(join.correlation, 3),
            )
            given = stop
        voice, border, last = new, border + length, length
    if voice is not None:
        yield voice.read(given, border), (replace(begun, length=border - begun.start),)


def _join(old: _GrainSound, new: _GrainSound, border: int, room: int) -> _Join:
    """Where and how a new grain takes over."""
    compared = min(COMPARED, room)
    before = old.read(border - compared, border + compared)
    around = new.plain(border - compared - MOST_SHIFT, border + compared + MOST_SHIFT)
    shift = _alignment(before, around)
    moved = _GrainSound(new.audio, new.channels, new.offset + shift)

    lead = 12 * _MILLISECOND
    heard, coming = old.read(border - room - lead, border + room), moved.plain(border - room - lead, border + room)
    attacks, arrivals = attack_strength(heard, lead), attack_strength(coming, lead)
    # The fade lies where both recordings have sound to give: not before the new one begins, nor after the old one ends.
    first_sound = max(-room, -(border + moved.offset))
    last_sound = min(room, old.audio.shape[1] - border - old.offset)
    start, length = _fade_place(attacks, arrivals, room, first_sound, last_sound)
    first = lead + room + start
    a, b = heard[:, first : first + length], coming[:, first : first + length]
    correlation = waveform_correlation(a, b)
    # A tone is known by what is around the fade, an attack is none.
    is_attack = max(attacks.max(initial=0), arrivals.max(initial=0)) > 0.5
    around_a, around_b = heard[:, lead:], coming[:, lead:]
    louder = 10 * np.log10((np.square(around_a).mean() + _QUIET) / (np.square(around_b).mean() + _QUIET))
    gain = 0.0 if is_attack else float(np.clip(LEANING * louder, -MOST_GAIN_DB, MOST_GAIN_DB))
    return _Join(start, length, shift, correlation, gain)


def _alignment(before: np.ndarray, around: np.ndarray) -> int:
    """By how many samples ``around [C, n + 2 · MOST_SHIFT]`` is best moved against ``before [C, n]``."""
    n = before.shape[1]
    size = 1 << (around.shape[1] + n - 1).bit_length()
    spectrum = (np.conj(np.fft.rfft(before, size)) * np.fft.rfft(around, size)).sum(axis=0)
    products = np.fft.irfft(spectrum, size)[: 2 * MOST_SHIFT + 1]
    energy = np.concatenate([[0.0], np.cumsum(np.square(around, dtype=np.float64).sum(axis=0))])
    energies = energy[n:] - energy[:-n]
    alike = products / np.sqrt(np.maximum(energies * np.square(before, dtype=np.float64).sum(), _QUIET))
    shifts = np.arange(-MOST_SHIFT, MOST_SHIFT + 1)
    return int(shifts[np.argmax(alike - SHIFT_COST * np.abs(shifts) / MOST_SHIFT)])


def attack_strength(audio: np.ndarray, lead: int) -> np.ndarray:
    """How much of an attack each millisecond of ``audio [C, n]`` after the first ``lead`` samples holds, 0 to 1: ``[n']``.

    An attack is a rise over the ten milliseconds before, of the sound without its lows (whose waves would count as rises).
    """
    edges = np.diff(audio, axis=1, prepend=audio[:, :1])
    whole = edges.shape[1] // _MILLISECOND * _MILLISECOND
    power = np.square(edges[:, :whole]).sum(axis=0).reshape(-1, _MILLISECOND).mean(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(power)])
    first = lead // _MILLISECOND
    at = np.arange(first, len(power))
    now = sums[np.minimum(at + 2, len(power))] - sums[at]
    earlier = sums[at] - sums[np.maximum(at - 10, 0)]
    rise = 10 * np.log10((now / 2 + _QUIET) / (earlier / 10 + _QUIET))
    found: np.ndarray = np.clip((rise - _RISE_DB) / (_FULL_RISE_DB - _RISE_DB), 0, 1)
    # One attack, not every millisecond of it.
    is_peak = (found >= np.append(found[1:], 0)) & (found > np.concatenate([[0.0], found[:-1]]))
    return np.where(is_peak, found, 0)


def _fade_place(attacks: np.ndarray, arrivals: np.ndarray, room: int, first: int, last: int) -> tuple[int, int]:
    """Start (in samples from the border) and length of the cross-fade.

    Args:
        attacks: of the old grain, a number a millisecond from ``-room`` on.
        arrivals: of the new one.
        first: samples from the border before which there is nothing of the new one.
        last: samples from the border after which there is nothing of the old one.
    """
    count = min(len(attacks), len(arrivals))
    old = np.concatenate([[0.0], np.cumsum(attacks[:count])])
    new = np.concatenate([[0.0], np.cumsum(arrivals[:count])])
    best, found = np.inf, (-min(FADES[0], room) // 2, min(FADES[0], 2 * room))
    for length in FADES:
        span = length // _MILLISECOND
        if span > count:
            continue
        starts = np.arange(count - span + 1)
        kept_old, kept_new = old[starts], new[-1] - new[starts + span]  # attacks that are heard as they are
        within = old[starts + span] - old[starts] + new[starts + span] - new[starts]  # faded
        twice = np.minimum(kept_old, kept_new)  # once in each grain
        lost = np.maximum(np.maximum(old[-1], new[-1]) - kept_old - kept_new - within, 0)
        off = np.abs(starts + span / 2 - count / 2) / max(count / 2, 1)  # from the border
        begins = starts * _MILLISECOND - room
        silent = np.maximum(first - begins, 0) + np.maximum(begins + length - last, 0)
        short = np.log2(FADES[-1] / length)
        cost = 3 * within + 3 * twice + lost + 5 * silent / max(room, 1) + 0.15 * short + 0.3 * off
        place = int(cost.argmin())
        if cost[place] < best:
            best, found = float(cost[place]), (place * _MILLISECOND - room, length)
    return found


def cross_fade(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Two sounds ``[C, n]`` as one that begins as the old and ends as the new, within full scale where both are.

    Its level is kept where they agree as where they have nothing in common; where they cancel none can be.
    """
    for kept in (waveform_correlation(old, new), 1.0):
        out, into = _gains(old.shape[1], kept)
        fade = old * out + new * into
        if np.abs(fade).max(initial=0) <= 1:
            break
    return fade


def _gains(length: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """Gains ``[length]`` of what goes and what comes, under which the power stays the same."""
    angle = 0.5 * np.pi * (np.arange(length) + 0.5) / max(length, 1)
    out, into = np.cos(angle) ** 2, np.sin(angle) ** 2
    power = np.sqrt(out**2 + into**2 + 2 * max(correlation, 0.0) * out * into)
    return (out / power).astype(np.float32), (into / power).astype(np.float32)


def waveform_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """How well two sounds ``[C, n]`` agree, -1 to 1; silence agrees with anything."""
    norm = float(np.sqrt(np.square(a, dtype=np.float64).sum() * np.square(b, dtype=np.float64).sum()))
    product = float((a.astype(np.float64) * b).sum())
    return product / norm if norm > _QUIET else 1.0


def _without_clipping(new: _GrainSound, border: int, length: int, gain: float) -> float:
    """The gain, lowered so that a raised grain stays within full scale."""
    if gain <= 0:
        return gain
    peak = float(np.abs(new.plain(border - ROOM, border + length + ROOM)).max(initial=0))
    return min(gain, max(0.0, -20 * math.log10(max(peak, 1e-6))))
