"""One rank of a training with a tiny model, as a process of its own; ``test_ranks.py`` starts several.

    python one_of_several.py TASK RECORDINGS OUT

Tasks: ``codec``, ``refinement``, ``prior`` (a few steps), ``minutes`` (until the clock ends it: that of the first rank
goes a second a step, that of the other stands still), ``drifted`` (two epochs; in the first, rank 1's codebooks become others),
``killed`` (rank 1 dies at its fifth step), ``first killed`` (so does rank 0) and ``resume``.
OUT gets ``result.json`` from the first rank, ``rank-N.json`` from every (its steps, and of ``drifted`` its codebooks as
the second epoch's first step finds them), and ``codec.state``.
"""

import json
import math
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

import small_distill
from distill.models import ConvVQVAE, Model, PriorConfig, ranks, save_model
from distill.models.header import CorpusRecord, new_header
from distill.recordings.corpus import import_corpus
from distill.recordings.split import split_corpus
from distill.training import agreement, codec_data, launch, vqvae_loop
from distill.training.adversarial import refine_decoder
from distill.training.checkpoint import StateFile
from distill.training.plan import CodecPlan, PriorPlan, RefinementPlan
from distill.training.prior_loop import train_prior
from distill.training.state_file import load_state
from distill.training.vqvae_loop import train_vqvae

CONFIG = small_distill.codec_config(codebook_size=16)
WHOLE_BATCH = 8
VALIDATION = {"validation_windows": 3, "validation_positions": 24}
"""Of the held-out windows one rank of two has one more than the other."""


def codec_plan(**changes: Any) -> CodecPlan:
    batch_size = WHOLE_BATCH // ranks.world_size()
    # By this seed no code is so near to two entries that rounding alone decides.
    settings = {"epochs": 1, "batch_size": batch_size, "least_steps": 6, "continuous_steps": 2, "seed": 4}
    settings |= VALIDATION
    return CodecPlan(**{**settings, "device": "cpu", "from_scratch": True, "learning_rate": 1e-3, **changes})


def train(task: str, folder: Path, out: Path) -> dict[str, Any]:
    losses: list[float] = []

    def tell(event: Any) -> None:
        if type(event).__name__ in ("VQStepMetrics", "RefinementStepMetrics"):
            losses.append(getattr(event, "train_loss", math.nan) if "VQ" in type(event).__name__ else event.mel_loss)

    if task == "refinement":
        torch.manual_seed(0)
        codec = ConvVQVAE(CONFIG).eval()
        codec.quantizer.set_codebooks(torch.randn(4, 16, 8) * 0.3)
        corpus = import_corpus(folder)
        plan = RefinementPlan(
            epochs=1,
            batch_size=4 // ranks.world_size(),
            least_steps=4,
            discriminator_width=4,
            discriminator_first_steps=2,
            window_positions=16,
            device="cpu",
            **VALIDATION,
        )
        refined = refine_decoder(
            codec, corpus, plan, tell, split=split_corpus(corpus), state_file=StateFile(out / "refinement.state")
        )
        return {"losses": losses, "held out": refined.mel_after, "steps": refined.steps}
    if task == "prior":
        return train_tiny_prior(folder, out)
    changes: dict[str, Any] = {}
    if task == "minutes":
        changes = {"epochs": None, "minutes": 0.05}
    if task == "drifted":
        changes = {"epochs": 2}
    if task in ("killed", "first killed", "resume"):
        changes = {"epochs": 3, "first_save_s": 0.0}
    path = out / "codec.state"
    resumed = load_state(path, "codec") if task == "resume" else None
    trained = train_vqvae(
        folder,
        CONFIG,
        tell,
        plan=codec_plan(**changes),
        state_file=StateFile(path, resumed, lambda: {"by": ranks.world_size()}),
    )
    return {
        "losses": losses,
        "held out": trained.best_val_loss,
        "codes": int(trained.code_counts.sum()),
        "epochs": trained.epochs_trained,
    }


def train_tiny_prior(folder: Path, out: Path) -> dict[str, Any]:
    torch.manual_seed(0)
    codec = ConvVQVAE(CONFIG)
    codec.quantizer.set_codebooks(torch.randn(4, 16, 8) * 0.3)
    record = CorpusRecord(fingerprint="0" * 64, file_count=5, seconds=5, split_seed=0)
    header = new_header("tiny", codec.config, record, codec_training={"seed": 0, "best_val_loss": 1.0})
    model = save_model(out / "tiny.distill", Model(header, codec, torch.ones(4, 16, dtype=torch.int64)))
    losses: list[float] = []

    def tell(event: Any) -> None:
        if type(event).__name__ == "PriorStepMetrics":
            losses.append(event.train_loss)

    config = PriorConfig(codebook_size=16, hidden_size=16, num_layers=1, num_heads=2, context=64, dropout=0.0)
    plan = PriorPlan(epochs=2, batch_size=6 // ranks.world_size(), least_steps=3, views=2, seed=1, device="cpu")
    trained = train_prior(model, folder, config, tell, plan=plan, state_file=StateFile(out / "prior.state"))
    return {"losses": losses, "held out": trained["prior_metadata"]["final_val_loss"]}


def main(task: str, folder: Path, out: Path) -> None:
    torch.set_num_threads(1)
    launch.JOIN_S = 60
    steps, codebooks = 0, list[Any]()
    whole = vqvae_loop.train_step

    def counted(state: Any, *given: Any) -> Any:
        nonlocal steps, codebooks
        steps += 1
        if steps == 5 and ranks.rank() == {"killed": 1, "first killed": 0}.get(task):
            os._exit(9)
        if task == "drifted" and steps == 5 and ranks.rank():
            quantizer = state.model.module.quantizer
            quantizer.set_codebooks(1.5 * quantizer.codebooks)
        if task == "drifted" and steps == 7:
            codebooks = state.model.module.quantizer.codebooks.tolist()
        return whole(state, *given)

    vqvae_loop.train_step = counted
    codec_data._SKETCHED = 2
    if task == "minutes":
        agreement.awake = SimpleNamespace(seconds=lambda: 0.0 if ranks.rank() else float(steps))
    nodes = int(os.environ.get("NODES", "1"))
    try:
        with launch.together("cpu", nodes=nodes) as leads:
            if leads:
                (out / "result.json").write_text(json.dumps(train(task, folder, out)))
    finally:
        number = int(os.environ.get("NODE_RANK", os.environ.get("RANK", "0")))
        (out / f"rank-{number}.json").write_text(json.dumps({"steps": steps, "codebooks": codebooks}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
