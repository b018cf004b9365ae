"""What every rank but the first does: it waits for trainings to take part in (``orders.py``), until there are no more.

It shows nothing and writes nothing. What it needs beside the recordings is sent to it.
"""

from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from distill.audio.corpus import Corpus, import_corpus
from distill.errors import CorpusError, TrainingError
from distill.models import ranks
from distill.models.vqvae import ConvVQVAE, VQVAEConfig
from distill.training.adversarial import refine_decoder
from distill.training.checkpoint import StateFile
from distill.training.plan import CodecPlan, RefinementPlan
from distill.training.state import unpacked
from distill.training.vqvae_loop import train_vqvae


def follow() -> None:
    """Takes part in every training that the first rank begins, and comes back when it has no more.

    Raises:
        CorpusError: if the recordings cannot be read here, or are others than the first rank's.
        RankError: if another rank is gone.
    """
    while (order := ranks.next_order())["do"] != "end":
        content = ranks.bytes_from_first(b"")
        state = StateFile(resumed=unpacked(content) if content else None)
        try:
            _train(order, state)
        except TrainingError:
            continue  # the first rank has come to the same end, and says so


def _train(order: dict[str, Any], state: StateFile) -> None:
    match order["do"]:
        case "codec":
            config, plan = VQVAEConfig(**order["config"]), CodecPlan.of(order["plan"])
            train_vqvae(_corpus(order), config, plan=plan, state_file=state)
        case "refinement":
            codec = ConvVQVAE(VQVAEConfig(**order["config"]))
            codec.load_state_dict(_sent())
            refine_decoder(codec, _corpus(order), RefinementPlan.of(order["plan"]), state_file=state)


def _sent() -> dict[str, Tensor]:
    return safetensors.torch.load(ranks.bytes_from_first(b""))


def _corpus(order: dict[str, Any]) -> Corpus:
    corpus = import_corpus(Path(order["folder"]), channels=order["channels"])
    if corpus.fingerprint != order["fingerprint"]:
        raise CorpusError(
            f"{order['folder']} holds other recordings here than on the first machine.",
            "Give all machines the same folder, such as one on a shared disk.",
        )
    return corpus
