"""The codec's training data: windows of a corpus. Also initialises codec and codebooks from it, and counts its codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from distill.audio.rate import SAMPLE_RATE
from distill.codes.extract import encode_blocks
from distill.models import ranks
from distill.models.base import start_from_base
from distill.models.config import VQVAEConfig
from distill.models.quantizer import count_codes
from distill.models.vqvae import ConvVQVAE
from distill.recordings.corpus import Corpus, Recording
from distill.recordings.passages import Passage, Split, whole_recordings
from distill.recordings.windows import TrainingWindows, spread, validation_windows
from distill.training.plan import CodecPlan, WindowedPlan
from distill.training.wrapped import WrappedCodec

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_START_EPOCH = 1 << 30
"""An epoch number that no run reaches: its windows initialise the codec."""
MOST_COUNTED = 20 * 60 * SAMPLE_RATE
"""Samples whose codes are counted after training: twenty minutes. In a longer corpus, stretches of ten seconds are counted,
evenly spread: all of a hundred hours would take longer than the training."""
_STRETCH = 10 * SAMPLE_RATE
_SKETCHED = 32
"""Batches of windows from which principal components are computed: two minutes."""


@dataclass(frozen=True)
class CodecData:
    """Training and validation windows of the codec; the same for the same split, config and plan."""

    windows: TrainingWindows
    held_out: np.ndarray
    """Windows of held-out passages ``[n, C, N]``."""
    trained_on: np.ndarray
    """Windows of training passages ``[n, C, N]``, to validate on."""
    steps_per_epoch: int
    """An epoch is one pass over the seconds of the corpus, or the plan's least steps."""

    @classmethod
    def of(cls, split: Split, config: VQVAEConfig, plan: CodecPlan) -> "CodecData":
        """Lays out the windows."""
        windows, steps_per_epoch = windows_to_train_on(split, config, plan)
        held_out, trained_on = (windows_to_validate(part, config, plan) for part in (split.held_out, split.train))
        return cls(windows, held_out, trained_on, steps_per_epoch)


def windows_to_train_on(split: Split, config: VQVAEConfig, plan: WindowedPlan) -> tuple[TrainingWindows, int]:
    """Training windows of either stage, and steps of an epoch: one pass over the audio, at least ``plan.least_steps``."""
    samples = plan.window_positions * config.hop
    windows = TrainingWindows(split.train, samples, config.channels, plan.seed, plan.silenced)
    return windows, max(-(-windows.windows_per_epoch // (ranks.world_size() * plan.batch_size)), plan.least_steps)


def windows_to_validate(passages: Sequence[Passage], config: VQVAEConfig, plan: WindowedPlan) -> np.ndarray:
    """Validation windows ``[n, C, N]`` of either stage, spread over the passages."""
    samples = plan.validation_positions * config.hop
    return validation_windows(passages, samples, config.channels, plan.validation_windows)


def start_decoder(
    codec: ConvVQVAE, windows: TrainingWindows, plan: CodecPlan, device: torch.device, base: Path | None
) -> None:
    """Initialises a codec from the base, or else its head with the mean spectrum of the recordings; then its sketch."""

    def some(batches: int) -> Tensor:
        parts = [windows.batch(_START_EPOCH, index, ranks.world_size() * plan.batch_size) for index in range(batches)]
        return torch.from_numpy(np.concatenate(parts)).to(device)

    if base is not None:
        start_from_base(codec, base)
    else:
        codec.head.start(some(4))
    codec.start_sketch(some(_SKETCHED))


def start_codebooks(model: WrappedCodec, windows: TrainingWindows, plan: CodecPlan, fabric: "Fabric") -> None:
    """Initialises the codebooks by k-means on the present latents of the recordings, eight vectors an entry."""
    config = model.module.config
    batch_size = ranks.world_size() * plan.batch_size  # all ranks take the whole batches, alike
    vectors = plan.window_positions * batch_size
    batches = (
        torch.from_numpy(windows.batch(_START_EPOCH, index, batch_size)).to(fabric.device)
        for index in range(max(1, -(-8 * config.codebook_size // vectors)))
    )
    model.eval()
    with torch.no_grad():
        latents = torch.cat([model.latents(batch) for batch in batches])
    model.module.quantizer.start(latents, vectors_per_step=vectors)


def counted(recordings: Sequence[Recording]) -> tuple[Passage, ...]:
    """The passages whose codes are counted: everything, or evenly spread stretches, the same ones for the same recordings."""
    whole = whole_recordings(recordings)
    share = MOST_COUNTED / sum(one.samples for one in whole)
    if share >= 1:
        return whole
    stretches = [
        Passage(one.recording, start, min(start + _STRETCH, one.samples))
        for one in whole
        for start in range(0, one.samples, _STRETCH)
    ]
    return tuple(spread(stretches, int(share * len(stretches))))  # stretches are as short as recordings may be


def count_corpus_codes(codec: ConvVQVAE, corpus: Corpus, device: torch.device) -> Tensor:
    """How often the corpus, or twenty minutes spread over it, uses each codebook entry: int64 ``[Q, K]``."""
    counts = torch.zeros(codec.num_quantizers, codec.codebook_size, dtype=torch.int64)
    for passage in counted(corpus.recordings)[ranks.rank() :: ranks.world_size()]:
        codes = encode_blocks(codec, passage.blocks(codec.channels), device)
        counts += count_codes(codes, codec.codebook_size)
    return ranks.summed_counts(counts)
