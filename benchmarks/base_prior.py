"""Trains the base prior from which all other priors start, by hand, for a release (docs/base-prior.md).

    python benchmarks/base_prior.py FOLDER src/distill/models/base_prior.safetensors --codecs CODECS --minutes 60

A prior over the codes of one codec, or of seven, learns these codecs' ways as well. So none is seen for long. A small corpus
is drawn from FOLDER as a person might bring it: a few kinds of recordings, 40 s to 7 minutes. One of the model files in
CODECS listens to it in some view, and new codebooks are placed among what it heard. After a few steps the
next corpus takes its place. Codes are known only by what they sound like (``codes/descriptions.py``).

    encoder × view × recordings  →  latents  →  codebooks, new ones  →  codes            what is learned from
                                 →  sound    →  what each code sounds like  →  embeddings and heads, by the maps
"""

import argparse
import dataclasses
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from distill.audio.rate import SAMPLE_RATE
from distill.codes.descriptions import Description, entry_descriptions, least_squares
from distill.codes.views import View
from distill.models.base_prior import CodeMaps, load_base_prior, save_base_prior
from distill.models.config import PriorConfig
from distill.models.model_file import load_model
from distill.models.prior import CodePrior
from distill.models.quantizer import nearest
from distill.recordings.corpus import import_corpus
from distill.recordings.passages import Passage, whole_recordings
from distill.training.plan import PriorPlan
from distill.training.prior_data import CodeViews
from distill.training.prior_start import parameter_groups

CORPORA = 10
"""So many take turns."""
STEPS = (15, 35)
"""Steps for which a corpus is there."""
SECONDS = (40.0, 400.0)
"""How long corpora are."""
SHORT_SECONDS = 85.0
"""Shorter ones have codebooks half as large, as a person's have."""
MOST_KINDS = 4
EVERYTHING_SHARE = 0.3
"""Share of the corpora that are drawn from all kinds."""
KNOWN_SHARE = 0.85
"""Share of the recordings by which codebooks are placed: the others are to the codec as held-out ones are."""
PLACED_BY = 8000
"""So many positions place the codebooks at most."""
ROUNDS = 8
"""Of k-means."""
FINAL_SHARE = 0.35
"""The last share of the time, in which the learning rate falls."""
WARM_UP = 100
POSITIONS = 281
"""Of a sequence: six seconds."""
SAVE_EVERY_S = 180.0


@dataclass(frozen=True)
class Described:
    """All recordings as one codec hears them in one view."""

    latents: list[Tensor]
    """float16 ``[S, C]`` each."""
    descriptions: list[Tensor]
    """float16 ``[S, D]`` each."""
    kinds: dict[str, list[int]]
    """Which recordings are in each folder."""


def described_by(codec_path: Path, folder: Path, number: int, view: int) -> Described:
    """What the codec hears, kept in a file beside it. View 0 is the same for all; in the others each hears its own."""
    model = load_model(codec_path)
    codec = model.codec
    passages = whole_recordings(import_corpus(folder, channels=codec.channels).recordings)
    kept = codec_path.with_suffix(f".{view}.safetensors")
    if not kept.exists():
        seen = View.numbered(view and 2 * (view * 100 + number) + 1, codec.hop, PriorPlan().transpose)
        describe = Description(codec.hop)
        parts: dict[str, list[Tensor]] = {"latents": [], "descriptions": []}
        for passage in passages:
            audio = _seen(passage, seen, codec.channels)
            described = describe(audio.mean(dim=0))
            with torch.no_grad():
                latents = codec.latents(audio[None])[0, : len(described)]
            parts["latents"].append(latents.half())
            parts["descriptions"].append(described.half())
        together = {name: torch.cat(one) for name, one in parts.items()}
        together["lengths"] = torch.tensor([len(part) for part in parts["latents"]])
        safetensors.torch.save_file(together, kept)
        print(f"{codec_path.stem}, view {view}: {len(together['latents'])} positions", flush=True)
    tensors = safetensors.torch.load_file(kept)
    lengths: list[int] = tensors["lengths"].tolist()
    kinds: dict[str, list[int]] = {}
    for index, passage in enumerate(passages):
        kinds.setdefault(passage.recording.name.split("/")[0], []).append(index)
    return Described(list(tensors["latents"].split(lengths)), list(tensors["descriptions"].split(lengths)), kinds)


def _seen(passage: Passage, view: View, channels: int) -> Tensor:
    blocks = view.of(passage.blocks(channels), channels, SAMPLE_RATE)
    return torch.from_numpy(np.ascontiguousarray(np.concatenate(list(blocks), axis=1)))


class SmallCorpus:
    """Some of the recordings, in the codes of codebooks of their own."""

    def __init__(
        self, recordings: Described, frame_rate: float, draw_from: random.Random, generator: torch.Generator
    ) -> None:
        wanted = frame_rate * math.exp(draw_from.uniform(*map(math.log, SECONDS)))
        chosen = _some(recordings, wanted, draw_from)
        latents = [recordings.latents[index].float() for index in chosen]
        descriptions = [recordings.descriptions[index].float() for index in chosen]
        positions = sum(map(len, latents))
        entries = PriorConfig().codebook_size // (2 if positions < SHORT_SECONDS * frame_rate else 1)
        known = [index for index in range(len(chosen)) if draw_from.random() < KNOWN_SHARE]
        if sum(len(latents[index]) for index in known) < 2 * entries:
            known = list(range(len(chosen)))
        vectors = torch.cat([latents[index] for index in known])
        self.codebooks = codebooks(vectors, PriorConfig().num_quantizers, entries, generator)
        codes = [nearest(one[None], self.codebooks)[1][0].short() for one in latents]
        sounds = torch.cat([descriptions[index] for index in known])
        table = least_squares(nearest(vectors[None], self.codebooks)[0][0], sounds)
        self.descriptions = entry_descriptions(self.codebooks, table)
        """``[Q, K, D]``"""
        self.spread = sounds.std(dim=0)
        """``[D]``: how much the descriptions vary."""
        views = CodeViews(lambda passage, view: codes[passage], len(codes), codes)
        batch, steps = PriorPlan().batch_size, draw_from.randint(*STEPS)
        self.batches = list(views.sequences(steps * batch, POSITIONS, generator)[0].split(batch))
        """Token sequences ``[B, T]``, from random places on; each is taken once."""


def _some(recordings: Described, wanted: float, draw_from: random.Random) -> list[int]:
    """Recordings of a few kinds, or of any, until there are so many positions."""
    kinds = sorted(recordings.kinds)
    draw_from.shuffle(kinds)
    few = draw_from.randint(1, MOST_KINDS)
    order = [index for kind in kinds[:few] for index in recordings.kinds[kind]]
    others = [index for kind in kinds[few:] for index in recordings.kinds[kind]]
    if draw_from.random() < EVERYTHING_SHARE:
        order, others = order + others, []
    draw_from.shuffle(order)
    order = [index for index in order + others if len(recordings.latents[index]) > 1]
    ends = list(accumulate(len(recordings.latents[index]) for index in order))
    return order[: 1 + sum(end < wanted for end in ends)]


def codebooks(vectors: Tensor, levels: int, entries: int, generator: torch.Generator) -> Tensor:
    """Codebooks ``[Q, K, C]`` for vectors ``[n, C]``: k-means level by level, each on what the ones before left over."""
    left = vectors[torch.randperm(len(vectors), generator=generator)[:PLACED_BY]]
    found = []
    for _ in range(levels):
        book = left[torch.randperm(len(left), generator=generator)[:entries]]
        for _ in range(ROUNDS):
            owner = _owner(left, book)
            counts = torch.bincount(owner, minlength=entries)[:, None]
            sums = torch.zeros_like(book).index_add_(0, owner, left)
            anew = left[torch.randint(len(left), (entries,), generator=generator)]
            book = torch.where(counts > 0, sums / counts.clamp(min=1), anew)
        found.append(book)
        left = left - book[_owner(left, book)]
    return torch.stack(found)


def _owner(vectors: Tensor, book: Tensor) -> Tensor:
    return (book.square().sum(dim=1) / 2 - vectors @ book.T).argmin(dim=1)


def train_base_prior(
    codecs: Sequence[Described], frame_rate: float, out: Path, minutes: float, begin: Path | None = None, seed: int = 0
) -> int:
    """Trains on corpora drawn from all of them and writes the base to ``out`` every few minutes; gives the steps taken."""
    torch.manual_seed(seed)
    plan, generator, draw_from = PriorPlan(seed=seed), torch.Generator().manual_seed(seed), random.Random(seed)

    def corpus() -> SmallCorpus:
        return SmallCorpus(draw_from.choice(codecs), frame_rate, draw_from, generator)

    corpora = [corpus() for _ in range(CORPORA)]
    config = PriorConfig(context=POSITIONS * PriorConfig().num_quantizers)
    prior = CodePrior(config).train()
    spread = torch.stack([one.spread for one in corpora]).mean(dim=0)
    maps = CodeMaps(config, spread, generator) if begin is None else load_base_prior(begin, prior)
    groups = [*parameter_groups(prior), {"params": list(maps.parameters())}]
    optimizer = torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.95), fused=True)
    everything = [parameter for group in groups for parameter in group["params"]]
    started = saved = time.monotonic()
    step, mean = 0, 0.0
    while (share := (time.monotonic() - started) / (60 * minutes)) < 1:
        rate = plan.learning_rate * min(1.0, (step + 1) / WARM_UP) * min(1.0, (1 - share) / FINAL_SHARE + 0.02)
        for group in optimizer.param_groups:
            group["lr"] = rate
        turn = step % CORPORA
        if not corpora[turn].batches:
            corpora[turn] = corpus()
        tokens, books = corpora[turn].batches.pop(), corpora[turn].codebooks
        positions = tokens.shape[1] // len(books)
        known_from = draw_from.randint(1, positions - 1) if draw_from.random() < plan.infill_share else None
        embedding, heads = maps(corpora[turn].descriptions)
        prior.config = dataclasses.replace(config, codebook_size=books.shape[1])
        weights = {"embedding.weight": embedding, "heads": heads}
        logits = functional_call(prior, weights, (tokens[:, :-1],), {"known_from": known_from})
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(everything, 1.0)
        optimizer.step()
        step += 1
        mean += (float(loss.detach()) - mean) / min(step, 300)
        if time.monotonic() - saved > SAVE_EVERY_S:
            saved = time.monotonic()
            save_base_prior(out, prior, maps)
            print(f"{(saved - started) / 60:.0f} min, {step} steps, {mean:.3f} nats a code", flush=True)
    save_base_prior(out, prior, maps)
    if begin is not None:
        safetensors.torch.save_file(half_way(safetensors.torch.load_file(begin), safetensors.torch.load_file(out)), out)
    return step


def half_way(begun: dict[str, Tensor], ended: dict[str, Tensor]) -> dict[str, Tensor]:
    """The mean of two bases' weights, which knows most of what both know (Wortsman et al. 2021, arXiv:2109.01903)."""
    return {name: ((begun[name].float() + ended[name].float()) / 2).half() for name in ended}


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description="Trains the base prior on a folder of public-domain sound.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--codecs", type=Path, required=True, help="a folder of model files")
    parser.add_argument("--views", type=int, default=6, help="in how many views each codec hears the recordings")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--begin", type=Path, help="a base prior to go on from; the mean of both is written in the end")
    wanted = parser.parse_args()
    paths = sorted(wanted.codecs.glob("*.distill"))
    codecs = [
        described_by(path, wanted.folder, number, view)
        for view in range(wanted.views)
        for number, path in enumerate(paths)
    ]
    frame_rate = load_model(paths[0]).codec.frame_rate
    print(f"{train_base_prior(codecs, frame_rate, wanted.out, wanted.minutes, wanted.begin)} steps")


if __name__ == "__main__":
    main()
