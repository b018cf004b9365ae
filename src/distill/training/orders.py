"""The orders by which the first rank has the others take part in a training; ``follow.py`` receives them.

An order is small. With it are sent the state that a training resumes from and, for the prior, the codes: the other ranks need
nothing on disk but the recordings, and for a prior not even these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import safetensors.torch
from torch import Tensor

from distill.models import ranks
from distill.models.config import PriorConfig, VQVAEConfig
from distill.models.vqvae import ConvVQVAE
from distill.recordings.corpus import Corpus
from distill.recordings.passages import Passage, Split
from distill.training.plan import CodecPlan, Plan, PriorPlan, RefinementPlan
from distill.training.state_file import SavedState, packed


def order_codec(corpus: Corpus, split: Split, config: VQVAEConfig, plan: CodecPlan, resumed: SavedState | None) -> None:
    """Has the other ranks take part in training this codec."""
    _order("codec", plan, resumed, **_recordings(corpus, split, config), config=asdict(config))
    _wait_for_readers()


def order_refinement(
    corpus: Corpus, split: Split, codec: ConvVQVAE, plan: RefinementPlan, resumed: SavedState | None
) -> None:
    """Has the other ranks take part in training this codec's second stage."""
    _order_with_codec("refinement", corpus, split, codec, plan, resumed)


def order_extraction(corpus: Corpus, split: Split, codec: ConvVQVAE, plan: PriorPlan) -> None:
    """Has the other ranks encode their share of the recordings."""
    _order_with_codec("extraction", corpus, split, codec, plan, None)


def _order_with_codec(
    kind: str, corpus: Corpus, split: Split, codec: ConvVQVAE, plan: Plan, resumed: SavedState | None
) -> None:
    """Gives an order that the codec's weights go with."""
    config = codec.config
    _order(kind, plan, resumed, **_recordings(corpus, split, config), config=asdict(config))
    if ranks.leads():
        _send(dict(codec.state_dict()))
    _wait_for_readers()


def _wait_for_readers() -> None:
    """Waits until the other ranks have read the recordings, which takes long the first time."""
    if ranks.leads():
        ranks.barrier()


def _spans(passages: Sequence[Passage]) -> list[tuple[str, int, int]]:
    """Recording (SHA-256), first sample, and the one after the last, of each passage."""
    return [(one.recording.sha256, one.start, one.stop) for one in passages]


def order_prior(
    config: PriorConfig,
    plan: PriorPlan,
    resumed: SavedState | None,
    extraction_s: float,
    steps_per_epoch: int,
    held_out: Tensor,
) -> None:
    """Has the other ranks take part in training this prior; :func:`send_epoch` sends the data of each epoch."""
    details = {"extraction_s": extraction_s, "steps_per_epoch": steps_per_epoch}
    _order("prior", plan, resumed, config=asdict(config), **details)
    if ranks.leads():
        _send({"held_out": held_out.short()})


def send_epoch(tokens: Tensor, transposed: Tensor) -> None:
    """Sends the other ranks the sequences ``[N, T]`` of the next epoch, and which are transposed, bool ``[N]``. They wait for
    it while new views are encoded."""
    ranks.barrier()
    _send({"tokens": tokens.short(), "transposed": transposed})


def send_no_epoch() -> None:
    """Tells the other ranks that the last epoch was the last."""
    ranks.barrier()
    ranks.broadcast_bytes(b"")


def _order(kind: str, plan: Plan, resumed: SavedState | None, **details: Any) -> None:
    if ranks.world_size() == 1 or not ranks.leads():
        return
    ranks.give_order(kind, plan=plan.values(), **details)
    ranks.broadcast_bytes(b"" if resumed is None else packed(resumed))


def _send(tensors: Mapping[str, Tensor]) -> None:
    if ranks.world_size() > 1:
        ranks.broadcast_bytes(safetensors.torch.save({name: one.contiguous() for name, one in tensors.items()}))


def _recordings(corpus: Corpus, split: Split, config: VQVAEConfig) -> dict[str, Any]:
    return {
        "folder": str(corpus.folder),
        "channels": config.channels,
        "fingerprint": corpus.fingerprint,
        "train": _spans(split.train),
        "held_out": _spans(split.held_out),
        "split": split.kind,
    }
