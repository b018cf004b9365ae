"""The loop of every rank except the first: it waits for trainings to take part in (``orders.py``) until there are no more.

It shows and writes nothing. All it needs besides the recordings is sent to it.
"""

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from distill.errors import CorpusError, TrainingError
from distill.models import ranks
from distill.models.config import PriorConfig, VQVAEConfig
from distill.models.prior import CodePrior
from distill.models.vqvae import ConvVQVAE
from distill.recordings.corpus import Corpus, import_corpus
from distill.recordings.passages import Passage, Split
from distill.training.adversarial import refine_decoder
from distill.training.agreement import Agreement
from distill.training.checkpoint import StateFile
from distill.training.device import make_fabric
from distill.training.extraction import Extraction
from distill.training.plan import CodecPlan, PriorPlan, RefinementPlan
from distill.training.prior_loop import end_prior_epoch, train_prior_epoch, validated
from distill.training.prior_start import first_state, take_up
from distill.training.state_file import unpacked
from distill.training.vqvae_loop import train_vqvae


def follow() -> None:
    """Takes part in every training that the first rank begins; returns when there are no more.

    Raises:
        CorpusError: if the recordings cannot be read here, or differ from the first rank's.
        RankError: if another rank is lost.
    """
    while (order := ranks.next_order())["do"] != "end":
        content = ranks.broadcast_bytes(b"")
        state = StateFile(resumed=unpacked(content) if content else None)
        try:
            _train(order, state)
        except TrainingError:
            continue  # the first rank has come to the same end, and says so
    ranks.say_goodbye()


def _train(order: dict[str, Any], state: StateFile) -> None:
    match order["do"]:
        case "codec":
            config, plan = VQVAEConfig(**order["config"]), CodecPlan.of(order["plan"])
            corpus, split = _recordings(order)
            train_vqvae(corpus, config, plan=plan, split=split, state_file=state)
        case "refinement":
            codec = ConvVQVAE(VQVAEConfig(**order["config"]))
            codec.load_state_dict(_sent())
            corpus, split = _recordings(order)
            refine_decoder(codec, corpus, RefinementPlan.of(order["plan"]), split=split, state_file=state)
        case "extraction":
            _extract(order)
        case "prior":
            _train_prior(order, state)


def _extract(order: dict[str, Any]) -> None:
    codec = ConvVQVAE(VQVAEConfig(**order["config"]))
    codec.load_state_dict(_sent())
    plan = PriorPlan.of(order["plan"])
    device = make_fabric(plan.device).device
    _, split = _recordings(order)
    codec = codec.requires_grad_(False).eval().to(device)
    Extraction(codec, split.train, split.held_out, plan.transpose, device).help()


def _train_prior(order: dict[str, Any], state_file: StateFile) -> None:
    """The epochs of ``train_prior``'s loop; the first rank says whether there is another."""
    config, plan = PriorConfig(**order["config"]), PriorPlan.of(order["plan"])
    held_out = _sent()["held_out"].long()
    fabric = make_fabric(plan.device, plan.precision)
    stop = Agreement()
    torch.manual_seed(plan.seed)
    state = first_state(CodePrior(config), plan, order["steps_per_epoch"], order["extraction_s"], fabric, stop)
    if state_file.resumed is not None:
        take_up(state, state_file.resumed, plan, {})
    # Dropout differs between ranks.
    torch.manual_seed(plan.seed_of(state.schedule.step, ranks.rank(), ranks.world_size()))

    while content := _next_epoch():
        epoch = safetensors.torch.load(content)
        train_loss = train_prior_epoch(
            state, epoch["tokens"].long(), plan, fabric, cancel_event=stop, transposed=epoch["transposed"]
        )
        end_prior_epoch(state, train_loss, validated(state, held_out, plan, fabric.device), plan)


def _next_epoch() -> bytes:
    ranks.barrier()
    return ranks.broadcast_bytes(b"")


def _sent() -> dict[str, Tensor]:
    return safetensors.torch.load(ranks.broadcast_bytes(b""))


def _recordings(order: dict[str, Any]) -> tuple[Corpus, Split]:
    """The recordings as this rank reads them, split as the first rank has them split."""
    with ranks.heartbeat():
        corpus = import_corpus(Path(order["folder"]), channels=order["channels"])
    if corpus.fingerprint != order["fingerprint"]:
        raise CorpusError(
            f"{order['folder']} holds other recordings here than on the first machine.",
            "Give all machines the same folder, such as one on a shared disk.",
        )
    ranks.barrier()
    by_content = {recording.sha256: recording for recording in corpus.recordings}
    train, held_out = (
        tuple(Passage(by_content[digest], start, stop) for digest, start, stop in order[part])
        for part in ("train", "held_out")
    )
    return corpus, Split(train, held_out, order["split"], explanation="")
