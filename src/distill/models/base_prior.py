"""The base prior: weights from which a prior starts, pretrained on half an hour of public-domain sound in the codes of several
codecs (docs/base-prior.md).

A prior trained on two minutes of audio must first learn what holds for all sound: tones last, struck sounds decay, loud
follows soft. None of that depends on the codec; only the codes do. So instead of embeddings and heads the base holds linear
maps to them from descriptions of what each code sounds like (``codes/descriptions.py``). A prior over any codec starts with
the embeddings and heads that these maps give for its codes, and with the base's transformer; then all of it is trained
further.
"""

from importlib.resources import files
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from distill.files.atomic import written_aside
from distill.models.config import PriorConfig
from distill.models.prior import CodePrior

SIZES = ("num_quantizers", "hidden_size", "num_layers", "num_heads")
"""Fields of the config in which a prior must equal the base to start from it."""
_NAME = "base_prior.safetensors"
_PERSONAL = ("embedding.weight", "heads", "transposed")
"""Weights that the base does not have."""


class CodeMaps(nn.Module):
    """Linear maps from descriptions of codes to their embeddings and heads, one pair a level.

    Args:
        spread: ``[D]``, the scale of each number of a description, by which it is normalised.
    """

    def __init__(self, config: PriorConfig, spread: Tensor, generator: torch.Generator | None = None) -> None:
        super().__init__()
        shape = (config.num_quantizers, len(spread), config.hidden_size)
        self.embedding = nn.Parameter(torch.randn(shape, generator=generator) / 2)
        self.heads = nn.Parameter(torch.randn(shape, generator=generator) / 50)
        self.register_buffer("spread", spread)

    def forward(self, descriptions: Tensor) -> tuple[Tensor, Tensor]:
        """Descriptions of codebook entries ``[Q, K, D] →`` their embeddings ``[Q·K, H]`` and heads ``[Q, K, H]``."""
        spread = self.get_buffer("spread")
        even = 4 * descriptions / (spread * len(spread) ** 0.5)
        return (even @ self.embedding).flatten(0, 1), even @ self.heads


def base_prior_path(config: PriorConfig) -> Path | None:
    """The file of the base prior that a prior of these sizes can start from; None if none fits."""
    path = Path(str(files("distill.models") / _NAME))
    fits = all(getattr(config, name) == getattr(PriorConfig(), name) for name in SIZES)
    return path if fits and path.is_file() else None


def save_base_prior(path: Path, prior: CodePrior, maps: CodeMaps) -> Path:
    """Writes a prior's weights, with the maps in place of its embeddings and heads, in half precision."""
    weights = {name: tensor for name, tensor in prior.state_dict().items() if name not in _PERSONAL}
    weights |= {f"maps.{name}": tensor for name, tensor in maps.state_dict().items()}
    tensors = {name: tensor.detach().cpu().to(torch.float16).contiguous() for name, tensor in weights.items()}
    with written_aside(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(tensors))
    return path


def load_base_prior(path: Path, prior: CodePrior) -> CodeMaps:
    """Loads the base's weights into a prior of the same sizes, except embeddings and heads; returns the maps to these."""
    weights = {name: tensor.float() for name, tensor in safetensors.torch.load_file(path).items()}
    own = {name.removeprefix("maps."): weights.pop(name) for name in list(weights) if name.startswith("maps.")}
    maps = CodeMaps(prior.config, own["spread"])
    maps.load_state_dict(own)
    missing, unexpected = prior.load_state_dict(weights, strict=False)
    if unexpected or set(missing) != set(_PERSONAL):
        raise ValueError(f"the base at {path} does not fit: {unexpected or missing}")
    return maps


@torch.no_grad()
def start_from_base_prior(prior: CodePrior, path: Path, descriptions: Tensor) -> None:
    """Initialises a prior from the base, by the ``descriptions [Q, K, D]`` of its codec's codes (``codes/descriptions.py``)."""
    embedding, heads = load_base_prior(path, prior)(descriptions)
    prior.embedding.weight.copy_(embedding)
    prior.heads.copy_(heads)
