"""Loops: new audio of an exact length whose end runs into its beginning.

More is made than is needed. The place to cut is where what comes after the end sounds most like the beginning; of places as
good as that, where a beat is (of a loop in beats), or where the waveforms agree best. There the two are cross-faded at a
steady level, so that the loop's last sample is followed by what really followed it. A loop whose seam may still be heard is
drawn again (``tries.py``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from distill.audio.distance import LogMel
from distill.audio.mixing import mono
from distill.errors import SettingError
from distill.making.beat import Cycle
from distill.making.drawing import Progress, Sampling
from distill.making.joins import cross_fade, waveform_correlation
from distill.making.sampling import FADE_OUT_SECONDS, MAX_SECONDS, MIN_SECONDS, Generation, Voice, generate
from distill.making.tries import MOST_TRIES
from distill.models.model_file import Model

SPARE_SECONDS = 2.0
"""How much more than the loop is made, to choose the cut in; for short loops as much as the loop at most."""
FADE_SECONDS = 0.03
COMPARED_SECONDS = 0.25
"""How much before and after a cut is compared."""
AUDIBLE_SEAM = 0.5
"""Above it, the cut with the most alike sides is halfway to one by chance."""
NOISE = 0.108
"""How unlike any two places of white noise are, in log-mel: what is no more unlike than that is the same sound."""
_AS_GOOD = 0.1
"""Of cuts whose seams differ by no more, another reason decides."""
_FRAME = 512
_GRID = 480  # samples: cuts are tried every hundredth of a second


@dataclass(frozen=True)
class Loop:
    """A piece and where it is cut into a loop."""

    piece: Generation
    start: int
    """Where the loop begins in the piece, in samples."""
    samples: int
    """The exact length of the loop, in samples."""
    seam: float
    """How unlike the two sides of the cut are: 0 the same sound, 1 as unlike as two places of the piece by chance. In a steady
    texture all places are the same sound, so no cut is heard. Where that is more, the share of the power that is lost in the
    middle of the cross-fade, as the two sides cancel each other."""

    @property
    def seed(self) -> int:
        return self.piece.seed

    @property
    def sampling(self) -> Sampling:
        return self.piece.sampling

    def new_sound(self, model: Model) -> tuple[Tensor, Iterator[np.ndarray]]:
        """What is judged: codes ``[S, Q]`` of the loop, from the position it begins in, and its sound in blocks."""
        hop, coded = model.codec.hop, replace(self, piece=self.piece.as_coded())
        return coded.piece.codes[self.start // hop : -(-(self.start + self.samples) // hop)], coded.blocks(model)

    def audio(self, model: Model) -> np.ndarray:
        """The loop, float32 ``[C, samples]``."""
        return cut_loop(self.piece.audio(model), self.start, self.samples, model.codec.sample_rate)

    def blocks(self, model: Model) -> Iterator[np.ndarray]:
        """The same as :meth:`audio`, in blocks for a writer."""
        yield self.audio(model)


def loop_samples(seconds: float, beats: int | None, bpm: float | None, sample_rate: int) -> int:
    """How long a loop is: ``seconds``, or ``beats`` at ``bpm`` beats a minute where these are given.

    Raises:
        SettingError: if one of the two is missing, or the length is out of range.
    """
    return round(loop_seconds(seconds, beats, bpm) * sample_rate)


def loop_seconds(seconds: float, beats: int | None, bpm: float | None) -> float:
    """The same in seconds, for which no model need be known.

    Raises:
        SettingError: if one of the two is missing, or the length is out of range.
    """
    if (beats is None) != (bpm is None):
        raise SettingError("A loop in beats needs both a number of beats and a tempo.", "Give --beats and --bpm.")
    if beats is not None and bpm is not None:
        if beats < 1 or not 20 <= bpm <= 400:
            raise SettingError(
                f"A loop of {beats} beats at {bpm:g} BPM cannot be made.", "Choose 1 beat or more, at 20 to 400 BPM."
            )
        seconds = beats * 60 / bpm
    if not MIN_SECONDS <= seconds <= MAX_SECONDS / 2:
        raise SettingError(
            f"A loop of {seconds:g} seconds cannot be made.", f"Ask for {MIN_SECONDS} to {MAX_SECONDS / 2:.0f} seconds."
        )
    return seconds


def make_loops(
    model: Model,
    samples: int,
    count: int = 1,
    sampling: Sampling | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    voice: Voice | None = None,
    beats: int | None = None,
) -> list[Loop]:
    """``count`` loops of exactly ``samples``; loop ``i`` has seed ``seed + i``.

    Args:
        voice: makes them sound in place of the codec's decoder.
        beats: how many they are counted in; such a loop begins on one of them where they are known and no better cut is near.

    Raises:
        MissingPriorError: if the model has no prior.
        SettingError: if a setting is out of range.
    """
    rate = model.codec.sample_rate
    spare = round(min(SPARE_SECONDS, samples / rate) * rate)
    ending = round(FADE_OUT_SECONDS * rate)  # a loop has no part in how the piece ends
    seconds = (samples + spare + round(FADE_SECONDS * rate) + ending) / rate
    cycle = Cycle(samples / model.codec.hop, beats)
    pieces = generate(model, seconds, count, sampling, seed, progress, voice=voice, cycle=cycle)
    loops = []
    for piece in pieces:
        beat = None
        if beats is not None and piece.pulse is not None:
            first, period = piece.pulse.grid(cycle)
            beat = first * model.codec.hop, period * model.codec.hop
        start, seam = best_cut(piece.audio(model)[:, :-ending], samples, rate, beat)
        loops.append(Loop(piece, start, samples, seam))
    return loops


def seam_warning(seams: Sequence[float]) -> str:
    """A sentence if some seams may be heard, although the loops were drawn again; else empty."""
    audible = sum(seam > AUDIBLE_SEAM for seam in seams)
    if not audible:
        return ""
    said = f"{max(seams):.2f}; 0 is inaudible, 1 is as audible as any cut"
    tries = f"The best of {MOST_TRIES} tries is kept"
    if len(seams) == 1:
        return f"The seam of this loop may be heard ({said}). {tries}; another length, tempo or seed may do better."
    return (
        f"The seams of {audible} of {len(seams)} loops may be heard (up to {said}). {tries} of each; another length, tempo or "
        "seed may do better."
    )


@torch.no_grad()
def best_cut(
    audio: np.ndarray, samples: int, sample_rate: int, beat: tuple[float, float] | None = None
) -> tuple[int, float]:
    """Where a loop of ``samples`` is best cut out of ``audio [C, N]``: its first sample, and the seam there (:class:`Loop`).

    Args:
        beat: the first beat and their period, in samples: of cuts as good as the best, the one nearest to a beat is taken.
    """
    heard = mono(audio)[0]
    frames, off_grid = divmod(samples, _FRAME)  # the frames after a loop lie as those at its beginning do
    around, after = _surroundings(heard, sample_rate), _surroundings(heard[off_grid:], sample_rate)
    latest = max(0, audio.shape[1] - samples - round(FADE_SECONDS * sample_rate))
    starts = np.arange(0, latest + 1, _GRID)
    if beat is not None:
        beats = np.round(np.arange(beat[0] % beat[1], latest, beat[1])).astype(np.int64)
        starts = np.concatenate([starts, beats])
    distances = np.abs(around[starts // _FRAME] - after[starts // _FRAME + frames]).mean(axis=1)
    places = np.random.default_rng(0).integers(0, len(around), (2, 256))
    by_chance = float(np.median(np.abs(around[places[0]] - around[places[1]]).mean(axis=1)))
    alike = np.array([waveform_correlation(*_sides(audio, start, samples, sample_rate)) for start in starts])
    # What agrees by c at equal levels has 1 + c of its power left in the middle of the cross-fade, or all where c > 0.
    seams = np.maximum((distances - NOISE) / max(by_chance - NOISE, NOISE), np.maximum(-alike, 0))
    off = np.zeros(len(starts))
    if beat is not None:
        from_beat = (starts - beat[0]) % beat[1]
        off = np.minimum(from_beat, beat[1] - from_beat).round()
    as_good = np.flatnonzero(seams <= seams.min() + _AS_GOOD)
    best = as_good[np.lexsort((-alike[as_good], off[as_good]))[0]]
    return int(starts[best]), float(seams[best])


def cut_loop(audio: np.ndarray, start: int, samples: int, sample_rate: int) -> np.ndarray:
    """``samples`` of ``audio [C, N]`` from ``start`` on, begun with a fade from what follows their end."""
    loop = audio[:, start : start + samples].copy()
    after, begun = _sides(audio, start, samples, sample_rate)
    loop[:, : begun.shape[1]] = cross_fade(after, begun)
    return loop


def _surroundings(heard: np.ndarray, sample_rate: int) -> np.ndarray:
    """The log-mel around every ``_FRAME`` samples of a sound ``[N]``: ``[F, D]``; half of it lies before, half after."""
    log_mel = LogMel(sample_rate, 2048, _FRAME, 64)(torch.from_numpy(heard)).numpy()  # [F, 64]
    compared = max(1, round(COMPARED_SECONDS * sample_rate / _FRAME))
    padded = np.pad(log_mel, ((compared // 2, compared - compared // 2 - 1), (0, 0)), mode="edge")
    return sliding_window_view(padded, compared, axis=0).reshape(len(log_mel), -1)


def _sides(audio: np.ndarray, start: int, samples: int, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """What follows a loop's end, and its beginning, which are cross-faded: ``[C, n]`` each."""
    fade = min(round(FADE_SECONDS * sample_rate), audio.shape[1] - start - samples, samples)
    return audio[:, start + samples : start + samples + fade], audio[:, start : start + fade]
