"""Trains the base prior from which all other priors start, by hand, for a release (docs/base-prior.md).

    python benchmarks/base_prior.py FOLDER src/distill/models/base_prior.safetensors --codecs CODECS --minutes 60

CODECS is a folder of model files. A prior over the codes of one codec would learn that codec's ways as well, so several of
them take turns, each trained on other sounds of FOLDER (``distill train``). Half of the steps know the codes only by what they
sound like, the other half also by vectors of their own, which are thrown away in the end. Codes are kept beside the codecs.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from distill.audio.corpus import import_corpus
from distill.audio.split import whole_recordings
from distill.codes.extract import encode_view
from distill.codes.heard import Description, entries_heard, linear_map
from distill.codes.views import View
from distill.models.base_prior import CodeMaps, load_base_prior, save_base_prior
from distill.models.config import PriorConfig
from distill.models.model_file import load_model
from distill.models.prior import CodePrior
from distill.training.plan import PriorPlan
from distill.training.prior_data import CodeViews
from distill.training.prior_loop import parameter_groups

OWN_SHARE = 0.5
"""Share of the steps in which codes have vectors of their own as well."""
OWN_DECAY = 1.0
"""Weight decay of these: they are to hold no more than what the descriptions cannot say."""
FINAL_SHARE = 0.3
"""The last share of the time, in which the learning rate falls."""
POSITIONS = 281
"""Of a sequence: six seconds."""
SAVE_EVERY_S = 180.0
LISTENED_TO = 3
"""Of so many recordings one tells what a codec's codes sound like."""


@dataclass(frozen=True)
class Coded:
    """All recordings in the codes of one codec."""

    codes: list[Tensor]
    """int16 ``[S, Q]`` each, one view after another."""
    passages: int
    heard: Tensor
    """``[Q, K, D]``."""
    spread: Tensor
    """``[D]``: how much the descriptions of these recordings vary."""


def encoded(codec_path: Path, folder: Path, number: int, views: int) -> Coded:
    """The recordings in a codec's codes, kept in a file beside it; ``number`` decides which views after the first."""
    model = load_model(codec_path)
    codec = model.codec
    passages = whole_recordings(import_corpus(folder, channels=codec.channels).recordings)
    kept = codec_path.with_suffix(".codes.safetensors")
    tensors = safetensors.torch.load_file(kept) if kept.exists() else {}
    while len(tensors) < views * len(passages):
        view, passage = divmod(len(tensors), len(passages))
        seen = View.numbered(view and view + number, codec.hop, PriorPlan().transpose)
        blocks = passages[passage].blocks(codec.channels)
        tensors[f"{len(tensors):06}"] = encode_view(codec, blocks, seen).to(torch.int16)
        if len(tensors) % len(passages) == 0:
            safetensors.torch.save_file(tensors, kept)
    codes = [tensors[name] for name in sorted(tensors)][: views * len(passages)]
    describe = Description(codec.hop)
    descriptions: list[Tensor] = []

    def told(audio: Tensor) -> Tensor:
        descriptions.append(describe(audio))
        return descriptions[-1]

    some = slice(number % LISTENED_TO, len(passages), LISTENED_TO)
    table = linear_map(codec, passages[some], codes[: len(passages)][some], told)
    print(f"{codec_path.stem}: {len(codes)} lines of codes, {codec.channels} channels", flush=True)
    return Coded(
        codes, len(passages), entries_heard(codec.quantizer.codebooks, table), torch.cat(descriptions).std(dim=0)
    )


def batches(coded: Coded, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of token sequences, from random places on, without end."""
    views = CodeViews(lambda passage, view: coded.codes[0], coded.passages, coded.codes)
    while True:
        tokens = views.sequences(50 * PriorPlan().batch_size, POSITIONS, generator)
        yield from tokens[torch.randperm(len(tokens), generator=generator)].split(PriorPlan().batch_size)


def train_base_prior(corpora: list[Coded], out: Path, minutes: float, begin: Path | None = None, seed: int = 0) -> int:
    """Trains on all of them in turns and writes the base to ``out`` every few minutes; gives the steps taken."""
    torch.manual_seed(seed)
    plan, generator = PriorPlan(seed=seed), torch.Generator().manual_seed(seed)
    config = PriorConfig(context=POSITIONS * PriorConfig().num_quantizers)
    prior = CodePrior(config).train()
    spread = torch.stack([one.spread for one in corpora]).mean(dim=0)
    maps = CodeMaps(config, spread, generator) if begin is None else load_base_prior(begin, prior)
    own = [nn.ParameterList([torch.zeros_like(table) for table in maps(one.heard)]).requires_grad_() for one in corpora]
    groups = [
        *parameter_groups(prior),
        {"params": list(maps.parameters())},
        {"params": [table for tables in own for table in tables], "weight_decay": OWN_DECAY},
    ]
    optimizer = torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.95), fused=True)
    everything = [parameter for group in groups for parameter in group["params"]]
    sources = [batches(one, generator) for one in corpora]
    started = saved = time.monotonic()
    step, losses = 0, [0.0] * len(corpora)
    while (share := (time.monotonic() - started) / (60 * minutes)) < 1:
        rate = plan.learning_rate * min(1.0, (step + 1) / 50) * min(1.0, (1 - share) / FINAL_SHARE + 0.02)
        for group in optimizer.param_groups:
            group["lr"] = rate
        turn = step % len(corpora)
        tokens = next(sources[turn])
        known_from = None
        if float(torch.rand(1, generator=generator)) < plan.infill_share:
            known_from = int(torch.randint(1, POSITIONS, (1,), generator=generator))
        tables = list(maps(corpora[turn].heard))
        if float(torch.rand(1, generator=generator)) < OWN_SHARE:
            tables = [table + extra for table, extra in zip(tables, own[turn], strict=True)]
        weights = {"embedding.weight": tables[0], "heads": tables[1]}
        logits = functional_call(prior, weights, (tokens[:, :-1],), {"known_from": known_from})
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(everything, 1.0)
        optimizer.step()
        step += 1
        losses[turn] = 0.95 * (losses[turn] or float(loss.detach())) + 0.05 * float(loss.detach())
        if time.monotonic() - saved > SAVE_EVERY_S:
            saved = time.monotonic()
            save_base_prior(out, prior, maps)
            said = ", ".join(f"{loss:.3f}" for loss in losses)
            print(f"{(saved - started) / 60:.0f} min, {step} steps, nats a code of each codec: {said}", flush=True)
    save_base_prior(out, prior, maps)
    return step


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description="Trains the base prior on a folder of public-domain sound.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--codecs", type=Path, required=True, help="a folder of model files")
    parser.add_argument("--views", type=int, default=2, help="in how many views each codec hears the recordings")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--begin", type=Path, help="a base prior to go on from")
    wanted = parser.parse_args()
    paths = sorted(wanted.codecs.glob("*.distill"))
    corpora = [encoded(path, wanted.folder, number, wanted.views) for number, path in enumerate(paths)]
    print(f"{train_base_prior(corpora, wanted.out, wanted.minutes, wanted.begin)} steps")


if __name__ == "__main__":
    main()
