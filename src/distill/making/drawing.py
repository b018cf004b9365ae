"""How codes are drawn: the settings, and the loop that draws them, position by position, with the prior's cache.

Any length: the prior sees the last ``context`` tokens. When this window is full it moves on by half, and the cache is prefilled
anew from the codes in it. So each token is drawn exactly as a full forward pass over its window would draw it, memory stays
flat, and nothing ever starts over from silence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from distill import given
from distill.codes.layout import positions_in
from distill.errors import SettingError
from distill.making.beat import Beat
from distill.making.limits import Limited, Limits
from distill.making.threads import one_thread_on_cpu
from distill.models.config import VQVAEConfig
from distill.models.model_file import Model
from distill.models.prior import CodePrior

COLDEST = 1e-3
"""Below this temperature decoding is greedy: dividing by less would overflow."""
FORGOTTEN_SECONDS = 2.0
"""After so long variety has mostly forgotten a code."""
DEFAULT_RATE = VQVAEConfig().frame_rate
"""Positions a second of a codec of the default hop."""


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
        if not self._temperatures:
            given.number(self.temperature, "temperature")  # none at all is no number
        for temperature in self._temperatures:
            given.number(temperature, "temperature")
            if not 0 <= temperature <= 5:
                raise SettingError(
                    f"The temperature {temperature} is out of range.", "Choose one from 0 to 5; 1 is natural."
                )
        given.whole(self.top_k, "top_k")
        given.number(self.top_p, "top_p")
        given.number(self.variety, "variety")
        if self.top_k < 0:
            raise SettingError(f"top-k {self.top_k} is out of range.", "Choose 0 (all codes) or more.")
        if not 0 < self.top_p <= 1:
            raise SettingError(
                f"top-p {self.top_p} is out of range.", "Choose a share above 0 and up to 1, such as 0.95."
            )
        if not 0 <= self.variety <= 5:
            raise SettingError(f"The variety {self.variety} is out of range.", "Choose one from 0 (none) to 5.")
        temperatures = tuple(map(given.plain, self._temperatures))
        object.__setattr__(
            self, "temperature", temperatures if isinstance(self.temperature, tuple | list) else temperatures[0]
        )
        for name in ("top_k", "top_p", "variety"):
            object.__setattr__(self, name, given.plain(getattr(self, name)))

    @property
    def _temperatures(self) -> tuple[float, ...]:
        return tuple(self.temperature) if isinstance(self.temperature, tuple | list) else (self.temperature,)

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


@dataclass(frozen=True)
class Steering:
    """What the recordings say about codes that are drawn, beside the prior that has learned from them."""

    limits: Limits | None = None
    """What new audio must not do since the recordings never do it; the codes of a prompt count towards it."""
    beat: Beat | None = None
    """Of a prompt and all that follows it."""
    frame_rate: float = DEFAULT_RATE
    """Positions a second, by which variety forgets."""

    @classmethod
    def of(cls, model: Model, beat: Beat | None = None, silent: Tensor | None = None) -> "Steering":
        """That of new pieces; ``silent`` as for :meth:`Limits.of`."""
        return cls(Limits.of(model, silent), beat, model.codec.frame_rate)

    @classmethod
    def of_passage(cls, model: Model, silent: Tensor | None = None) -> "Steering":
        """That of a passage made anew within a sound, whose surroundings say how loud it is and where its beat lies."""
        return cls(Limits.of(model, silent).within_a_sound(), frame_rate=model.codec.frame_rate)

    def after(self, positions: int) -> "Steering":
        """The same for streams that begin so many positions earlier."""
        return self if self.beat is None else replace(self, beat=self.beat.after(positions))


Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many positions are drawn, and how many will be in all."""
UNSTEERED = Steering()
"""What is drawn follows the prior alone, at the rate of a codec of the default hop."""


class Drawing:
    """Several streams as they grow, position by position.

    Args:
        prompt: codes ``[B, P, Q]`` to go on from; -1 before a stream begins.
        positions: how many are drawn after them.
        unheard: so many of the prompt's first positions are no part of what is heard, so that variety need not avoid them.
    """

    def __init__(
        self,
        prior: CodePrior,
        prompt: Tensor,
        positions: int,
        sampling: Sampling,
        steering: Steering,
        unheard: int = 0,
    ) -> None:
        b, self.given, q = prompt.shape
        self.prior, self.sampling = prior, sampling
        self.window = prior.config.context_positions
        self.begins = (prompt[..., 0] < 0).sum(dim=1).tolist()
        """The position of ``codes`` that each stream begins with."""
        self.codes = torch.cat([prompt, prompt.new_zeros(b, positions, q)], dim=1)  # [B, P + positions, Q]
        self.done = self.given
        self.fading = 1 - 1 / positions_in(FORGOTTEN_SECONDS, steering.frame_rate)
        """What is left of a code's weight in variety after another position."""
        self._recent = torch.zeros(b, prior.config.codebook_size, device=prompt.device)
        ages = torch.arange(self.given - 1, -1, -1, device=prompt.device)
        left = self.fading**ages * (prompt[..., 0] >= 0)
        self._recent.scatter_add_(1, prompt[:, unheard:, 0].clamp(min=0), left[:, unheard:])
        limits, self.beat = steering.limits, steering.beat
        self.limited = None if limits is None else Limited(limits.to(prompt.device), prompt)

    def begin(self, ahead: Tensor | None) -> None:
        """Prefills the cache with the prompt, and with the codes ``ahead [B, A, Q]`` that come after those drawn."""
        begins = 0 if ahead is not None else max(0, self.given - self.window // 2)
        self.first = [max(begins, own) for own in self.begins]
        self._prefill(ahead)

    def _prefill(self, ahead: Tensor | None = None) -> None:
        """A new cache with every stream in it, from its first position in the window on, and the logits that follow."""
        self.cache = self.prior.new_cache(len(self.codes))
        if ahead is not None:
            self.prior.look_ahead(ahead, self.codes.shape[1], self.cache)
        first = min(self.first)
        since = None
        if max(self.first) > first:
            since = torch.tensor(self.first, device=self.codes.device) - first
        tokens = self.codes[:, first : self.done].clamp(min=0).flatten(1)
        self.logits = self.prior(tokens, self.cache, since=since)[:, -1]

    def next_position(self, generators: Sequence[torch.Generator], kept: Sequence[int] | None = None) -> None:
        """Draws all levels of one more position, but for those that are ``kept`` (-1: drawn)."""
        sampling, q = self.sampling, self.codes.shape[2]
        uniform = torch.stack([torch.rand(q, generator=generator) for generator in generators]).to(self.codes.device)
        before = self.codes[:, self.done - 1, 0]
        for level in range(q):
            logits = self.logits if self.beat is None else self.beat.tilt(self.logits, self.codes, self.done, level)
            if level == 0 and sampling.variety:
                logits = logits - sampling.variety * self._recent
            if self.limited is not None:
                logits = self.limited.tilt(logits, before, level)
            if kept is None or kept[level] < 0:
                token = draw(logits, sampling, uniform[:, level], level)
            else:
                token = torch.full_like(self.codes[:, 0, 0], kept[level])
            self.codes[:, self.done, level] = token
            if level < q - 1:
                self.logits = self.prior(token[:, None], self.cache)[:, -1]
        if self.limited is not None:
            self.limited.count(before, self.codes[:, self.done])
        self.done += 1
        if sampling.variety:
            self._recent *= self.fading
            self._recent.scatter_add_(1, self.codes[:, self.done - 1, :1], torch.ones_like(self._recent[:, :1]))
        if self.done == self.codes.shape[1]:
            return
        is_full = [self.done - first == self.window for first in self.first]
        if any(is_full):
            # Of a full window the newest half is kept; it begins with the start vector, as windows in training do.
            newest = self.done - self.window // 2
            self.first = [newest if full else first for full, first in zip(is_full, self.first, strict=True)]
            self._prefill()
        else:
            self.logits = self.prior(token[:, None], self.cache)[:, -1]


def draw(logits: Tensor, sampling: Sampling, uniform: Tensor, level: int = 0) -> Tensor:
    """One token of ``level`` a stream from logits ``[B, K]``, by the numbers ``uniform [B]`` in 0..1: ``[B]``.

    Top-k keeps the k likeliest, top-p (nucleus sampling, Holtzman et al. 2020, arXiv:1904.09751) the fewest that hold p of
    the probability. The draw inverts the cumulative distribution, so one number decides it, the same in any batch.
    """
    temperature = sampling.temperature_of(level)
    if temperature < COLDEST:
        return logits.argmax(dim=-1)
    scaled = logits if temperature == 1 else logits / temperature
    probability, order = scaled.softmax(dim=-1).sort(dim=-1, descending=True)
    if sampling.top_k:
        probability[:, sampling.top_k :] = 0
    if sampling.top_p < 1:
        total = probability.sum(dim=-1, keepdim=True)
        before = probability.cumsum(dim=-1) - probability
        probability = probability.masked_fill(before >= sampling.top_p * total, 0)
    cumulative = probability.cumsum(dim=-1)
    target = uniform[:, None] * cumulative[:, -1:]
    # Rounding may carry the target past the last code that is left; it must not land on one that was cut off.
    last = (probability > 0).sum(dim=-1, keepdim=True) - 1
    chosen = torch.minimum(torch.searchsorted(cumulative, target, right=True), last)
    return order.gather(1, chosen)[:, 0]


@torch.inference_mode()
def sample_codes(
    prior: CodePrior,
    openings: Tensor,
    positions: int,
    sampling: Sampling,
    seeds: Sequence[int],
    progress: Progress | None = None,
    *,
    heard: Sequence[Tensor] | None = None,
    steering: Steering = UNSTEERED,
) -> Tensor:
    """Draws codes ``[B, positions, Q]``, one stream a seed, each with its own generator.

    A stream begins with its own of the ``openings [B, Q]``: a fiftieth of a second that makes it begin as a recording begins.
    All are drawn as one batch, however much of a recording each follows.

    Args:
        heard: codes ``[L, Q]`` that each stream follows and that are no part of it; without it, none.
        steering: its beat is that of the ``positions``.
    """
    heard = [openings[:0]] * len(seeds) if heard is None else heard
    begun = [torch.cat([before, opening[None]]) for before, opening in zip(heard, openings, strict=True)]
    prompt = pad_sequence(begun, batch_first=True, padding_value=-1, padding_side="left")
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    unheard = prompt.shape[1] - 1
    new = continue_codes(
        prior,
        prompt,
        positions - 1,
        sampling,
        generators,
        steering.after(unheard),
        unheard=unheard,
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
    steering: Steering = UNSTEERED,
    *,
    ahead: Tensor | None = None,
    kept: Tensor | None = None,
    unheard: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """What follows the codes ``prompt [B, P, Q]``: ``[B, positions, Q]``, each stream drawn with its own generator.

    Args:
        prompt: of a stream that begins later than others, -1 before it begins.
        ahead: codes ``[B, A, Q]`` that will come after those drawn, and that they are to lead to; all three together must fit
            the prior's context.
        kept: codes ``[positions, Q]`` that are settled, -1 where one is to be drawn. What is drawn knows those before it in the
            order of tokens, settled or not.
        unheard: so many of the prompt's first positions are no part of what is heard.
    """
    sampling.check_levels(prior.config.num_quantizers)
    device = next(prior.parameters()).device
    drawing = Drawing(prior, prompt.to(device), positions, sampling, steering, unheard)
    with one_thread_on_cpu(device):
        drawing.begin(None if ahead is None else ahead.to(device))
        for done in range(positions):
            drawing.next_position(generators, None if kept is None else kept[done].tolist())
            if progress is not None:
                progress(done + 1, positions)
    return drawing.codes[:, prompt.shape[1] :].cpu()
