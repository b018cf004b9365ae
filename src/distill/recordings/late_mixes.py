"""At which lag a recording may be the mix of tracks that begin at another moment: a count-in left out, a bounce from bar two.

The loudness of the tracks together moves as that of their mix, so its correlation proposes a few lags; the waveforms then say
which sample it is. Whether it is their mix is asked as of any other (``stems.py``).
"""

from collections.abc import Sequence

import numpy as np

from distill.audio.mixing import Mix, mixed
from distill.audio.rate import SAMPLE_RATE
from distill.recordings.cache import let_go

HOP = SAMPLE_RATE // 100
_LATEST = 30 * SAMPLE_RATE
_LEAST = HOP  # what is nearer counts as the same moment
_SHARED = 4 * SAMPLE_RATE  # samples in which both must sound
_ALIKE = 0.4
_LAGS = 8
_APART = 5  # hops
_BLOCK = 3 * SAMPLE_RATE
_SAME = 0.2
_CHUNK = 60 * SAMPLE_RATE // HOP * HOP


def loudness(audio: np.ndarray, mix: Mix) -> np.ndarray:
    """The energy of a recording ``[C, N]`` without an offset, float32 ``[N // HOP]``."""
    found = []
    for start in range(0, audio.shape[1], _CHUNK):
        sound = np.diff(mixed(np.array(audio[:, start : start + _CHUNK], np.float32), mix)[0], prepend=0.0)
        whole = len(sound) // HOP * HOP
        found.append(np.square(sound[:whole]).reshape(-1, HOP).sum(axis=1))
        let_go(audio)
    return np.concatenate(found).astype(np.float32)


def lags_of(mix: np.ndarray, tracks: Sequence[np.ndarray]) -> list[int]:
    """By how many hops the tracks may begin earlier than their mix, the likeliest first, by their loudness; none if by none."""
    together = np.sqrt(np.sum(tracks, axis=0))
    mine = np.sqrt(mix)
    size = 1 << (len(mine) + len(together)).bit_length()

    def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.fft.irfft(np.fft.rfft(other, size) * np.conj(np.fft.rfft(one, size)), size)

    both = np.ones(len(mine)), np.ones(len(together))
    count = np.maximum(np.round(correlation(*both)), 1.0)
    sums = correlation(mine, both[1]), correlation(both[0], together)
    squares = correlation(np.square(mine), both[1]), correlation(both[0], np.square(together))
    spread = [np.maximum(square - np.square(total) / count, 1e-9) for square, total in zip(squares, sums, strict=True)]
    alike = (correlation(mine, together) - sums[0] * sums[1] / count) / np.sqrt(spread[0] * spread[1])
    alike[count < _SHARED // HOP] = 0.0
    latest = min(_LATEST // HOP, size // 2 - 1)
    lags = np.arange(-latest, latest + 1)
    scores = alike[lags]
    found: list[int] = []
    for place in np.argsort(scores)[::-1]:
        if scores[place] < _ALIKE or len(found) == _LAGS:
            break
        if all(abs(lags[place] - other) > _APART for other in found):
            found.append(int(lags[place]))
    return found


def exactly(
    mix: tuple[np.ndarray, Mix], tracks: Sequence[tuple[np.ndarray, Mix]], hops: int, loud: np.ndarray
) -> int | None:
    """The lag in samples, near one in hops; None where it is none.

    Args:
        loud: the loudness of the mix, by which it is looked where most is heard.
    """
    length = min(audio.shape[1] for audio, _ in tracks)
    margin = 3 * HOP
    first, last = max(0, margin - hops * HOP), min(mix[0].shape[1], length - hops * HOP - margin)
    if last - first < _SHARED:
        return None
    block = min(_BLOCK, last - first)
    heard = np.cumsum(np.insert(loud[first // HOP : last // HOP].astype(np.float64), 0, 0.0))
    over = block // HOP
    start = first + HOP * int(np.argmax(heard[over:] - heard[:-over])) if len(heard) > over else first
    start = min(start, last - block)
    mine = _sound(mix, start, start + block)
    begin = start + hops * HOP - margin
    theirs = np.sum([_sound(one, begin, begin + block + 2 * margin) for one in tracks], axis=0)
    size = 1 << (len(mine) + len(theirs)).bit_length()
    found = np.fft.irfft(np.fft.rfft(theirs, size) * np.conj(np.fft.rfft(mine, size)), size)[: 2 * margin + 1]
    place = int(np.argmax(found))
    norm = np.linalg.norm(mine) * np.linalg.norm(theirs[place : place + len(mine)])
    lag = hops * HOP - margin + place
    return lag if abs(lag) >= _LEAST and found[place] > _SAME * norm else None


def _sound(one: tuple[np.ndarray, Mix], start: int, stop: int) -> np.ndarray:
    sound = np.diff(mixed(np.array(one[0][:, start:stop], np.float32), one[1])[0])
    let_go(one[0])
    return sound
