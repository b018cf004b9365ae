"""What a prior's training gives: how it ended, and the prior with all that is to be known of it."""

from datetime import UTC, datetime
from typing import Any, TypedDict

from distill.models.config import PriorConfig
from distill.models.model_file import Source
from distill.models.prior import CodePrior
from distill.training.candidates import Candidate, candidates
from distill.training.loop_state import State
from distill.training.metrics import PriorTrainingCompleteEvent
from distill.training.overfitting import memorization_threshold, perplexity
from distill.training.prior_start import Begun
from distill.training.wrapped import WrappedPrior


class TrainedPrior(TypedDict):
    """What :func:`distill.training.prior_loop.train_prior` gives: a dict, since programs outside of Distill read it by these
    names."""

    prior_model: CodePrior
    """The best weights, in eval mode, on the CPU."""
    prior_config: PriorConfig
    prior_metadata: dict[str, Any]
    """How it was trained: epochs_trained, final_perplexity, best_perplexity, training_date, …"""
    sources: tuple[Source, ...]
    """The recordings as codes."""
    curves: dict[str, list[float]]
    """A figure an epoch, by name."""
    candidates: tuple[Candidate, ...]
    """Epochs of about the lowest held-out loss, to choose among by what is heard; the best weights are one of them."""


def ended(
    state: State[WrappedPrior], file_count: int, stopped_early: bool, is_held_out: bool
) -> PriorTrainingCompleteEvent:
    """The event that reports the end of the training."""
    val_loss = state.curves["val_loss"][-1]
    final_perplexity = perplexity(val_loss)
    return PriorTrainingCompleteEvent(
        final_train_loss=state.curves["train_loss"][-1],
        final_val_loss=val_loss,
        final_perplexity=final_perplexity,
        best_perplexity=state.best_score,
        epochs_trained=state.epoch,
        was_memorizing=state.best_score < memorization_threshold(file_count),
        stopped_early=stopped_early,
        is_held_out=is_held_out,
    )


def trained(begun: Begun, outcome: PriorTrainingCompleteEvent, cancelled: bool) -> TrainedPrior:
    """The prior with the weights it has now, and what is to be known of its training."""
    inputs, plan = begun.inputs, begun.plan
    return {
        "prior_model": begun.prior.requires_grad_(False).eval().cpu(),
        "prior_config": inputs.config,
        "prior_metadata": {
            "epochs_trained": outcome.epochs_trained,
            "final_perplexity": outcome.final_perplexity,
            "best_perplexity": outcome.best_perplexity,
            "training_date": datetime.now(UTC).isoformat(timespec="seconds"),
            "final_train_loss": outcome.final_train_loss,
            "final_val_loss": outcome.final_val_loss,
            "was_memorizing": int(outcome.was_memorizing),
            "cancelled": int(cancelled),
            "seed": plan.seed,
            "views": begun.data.views.number,
            "from_base": int(begun.is_from_base),
            "held_out": int(inputs.split.is_held_out),
            "transpose": plan.transpose,
            "corpus_fingerprint": inputs.corpus.fingerprint,
        },
        "sources": begun.data.sources,
        "curves": {f"prior_{name}": values for name, values in begun.state.curves.items()},
        "candidates": candidates(begun.state.epoch_weights, begun.state.best_weights, begun.state.curves["val_loss"]),
    }
