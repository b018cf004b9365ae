"""What the header of a model file says of the trainings that made it, and when a new prior takes the place of an old one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.files.names import command
from distill.library import trash
from distill.models.header import SECOND_RUN, UNMEASURED, CorpusRecord, Header, new_header
from distill.training.adversarial import RefinementResult
from distill.training.metrics import MetricsCallback, Notice
from distill.training.vqvae_loop import VQTrainingResult


def codec_header(name: str, result: VQTrainingResult, run: str) -> Header:
    """That of a model whose codec has been trained in the run of that name."""
    corpus = result.corpus
    return new_header(
        name,
        result.config,
        CorpusRecord(
            fingerprint=corpus.fingerprint,
            file_count=corpus.file_count,
            seconds=corpus.seconds,
            split_seed=result.plan.seed,
            split_rule=result.plan.split_rule,
        ),
        codec_training={**result.record, "run": run},
        curves={f"codec_{name}": values for name, values in result.curves.items()},
    )


def refined_header(header: Header, result: RefinementResult, run: str) -> Header:
    """The header after the codec's second stage; whether its voices are still to be measured is for whoever does to say."""
    curves = {f"refinement_{name}": values for name, values in result.curves.items()}
    training = {name: value for name, value in header.codec_training.items() if name != UNMEASURED}
    training |= {**result.record, SECOND_RUN: run}
    return header.model_copy(update={"codec_training": training, "curves": header.curves | curves, "digest": None})


def bundled_header(header: Header, trained: Mapping[str, Any], record: Mapping[str, Any]) -> Header:
    """The header with what ``train_prior`` gave, and the record of that training."""
    return header.model_copy(
        update={
            "prior": trained["prior_config"],
            "prior_training": record,
            "curves": header.curves | trained["curves"],
            "digest": None,  # these tensors are in no file yet
        }
    )


def replaces_prior(
    model_path: Path, before: Mapping[str, Any], after: Mapping[str, Any], is_stopped: bool, tell: MetricsCallback
) -> bool:
    """Whether the prior that a model has gives way to a new one, given the records of both; which of them stays is told.

    A copy of the model with the one that gives way goes into the trash.

    Raises:
        OutputError: if the trash cannot be written to.
    """
    if reason := _reason_to_keep(model_path, before, after, is_stopped):
        tell(Notice(reason))
        return False
    back = command("distill", "models", "restore", trash.keep_copy(model_path).key)
    tell(Notice(f"The model with the prior it had is in the trash: {back}"))
    return True


def _reason_to_keep(model_path: Path, before: Mapping[str, Any], after: Mapping[str, Any], is_stopped: bool) -> str:
    """Why the prior that a model has is not replaced by a new one, given the records of both; empty where it is."""
    if before.get("corpus_fingerprint") != after["corpus_fingerprint"]:
        stopped = (
            f"{model_path} keeps the prior it has, which learned from other recordings: the new one was stopped before its "
            "end, and replaces it only once its training is done."
        )
        return stopped if is_stopped else ""
    was, now = float(before["best_perplexity"]), float(after["best_perplexity"])
    better = (
        f"The prior that {model_path} already has is better (perplexity {was:.1f}, the new one {now:.1f}); it is kept."
    )
    return better if was <= now else ""
