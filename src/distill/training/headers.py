"""What the header of a model file says of the trainings that made it, and why a prior stays although a new one was trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.models.header import SECOND_RUN, UNMEASURED, CorpusRecord, Header, known, new_header
from distill.training.adversarial import RefinementResult
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


def reason_to_keep_prior(
    model_path: Path, before: Mapping[str, Any], after: Mapping[str, Any], *, is_stopped: bool
) -> str:
    """Why the prior that a model has is not replaced by a new one, given the records of both; empty where it is."""
    if before.get("corpus_fingerprint") != after["corpus_fingerprint"]:
        stopped = (
            f"{model_path} keeps the prior it has, which learned from other recordings: the new one was stopped before its "
            "end, and replaces it only once its training is done."
        )
        return stopped if is_stopped else ""
    was, now = known(before.get("best_perplexity")), float(after["best_perplexity"])
    if was is None or was > now:
        return ""
    return (
        f"The prior that {model_path} already has is better (perplexity {was:.1f}, the new one {now:.1f}); it is kept."
    )
