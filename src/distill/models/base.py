"""The base codec: weights from which training starts, learned from half an hour of public-domain sound
(docs/base-codec.md).

Training from random weights on two minutes of audio spends most of its steps on what all sound has in common, which the base
has learned already. It has no codebooks: they are initialised among the latents of the person's own recordings.

It is mono, in half precision, and without a sketch, which depends on the recordings (sketch.py). A stereo codec starts from it
with two equal channels.
"""

from importlib.resources import files
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.files.atomic import written_aside
from distill.models.config import VQVAEConfig
from distill.models.vqvae import ConvVQVAE

SIZES = ("hop", "hidden_size", "encoder_blocks", "decoder_blocks", "latent_size", "kernel_size", "expansion")
"""Fields of the config in which a codec must equal the base to start from it."""
_NAME = "base.safetensors"
_PERSONAL = ("quantizer.", "sketch.", "decoder.2.tones.read.")
"""Prefixes of weights that the base does not have."""


def base_config() -> VQVAEConfig:
    """The sizes of the base codec."""
    return VQVAEConfig(sketch_size=0)


def base_path(config: VQVAEConfig) -> Path | None:
    """The file of the base codec that a codec of these sizes can start from; None if none fits."""
    path = Path(str(files("distill.models") / _NAME))
    fits = all(getattr(config, name) == getattr(base_config(), name) for name in SIZES)
    return path if fits and path.is_file() else None


def save_base(path: Path, codec: ConvVQVAE) -> Path:
    """Writes a mono codec's weights, without its codebooks, in half precision."""
    tensors = {
        name: tensor.detach().cpu().to(torch.float16).contiguous()
        for name, tensor in codec.state_dict().items()
        if not name.startswith("quantizer.")
    }
    with written_aside(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(tensors))
    return path


def start_from_base(codec: ConvVQVAE, path: Path) -> None:
    """Loads the base's weights into a codec of the same sizes, mono or stereo.

    Its codebooks stay empty, and the decoder ignores the sketch.
    """
    weights = {name: tensor.float() for name, tensor in safetensors.torch.load_file(path).items()}
    if codec.channels == 2:
        weights = _in_stereo(weights, codec)
    first = weights["decoder.0.weight"]
    weights["decoder.0.weight"] = F.pad(first, (0, codec.config.vector_size - first.shape[1]))
    missing, unexpected = codec.load_state_dict(weights, strict=False)
    if unexpected or any(not name.startswith(_PERSONAL) for name in missing):
        raise ValueError(f"the base at {path} does not fit: {unexpected or missing}")


def _in_stereo(weights: dict[str, Tensor], codec: ConvVQVAE) -> dict[str, Tensor]:
    """Weights of a stereo codec whose channels both start as the mono one, with no difference between them."""
    own = codec.state_dict()

    name = "encoder.0.weight"
    blocks = weights[name].split([codec.features.fine_width, *codec.features.scale_widths], dim=1)
    fine = torch.cat([blocks[0], blocks[0]], dim=1) / 2
    # Each scale is laid out as left, right, side; side starts unheard.
    scales = [torch.cat([block / 2, block / 2, torch.zeros_like(block)], dim=1) for block in blocks[1:]]
    wide = {name: torch.cat([fine, *scales], dim=1)}

    bins = codec.head.tones.bins
    for part in ("weight", "bias"):
        name = f"decoder.2.tones.spectrum.{part}"
        mono, stereo = weights[name], own[name].clone()
        stereo[:bins], stereo[2 * bins : 4 * bins] = mono[:bins], mono[bins:]
        wide[name] = stereo
        name = f"decoder.2.noise.levels.{part}"
        stereo = own[name].clone()
        stereo[: len(weights[name])] = weights[name]
        if part == "bias":
            stereo[len(weights[name]) :] = 0
        wide[name] = stereo
        name = f"decoder.2.noise.alike.{part}"
        wide[name] = own[name]
    return weights | wide
