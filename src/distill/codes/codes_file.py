"""A ``.codes`` file: one recording as codes, in safetensors, tied to the codec that can make it sound again."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import safetensors.torch
import torch
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from distill.atomic import written_aside
from distill.codes.extract import Codec
from distill.errors import CodesFileError


class _Header(BaseModel):
    format: Literal["distill-codes"] = "distill-codes"
    major: Literal[1] = 1
    codec: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    samples: Annotated[int, Field(ge=1)]
    sample_rate: Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Codes:
    """A recording as codes."""

    codes: Tensor
    """``[S, Q]`` int64."""
    codec: str
    """Fingerprint of the encoder and codebooks that made them; the decoder may have learnt on since."""
    samples: int
    """Length of the recording at ``sample_rate``; decoding gives exactly that many."""
    sample_rate: int


def save_codes(path: Path, codes: Codes) -> Path:
    """Writes the file whole or not at all.

    Raises:
        OutputError: if the file system refuses.
    """
    header = _Header(codec=codes.codec, samples=codes.samples, sample_rate=codes.sample_rate)
    content = safetensors.torch.save(
        {"codes": codes.codes.to(torch.int16).contiguous()}, {"distill": header.model_dump_json()}
    )
    with written_aside(path) as temporary:
        temporary.write_bytes(content)
    return path


def load_codes(path: Path, fingerprint: str, codec: Codec) -> Codes:
    """Reads and checks a ``.codes`` file against the codec that is to decode it and the fingerprint of
    its encoder and codebooks.

    Raises:
        CodesFileError: if the file is missing, damaged, or belongs to another codec.
    """
    fix = "Make it again with: distill encode MODEL AUDIO"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CodesFileError(f"{path} cannot be read: {error.strerror}.", fix) from error
    try:
        length = int.from_bytes(content[:8], "little")
        table = json.loads(content[8 : 8 + length])
        header = _Header.model_validate_json(table["__metadata__"]["distill"])
        grid = safetensors.torch.load(content)["codes"].long()
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError, SafetensorError) as error:
        raise CodesFileError(f"{path} is not a usable .codes file.", fix) from error
    if header.codec != fingerprint:
        raise CodesFileError(
            f"{path} was made by another model (codec {header.codec[:8]}, this one is {fingerprint[:8]}); its codes mean "
            "other sounds here.",
            "Decode it with the model that made it, or encode the recording again with this one.",
        )
    known = (
        grid.ndim == 2
        and len(grid) > 0
        and grid.shape[1] == codec.num_quantizers
        and 0 <= int(grid.min()) <= int(grid.max()) < codec.codebook_size
    )
    if not known:
        raise CodesFileError(f"{path} holds codes that its model does not have.", fix)
    if header.sample_rate != codec.sample_rate or len(grid) != -(-header.samples // codec.hop):
        raise CodesFileError(
            f"{path} says it is {header.samples} samples long and holds codes for another length.", fix
        )
    return Codes(grid, header.codec, header.samples, header.sample_rate)
