"""New audio: the prior draws codes, the codec decodes them.

Settings, pieces, and the functions that draw them; ``drawing.py`` is the decoding loop, position by position.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from distill.codes.extract import decode_chunks
from distill.errors import SettingError
from distill.making.beat import Beat, Cycle, beat_of_openings, beat_of_prompt
from distill.making.drawing import DEFAULT_RATE, Drawing
from distill.making.level import at_level, raised_cosine
from distill.making.limits import Limits
from distill.making.openings import Openings
from distill.making.threads import one_thread
from distill.models.model_file import Model
from distill.models.prior import CodePrior

MIN_SECONDS, MAX_SECONDS = 0.5, 600.0
MAX_COUNT = 64
FADE_IN_SECONDS, FADE_OUT_SECONDS = 0.005, 0.03
"""Of a piece: short enough to keep the attack it begins with, long enough to end without a click."""


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn. ``top_k`` 0 and ``top_p`` 1 leave the distribution whole; ``temperature`` 0 takes the likeliest."""

    temperature: float | tuple[float, ...] = 1.0
    """One for all levels, or one a level, coarse to fine."""
    top_k: int = 0
    top_p: float = 0.985
    variety: float = 0.0
    """How much coarse codes of the last two seconds, those of a prompt too, are avoided: each time makes one e^variety times
    less likely (a repetition penalty, as in Keskar et al. 2019, arXiv:1909.05858, that fades with time)."""

    def __post_init__(self) -> None:
        for temperature in self._temperatures:
            if not 0 <= temperature <= 5:
                raise SettingError(
                    f"The temperature {temperature} is out of range.", "Choose one from 0 to 5; 1 is natural."
                )
        if self.top_k < 0:
            raise SettingError(f"top-k {self.top_k} is out of range.", "Choose 0 (all codes) or more.")
        if not 0 < self.top_p <= 1:
            raise SettingError(
                f"top-p {self.top_p} is out of range.", "Choose a share above 0 and up to 1, such as 0.95."
            )
        if not 0 <= self.variety <= 5:
            raise SettingError(f"The variety {self.variety} is out of range.", "Choose one from 0 (none) to 5.")

    @property
    def _temperatures(self) -> tuple[float, ...]:
        return self.temperature if isinstance(self.temperature, tuple) else (self.temperature,)

    def temperature_of(self, level: int) -> float:
        """The temperature of one level."""
        return self._temperatures[min(level, len(self._temperatures) - 1)]

    def describe(self) -> str:
        """The settings in one line."""
        parts = ["temperature " + ",".join(f"{one:g}" for one in self._temperatures)]
        if self.top_k:
            parts.append(f"top-k {self.top_k}")
        if self.top_p < 1:
            parts.append(f"top-p {self.top_p:g}")
        if self.variety:
            parts.append(f"variety {self.variety:g}")
        return ", ".join(parts)

    def check_levels(self, levels: int) -> None:
        """Refuses temperatures that are neither one nor one a level.

        Raises:
            SettingError: with how many are wanted.
        """
        if len(self._temperatures) not in (1, levels):
            raise SettingError(
                f"{len(self._temperatures)} temperatures were given and the model has {levels} levels.",
                f"Give one temperature, or {levels}, coarse to fine.",
            )


class Voice(Protocol):
    """Renders codes in place of the codec's decoder."""

    def blocks(self, codes: Tensor) -> Iterator[np.ndarray]:
        """Codes ``[S, Q]`` as sound: float32 ``[C, n]`` a block, ``S · hop`` samples in all."""


def rendered(model: Model, codes: Tensor, voice: Voice | None) -> Iterator[np.ndarray]:
    """Codes ``[S, Q]`` as sound, in a voice or in the codec's own."""
    return decode_chunks(model.codec, codes, model.device) if voice is None else voice.blocks(codes)


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
        at = np.arange(first, stop)
        # What follows a prompt begins where that ends, in the middle of a sound.
        begun = np.ones(len(at)) if self.lead else at / (FADE_IN_SECONDS * self.sample_rate)
        left = (total - 1 - at) / (FADE_OUT_SECONDS * self.sample_rate)
        share = np.minimum(np.minimum(begun, left), 1)
        return raised_cosine(share)

    def audio(self, model: Model) -> np.ndarray:
        """The sound as one array, float32 ``[C, N]``."""
        return np.concatenate(list(self.blocks(model)), axis=1)

    def new_sound(self, model: Model) -> tuple[Tensor, Iterator[np.ndarray]]:
        """What the prior made, without what it was given: codes ``[S, Q]`` and the sound in blocks."""
        return self.codes[self.lead :], replace(self, gain=1.0).blocks(model)


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
    progress: Callable[[int, int], None] | None = None,
    *,
    prompt: Tensor | None = None,
    gain: float = 1.0,
    voice: Voice | None = None,
    cycle: Cycle | None = None,
) -> list[Generation]:
    """``count`` new pieces of ``seconds`` each, drawn as one batch; piece ``i`` has seed ``seed + i``.

    Args:
        progress: called with (positions drawn, positions in all).
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
    positions = -(-round(seconds * codec.sample_rate) // codec.hop)
    seeds = [seed + index for index in range(count)]
    if prompt is None:
        codes, lead = _from_openings(model, positions, sampling, seeds, cycle, progress), 0
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
        )
        for piece, piece_seed in zip(codes, seeds, strict=True)
    ]


def _from_openings(
    model: Model,
    positions: int,
    sampling: Sampling,
    seeds: Sequence[int],
    cycle: Cycle | None,
    progress: Callable[[int, int], None] | None,
) -> Tensor:
    """Codes ``[B, positions, Q]`` that begin as the recordings do."""
    openings = Openings(model)
    beat = beat_of_openings(model, openings, seeds, positions, cycle)
    return sample_codes(
        model.require_prior(),
        openings.codes(seeds),
        positions,
        sampling,
        seeds,
        progress,
        heard=[openings.before(one) for one in seeds],
        limits=Limits.of(model),
        beat=beat,
        frame_rate=model.codec.frame_rate,
    )


def _from_prompt(
    model: Model,
    prompt: Tensor,
    positions: int,
    sampling: Sampling,
    seeds: Sequence[int],
    progress: Callable[[int, int], None] | None,
) -> tuple[Tensor, int]:
    """Codes ``[B, lead + positions, Q]`` that go on from the codes ``prompt [P, Q]``, and ``lead``.

    The first ``lead`` are the end of the prompt: as many as the codec needs to render what follows.
    """
    prior, codec = model.require_prior(), model.codec
    generators = [torch.Generator().manual_seed(one) for one in seeds]
    given = prompt[-(prior.config.context // prior.config.num_quantizers) :].expand(len(seeds), -1, -1)
    new = continue_codes(
        prior,
        given,
        positions,
        sampling,
        generators,
        limits=Limits.of(model),
        beat=beat_of_prompt(model, given[0], len(seeds), positions),
        frame_rate=codec.frame_rate,
        progress=progress,
    )
    lead = min(given.shape[1], codec.context)
    return torch.cat([given[:, given.shape[1] - lead :], new], dim=1), lead


@torch.inference_mode()
def sample_codes(
    prior: CodePrior,
    openings: Tensor,
    positions: int,
    sampling: Sampling,
    seeds: Sequence[int],
    progress: Callable[[int, int], None] | None = None,
    *,
    heard: Sequence[Tensor] | None = None,
    limits: Limits | None = None,
    beat: Beat | None = None,
    frame_rate: float = DEFAULT_RATE,
) -> Tensor:
    """Draws codes ``[B, positions, Q]``, one stream a seed, each with its own generator.

    A stream begins with its own of the ``openings [B, Q]``: a fiftieth of a second that makes it begin as a recording begins.
    All are drawn as one batch, however much of a recording each follows.

    Args:
        heard: codes ``[L, Q]`` that each stream follows and that are no part of it; without it, none.
        limits: what new audio does not do, as the recordings do not.
        beat: of all positions.
        frame_rate: positions a second.
    """
    heard = [openings[:0]] * len(seeds) if heard is None else heard
    begun = [torch.cat([before, opening[None]]) for before, opening in zip(heard, openings, strict=True)]
    prompt = pad_sequence(begun, batch_first=True, padding_value=-1, padding_side="left")
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    beat = None if beat is None else beat.after(prompt.shape[1] - 1)
    new = continue_codes(
        prior,
        prompt,
        positions - 1,
        sampling,
        generators,
        limits=limits,
        beat=beat,
        frame_rate=frame_rate,
        unheard=prompt.shape[1] - 1,
        progress=progress,
    )
    return torch.cat([openings[:, None], new], dim=1)


@torch.inference_mode()
def continue_codes(
    prior: CodePrior,
    prompt: Tensor,
    positions: int,
    sampling: Sampling,
    generators: Sequence[torch.Generator],
    *,
    ahead: Tensor | None = None,
    limits: Limits | None = None,
    kept: Tensor | None = None,
    beat: Beat | None = None,
    frame_rate: float = DEFAULT_RATE,
    unheard: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """What follows the codes ``prompt [B, P, Q]``: ``[B, positions, Q]``, each stream drawn with its own generator.

    Args:
        prompt: of a stream that begins later than others, -1 before it begins.
        ahead: codes ``[B, A, Q]`` that will come after those drawn, and that they are to lead to; all three together must fit
            the prior's context.
        limits: what new audio does not do, as the recordings do not; what the prompt did counts.
        kept: codes ``[positions, Q]`` that are settled, -1 where one is to be drawn. What is drawn knows those before it in the
            order of tokens, settled or not.
        beat: of the prompt and all that follows it.
        frame_rate: positions a second.
        unheard: so many of the prompt's first positions are no part of what is heard.
    """
    sampling.check_levels(prior.config.num_quantizers)
    device = next(prior.parameters()).device
    drawing = Drawing(
        prior=prior,
        prompt=prompt.to(device),
        positions=positions,
        sampling=sampling,
        limits=limits,
        beat=beat,
        frame_rate=frame_rate,
        unheard=unheard,
    )
    with one_thread() if device.type == "cpu" else nullcontext():
        drawing.begin(None if ahead is None else ahead.to(device))
        for done in range(positions):
            drawing.next_position(generators, None if kept is None else kept[done].tolist())
            if progress is not None:
                progress(done + 1, positions)
    return drawing.codes[:, prompt.shape[1] :].cpu()
