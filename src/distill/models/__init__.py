"""The two models and their one file."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.models.config import PriorConfig, VQVAEConfig
    from distill.models.model_file import Model, Source, load_model, save_model
    from distill.models.prior import CodePrior
    from distill.models.vqvae import ConvVQVAE, VQVAEOutput

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

_HOMES = {
    **dict.fromkeys(
        (
            "PriorConfig",
            "VQVAEConfig",
        ),
        "distill.models.config",
    ),
    **dict.fromkeys(
        (
            "Model",
            "Source",
            "load_model",
            "save_model",
        ),
        "distill.models.model_file",
    ),
    **dict.fromkeys(("CodePrior",), "distill.models.prior"),
    **dict.fromkeys(
        (
            "ConvVQVAE",
            "VQVAEOutput",
        ),
        "distill.models.vqvae",
    ),
}


def __getattr__(name: str) -> Any:
    # PyTorch takes seconds to import, so it waits until something here is used.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
