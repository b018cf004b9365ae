"""New audio: the prior draws codes (``drawing.py``), the codec decodes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from distill.codes.extract import decode_chunks
from distill.errors import SettingError
from distill.making.beat import Cycle, Pulse, beat_of_openings, beat_of_prompt
from distill.making.drawing import Progress, Sampling, Steering, continue_codes, sample_codes
from distill.making.level import at_level, raised_cosine
from distill.making.openings import Openings
from distill.models.model_file import Model

MIN_SECONDS, MAX_SECONDS = 0.5, 600.0
MAX_COUNT = 64
FADE_IN_SECONDS, FADE_OUT_SECONDS = 0.005, 0.03
"""Of a piece: short enough to keep the attack it begins with, long enough to end without a click."""


class Voice(Protocol):
    """Renders codes in place of the codec's decoder."""

    def blocks(self, codes: Tensor) -> Iterator[np.ndarray]:
        """Codes ``[S, Q]`` as sound: float32 ``[C, n]`` a block, ``S · hop`` samples in all."""

    def as_coded(self, codes: Tensor) -> "tuple[Tensor, Voice | None]":
        """The codes ``[S, Q]`` of what is heard, and a voice that renders them as the codec does; None is the codec's own."""


def rendered(model: Model, codes: Tensor, voice: Voice | None) -> Iterator[np.ndarray]:
    """Codes ``[S, Q]`` as sound, in a voice or in the codec's own."""
    return decode_chunks(model.codec, codes, model.device) if voice is None else voice.blocks(codes)


def as_coded(codes: Tensor, voice: Voice | None) -> tuple[Tensor, Voice | None]:
    """What codes ``[S, Q]`` sound like in a voice, as codes in the codec's voice.

    The recordings that new audio is compared with are known as the codec plays them. A second of a recording itself may be
    less like that than another recording's is through the codec, so grains would hide what they quote.
    """
    return (codes, None) if voice is None else voice.as_coded(codes)


def fades_at_ends(
    at: np.ndarray, total: int, sample_rate: int, *, begins: bool = True, ends: bool = True
) -> np.ndarray:
    """Gains ``[n]`` of the samples ``at [n]`` of ``total``, of new sound that begins with the first and ends with the last."""
    begun = at / (FADE_IN_SECONDS * sample_rate) if begins else np.ones(len(at))
    left = (total - 1 - at) / (FADE_OUT_SECONDS * sample_rate) if ends else np.ones(len(at))
    return raised_cosine(np.minimum(np.minimum(begun, left), 1))


@dataclass(frozen=True)
class Generation:
    """One new piece: its codes ``[S, Q]``, and what is needed to make it again."""

    codes: Tensor
    seconds: float
    seed: int
    sampling: Sampling
    sample_rate: int
    lead: int = 0
    """Positions at the beginning of ``codes`` that are the end of a prompt; the piece begins after them."""
    voice: Voice | None = field(default=None, repr=False, compare=False)
    """None is the codec's."""
    gain: float = 1.0
    """What brings the recordings' level to that of the prompt (``level.py``)."""
    pulse: Pulse | None = field(default=None, repr=False, compare=False)
    """The beat of its opening, which it is held to; None where there is none, or it follows a prompt."""

    def blocks(self, model: Model) -> Iterator[np.ndarray]:
        """The sound, float32 ``[C, n]`` a block, ``round(seconds · sample_rate)`` samples in all."""
        skip, total, done = self.lead * model.codec.hop, round(self.seconds * self.sample_rate), 0
        for block in rendered(model, self.codes, self.voice):
            piece = block[:, skip : skip + total - done]
            skip -= min(skip, block.shape[1])
            if piece.shape[1]:
                yield at_level(piece, self.gain) * self.fades(done, done + piece.shape[1], total)
            done += piece.shape[1]
            if done >= total:
                return

    def fades(self, first: int, stop: int, total: int) -> np.ndarray:
        """Gains ``[stop - first]`` of these samples: a sound cut off in the middle of a wave ends in a click."""
        # What follows a prompt begins where that ends, in the middle of a sound.
        return fades_at_ends(np.arange(first, stop), total, self.sample_rate, begins=not self.lead)

    def audio(self, model: Model) -> np.ndarray:
        """The sound as one array, float32 ``[C, N]``."""
        return np.concatenate(list(self.blocks(model)), axis=1)

    def as_coded(self) -> "Generation":
        """The piece as it is compared with the recordings (:func:`as_coded`)."""
        codes, voice = as_coded(self.codes, self.voice)
        return replace(self, codes=codes, voice=voice)

    def new_sound(self, model: Model) -> tuple[Tensor, Iterator[np.ndarray]]:
        """What is judged: the piece :meth:`as_coded` without what it was given, codes ``[S, Q]`` and the sound in blocks."""
        coded = replace(self.as_coded(), gain=1.0)
        return coded.codes[self.lead :], coded.blocks(model)


def positions_for(model: Model, seconds: float) -> int:
    """How many code positions hold a sound of this length: the last one may be longer."""
    return -(-round(seconds * model.codec.sample_rate) // model.codec.hop)


def check_request(seconds: float, count: int) -> None:
    """Refuses a length or a number of pieces that cannot be made.

    Raises:
        SettingError: if one of them is out of range.
    """
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise SettingError(
            f"{seconds:g} seconds cannot be made.", f"Ask for {MIN_SECONDS} to {MAX_SECONDS:.0f} seconds a piece."
        )
    check_count(count)


def check_count(count: int) -> None:
    """Refuses a number of pieces that cannot be made.

    Raises:
        SettingError: if it is out of range.
    """
    if not 1 <= count <= MAX_COUNT:
        raise SettingError(f"{count} pieces cannot be made at once.", f"Ask for 1 to {MAX_COUNT}.")


def generate(
    model: Model,
    seconds: float = 10.0,
    count: int = 1,
    sampling: Sampling | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    *,
    prompt: Tensor | None = None,
    gain: float = 1.0,
    voice: Voice | None = None,
    cycle: Cycle | None = None,
) -> list[Generation]:
    """``count`` new pieces of ``seconds`` each, drawn as one batch; piece ``i`` has seed ``seed + i``.

    Args:
        prompt: codes ``[P, Q]`` of what is to be continued; the pieces begin where it ends.
        gain: of the pieces.
        voice: makes them sound in place of the codec's decoder.
        cycle: of the loop that is to be cut out of each piece.

    Raises:
        MissingPriorError: if the model has no prior.
        SettingError: if a setting is out of range.
    """
    check_request(seconds, count)
    model.require_prior()
    sampling, codec = sampling or Sampling(), model.codec
    positions = positions_for(model, seconds)
    seeds = [seed + index for index in range(count)]
    lead, pulses = 0, list[Pulse | None]([None] * count)
    if prompt is None:
        codes, pulses = _from_openings(model, positions, sampling, seeds, cycle, progress)
    else:
        codes, lead = _from_prompt(model, prompt, positions, sampling, seeds, progress)
    return [
        Generation(
            codes=piece,
            seconds=seconds,
            seed=piece_seed,
            sampling=sampling,
            sample_rate=codec.sample_rate,
            lead=lead,
            voice=voice,
            gain=gain,
            pulse=pulse,
        )
        for piece, piece_seed, pulse in zip(codes, seeds, pulses, strict=True)
    ]


def _from_openings(
    model: Model,
    positions: int,
    sampling: Sampling,
    seeds: Sequence[int],
    cycle: Cycle | None,
    progress: Progress | None,
) -> tuple[Tensor, list[Pulse | None]]:
    """Codes ``[B, positions, Q]`` that begin as the recordings do, and the beat of each opening."""
    openings = Openings(model)
    beat = beat_of_openings(model, openings, seeds, positions, cycle)
    codes = sample_codes(
        model.require_prior(),
        openings.codes(seeds),
        positions,
        sampling,
        seeds,
        progress,
        heard=[openings.before(one) for one in seeds],
        steering=Steering.of(model, beat, openings.silent),
    )
    return codes, [None] * len(seeds) if beat is None else list(beat.pulses)


def _from_prompt(
    model: Model,
    prompt: Tensor,
    positions: int,
    sampling: Sampling,
    seeds: Sequence[int],
    progress: Progress | None,
) -> tuple[Tensor, int]:
    """Codes ``[B, lead + positions, Q]`` that go on from the codes ``prompt [P, Q]``, and ``lead``.

    The first ``lead`` are the end of the prompt: as many as the codec needs to render what follows.
    """
    prior, codec = model.require_prior(), model.codec
    generators = [torch.Generator().manual_seed(one) for one in seeds]
    given = prompt[-prior.config.context_positions :].expand(len(seeds), -1, -1)
    steering = Steering.of(model, beat_of_prompt(model, given[0], len(seeds), positions))
    new = continue_codes(prior, given, positions, sampling, generators, steering, progress=progress)
    lead = min(given.shape[1], codec.context)
    return torch.cat([given[:, given.shape[1] - lead :], new], dim=1), lead
