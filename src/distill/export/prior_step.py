"""The prior, one position a call: the last position and the state in, the next position and the new state out.

It predicts what :class:`distill.models.prior.CodePrior` predicts with its cache, and draws as
:func:`distill.making.drawing.draw` draws, from numbers that the caller gives; a test compares both."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.making.drawing import COLDEST
from distill.models.prior import CodePrior, TransformerBlock

_UNSEEN = -1e9


class PriorStep(nn.Module):
    """One position of a :class:`distill.models.prior.CodePrior`.

    ``places`` inputs fit: a start, and then positions. When they are used up the caller begins anew with a start and as many of
    the last positions as it likes; Distill takes half of them.
    """

    def __init__(self, prior: CodePrior) -> None:
        super().__init__()
        config = prior.config
        self.source, self.levels = prior, config.num_quantizers
        self.places = config.context_positions
        self.head_size = config.hidden_size // config.num_heads
        self.shape = (config.num_layers, 2, config.num_heads, self.places, self.head_size)
        self.register_buffer("rows", torch.arange(self.levels) * config.codebook_size)

    @property
    def size(self) -> int:
        """Numbers that it keeps."""
        return math.prod(self.shape)

    def forward(
        self,
        codes: Tensor,
        state: Tensor,
        place: Tensor,
        bias: Tensor,
        uniform: Tensor,
        temperature: Tensor,
        top_p: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next position's codes ``[1, Q]`` (int64), their logits ``[1, Q, K]``, and the state for the next call.

        Args:
            codes: int64 ``[1, Q]``, the position before; -1 in all of them for the start.
            state: float32 ``[1, size]``; zeros before the start.
            place: int64 ``[1]``, how many calls there were since the start.
            bias: float32 ``[1, K]``, added to the logits of the coarsest level: what forbids a code, or makes it less likely.
            uniform: float32 ``[1, Q]``, numbers in 0..1 that decide the draw.
            temperature: float32 ``[1, Q]``.
            top_p: float32 ``[1]``.
        """
        prior = self.source
        begins = codes[:, :1] < 0
        known = prior.embedding(codes.clamp(min=0) + self.get_buffer("rows")).sum(dim=1)
        hidden, state = self._hidden(torch.where(begins, prior.start, known), state.view(self.shape), place)
        below = torch.zeros_like(hidden)
        drawn, scores = [], []
        for level in range(self.levels):
            logits = prior.score_level(hidden, below, codes[:, level], level)
            logits = logits + bias if level == 0 else logits
            token = _drawn(logits, temperature[:, level : level + 1], top_p, uniform[:, level : level + 1])
            below = below + prior.embedding(token + self.get_buffer("rows")[level])
            drawn.append(token)
            scores.append(logits)
        return torch.stack(drawn, dim=1), torch.stack(scores, dim=1), state.reshape(1, -1)

    def _hidden(self, x: Tensor, cache: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """An input ``[1, H]`` at its place through the blocks: what its successor is drawn from, and the cache with it."""
        prior, own = self.source, torch.arange(self.places)
        cosine, sine = prior.get_buffer("cosine")[place], prior.get_buffer("sine")[place]  # [1, head size]
        is_here, unseen = (own == place)[:, None], torch.where(own <= place, 0.0, _UNSEEN)
        layers = []
        for layer, block in enumerate(prior.blocks):
            assert isinstance(block, TransformerBlock)
            query, key, value = block.query_key_value(block.attention_norm(x)).view(3, block.num_heads, 1, -1).unbind(0)
            keys = torch.where(is_here, _turned(key, cosine, sine), cache[layer, 0])  # [heads, places, head size]
            values = torch.where(is_here, value, cache[layer, 1])
            scores = _turned(query, cosine, sine) @ keys.transpose(1, 2) / math.sqrt(self.head_size) + unseen
            x = x + block.attention_out((scores.softmax(dim=-1) @ values).reshape(1, -1))
            x = x + block.contract(F.gelu(block.expand(block.mlp_norm(x)), approximate="tanh"))
            layers.append(torch.stack([keys, values]))
        return prior.norm(x), torch.stack(layers)


def _turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions, as in the prior."""
    half = x.shape[-1] // 2
    return x * cosine + torch.cat([x[..., half:], x[..., :half]], dim=-1) * sine


def _drawn(logits: Tensor, temperature: Tensor, top_p: Tensor, uniform: Tensor) -> Tensor:
    """One token ``[1]`` from logits ``[1, K]``."""
    probability, order = (logits / temperature.clamp(min=COLDEST)).softmax(dim=-1).sort(dim=-1, descending=True)
    total = probability.sum(dim=-1, keepdim=True)
    before = probability.cumsum(dim=-1) - probability
    is_kept = (before < top_p * total) | (before <= 0) | (top_p >= 1)  # the likeliest always is
    probability = probability * is_kept
    cumulative = probability.cumsum(dim=-1)
    target = uniform * cumulative[:, -1:]
    last = (probability > 0).long().sum(dim=-1, keepdim=True) - 1
    chosen = torch.minimum((cumulative <= target).long().sum(dim=-1, keepdim=True), last)
    return torch.where(temperature < COLDEST, logits.argmax(dim=-1, keepdim=True), order.gather(1, chosen))[:, 0]
