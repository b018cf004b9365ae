"""The two models and their one file."""

from distill.models.model_file import Model, Source, load_model, save_model
from distill.models.prior import CodePrior, PriorConfig
from distill.models.vqvae import ConvVQVAE, VQVAEConfig, VQVAEOutput

__all__ = [
    "CodePrior",
    "ConvVQVAE",
    "Model",
    "PriorConfig",
    "Source",
    "VQVAEConfig",
    "VQVAEOutput",
    "load_model",
    "save_model",
]
