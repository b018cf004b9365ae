"""Which recordings are one take: which parts sound like parts of another, and what follows from it.

A recording of which nearly everything sounds like one stretch of another, at one and the same place, is a *copy* of it:
exported again, resampled, made louder, cut, encoded, mixed to mono. A copy counts once. Recordings that share less (a bar,
a jingle, half of a loop) stay what they are; what they share only decides what may not be held out apart (``split.py``).
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from distill.audio.mixing import Mix, mixed
from distill.audio.rate import SAMPLE_RATE
from distill.recordings.alike import Alike, known_by
from distill.recordings.cache import let_go
from distill.recordings.remembered import remembered

COPIED = 0.9
"""A recording is a copy of another one that holds this share of its sound, by amplitude."""
_SURE, _SURE_OF_SHORT = 0.9, 0.97
_SHORT = SAMPLE_RATE
ONE_TAKE = 0.5
"""From here on two recordings count as one take where new sound is compared with *other* takes."""

_VERSION = 1
"""To be raised when parts are counted in another way, or other stretches are found alike."""
_FRAME = SAMPLE_RATE // 20
_SAME_LAG = SAMPLE_RATE // 200
_BLOCK = 600 * _FRAME


Parts = dict[tuple[int, int], float]
"""How much of the first recording's sound, by amplitude, lies in the second at one single lag: 0 to 1, by pair. Pairs that
share nothing are not there."""


def parts_in(
    recordings: Sequence[tuple[np.ndarray, Mix]], digests: Sequence[str], alike: Sequence[Alike]
) -> tuple[Parts, Parts]:
    """What :func:`shared_parts` gives of recordings whose files have these SHA-256, counted once: of all that sounds alike, and
    of what :func:`surely` does."""

    def counted() -> list[list[list[float]]]:
        both = shared_parts(recordings, alike), shared_parts(recordings, surely(alike))
        return [[[one, other, part] for (one, other), part in parts.items()] for parts in both]

    found = remembered(f"{known_by(recordings, digests)}.parts-{_VERSION}", counted)
    every, sure = ({(int(one), int(other)): part for one, other, part in parts} for parts in found)
    return every, sure


def shared_parts(recordings: Sequence[tuple[np.ndarray, Mix]], alike: Sequence[Alike]) -> Parts:
    """How much of each recording's sound lies in another one; passes over all recordings that share anything."""
    stretches: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    for one in alike:
        if one.one != one.other:
            stretches[one.one, one.other].append((one.lag, one.start, one.stop))
            stretches[one.other, one.one].append((-one.lag, one.start + one.lag, one.stop + one.lag))
    levels = {number: _levels(*recordings[number]) for number in {first for first, _ in stretches}}
    return {pair: _largest_part(levels[pair[0]], found) for pair, found in stretches.items()}


def surely(alike: Sequence[Alike]) -> list[Alike]:
    """Those so alike that they can be copies: two strokes of one drum are none, and no sound may be lost for a likeness."""
    return [one for one in alike if one.agreement >= (_SURE if one.stop - one.start >= _SHORT else _SURE_OF_SHORT)]


def copies(parts: Parts, preferred: Sequence[int]) -> dict[int, int]:
    """Which recordings are copies, and of which one that is none.

    Args:
        parts: as :func:`shared_parts` gives them.
        preferred: all recordings, those first that shall stand for their copies.
    """
    holders: dict[int, list[tuple[float, int]]] = defaultdict(list)
    rank = {number: at for at, number in enumerate(preferred)}
    for (one, other), part in parts.items():
        if part >= COPIED:
            holders[one].append((part, -rank[other]))
    found: dict[int, int] = {}
    for at, number in enumerate(preferred):
        kept = [holder for holder in holders[number] if -holder[1] < at and preferred[-holder[1]] not in found]
        if kept:
            found[number] = preferred[-max(kept)[1]]
    return found


def group_takes(count: int, parts: Parts) -> list[int]:
    """A group number from 0 for each of ``count`` recordings; those that share half of the sound of one have one group."""
    leader = list(range(count))

    def find(one: int) -> int:
        while leader[one] != one:
            leader[one] = leader[leader[one]]
            one = leader[one]
        return one

    for (one, other), part in parts.items():
        if part >= ONE_TAKE and find(one) != find(other):
            leader[max(find(one), find(other))] = min(find(one), find(other))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(find(one), len(numbers)) for one in range(count)]


def _largest_part(levels: np.ndarray, stretches: Sequence[tuple[int, int, int]]) -> float:
    largest = 0.0
    for lag, _, _ in stretches:
        covered = np.zeros(len(levels), bool)
        for other_lag, start, stop in stretches:
            if abs(other_lag - lag) <= _SAME_LAG:
                covered[round(start / _FRAME) : round(stop / _FRAME)] = True
        largest = max(largest, float(levels[covered].sum() / max(levels.sum(), 1e-12)))
    return largest


def _levels(audio: np.ndarray, mix: Mix) -> np.ndarray:
    """The amplitude of every twentieth of a second."""
    levels = []
    for start in range(0, audio.shape[1], _BLOCK):
        sound = mixed(np.asarray(audio[:, start : start + _BLOCK]), mix)[0]
        begins = np.arange(0, len(sound), _FRAME)
        levels.append(np.sqrt(np.add.reduceat(np.square(sound - sound.mean()), begins) / _FRAME))
        let_go(audio)
    return np.concatenate(levels)
