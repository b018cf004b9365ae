"""The tracks of one piece beside its mix, as a studio exports them: what is held out of one must be held out of all.

A mix is no copy of its tracks, and no stretch of it sounds like one of them; but it is their sum. So each recording is asked
whether others of its length add up to it, sample by sample, each at a level of its own. Without a mix nothing in the sound
tells tracks of one piece from recordings that merely last as long; then their names may, and that is only said.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

import numpy as np

from distill.audio.mixing import Mix, mixed
from distill.audio.rate import SAMPLE_RATE
from distill.recordings.alike import known_by
from distill.recordings.cache import let_go
from distill.recordings.late_mixes import exactly, lags_of, loudness
from distill.recordings.remembered import remembered

_VERSION = 2
"""To be raised when other mixes are found: what was found before is kept under its number."""
_SAME_LENGTH = SAMPLE_RATE // 2
_SHORTEST = 2 * SAMPLE_RATE
_MOST = 24  # recordings of one length: that many are a pack of loops
_BLOCK, _BLOCKS = 5 * SAMPLE_RATE, 12
_EXPLAINED = 0.8
"""The share of a mix's energy that its tracks must add up to; effects on the sum change the rest."""
_ADDED = 2e-3  # the share that a track must add
_APART = 0.5
_LATE = 3511  # samples; tones of one pitch add up to each other so much later, too
_EXPLAINED_LATE = 0.4
_SHORTEST_LATE, _MOST_LONGER = 8 * SAMPLE_RATE, 30 * SAMPLE_RATE
"""Of tracks whose mix begins at another moment: shorter ones are loops; and what a mix may last more or less than they do."""
_MOST_PAIRS = 200
"""Of a group of tracks and a recording that may be their mix; where there are more, it is a pack, and none is looked for."""
_SHORTEST_PIECE = 4.0  # seconds: a kit of drums is no piece
# fmt: off
_TRACKS = frozenset({
    "drum", "drums", "kick", "snare", "hat", "hats", "hihat", "perc", "percussion", "bass", "sub", "lead", "melody", "arp",
    "vox", "vocs", "vocal", "vocals", "voice", "backing", "choir", "guitar", "guitars", "gtr", "keys", "piano", "rhodes",
    "organ", "synth", "synths", "pad", "pads", "chords", "strings", "brass", "horns", "fx", "sfx", "other", "others",
})
# fmt: on
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


@dataclass(frozen=True)
class Mixdown:
    """Recording ``whole`` is the sum of the recordings ``parts``, each at a level of its own; places in the list."""

    whole: int
    parts: tuple[int, ...]
    lag: int = 0
    """Samples by which ``whole`` begins later than they do: below 0 where they begin later."""


def mixdowns_in(recordings: Sequence[tuple[np.ndarray, Mix]], digests: Sequence[str]) -> tuple[Mixdown, ...]:
    """What :func:`find_mixdowns` gives of recordings whose files have these SHA-256, searched once."""
    if len(recordings) < 3 or not _of_one_length([audio.shape[1] for audio, _ in recordings], least=2):
        return ()
    known = known_by(recordings, digests)
    found = remembered(f"{known}.mixdowns-{_VERSION}", lambda: [asdict(one) for one in find_mixdowns(recordings)])
    return tuple(Mixdown(one["whole"], tuple(one["parts"]), one["lag"]) for one in found)


def find_mixdowns(recordings: Sequence[tuple[np.ndarray, Mix]]) -> tuple[Mixdown, ...]:
    """Which recordings ``[C, N]`` at 48 kHz are the sum of two or more others that begin and end with them, or that are of one
    length and begin up to half a minute before or after them."""
    found = []
    for together in _of_one_length([audio.shape[1] for audio, _ in recordings]):
        products, late = _products([recordings[number] for number in together])
        for at, number in enumerate(together):
            parts = _summands(products, at)
            if len(parts) > 1 and _explained(products, parts, late[at])[0] <= _EXPLAINED_LATE:
                found.append(Mixdown(number, tuple(together[part] for part in sorted(parts))))
    return (*found, *_late(recordings, {one.whole for one in found}))


def _late(recordings: Sequence[tuple[np.ndarray, Mix]], known: Collection[int]) -> list[Mixdown]:
    """The same of mixes that begin at another moment than their tracks."""
    found: list[Mixdown] = []
    samples = [audio.shape[1] for audio, _ in recordings]
    groups = [group for group in _of_one_length(samples, least=2) if samples[group[0]] >= _SHORTEST_LATE]
    pairs = [
        (group, number)
        for group in groups
        for number in range(len(recordings))
        if number not in known and abs(samples[number] - samples[group[0]]) <= _MOST_LONGER
    ]
    if len(pairs) > _MOST_PAIRS:
        return []
    loud = {
        one: loudness(*recordings[one]) for one in sorted({one for group, number in pairs for one in (*group, number)})
    }
    for group, number in pairs:
        tracks = [one for one in group if one != number and one not in known]
        if len(tracks) < 2 or any(one.whole == number for one in found):
            continue
        shortest = min(len(loud[one]) for one in tracks)
        for hops in lags_of(loud[number], [loud[one][:shortest] for one in tracks]):
            lag = exactly(recordings[number], [recordings[one] for one in tracks], hops, loud[number])
            if lag is None:
                continue
            products, late = _products([recordings[one] for one in (*tracks, number)], lag)
            parts = _summands(products, len(tracks))
            if len(parts) > 1 and _explained(products, parts, late[-1])[0] <= _EXPLAINED_LATE:
                found.append(Mixdown(number, tuple(tracks[part] for part in sorted(parts)), lag))
                break
    return found


def like_tracks(names: Sequence[str], samples: Sequence[int]) -> list[list[int]]:
    """Recordings of one length that are called alike but for what plays in them, as tracks of a piece are: their places."""
    found: dict[tuple[int, str, tuple[str, ...]], list[tuple[int, frozenset[str]]]] = defaultdict(list)
    for number, (name, length) in enumerate(zip(names, samples, strict=True)):
        path = PurePosixPath(name)
        words = [word.lower() for word in _WORD.findall(path.stem)]
        plays = frozenset(words) & _TRACKS
        if plays and length >= _SHORTEST_PIECE * SAMPLE_RATE:
            rest = tuple(word for word in words[words[0].isdigit() :] if word not in _TRACKS)
            found[length, str(path.parent), rest].append((number, plays))
    return [[number for number, _ in group] for group in found.values() if len({plays for _, plays in group}) > 1]


def _of_one_length(samples: Sequence[int], least: int = 3) -> list[list[int]]:
    order = sorted(range(len(samples)), key=lambda number: (samples[number], number))
    groups: list[list[int]] = []
    for number in order:
        if samples[number] < _SHORTEST:
            continue
        if groups and samples[number] - samples[groups[-1][0]] <= _SAME_LENGTH:
            groups[-1].append(number)
        else:
            groups.append([number])
    return [sorted(group) for group in groups if least <= len(group) <= _MOST]


def _products(recordings: Sequence[tuple[np.ndarray, Mix]], lag: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What each recording has in common with each other one, ``[n, n]``: 1 for all of it; and with each a moment later.

    Args:
        lag: samples by which the last one begins later than the others.
    """
    begins = [max(0, lag)] * (len(recordings) - 1) + [max(0, -lag)]
    shortest = min(audio.shape[1] - begin for (audio, _), begin in zip(recordings, begins, strict=True))
    count = min(_BLOCKS, -(-shortest // _BLOCK))
    total, late = np.zeros((2, len(recordings), len(recordings)))
    for start in np.linspace(0, max(0, shortest - _BLOCK), count).astype(int):
        sounds = []
        for (audio, mix), begin in zip(recordings, begins, strict=True):
            stop = begin + min(start + _BLOCK, shortest)
            sound = mixed(np.array(audio[:, begin + start : stop], dtype=np.float32), mix)[0]
            sounds.append(np.diff(sound))  # deaf to an offset, and to most of a hum
            let_go(audio)
        block = np.stack(sounds).astype(np.float64)
        total += block @ block.T
        late += block[:, :-_LATE] @ block[:, _LATE:].T
    norm = np.sqrt(np.maximum(np.outer(np.diag(total), np.diag(total)), 1e-60))
    return total / norm, late / norm


def _explained(products: np.ndarray, parts: Sequence[int], common: np.ndarray) -> tuple[float, np.ndarray]:
    """The share of a recording that ``parts`` add up to, and at which levels, given what it has in ``common`` with all."""
    levels = np.linalg.solve(products[np.ix_(parts, parts)] + 1e-6 * np.eye(len(parts)), common[list(parts)])
    return float(levels @ common[list(parts)]), levels


def _summands(products: np.ndarray, whole: int) -> list[int]:
    """Which of the others add up to ``whole``, picked one by one, that first which explains most; empty where they do not."""
    chosen: list[int] = []
    explained = 0.0
    while True:
        best, most = -1, explained + _ADDED
        for other in range(len(products)):
            if other == whole or other in chosen or products[whole, other] <= 0:
                continue
            tried = [*chosen, other]
            if np.abs(products[other, chosen]).max(initial=0.0) > _APART:
                continue
            share, levels = _explained(products, tried, products[whole])
            if share > most and (levels > 0).all():
                best, most = other, share
        if best < 0:
            return chosen if explained >= _EXPLAINED else []
        chosen.append(best)
        explained = most
