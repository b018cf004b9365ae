"""How well a prior guesses held-out recordings, and how fast it is, beside what it has to beat.

    python benchmarks/prior.py loops --model loops.distill --minutes 2 8 30

Prints Markdown: bits per token and per second of held-out audio for the uniform guess, n-grams of orders 1 to 8 with
Witten-Bell smoothing, a plain transformer on one view of each recording, trained for the first of the minutes, and Distill's
prior, trained anew for each of them; then tokens per second in training and seconds of audio per second in sampling, both
beside a plain loop: one long transformer over single tokens, no cache, every token a full pass over the window.
"""

import argparse
import collections
import dataclasses
import functools
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.codes.extract import encode_blocks, extract_code_sequences
from distill.codes.layout import flatten_codes
from distill.making.drawing import Sampling, draw
from distill.making.sampling import generate
from distill.models.config import PriorConfig
from distill.models.model_file import Model, load_model
from distill.recordings.corpus import import_corpus
from distill.recordings.passages import Passage
from distill.sizes import prior_config_for
from distill.training.metrics import PriorStepMetrics, TrainingEvent
from distill.training.plan import PriorPlan
from distill.training.prior_data import split_of
from distill.training.prior_loop import train_prior

PLAN = PriorPlan(precision="auto")  # as the commands train
ORDERS = range(1, 9)


class WittenBell:
    """An n-gram over flattened codes; every level has its own statistics.

    Interpolated after Witten and Bell (1991): a context seen n times with t different successors keeps n / (n + t) of the
    probability for what it saw and leaves the rest to the next shorter context; the shortest falls back to the uniform guess.
    """

    def __init__(self, order: int, levels: int, codebook_size: int) -> None:
        self.order, self.levels, self.codebook_size = order, levels, codebook_size
        self.counts: dict[tuple[int, ...], collections.Counter[int]] = collections.defaultdict(collections.Counter)

    def learn(self, line: list[int]) -> None:
        """Counts the tokens of one recording."""
        for place, token in enumerate(line):
            for length in range(min(self.order, place + 1)):
                self.counts[self._context(line, place, length)][token] += 1

    def bits(self, line: list[int]) -> float:
        """Bits that one recording takes."""
        total = 0.0
        for place, token in enumerate(line):
            probability = 1 / self.codebook_size
            for length in range(min(self.order, place + 1)):
                seen = self.counts.get(self._context(line, place, length))
                if seen is None:
                    break
                share = len(seen) / (seen.total() + len(seen))
                probability = (1 - share) * seen[token] / seen.total() + share * probability
            total -= math.log2(probability)
        return total

    def _context(self, line: list[int], place: int, length: int) -> tuple[int, ...]:
        return (place % self.levels, *line[place - length : place])


class PlainTransformer(nn.Module):
    """What one would write first: GPT-2's blocks over single tokens, learned positions, one embedding and one head."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        vocabulary = config.num_quantizers * config.codebook_size
        self.tokens = nn.Embedding(vocabulary, config.hidden_size)
        self.positions = nn.Embedding(config.context, config.hidden_size)
        layer = nn.TransformerEncoderLayer(
            config.hidden_size, config.num_heads, 4 * config.hidden_size, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.num_layers, enable_nested_tensor=False)
        self.head = nn.Linear(config.hidden_size, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[B, T] → [B, T, K]``: of all entries those of the next token's level."""
        q, k = self.config.num_quantizers, self.config.codebook_size
        places = torch.arange(tokens.shape[1])
        x = self.tokens(tokens + places % q * k) + self.positions(places)
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        logits = self.head(self.layers(x, mask=mask, is_causal=True)).unflatten(-1, (q, k))
        return logits[:, places, (places + 1) % q]


def train_plain(config: PriorConfig, tokens: Tensor, held_out: Tensor, seconds: float) -> tuple[float, float]:
    """Trains the plain transformer on ``tokens [N, T]``; its best held-out bits per token, and tokens per second."""
    torch.manual_seed(0)
    model = PlainTransformer(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PLAN.learning_rate / 2, betas=(0.9, 0.95), weight_decay=0.1)
    best, started, learning, seen = math.inf, time.monotonic(), 0.0, 0
    while time.monotonic() - started < seconds:
        model.train()
        begun = time.monotonic()
        for chosen in torch.randperm(len(tokens)).split(PLAN.batch_size):
            rate = (1 + math.cos(math.pi * min(1.0, (time.monotonic() - started) / seconds))) / 2
            for group in optimizer.param_groups:
                group["lr"] = PLAN.learning_rate / 2 * rate
            batch = tokens[chosen]
            loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            seen += batch[:, 1:].numel()
        learning += time.monotonic() - begun
        model.eval()
        with torch.no_grad():
            losses = [
                F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten(), reduction="sum")
                for batch in held_out.split(PLAN.batch_size)
            ]
        best = min(best, float(sum(losses)) / held_out[:, 1:].numel() / math.log(2))
    return best, seen / learning


def sample_plainly(config: PriorConfig, positions: int) -> float:
    """Seconds that the plain transformer takes to draw ``positions`` without a cache."""
    model = PlainTransformer(config).eval()
    tokens = torch.zeros(1, config.num_quantizers, dtype=torch.int64)
    generator = torch.Generator().manual_seed(0)
    started = time.monotonic()
    with torch.inference_mode():
        while tokens.shape[1] < positions * config.num_quantizers:
            logits = model(
                tokens[:, -config.context + config.num_quantizers - tokens.shape[1] % config.num_quantizers :]
            )
            token = draw(logits[:, -1], Sampling(), torch.rand(1, generator=generator))
            tokens = torch.cat([tokens, token[:, None]], dim=1)
    return time.monotonic() - started


def sampling_speed(model: Model, count: int, seconds: float) -> float:
    """Seconds of codes drawn per second of wall time, ``count`` streams at once."""
    started = time.monotonic()
    generate(model, seconds, count)
    return count * seconds / (time.monotonic() - started)


def compare(model_path: Path, folder: Path, minutes: Sequence[float], orders: Sequence[int] = ORDERS) -> dict[str, Any]:
    """``guess``: rows of name, bits per token and per second; and speeds, Distill's and the plain ones'."""
    model = load_model(model_path)
    codec = model.codec
    corpus = import_corpus(folder, channels=codec.channels)
    split = split_of(model, corpus)
    config = prior_config_for(model, corpus, minutes[0])

    def coded(passages: Sequence[Passage]) -> list[list[int]]:
        grids = [encode_blocks(codec, passage.blocks(codec.channels)) for passage in passages]
        return [flatten_codes(codes[None])[0].tolist() for codes in grids]

    train, held_out = coded(split.train), coded(split.held_out)
    held_out_tokens = sum(map(len, held_out))
    rows = [("every code as likely", math.log2(codec.codebook_size))]
    for order in orders:
        ngram = WittenBell(order, codec.num_quantizers, codec.codebook_size)
        for line in train:
            ngram.learn(line)
        rows.append((f"{order}-gram" if order > 1 else "unigram", sum(map(ngram.bits, held_out)) / held_out_tokens))

    def sequences(passages: Sequence[Passage], views: int) -> Tensor:
        return flatten_codes(
            extract_code_sequences(
                codec,
                [functools.partial(passage.blocks, codec.channels) for passage in passages],
                config.context_positions,
                views=views,
            )
        )

    tokens, held_out_once = sequences(split.train, 1), sequences(split.held_out, 1)
    plain_bits, plain_pace = train_plain(config, tokens, held_out_once, 60 * minutes[0])
    rows.append((f"plain transformer, {minutes[0]:g} min", plain_bits))
    paces: list[float] = []

    def listen(event: TrainingEvent) -> None:
        if isinstance(event, PriorStepMetrics):
            paces.append(event.tokens / event.step_time_s)

    for budget in minutes:
        plan = dataclasses.replace(PLAN, minutes=budget)
        trained = train_prior(model_path, corpus, callback=listen, plan=plan, split=split)
        rows.append((f"Distill, {budget:g} min", math.log2(trained["prior_metadata"]["best_perplexity"])))
    model.prior, model.sources = trained["prior_model"], trained["sources"]
    a_second = codec.num_quantizers * codec.frame_rate
    return {
        "guess": [(name, bits, bits * a_second) for name, bits in rows],
        "training": (sorted(paces)[len(paces) // 2], plain_pace),
        "one stream": (sampling_speed(model, 1, 10), 4 / sample_plainly(config, round(4 * codec.frame_rate))),
        "eight streams": sampling_speed(model, 8, 10),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2.0])
    wanted = parser.parse_args()

    found = compare(wanted.model, wanted.folder, wanted.minutes)
    print(f"| {wanted.folder.name}: held-out guess | bits/token | bits/s |\n|---|---|---|")
    for name, bits, a_second in found["guess"]:
        print(f"| {name} | {bits:.2f} | {a_second:.0f} |")
    print("\n| speed | Distill | plain |\n|---|---|---|")
    print("| training, tokens/s | {:.0f} | {:.0f} |".format(*found["training"]))
    print("| one stream, audio s/s | {:.1f} | {:.2f} |".format(*found["one stream"]))
    print(f"| eight streams, audio s/s | {found['eight streams']:.1f} | |")


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
