"""Codes as they are drawn, position by position, with the prior's cache.

Any length: the prior sees the last ``context`` tokens. When this window is full it moves on by half, and the cache is prefilled
anew from the codes in it. So each token is drawn exactly as a full forward pass over its window would draw it, memory stays
flat, and nothing ever starts over from silence.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distill.codes.layout import positions_in
from distill.making.beat import Beat
from distill.making.limits import Limited, Limits
from distill.models.config import VQVAEConfig
from distill.models.prior import CodePrior

if TYPE_CHECKING:
    from distill.making.sampling import Sampling

COLDEST = 1e-3
"""Below this temperature decoding is greedy: dividing by less would overflow."""
FORGOTTEN_SECONDS = 2.0
"""After so long variety has mostly forgotten a code."""
DEFAULT_RATE = VQVAEConfig().frame_rate
"""Positions a second of a codec of the default hop."""


class Drawing:
    """Several streams as they grow, position by position.

    Args:
        prompt: codes ``[B, P, Q]`` to go on from; -1 before a stream begins.
        positions: how many are drawn after them.
        limits: what new audio does not do, as the recordings do not.
        beat: of the prompt and all that follows it.
        frame_rate: positions a second.
        unheard: so many of the prompt's first positions are no part of what is heard, so that variety need not avoid them.
    """

    def __init__(
        self,
        prior: CodePrior,
        prompt: Tensor,
        positions: int,
        sampling: "Sampling",
        limits: Limits | None,
        beat: Beat | None = None,
        frame_rate: float = DEFAULT_RATE,
        unheard: int = 0,
    ) -> None:
        b, self.given, q = prompt.shape
        self.prior, self.sampling = prior, sampling
        self.window = prior.config.context // q
        self.begins = (prompt[..., 0] < 0).sum(dim=1).tolist()
        """The position of ``codes`` that each stream begins with."""
        self.codes = torch.cat([prompt, prompt.new_zeros(b, positions, q)], dim=1)  # [B, P + positions, Q]
        self.done = self.given
        self.fading = 1 - 1 / positions_in(FORGOTTEN_SECONDS, frame_rate)
        """What is left of a code's weight in variety after another position."""
        self._recent = torch.zeros(b, prior.config.codebook_size, device=prompt.device)
        ages = torch.arange(self.given - 1, -1, -1, device=prompt.device)
        left = self.fading**ages * (prompt[..., 0] >= 0)
        self._recent.scatter_add_(1, prompt[:, unheard:, 0].clamp(min=0), left[:, unheard:])
        self.limited = None if limits is None else Limited(limits.to(prompt.device), prompt)
        self.beat = beat

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


def draw(logits: Tensor, sampling: "Sampling", uniform: Tensor, level: int = 0) -> Tensor:
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
