"""Training loops of the two models, and the events they report."""

from distill.doors import opening

__getattr__ = opening(
    __name__,
    {
        "distill.models.health": "LevelHealth",
        "distill.training.checkpoint": "StateFile",
        "distill.training.codec_validation": "validate_vqvae_epoch",
        "distill.training.metrics": """
            ExtractionProgress MetricsCallback Notice PriorEpochMetrics PriorStepMetrics PriorTrainingCompleteEvent
            RolledBack TrainingEvent VQEpochMetrics VQStepMetrics VQTrainingCompleteEvent""",
        "distill.training.overfitting": "check_memorization",
        "distill.training.plan": "CodecPlan PriorPlan",
        "distill.training.prior_loop": "PriorValidation train_prior train_prior_epoch validate_prior_epoch",
        "distill.training.vqvae_loop": "VQTrainingResult train_vqvae train_vqvae_epoch",
    },
)
