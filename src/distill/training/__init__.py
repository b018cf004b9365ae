"""Training loops of the two models, and the events they report."""

from distill.training.metrics import (
    ExtractionProgress,
    LevelHealth,
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
from distill.training.prior_loop import (
    PriorValidation,
    check_memorization,
    train_prior,
    train_prior_epoch,
    validate_prior_epoch,
)
from distill.training.vqvae_loop import (
    VQTrainingResult,
    train_vqvae,
    train_vqvae_epoch,
    validate_vqvae_epoch,
)

__all__ = [
    "ExtractionProgress",
    "LevelHealth",
    "MetricsCallback",
    "Notice",
    "PriorEpochMetrics",
    "PriorStepMetrics",
    "PriorTrainingCompleteEvent",
    "PriorValidation",
    "RolledBack",
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
