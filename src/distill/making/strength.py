"""How strongly new audio is held to the beat (``beat.py``): measured for each model, in its last seconds of training.

Some priors keep much of a beat by themselves, others next to none, and whatever is added costs likeness (docs/prior.md). So
pieces are drawn at several strengths, all in one batch, made to sound, and the least strength that is enough is kept:

    opening → its recording → how much its onsets repeat, a beat apart             what is wanted
            → new pieces, strength 0 … 2 → how much theirs repeat, a beat apart     what there is
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from distill.codes.extract import decode_chunks
from distill.making.beat import Beat, Metronome, Pulse
from distill.making.drawing import Sampling, Steering, sample_codes
from distill.making.onsets import FRAMES_PER_SECOND, onset_echo
from distill.making.openings import Openings
from distill.models.model_file import Model
from distill.recordings.passages import Passage

STRENGTHS = (0.0, 1.0, 1.5, 2.0)
"""Those that are tried."""
ENOUGH = 0.9
"""The share of the recordings' own autocorrelation from which a strength is enough: longer pieces keep some less (of 0.8, 0.58
was left after ten seconds)."""
BY_CHANCE = 0.08
"""Shares that differ by less than this say nothing: twelve pieces differ by as much."""
PIECES, PIECE_SECONDS = 12, 5.0
"""What is drawn at each strength."""
FIRST_SEED = 2_000_000
"""Far from those that a person begins with."""
MOST_OPENINGS = 24
"""Among so many openings, those with a beat are looked for."""
LEAST_ECHO = 0.05
"""Autocorrelation of a recording's onsets below which there is no beat to be heard in it."""


@dataclass(frozen=True)
class _Example:
    """An opening with a beat."""

    seed: int
    pulse: Pulse
    period: int
    """Of its beat, in frames."""
    samples: int
    """Of the recording's sound: as many as a piece has, or all there are. So many of the piece are beside it."""
    echo: float
    """How much its onsets repeat after that time."""


def measured_strength(model: Model, passages: Sequence[Passage]) -> float:
    """The least strength that gives new audio, in the codec's voice, enough of the recordings' beat, or the one that comes
    nearest to it.

    0 where no opening has a beat. The model's own ``beat_strength`` has no part in it. Nor have balance and lean, which are
    measured after it.

    Args:
        passages: what the model was trained on, in the order of ``model.trained_on``.
    """
    if not model.header.bands:
        return 0.0
    model = model.with_header(balance=(), loudness_lean=0.0)
    metronome, openings = Metronome(model.codec, model.header.bands, model.trained_on), Openings(model)
    positions = round(PIECE_SECONDS * model.codec.frame_rate)
    examples = list(islice(_examples(model, passages, metronome, openings, positions), PIECES))
    if not examples:
        return 0.0
    wanted = sum(example.echo for example in examples)
    shares = (
        sum(
            onset_echo(sound[:, : example.samples], example.period)
            for example, sound in zip(examples, _rendered(model, pieces), strict=True)
        )
        / wanted
        for pieces in _drawn(model, metronome, openings, examples, positions)
    )
    return least_enough(shares)


def least_enough(shares: Iterable[float]) -> float:
    """The first of the strengths whose share of the recordings' beat is enough; if none is, the first that comes near to the
    largest, as what is added costs likeness."""
    found = []
    for strength, share in zip(STRENGTHS, shares, strict=True):
        if share >= ENOUGH:
            return strength
        found.append(share)
    return next(strength for strength, share in zip(STRENGTHS, found, strict=True) if share >= max(found) - BY_CHANCE)


def in_words(strength: float) -> str:
    """How strongly the beat is held, in a sentence."""
    if not strength:
        return "No beat is imposed: the recordings have no clear one, or new audio keeps it by itself."
    return f"New audio is held to the recordings' beat with strength {strength:.1f}."


def _examples(
    model: Model, passages: Sequence[Passage], metronome: Metronome, openings: Openings, positions: int
) -> Iterator[_Example]:
    codec = model.codec
    for seed in range(FIRST_SEED, FIRST_SEED + MOST_OPENINGS):
        index, place = openings.place(seed)
        codes, passage = model.trained_on[index].codes, passages[index]
        pulse = metronome.pulse(codes, place)
        if pulse is None:
            continue
        first = max(0, min(place, len(codes) - positions)) * codec.hop
        audio = passage.read(first, min(first + positions * codec.hop, passage.samples), codec.channels)
        period = round(pulse.period / codec.frame_rate * FRAMES_PER_SECOND)
        echo = onset_echo(audio, period)
        if echo >= LEAST_ECHO:
            yield _Example(seed, pulse, period, audio.shape[1], echo)


def _drawn(
    model: Model, metronome: Metronome, openings: Openings, examples: Sequence[_Example], positions: int
) -> Tensor:
    """New pieces that begin as the examples do, at every strength, with the same chance: ``[strengths, pieces, S, Q]``."""
    seeds = [example.seed for example in examples]
    courses = np.stack([example.pulse.course(0, positions) for example in examples])
    course = np.concatenate([strength * courses for strength in STRENGTHS])
    drawn = sample_codes(
        model.require_prior(),
        openings.codes(seeds).repeat(len(STRENGTHS), 1),
        positions,
        Sampling(),
        seeds * len(STRENGTHS),
        heard=[openings.before(seed) for seed in seeds] * len(STRENGTHS),
        steering=Steering.of(model, Beat(metronome, torch.from_numpy(course)), openings.silent),
    )
    return drawn.view(len(STRENGTHS), len(examples), *drawn.shape[1:])


def _rendered(model: Model, pieces: Tensor) -> Iterator[np.ndarray]:
    """Codes ``[B, S, Q]`` in the codec's voice, one after the other: ``[C, N]``."""
    for codes in pieces:
        yield np.concatenate(list(decode_chunks(model.codec, codes, model.device)), axis=1)
