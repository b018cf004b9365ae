"""The tracks of one piece beside its mix, as a studio exports them: what is held out of one must be held out of all.

A mix is no copy of its tracks, and no stretch of it sounds like one of them; but it is their sum. So each recording is asked
whether others of its length add up to it, sample by sample, each at a level of its own. Without a mix nothing in the sound
tells tracks of one piece from recordings that merely last as long; then their names may, and that is only said.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

import numpy as np

from distill.audio.alike import known_by
from distill.audio.cache import let_go
from distill.audio.mixing import Mix, mixed
from distill.audio.rate import SAMPLE_RATE
from distill.audio.remembered import remembered

_VERSION = 1
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


def mixdowns_in(recordings: Sequence[tuple[np.ndarray, Mix]], digests: Sequence[str]) -> tuple[Mixdown, ...]:
    """What :func:`find_mixdowns` gives of recordings whose files have these SHA-256, searched once."""
    if not _of_one_length([audio.shape[1] for audio, _ in recordings]):
        return ()
    known = known_by(recordings, digests)
    found = remembered(f"{known}.mixdowns-{_VERSION}", lambda: [asdict(one) for one in find_mixdowns(recordings)])
    return tuple(Mixdown(one["whole"], tuple(one["parts"])) for one in found)


def find_mixdowns(recordings: Sequence[tuple[np.ndarray, Mix]]) -> tuple[Mixdown, ...]:
    """Which recordings ``[C, N]`` at 48 kHz are the sum of two or more others that begin and end with them."""
    found = []
    for together in _of_one_length([audio.shape[1] for audio, _ in recordings]):
        products, late = _products([recordings[number] for number in together])
        for at, number in enumerate(together):
            parts = _summands(products, at)
            if len(parts) > 1 and _explained(products, parts, late[at])[0] <= _EXPLAINED_LATE:
                found.append(Mixdown(number, tuple(together[part] for part in sorted(parts))))
    return tuple(found)


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


def _of_one_length(samples: Sequence[int]) -> list[list[int]]:
    order = sorted(range(len(samples)), key=lambda number: (samples[number], number))
    groups: list[list[int]] = []
    for number in order:
        if samples[number] < _SHORTEST:
            continue
        if groups and samples[number] - samples[groups[-1][0]] <= _SAME_LENGTH:
            groups[-1].append(number)
        else:
            groups.append([number])
    return [sorted(group) for group in groups if 2 < len(group) <= _MOST]


def _products(recordings: Sequence[tuple[np.ndarray, Mix]]) -> tuple[np.ndarray, np.ndarray]:
    """What each recording has in common with each other one, ``[n, n]``: 1 for all of it; and with each a moment later."""
    shortest = min(audio.shape[1] for audio, _ in recordings)
    count = min(_BLOCKS, -(-shortest // _BLOCK))
    total, late = np.zeros((2, len(recordings), len(recordings)))
    for start in np.linspace(0, max(0, shortest - _BLOCK), count).astype(int):
        sounds = []
        for audio, mix in recordings:
            sound = mixed(np.array(audio[:, start : min(start + _BLOCK, shortest)], dtype=np.float32), mix)[0]
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
