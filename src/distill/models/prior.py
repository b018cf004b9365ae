"""The prior: a small transformer over positions, and within each position a small network over its levels.

    codes        p0q0 p0q1 p0q2 p0q3 | p1q0 p1q1 …        flattened, position by position
    backbone     start → h0, p0 → h1, p1 → h2, …           causal attention: one input a position, not one a token
    levels       h1 → p1q0;  h1 + p1q0 → p1q1;  h1 + p1q0 + p1q1 → p1q2; …

Every token is predicted from all tokens before it, as in one long transformer; but attention runs over a Q-th of the length,
so a second of context costs a Q²-th of the attention, and drawing a position costs one backbone step instead of Q. The two
parts are the idea of the RQ-Transformer (Lee et al. 2022, arXiv:2203.01941). Blocks are pre-norm with rotary positions (Su et
al. 2021, arXiv:2104.09864).

Sounds last: in a steady texture, seven in ten coarse codes repeat the code before, and most others are similar to it. A
transformer takes long to learn that, so each level also takes as input the code it had at the position before, and predicts how
much to favour that code, or one like it, again (docs/prior.md: worth 0.5 to 0.9 bits a code).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.models.config import PriorConfig
from distill.models.dropout import dropout


class PriorCache:
    """What the prior has computed from the tokens so far, for ``batch`` streams.

    Keys and values of every layer; the vector that the next position is drawn from; and the tokens of a position that is not
    complete yet.
    """

    def __init__(self, prior: "CodePrior", batch: int) -> None:
        config, heads = prior.config, prior.heads
        inputs = config.context_positions + 2  # the start, and one more start for what lies ahead
        shape = (config.num_layers, 2, batch, config.num_heads, inputs, config.hidden_size // config.num_heads)
        self.memory = heads.new_zeros(shape)
        """Keys and values: ``[layers, 2, B, heads, positions, head size]``."""
        self.inputs = 0
        """Backbone inputs so far, the start included."""
        self.ahead = 0
        """Backbone inputs that lie ahead in time (:meth:`CodePrior.look_ahead`)."""
        self.since: Tensor | None = None
        """The position that each stream begins with, ``[B]``; None where all begin with the first."""
        self.previous = torch.full((batch, 1, config.num_quantizers), -1, dtype=torch.int64, device=heads.device)
        """The last complete position: ``[B, 1, Q]``; -1 before there is one."""
        self.pending = torch.zeros(batch, 0, dtype=torch.int64, device=heads.device)
        """Tokens of the unfinished position: ``[B, 0..Q-1]``."""
        self.below = heads.new_zeros(batch, config.hidden_size)
        """The sum of their embeddings: ``[B, H]``."""
        self.hidden = heads.new_zeros(batch, config.hidden_size)
        """The vector that the next position is drawn from: ``[B, H]``."""
        self.squares = heads.square().sum(dim=2)
        """Squared lengths of the heads, which do not change while tokens are drawn: ``[Q, K]``."""
        self._tokens_a_position = config.num_quantizers

    @property
    def length(self) -> int:
        """Tokens seen."""
        return max(0, self.inputs - self.ahead - 1) * self._tokens_a_position + self.pending.shape[1]

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends ``[B, heads, n, head size]`` to one layer and gives all keys and values so far, ``[B, heads, inputs + n, head
        size]`` each; ``inputs`` moves when the backbone is through."""
        stop = self.inputs + keys.shape[2]
        so_far = self.memory[layer, :, :, :, :stop]
        so_far[0, :, :, self.inputs :], so_far[1, :, :, self.inputs :] = keys, values
        return so_far[0], so_far[1]


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turns pairs of features of ``[..., T, head size]`` by their position's angle; ``cosine`` and ``sine`` ``[T, head size]``.

    Feature i forms a pair with feature i + head size / 2; ``sine`` carries the sign of the half it belongs to.
    """
    return x * cosine + x.roll(x.shape[-1] // 2, dims=-1) * sine


def _at(since: Tensor, count: int) -> Tensor:
    """Where among ``count`` inputs each stream has its start: bool ``[B, count, 1]``."""
    return (torch.arange(count, device=since.device) == since[:, None])[..., None]


def _seen(cache: PriorCache, count: int) -> Tensor | None:
    """Which inputs are attended to by ``count`` new ones behind those of the cache: bool, of a shape that broadcasts to
    ``[B, heads, count, keys]``; None where each sees all that there is so far."""
    is_behind = count > 1 and cache.inputs > 0
    if cache.since is None and not is_behind:
        return None
    device = cache.memory.device
    query = torch.arange(cache.inputs, cache.inputs + count, device=device)[:, None]
    key = torch.arange(cache.inputs + count, device=device)
    if cache.since is None:
        return key <= query
    since = cache.since[:, None, None, None]
    # What comes before a stream sees itself: of nothing at all, there is no mean.
    return (key <= query) & ((key >= since) | (query < since))


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

    def forward(
        self, x: Tensor, cosine: Tensor, sine: Tensor, seen: Tensor | None, cache: PriorCache | None, layer: int
    ) -> Tensor:
        """``seen``, bool ``[..., T, keys]``, says which inputs each one attends to; None: itself and all before it."""
        b, t, h = x.shape
        qkv = self.query_key_value(self.attention_norm(x)).view(b, t, 3, self.num_heads, self.head_size)
        qkv = qkv.permute(2, 0, 3, 1, 4)  # [3, B, heads, T, head size]
        query, key = _rotate(qkv[:2], cosine, sine).unbind(0)
        value = qkv[2]
        if cache is not None:
            key, value = cache.extend(layer, key, value)
        # No dropout on the attention itself: it would rule out the fused kernels.
        attended = F.scaled_dot_product_attention(query, key, value, seen, is_causal=seen is None and t > 1)
        x = x + self._drop(self.attention_out(attended.transpose(1, 2).reshape(b, t, h)))
        return x + self._drop(self.contract(F.gelu(self.expand(self.mlp_norm(x)), approximate="tanh")))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


class CodePrior(nn.Module):
    """Next-token prediction over flattened codes.

    ``[B, T]`` token ids (0..K-1) ``→ [B, T, K]`` logits; the logits at ``t`` are of the token at ``t + 1``.
    """

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        q, k, h = config.num_quantizers, config.codebook_size, config.hidden_size
        self.embedding = nn.Embedding(q * k, h)  # row level·K + id
        self.start = nn.Parameter(torch.zeros(h))
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(h)
        self.within = nn.Linear(h, h, bias=False)  # passes what the levels below are to those above
        self.level_norm = nn.LayerNorm(h)
        self.level_expand = nn.Parameter(torch.empty(q, h, 2 * h))
        self.level_contract = nn.Parameter(torch.empty(q, 2 * h, h))
        self.head_norm = nn.LayerNorm(h)
        self.heads = nn.Parameter(torch.empty(q, k, h))  # heads[l] scores the tokens of level l
        # How much the code before is favoured again, and codes like it.
        self.persistence = nn.Parameter(torch.empty(q, h, 2))
        self.persistence_bias = nn.Parameter(torch.empty(q, 2))
        self.transposed = nn.Parameter(torch.zeros(h))  # marks transposed views in training; model files do without it
        head_size = h // config.num_heads
        frequency = 10_000.0 ** (-torch.arange(0, head_size, 2).float() / head_size)
        angle = torch.outer(torch.arange(config.context_positions + 1).float(), frequency)
        self.register_buffer("cosine", torch.cat([angle.cos(), angle.cos()], dim=1), persistent=False)
        self.register_buffer("sine", torch.cat([-angle.sin(), angle.sin()], dim=1), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim >= 2:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
            if name == "persistence_bias":
                nn.init.ones_(parameter)
            if name.endswith(("attention_out.weight", "contract.weight", "level_contract")):
                # Residual branches start small, the more so the deeper the stack: GPT-2's scaling.
                nn.init.normal_(parameter, std=0.02 / (2 * self.config.num_layers) ** 0.5)
        nn.init.eye_(self.within.weight)

    @torch.no_grad()
    def start_from_codebooks(self, codebooks: Tensor) -> None:
        """Starts embeddings and heads from the vectors ``[Q, K, C]`` that the codec's codes stand for.

        Codes that sound alike then begin alike, which a small corpus cannot teach (docs/prior.md).
        """
        q, k, c = codebooks.shape
        vectors = codebooks / codebooks.std(dim=(1, 2), keepdim=True).clamp(min=1e-6)
        generator = torch.Generator().manual_seed(0)

        def projection() -> Tensor:
            return torch.randn(c, self.config.hidden_size, generator=generator).to(codebooks) / c**0.5

        self.embedding.weight.copy_(0.5 * (vectors @ projection()).reshape(q * k, -1))
        self.heads.copy_(0.02 * (vectors @ projection()))

    def new_cache(self, batch: int) -> PriorCache:
        """An empty cache for ``batch`` streams of up to ``context`` tokens."""
        return PriorCache(self, batch)

    def forward(
        self,
        tokens: Tensor,
        cache: PriorCache | None = None,
        known_from: int | None = None,
        since: Tensor | None = None,
        transposed: Tensor | None = None,
    ) -> Tensor:
        """``[B, T] → [B, T, K]``. With a cache, ``tokens`` are the new ones only and follow those in the cache.

        Streams of one cache may begin at different positions: with ``since [B]``, given with the first tokens, no stream
        attends to what comes before its own first position, and the logits there mean nothing.

        With ``known_from`` the positions from that one on come first in the attention, so that all before them can attend to
        what is to come; they themselves attend only to each other. Without it, every token depends on those before it alone.

        In training, ``transposed``, bool ``[B]``, says which sequences are of transposed views, so that new audio is as the
        others: an augmentation that the network is told does not leak (Karras et al. 2022, arXiv:2206.00364).

        Raises:
            ValueError: if cache and tokens together are longer than the context.
        """
        q = self.config.num_quantizers
        total = tokens.shape[1] + (0 if cache is None else cache.length)
        if total > self.config.context:
            raise ValueError(f"{total} tokens do not fit the context of {self.config.context}")
        if cache is not None and cache.length and tokens.shape[1] == 1:
            return self._after(tokens[:, 0], cache)[:, None]
        if cache is not None and since is not None:
            cache.since = since
        pending = 0 if cache is None else cache.pending.shape[1]
        line = tokens if cache is None else torch.cat([cache.pending, tokens], dim=1)
        complete = line.shape[1] // q
        # Pad to whole positions, and one further for what comes after a complete one; no padding reaches a logit that is kept.
        grid = F.pad(line, (0, (complete + 1) * q - line.shape[1])).unflatten(1, (complete + 1, q))
        embedded = dropout(self._embed(grid), self.config.dropout, self.training)
        positions = embedded[:, :complete].sum(dim=2)
        if transposed is not None:
            positions = positions + transposed[:, None, None] * self.transposed
        hidden = self._backbone(positions, cache, known_from)  # [B, S, H]
        first = grid.new_full((len(grid), 1, q), -1) if cache is None else cache.previous
        previous = torch.cat([first, grid[:, :-1]], dim=1)  # [B, S, Q]
        if known_from is not None and 0 < known_from < previous.shape[1]:
            previous[:, known_from] = -1  # in the attention it comes before what precedes it in time
        if since is not None:
            previous = previous.masked_fill(_at(since, previous.shape[1]), -1)
        if cache is not None:
            cache.hidden, cache.pending = hidden[:, -1], line[:, complete * q :]
            cache.previous, cache.below = previous[:, -1:], embedded[:, -1, : line.shape[1] % q].sum(dim=1)
        return self._score(hidden, embedded, previous).flatten(1, 2)[:, pending + 1 : line.shape[1] + 1]

    def _after(self, token: Tensor, cache: PriorCache) -> Tensor:
        """The logits ``[B, K]`` after one more token ``[B]`` a stream."""
        level, levels = cache.pending.shape[1], self.config.num_quantizers
        cache.below = cache.below + F.embedding(token + level * self.config.codebook_size, self.embedding.weight)
        cache.pending = torch.cat([cache.pending, token[:, None]], dim=1)
        if level < levels - 1:
            previous = cache.previous[:, 0, level + 1]
            return self.score_level(cache.hidden, cache.below, previous, level + 1, cache.squares[level + 1])
        cache.hidden = self._backbone(cache.below[:, None], cache)[:, -1]
        cache.previous, cache.pending = cache.pending[:, None], cache.pending[:, :0]
        cache.below = torch.zeros_like(cache.below)
        return self.score_level(cache.hidden, cache.below, cache.previous[:, 0, 0], 0, cache.squares[0])

    def look_ahead(self, codes: Tensor, first: int, cache: PriorCache) -> None:
        """Puts the codes ``[B, S, Q]`` of what is to come from position ``first`` on into an empty cache.

        Raises:
            ValueError: if the cache is not empty, or the context too short for it.
        """
        stop = first + codes.shape[1]
        if cache.inputs or stop * self.config.num_quantizers > self.config.context:
            raise ValueError(f"positions {first} to {stop} do not fit an empty cache of {self.config.context} tokens")
        b = codes.shape[0]
        x = torch.cat([self.start.expand(b, 1, -1), self._embed(codes).sum(dim=2)], dim=1)
        self._run(x, torch.arange(first, stop + 1, device=codes.device), cache)
        cache.ahead = cache.inputs

    def _embed(self, codes: Tensor) -> Tensor:
        """Codes ``[B, S, Q] →`` a vector each, ``[B, S, Q, H]``; their sum over the levels is a position's."""
        levels = torch.arange(self.config.num_quantizers, device=codes.device)
        embedded: Tensor = self.embedding(codes + levels * self.config.codebook_size)
        return embedded

    def _backbone(self, positions: Tensor, cache: PriorCache | None, known_from: int | None = None) -> Tensor:
        """Embedded positions ``[B, S, H] →`` the vectors that those positions' successors are drawn from.

        The first of ``[B, S + 1, H]`` is of the first position given: from the start vector, or from the cache.
        """
        b = positions.shape[0]
        begun = 0 if cache is None else cache.inputs - cache.ahead
        x = positions if begun else torch.cat([self.start.expand(b, 1, -1), positions], dim=1)
        if not begun and cache is not None and cache.since is not None:
            x = torch.where(_at(cache.since, x.shape[1]), self.start, x)
        places = torch.arange(begun, begun + x.shape[1], device=x.device)
        if known_from is not None and 0 < known_from < x.shape[1]:
            # What is known beforehand gets a start of its own and comes first; its places in time stay what they are.
            x = torch.cat([self.start.expand(b, 1, -1), x[:, known_from + 1 :], x[:, :known_from]], dim=1)
            x = self._run(x, places.roll(-known_from), None)
            return x.roll(known_from, dims=1)
        if x.shape[1]:
            x = self._run(x, places, cache)
        return x if cache is None or not begun else torch.cat([cache.hidden[:, None], x], dim=1)

    def _run(self, x: Tensor, places: Tensor, cache: PriorCache | None) -> Tensor:
        """Inputs ``[B, S, H]`` at their places in time ``[S]`` through the blocks."""
        cosine, sine = self.get_buffer("cosine")[places], self.get_buffer("sine")[places]
        seen = None if cache is None else _seen(cache, x.shape[1])
        for layer, block in enumerate(self.blocks):
            x = block(x, cosine, sine, seen, cache, layer)
        if cache is not None:
            cache.inputs += x.shape[1]
        normed: Tensor = self.norm(x)
        return normed

    def _score(self, hidden: Tensor, embedded: Tensor, previous: Tensor) -> Tensor:
        """Logits of every level of every position, each knowing the levels below: ``[B, S, Q, K]``.

        ``hidden [B, S, H]`` is what came before the position, ``embedded [B, S, Q, H]`` the position itself, and ``previous``
        ``[B, S, Q]`` the codes of the position before it.
        """
        b, s, q, h = embedded.shape
        below = F.pad(embedded.cumsum(dim=2)[:, :, :-1], (0, 0, 1, 0))
        x = (hidden[:, :, None] + self.within(below)).permute(2, 0, 1, 3).reshape(q, b * s, h)
        x = x + F.gelu(self.level_norm(x) @ self.level_expand, approximate="tanh") @ self.level_contract
        x = self.head_norm(x)
        wish = x @ self.persistence + self.persistence_bias[:, None]  # [Q, B·S, 2]
        before = previous.permute(2, 0, 1).reshape(q, b * s)
        logits = [self._level_logits(*level) for level in zip(x, wish, before, self.heads, strict=True)]
        return torch.stack(logits).view(q, b, s, -1).permute(1, 2, 0, 3)

    def score_level(
        self, hidden: Tensor, below: Tensor, previous: Tensor, level: int, squares: Tensor | None = None
    ) -> Tensor:
        """The same as :meth:`_score` for one level: ``hidden [B, H]``, the sum of the levels below ``[B, H] → [B, K]``.

        ``squares`` are the level's of the cache, which need not be computed again then.
        """
        x = hidden + self.within(below)
        x = x + F.gelu(self.level_norm(x) @ self.level_expand[level], approximate="tanh") @ self.level_contract[level]
        x = self.head_norm(x)
        wish = x @ self.persistence[level] + self.persistence_bias[level]
        return self._level_logits(x, wish, previous, self.heads[level], squares)

    @staticmethod
    def _level_logits(
        x: Tensor, wish: Tensor, previous: Tensor, heads: Tensor, squares: Tensor | None = None
    ) -> Tensor:
        """Logits ``[n, K]`` of ``x [n, H]``, raised for the code before (``previous [n]``, -1 for none) and for those like it.

        ``wish [n, 2]`` says by how much. Codes are alike as their heads are: -|a - b|²/2 = a·b - |b|²/2 - |a|²/2, of which
        the last is the same for all b, and the first joins the product that is taken anyway.
        """
        there = (previous >= 0)[:, None]
        before = previous.clamp(min=0)
        square = heads.square().sum(dim=1) if squares is None else squares
        closeness = wish[:, 1:] * there / square.mean()
        logits = (x + closeness * heads[before]) @ heads.T - closeness * square / 2
        return logits.scatter_add(1, before[:, None], wish[:, :1] * there)
