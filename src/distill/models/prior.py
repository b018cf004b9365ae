"""The prior: a small decoder-only transformer over flattened codes.

Pre-norm blocks, rotary positions (Su et al. 2021, arXiv:2104.09864), a KV cache, and per level of the codec its own embedding
and its own output head: token ``t`` belongs to level ``t % Q``, so a window must begin at a position's first level.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Le, Lt
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class PriorConfig:
    """Sizes of the prior. Stored in the model file beside the weights."""

    codebook_size: Annotated[int, Ge(2), Le(65_536)] = 256
    num_quantizers: Annotated[int, Ge(1), Le(16)] = 4
    hidden_size: Annotated[int, Ge(8), Le(4096)] = 192
    num_layers: Annotated[int, Ge(1), Le(48)] = 4
    num_heads: Annotated[int, Ge(1), Le(64)] = 4
    context: Annotated[int, Ge(8), Le(65_536)] = 1024
    """Tokens the prior can look back over; a multiple of ``num_quantizers``."""
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    """Off by default: drawing the masks is slow on a CPU (docs/prior.md), and token noise regularises for nothing."""

    def __post_init__(self) -> None:
        if self.hidden_size % (2 * self.num_heads):
            raise ValueError(f"hidden_size {self.hidden_size} must be a multiple of twice num_heads {self.num_heads}")
        if self.context % self.num_quantizers or self.context < 2 * self.num_quantizers:
            raise ValueError(f"context {self.context} must be two or more times num_quantizers {self.num_quantizers}")

    @classmethod
    def for_corpus(cls, seconds: float, *, codebook_size: int, num_quantizers: int, frame_rate: float) -> "PriorConfig":
        """Sizes that grow with the seconds of audio: a prior too large for its corpus recites it.

        The context is about three seconds, rounded to whole positions, and never more than a third of the corpus.
        """
        hidden_size, num_layers, num_heads = next(sizes for limit, sizes in _TIERS if seconds < limit)
        positions = max(8, int(min(_CONTEXT_SECONDS, seconds / 3) * frame_rate))
        return cls(
            codebook_size=codebook_size,
            num_quantizers=num_quantizers,
            hidden_size=hidden_size,
            num_layers=num_layers,
            num_heads=num_heads,
            context=positions * num_quantizers,
        )


_CONTEXT_SECONDS = 3.0
_TIERS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    # seconds of audio below, (hidden size, layers, heads)
    (60, (96, 3, 4)),
    (900, (128, 4, 4)),
    (3_600, (256, 6, 8)),
    (float("inf"), (384, 8, 8)),
)


class KVCache:
    """Keys and values of the tokens seen so far, one pair of tensors ``[B, heads, context, head size]`` a layer."""

    def __init__(self, config: PriorConfig, batch: int, device: torch.device, dtype: torch.dtype) -> None:
        shape = (batch, config.num_heads, config.context, config.hidden_size // config.num_heads)
        self.keys = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(config.num_layers)]
        self.values = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(config.num_layers)]
        self.length = 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends to one layer and gives all keys and values so far; ``length`` moves when the forward pass ends."""
        stop = self.length + keys.shape[2]
        self.keys[layer][:, :, self.length : stop] = keys
        self.values[layer][:, :, self.length : stop] = values
        return self.keys[layer][:, :, :stop], self.values[layer][:, :, :stop]


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turns pairs of features of ``[..., T, head size]`` by their position's angle; ``cosine`` and ``sine`` ``[T, head size]``.

    Feature i forms a pair with feature i + head size / 2; ``sine`` carries the sign of the half it belongs to.
    """
    return x * cosine + x.roll(x.shape[-1] // 2, dims=-1) * sine


class TransformerBlock(nn.Module):
    """Pre-norm attention and perceptron: ``[B, T, H] → [B, T, H]``."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        h = config.hidden_size
        self.num_heads, self.dropout, self.head_size = config.num_heads, config.dropout, h // config.num_heads
        self.attention_norm = nn.LayerNorm(h)
        self.query_key_value = nn.Linear(h, 3 * h, bias=False)
        self.attention_out = nn.Linear(h, h, bias=False)
        self.mlp_norm = nn.LayerNorm(h)
        self.expand = nn.Linear(h, 4 * h)
        self.contract = nn.Linear(4 * h, h)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, cache: KVCache | None, layer: int) -> Tensor:
        b, t, h = x.shape
        qkv = self.query_key_value(self.attention_norm(x)).view(b, t, 3, self.num_heads, self.head_size)
        qkv = qkv.permute(2, 0, 3, 1, 4)  # [3, B, heads, T, head size]
        query, key = _rotate(qkv[:2], cosine, sine).unbind(0)
        value = qkv[2]
        if cache is not None:
            key, value = cache.extend(layer, key, value)
        mask = None
        if 1 < t < key.shape[2]:  # several new tokens behind a filled cache: each sees the cache and its own past
            mask = torch.ones(t, key.shape[2], dtype=torch.bool, device=x.device).tril(key.shape[2] - t)
        # No dropout on the attention itself: it would rule out the fused kernels.
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=t == key.shape[2] and t > 1
        )
        x = x + self._drop(self.attention_out(attended.transpose(1, 2).reshape(b, t, h)))
        return x + self._drop(self.contract(F.gelu(self.expand(self.mlp_norm(x)), approximate="tanh")))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training else x


class CodePrior(nn.Module):
    """Next-token prediction over flattened codes.

    ``[B, T]`` token ids (0..K-1) ``→ [B, T, K]`` logits; the logits at ``t`` are of the token at ``t + 1``.
    """

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        q, k, h = config.num_quantizers, config.codebook_size, config.hidden_size
        self.embedding = nn.Embedding(q * k, h)  # row level·K + id
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(h)
        self.heads = nn.Parameter(torch.empty(q, k, h))  # heads[l] scores the tokens of level l
        head_size = h // config.num_heads
        frequency = 10_000.0 ** (-torch.arange(0, head_size, 2).float() / head_size)
        angle = torch.outer(torch.arange(config.context).float(), frequency)
        self.register_buffer("cosine", torch.cat([angle.cos(), angle.cos()], dim=1), persistent=False)
        self.register_buffer("sine", torch.cat([-angle.sin(), angle.sin()], dim=1), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim >= 2:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
            if name.endswith(("attention_out.weight", "contract.weight")):
                # Residual branches start small, the more so the deeper the stack: GPT-2's scaling.
                nn.init.normal_(parameter, std=0.02 / (2 * self.config.num_layers) ** 0.5)

    @torch.no_grad()
    def start_from_codebooks(self, codebooks: Tensor) -> None:
        """Starts embeddings and heads from the vectors ``[Q, K, C]`` that the codec's codes stand for.

        Codes that sound alike then begin alike, which a small corpus cannot teach: held-out bits per token after the same
        42 steps on 33 loops fell from 8.10 to 7.83 (docs/prior.md).
        """
        q, k, c = codebooks.shape
        vectors = codebooks / codebooks.std(dim=(1, 2), keepdim=True).clamp(min=1e-6)
        generator = torch.Generator().manual_seed(0)

        def projection() -> Tensor:
            return torch.randn(c, self.config.hidden_size, generator=generator).to(codebooks) / c**0.5

        self.embedding.weight.copy_(0.5 * (vectors @ projection()).reshape(q * k, -1))
        self.heads.copy_(0.02 * (vectors @ projection()))

    def new_cache(self, batch: int) -> KVCache:
        """An empty cache for ``batch`` streams of up to ``context`` tokens."""
        return KVCache(self.config, batch, self.heads.device, self.heads.dtype)

    def forward(self, tokens: Tensor, cache: KVCache | None = None) -> Tensor:
        """``[B, T] → [B, T, K]``. With a cache, ``tokens`` are the new ones only and follow those in the cache.

        Raises:
            ValueError: if cache and tokens together are longer than the context.
        """
        start = 0 if cache is None else cache.length
        stop = start + tokens.shape[1]
        if stop > self.config.context:
            raise ValueError(f"{stop} tokens do not fit the context of {self.config.context}")
        q = self.config.num_quantizers
        levels = torch.arange(start, stop, device=tokens.device) % q
        x = F.dropout(self.embedding(tokens + levels * self.config.codebook_size), self.config.dropout, self.training)
        cosine, sine = self.get_buffer("cosine")[start:stop], self.get_buffer("sine")[start:stop]
        for layer, block in enumerate(self.blocks):
            x = block(x, cosine, sine, cache, layer)
        if cache is not None:
            cache.length = stop
        return self._score(self.norm(x), start)

    def _score(self, x: Tensor, start: int) -> Tensor:
        """Every token's vector by the head of the level that comes next: ``[B, T, H] → [B, T, K]``."""
        b, t, h = x.shape
        q = self.config.num_quantizers
        if t == 1:
            return x @ self.heads[(start + 1) % q].T
        # Pad to whole positions so that all tokens of a level meet their head in one product.
        before = start % q
        after = -(before + t) % q
        grouped = F.pad(x, (0, 0, before, after)).view(b, -1, q, h)
        logits = torch.einsum("bsqh,qkh->bsqk", grouped, self.heads.roll(-1, dims=0))
        return logits.reshape(b, -1, self.config.codebook_size)[:, before : before + t]
