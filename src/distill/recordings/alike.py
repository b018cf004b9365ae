"""Which stretches of recordings sound alike: bars that repeat, a jingle, a loop, the same take exported twice.

Two steps. A coarse one proposes: log spectra of 24 bands, 20 frames a second, each band without its own mean (so that
a hum or a drone that never changes proposes nothing), a second at a time, compared by cosine. The waveforms decide:
both are whitened by what the two recordings hold on average, every octave counts alike, and the envelope of their
normalised cross-correlation (deaf to gain, polarity and fractions of a sample) must be high in every block of a
quarter of a second. Whitened, because a loud hum or a kick that two recordings share would otherwise outweigh the music
in which they differ.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from distill.audio.mixing import Mix
from distill.audio.rate import SAMPLE_RATE
from distill.recordings.cache import let_go
from distill.recordings.remembered import remembered
from distill.recordings.sketches import BANDS, HOP, QUERY, RATE, WINDOW, Sketch, cut, taper

LEAST_SECONDS = 1.0
"""A shorter stretch (one note, one drum stroke) is no sign of anything, unless it is nearly all of a recording."""

_VERSION = 1
"""To be raised when what is found changes: what was found before is kept under its number."""
_STEP = SAMPLE_RATE // RATE
_COARSE = 0.62
_PROPOSALS = 12  # of one second
_MOST_WORK = 12_000
"""Blocks compared, at most; a place looked at counts as two. What is likeliest is looked at first."""
_LEAST_WORK, _WORK_PER_SECOND = 400, 25
_MOST_PRODUCTS = 3e8  # seconds asked about times frames they are compared with
_SNIPPET = 6144  # samples whose place is searched first
_SEARCH = 2 * HOP  # samples that the coarse place may be off
_FIRST = 0.55
_BLOCK = 4096
_AGREED = 0.75
_DRIFT = 6  # samples of freedom: a resampled copy drifts by fractions of one
_WHITENING = 0.85
_LOWEST, _HIGHEST = 30.0, 7800.0
_LONG_SECONDS = 3600.0
"""What is compared of more sound than this (34 kB for each second) lies on disk and not in memory."""


@dataclass(frozen=True)
class Alike:
    """Samples ``start`` to ``stop`` of recording ``one`` sound like those ``lag`` samples later in ``other``, at 48 kHz.

    ``one`` and ``other`` are places in the list of recordings, and may be the same: a bar that comes back.
    """

    one: int
    other: int
    start: int
    stop: int
    lag: int
    agreement: float
    """How alike the whitened waveforms are, 0 to 1."""


def alike_in(recordings: Sequence[tuple[np.ndarray, Mix]], digests: Sequence[str]) -> tuple[Alike, ...]:
    """What :func:`find_alike` gives of recordings whose files have these SHA-256, searched once."""
    name = f"{known_by(recordings, digests)}.alike-{_VERSION}"
    found = remembered(name, lambda: [asdict(one) for one in find_alike(recordings)])
    return tuple(Alike(**one) for one in found)


def known_by(recordings: Sequence[tuple[np.ndarray, Mix]], digests: Sequence[str]) -> str:
    """By what is kept what was found among recordings whose files have these SHA-256."""
    parts = (f"{one} {mix}" for one, (_, mix) in zip(digests, recordings, strict=True))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def find_alike(recordings: Sequence[tuple[np.ndarray, Mix]]) -> tuple[Alike, ...]:
    """All stretches of a second or more that sound alike in recordings ``[C, N]`` at 48 kHz, each mixed its own way; sorted.

    A second that recurs all over the place is found at the dozen places most like it; what is asked about is thinned out
    beyond some three hours of sound, so that the work stays bounded.
    """
    in_all = sum(audio.shape[1] for audio, _ in recordings) / SAMPLE_RATE
    sketches = [Sketch(audio, mix, is_long=in_all > _LONG_SECONDS) for audio, mix in recordings]
    found: list[Alike] = []
    seconds = sum(sketch.samples for sketch in sketches) / RATE
    work = min(_MOST_WORK, round(_LEAST_WORK + _WORK_PER_SECOND * seconds))
    for one, other, frame, coarse in _proposals(sketches):
        start = max(0, frame + int(sketches[one].level[frame : frame + QUERY].argmax()) - 1) * HOP
        if _is_covered(found, one, other, start + HOP, coarse):
            continue
        if work <= 0:
            break
        stretches, blocks = _compared(sketches, one, other, start, coarse)
        work -= 2 + blocks
        found += stretches
    return tuple(
        replace(a, start=_STEP * a.start, stop=_end(recordings, a), lag=_STEP * a.lag) for a in _each_once(found)
    )


def _each_once(found: Sequence[Alike]) -> list[Alike]:
    """Sorted, every pair in one direction, and joined where the same stretch was found from several seconds."""
    turned = [
        one
        if (one.one, 0) < (one.other, one.lag)
        else Alike(one.other, one.one, one.start + one.lag, one.stop + one.lag, -one.lag, one.agreement)
        for one in found
    ]
    joined: list[Alike] = []
    for one in sorted(turned, key=lambda a: (a.one, a.other, a.lag, a.start)):
        last = joined[-1] if joined else None
        if (
            last is not None
            and (last.one, last.other) == (one.one, one.other)
            and one.lag - last.lag <= 2 * _DRIFT
            and last.start <= one.stop
            and one.start <= last.stop
        ):
            stretch = min(last.start, one.start), max(last.stop, one.stop)
            sizes = last.stop - last.start, one.stop - one.start
            agreement = (sizes[0] * last.agreement + sizes[1] * one.agreement) / sum(sizes)
            joined[-1] = replace(last, start=stretch[0], stop=stretch[1], agreement=agreement)
        else:
            joined.append(one)
    return joined


def _end(recordings: Sequence[tuple[np.ndarray, Mix]], found: Alike) -> int:
    """Rounding to 16 kHz must not lead beyond the end."""
    one, other = recordings[found.one][0].shape[1], recordings[found.other][0].shape[1]
    return min(_STEP * found.stop, one, other - _STEP * found.lag)


def _proposals(sketches: Sequence[Sketch]) -> list[tuple[int, int, int, int]]:
    """(one, other, frame, lag): the second of ``one`` that begins there could lie in ``other``, ``lag`` samples later.

    The likeliest first.
    """
    frames = sum(len(sketch.features) for sketch in sketches)
    step = max(1.0, frames / QUERY * frames / _MOST_PRODUCTS) * QUERY
    asked = [(number, frame) for number, sketch in enumerate(sketches) for frame in _asked(sketch, round(step))]
    if not asked:
        return []
    queries = np.zeros((len(asked), QUERY * BANDS), np.float32)
    mask = np.zeros_like(queries)
    for row, (number, frame) in enumerate(asked):
        query = sketches[number].features[frame : frame + QUERY].ravel()
        queries[row, : query.size] = query / max(float(np.linalg.norm(query)), 1e-9)
        mask[row, : query.size] = 1
    owner, begin = np.array(asked).T
    scores = np.full((len(asked), 0), -1, np.float32)
    places = np.zeros((len(asked), 0), np.int64)  # which recording and which frame, in one number
    for other, sketch in enumerate(sketches):
        best, at = _best_of_each_second(sketch.features, queries, mask)
        let_go(sketch.features)
        best[(owner == other)[:, None] & (np.abs(at - begin[:, None]) < QUERY)] = -1
        scores = np.concatenate([scores, best], axis=1)
        places = np.concatenate([places, at * len(sketches) + other], axis=1)
        if scores.shape[1] > _PROPOSALS:
            kept = np.argpartition(-scores, _PROPOSALS - 1, axis=1)[:, :_PROPOSALS]
            scores, places = np.take_along_axis(scores, kept, 1), np.take_along_axis(places, kept, 1)
    rows, columns = np.nonzero(scores >= _COARSE)
    found = sorted(
        (-float(scores[row, column]), int(owner[row]), int(places[row, column] % len(sketches)), int(begin[row]),
         int(places[row, column] // len(sketches) - begin[row]) * HOP)
        for row, column in zip(rows, columns, strict=True)
    )  # fmt: skip
    return [proposal[1:] for proposal in found]


def _asked(sketch: Sketch, step: int) -> list[int]:
    """Frames at which the seconds begin that are looked for elsewhere: all, and the one in which most happens."""
    frames = len(sketch.features)
    last = max(0, frames - QUERY)
    happens = np.convolve(np.square(sketch.features).sum(axis=1), np.ones(min(QUERY, frames)), mode="valid")
    asked = sorted({*range(0, last + 1, step), last, int(happens.argmax())})
    return [frame for frame in asked if sketch.features[frame : frame + QUERY].any()]  # silence is like nothing


def _best_of_each_second(features: np.ndarray, queries: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The likeness ``[queries, seconds]`` of the best place in each second of a recording, and its frame."""
    frames = len(features)
    seconds = -(-frames // QUERY)
    padded = np.concatenate([features, np.zeros((QUERY - 1, BANDS), np.float32)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, QUERY, axis=0).transpose(0, 2, 1)
    best = np.full((len(queries), seconds), -1, np.float32)
    at = np.zeros((len(queries), seconds), np.int64)
    is_whole = bool(mask.all())
    for first in range(0, frames, 50 * QUERY):
        if not padded[first : first + 51 * QUERY].any():
            continue
        part = windows[first : first + 50 * QUERY].reshape(-1, QUERY * BANDS)
        whole = np.linalg.norm(part, axis=1)[:, None]
        size = np.broadcast_to(whole, (len(part), len(queries))) if is_whole else np.sqrt(np.square(part) @ mask.T)
        score = part @ queries.T / np.maximum(size, 0.3 * float(whole.max()) + 1e-9)
        score = np.pad(score, ((0, -len(part) % QUERY), (0, 0)), constant_values=-1)
        score = score.reshape(-1, QUERY, len(queries))
        cells = slice(first // QUERY, first // QUERY + len(score))
        best[:, cells] = score.max(axis=1).T
        at[:, cells] = score.argmax(axis=1).T + first + QUERY * np.arange(len(score))
    return best, at


def _is_covered(found: Sequence[Alike], one: int, other: int, place: int, lag: int) -> bool:
    """Whether that is known already, in either direction."""
    for a in found:
        if (a.one, a.other) == (one, other) and abs(a.lag - lag) < 2 * HOP and a.start <= place < a.stop:
            return True
        if (a.other, a.one) == (one, other) and abs(a.lag + lag) < 2 * HOP and a.start <= place + lag < a.stop:
            return True
    return False


def _compared(sketches: Sequence[Sketch], one: int, other: int, start: int, coarse: int) -> tuple[list[Alike], int]:
    """What the waveforms say: the stretches around ``start`` that agree, at the one lag near ``coarse`` that fits best.

    And how many blocks were compared.
    """
    first, second = sketches[one], sketches[other]
    weights = _weights(first, second)
    stop = min(start + _SNIPPET, first.samples)
    snippet = cut(first.sound, start, stop)
    score, place = _best_place(snippet, cut(second.sound, start + coarse - _SEARCH, stop + coarse + _SEARCH), weights)
    if score < _FIRST:
        return [], 0
    lag = coarse + place - _SEARCH
    if one == other and abs(lag) < RATE // 4:  # a tone is like itself a moment later
        return [], 0
    begin, end = max(0, -lag), min(first.samples, second.samples - lag)
    size = min(_BLOCK, max(end - begin, 64))
    hop = size // 2

    def walked(at: int, step: int) -> Iterator[tuple[int, float, float]]:
        missed = 0
        while begin - hop <= at <= end - hop and missed < 3:
            low, high = max(at, begin), min(at + size, end)
            block, counterpart = np.zeros((2, size), np.float32)
            block[low - at : high - at] = first.sound[low:high]
            counterpart[low - at : high - at] = second.sound[low + lag : high + lag]
            score, energy = _agreement(block, counterpart, weights)
            missed = 0 if score >= _AGREED else missed + 1
            yield at, score, energy
            at += step

    middle = begin + (start - begin) // hop * hop
    blocks = [*reversed(list(walked(middle - hop, -hop))), *walked(middle, hop)]
    shortest = min(LEAST_SECONDS * RATE, 0.9 * min(first.samples, second.samples))
    found = []
    for run in _runs(blocks):
        # Blocks are tapered: the outer quarter of a run says little, unless the sound begins or ends there.
        run_start = begin if run[0][0] <= begin else run[0][0] + size // 4
        run_stop = end if run[-1][0] + size >= end else run[-1][0] + size - size // 4
        energy = sum(block[2] for block in run)
        if run_stop - run_start >= shortest and energy > 0:
            agreement = sum(score * weight for _, score, weight in run) / energy
            found.append(Alike(one, other, run_start, run_stop, lag, agreement))
    return found, len(blocks)


def _runs(blocks: Sequence[tuple[int, float, float]]) -> Iterator[list[tuple[int, float, float]]]:
    run: list[tuple[int, float, float]] = []
    for block in blocks:
        if block[1] >= _AGREED:
            run.append(block)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _weights(one: Sketch, other: Sketch) -> np.ndarray:
    """``[WINDOW // 2 + 1]``: what both spectra are multiplied by, so that all octaves of what both hold count alike."""
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE)
    compared = (hertz > _LOWEST) & (hertz < _HIGHEST)
    held = one.amplitude / one.amplitude.max() * other.amplitude / other.amplitude.max()
    weights: np.ndarray = compared / np.sqrt(np.maximum(hertz, _LOWEST) * held**_WHITENING)
    return weights.astype(np.float32)


def _stretched(weights: np.ndarray, size: int) -> np.ndarray:
    """``[size // 2 + 1]``; sizes are powers of two, so that a step of one is a step of the other."""
    if size <= WINDOW:
        return weights[:: WINDOW // size]
    whole = np.repeat(weights, size // WINDOW)
    return whole[: size // 2 + 1] if len(whole) >= size // 2 + 1 else np.append(whole, whole[-1])


def _best_place(short: np.ndarray, longer: np.ndarray, weights: np.ndarray) -> tuple[float, int]:
    """Where in ``longer`` the envelope of the cross-correlation is highest, and how alike they are there (0 to 1)."""
    size = 1 << (len(longer) - 1).bit_length()
    whitening = _stretched(weights, size)
    one = np.fft.rfft(short * taper(len(short)), size) * whitening
    other = np.fft.rfft(longer, size) * whitening
    place = int(_envelope(np.conj(one) * other, size)[: len(longer) - len(short) + 1].argmax())
    return _agreement(short, longer[place : place + len(short)], weights)[0], place


def _agreement(one: np.ndarray, other: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """How alike two blocks of one length are (0 to 1), within a few samples, and the amplitude of the louder one."""
    size = 1 << (len(one) + _DRIFT).bit_length()
    window, whitening = taper(len(one)), _stretched(weights, size)
    first, second = (np.fft.rfft(block * window, size) * whitening for block in (one, other))
    powers = float(np.square(np.abs(first)).sum()), float(np.square(np.abs(second)).sum())
    envelope = _envelope(np.conj(first) * second, size)
    peak = max(float(envelope[: _DRIFT + 1].max()), float(envelope[-_DRIFT:].max()))
    return peak * size / 2 / max(float(np.sqrt(powers[0] * powers[1])), 1e-12), float(np.sqrt(max(powers)))


def _envelope(cross: np.ndarray, size: int) -> np.ndarray:
    analytic = np.zeros(size, np.complex64)
    analytic[1 : size // 2] = 2 * cross[1 : size // 2]
    envelope: np.ndarray = np.abs(np.fft.ifft(analytic))
    return envelope
