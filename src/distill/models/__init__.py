"""The two models and their one file."""

from distill.doors import opening

__getattr__ = opening(
    __name__,
    {
        "distill.models.config": "PriorConfig VQVAEConfig",
        "distill.models.model_file": "Model Source load_model save_model",
        "distill.models.prior": "CodePrior",
        "distill.models.vqvae": "ConvVQVAE VQVAEOutput",
    },
)
