"""What a prior learns from: a corpus as codes, encoded by the frozen codec of a model file."""

import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distill.audio.corpus import Corpus
from distill.audio.split import Passage, Split
from distill.codes.extract import encode_blocks, extract_code_sequences
from distill.codes.layout import flatten_codes
from distill.errors import SettingError
from distill.models import ranks
from distill.models.model_file import Model, Source
from distill.models.prior import PriorConfig
from distill.models.vqvae import ConvVQVAE
from distill.training.metrics import ExtractionProgress, MetricsCallback

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from distill.training.prior_loop import PriorPlan


@dataclass(frozen=True)
class PriorData:
    """What the prior trains on and what it is validated on; the same for the same codec, split, config and plan."""

    tokens: Tensor
    """Sequences to train on ``[N, T]``; those of a tiny corpus several times over, for the plan's least steps."""
    held_out: Tensor
    """Held-out sequences ``[n, T]``."""
    sources: tuple[Source, ...]
    """The passages as they are, unshifted, for the model file."""
    views: int
    """The number of ways the recordings were encoded in."""

    @classmethod
    def of(
        cls,
        model: Model,
        split: Split,
        config: PriorConfig,
        plan: "PriorPlan",
        views: int | None,
        fabric: "Fabric",
        callback: MetricsCallback,
    ) -> "PriorData":
        """Encodes everything once, with the frozen codec.

        Args:
            views: how many an earlier run took; as many as the plan says and its minutes allow if not given.
        """
        encode = _Encoder(model.codec, config, plan.seed, fabric.device, callback)
        started = time.monotonic()
        held_out = encode.sequences(split.held_out, views=1)
        if views is None:
            pace = (time.monotonic() - started) / sum(passage.seconds for passage in split.held_out)
            a_view = pace * sum(passage.seconds for passage in split.train)
            allowed = math.inf if plan.minutes is None else plan.extraction_share * plan.minutes * 60
            views = max(1, int(min(plan.views, allowed / max(a_view, 1e-6))))
        tokens = encode.sequences(split.train, views, plan.transpose)
        # With split kind "none" both are the same passages; they were all trained on.
        kept_aside = split.held_out if split.kind != "none" else ()
        sources = (*encode.sources(split.train, held_out=False), *encode.sources(kept_aside, held_out=True))
        # A tiny corpus is gone through several times an epoch, or validation would take most of the time.
        repeats = max(1, plan.least_steps * ranks.size() * plan.batch_size // len(tokens))
        return cls(tokens.repeat(repeats, 1), held_out, sources, views)


@dataclass(frozen=True)
class _Encoder:
    """Passages to codes, by a frozen codec."""

    codec: ConvVQVAE
    config: PriorConfig
    seed: int
    device: torch.device
    callback: MetricsCallback

    def sequences(self, passages: Sequence[Passage], views: int, transpose: int = 0) -> Tensor:
        """Token sequences ``[N, T]`` of all passages, each encoded in ``views`` ways."""
        codes = extract_code_sequences(
            self.codec,
            [functools.partial(passage.blocks, self.codec.channels) for passage in passages],
            self.config.context // self.config.num_quantizers,
            views=views,
            transpose=transpose,
            generator=torch.Generator().manual_seed(self.seed),
            device=self.device,
            progress=lambda done, total: self.callback(ExtractionProgress(done, total)),
        )
        return flatten_codes(codes)

    def sources(self, passages: Sequence[Passage], *, held_out: bool) -> tuple[Source, ...]:
        return tuple(
            Source(
                passage.recording.name,
                passage.start / self.codec.sample_rate,
                held_out,
                encode_blocks(self.codec, passage.blocks(self.codec.channels), self.device),
                passage.recording.group,
                passage.recording.sha256,
                passage.recording.gain,
                passage.recording.mix,
            )
            for passage in passages
        )


def check_codebooks(config: PriorConfig, model: Model) -> None:
    """Refuses a prior whose codebooks are not of the codec's number and size.

    Raises:
        SettingError: with both numbers and sizes.
    """
    codec = model.header.codec
    if (config.codebook_size, config.num_quantizers) != (codec.codebook_size, codec.num_quantizers):
        raise SettingError(
            f"The prior's config has {config.num_quantizers} levels of {config.codebook_size} codes and the codec of "
            f"'{model.header.name}' has {codec.num_quantizers} of {codec.codebook_size}.",
            "Leave both to Distill, or set them to the codec's.",
        )


def other_corpus(corpus: Corpus, model: Model) -> str:
    """Plain words for a folder that is not the one the codec was trained on."""
    trained = model.header.corpus
    return (
        f"{corpus.folder} is not the folder the codec was trained on: it holds {corpus.file_count} recordings, "
        f"{corpus.seconds:.0f} s (fingerprint {corpus.fingerprint[:8]}), and the codec was trained on {trained.file_count} "
        f"recordings, {trained.seconds:.0f} s (fingerprint {trained.fingerprint[:8]}). The prior will learn the new folder "
        "in the codec's codes; sounds the codec was not trained on may come out coarse."
    )
