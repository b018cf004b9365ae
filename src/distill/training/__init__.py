"""Training loops of the two models, and the events they report."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.models.health import LevelHealth
    from distill.training.checkpoint import StateFile
    from distill.training.codec_validation import validate_vqvae_epoch
    from distill.training.metrics import (
        ExtractionProgress,
        MetricsCallback,
        Notice,
        PriorEpochMetrics,
        PriorStepMetrics,
        PriorTrainingCompleteEvent,
        RolledBack,
        TrainingEvent,
        VQEpochMetrics,
        VQStepMetrics,
        VQTrainingCompleteEvent,
    )
    from distill.training.overfitting import check_memorization
    from distill.training.plan import CodecPlan, PriorPlan
    from distill.training.prior_loop import (
        PriorValidation,
        train_prior,
        train_prior_epoch,
        validate_prior_epoch,
    )
    from distill.training.vqvae_loop import VQTrainingResult, train_vqvae, train_vqvae_epoch

__all__ = [
    "CodecPlan",
    "ExtractionProgress",
    "LevelHealth",
    "MetricsCallback",
    "Notice",
    "PriorEpochMetrics",
    "PriorPlan",
    "PriorStepMetrics",
    "PriorTrainingCompleteEvent",
    "PriorValidation",
    "RolledBack",
    "StateFile",
    "TrainingEvent",
    "VQEpochMetrics",
    "VQStepMetrics",
    "VQTrainingCompleteEvent",
    "VQTrainingResult",
    "check_memorization",
    "train_prior",
    "train_prior_epoch",
    "train_vqvae",
    "train_vqvae_epoch",
    "validate_prior_epoch",
    "validate_vqvae_epoch",
]

_HOMES = {
    **dict.fromkeys(("LevelHealth",), "distill.models.health"),
    **dict.fromkeys(("StateFile",), "distill.training.checkpoint"),
    **dict.fromkeys(
        (
            "ExtractionProgress",
            "MetricsCallback",
            "Notice",
            "PriorEpochMetrics",
            "PriorStepMetrics",
            "PriorTrainingCompleteEvent",
            "RolledBack",
            "TrainingEvent",
            "VQEpochMetrics",
            "VQStepMetrics",
            "VQTrainingCompleteEvent",
        ),
        "distill.training.metrics",
    ),
    **dict.fromkeys(
        (
            "PriorValidation",
            "train_prior",
            "train_prior_epoch",
            "validate_prior_epoch",
        ),
        "distill.training.prior_loop",
    ),
    **dict.fromkeys(
        (
            "VQTrainingResult",
            "train_vqvae",
            "train_vqvae_epoch",
        ),
        "distill.training.vqvae_loop",
    ),
    **dict.fromkeys(("CodecPlan", "PriorPlan"), "distill.training.plan"),
    "check_memorization": "distill.training.overfitting",
    "validate_vqvae_epoch": "distill.training.codec_validation",
}


def __getattr__(name: str) -> Any:
    # PyTorch takes seconds to import, so it waits until something here is used.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
