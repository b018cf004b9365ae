"""A ``.codes`` file: one recording as codes, in safetensors, tied to the codec that can decode it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from distill.errors import CodesFileError
from distill.files.atomic import written_aside
from distill.files.installing import UPDATE
from distill.files.names import CODES_SUFFIX
from distill.files.regular import open_regular
from distill.files.tensors import Digest, Table, UnusableError, encode, read_table, read_tensors
from distill.models.header import is_version
from distill.models.vqvae import ConvVQVAE

_KEY = "distill"
_FORMAT: Literal["distill-codes"] = "distill-codes"
_MAJOR: Literal[1] = 1


class _Header(BaseModel):
    format: Literal["distill-codes"] = _FORMAT
    major: Literal[1] = _MAJOR
    codec: Digest
    samples: Annotated[int, Field(ge=1, lt=1 << 48)]
    sample_rate: Annotated[int, Field(ge=1, lt=1 << 31)]
    digest: Digest
    """SHA-256 of the tensor bytes."""


@dataclass(frozen=True)
class Codes:
    """A recording as codes."""

    codes: Tensor
    """``[S, Q]`` int64; given as a grid of NumPy's, as ``edit.py`` makes them, it becomes a tensor."""
    codec: str
    """Fingerprint of the encoder and codebooks that made them; the decoder may have been trained further since."""
    samples: int
    """Length of the recording at ``sample_rate``; decoding gives exactly that many."""
    sample_rate: int

    def __post_init__(self) -> None:
        grid: Any = self.codes
        if isinstance(grid, np.ndarray) and np.issubdtype(grid.dtype, np.integer):
            object.__setattr__(self, "codes", torch.from_numpy(grid.astype(np.int64)))


def save_codes(path: Path, codes: Codes) -> Path:
    """Writes the file whole or not at all.

    Raises:
        OutputError: if the file system refuses.
    """

    def header(digest: str) -> str:
        return _Header(
            codec=codes.codec, samples=codes.samples, sample_rate=codes.sample_rate, digest=digest
        ).model_dump_json()

    with written_aside(path) as temporary:
        temporary.write_bytes(encode({"codes": codes.codes.to(torch.int16)}, _KEY, header))
    return path


def load_codes(path: Path, fingerprint: str, codec: ConvVQVAE) -> Codes:
    """Reads and checks a ``.codes`` file against the codec that is to decode it and the fingerprint of
    its encoder and codebooks.

    Raises:
        CodesFileError: if the file is missing, damaged, of a newer version, or belongs to another codec.
    """
    fix = "Make it again with: distill encode MODEL AUDIO"
    try:
        with open_regular(path) as file:
            table = read_table(file, _KEY)
            _check_version(path, table)
            header = _Header.model_validate_json(table.about, strict=True)
            _check_codec(path, header, fingerprint)
            positions = -(-header.samples // codec.hop)
            if header.sample_rate != codec.sample_rate:
                raise UnusableError(f"it is for {header.sample_rate} samples a second")
            expected = {"codes": ("I16", [positions, codec.num_quantizers])}
            grid = read_tensors(file, table, expected, header.digest)["codes"].long()
    except OSError as error:
        raise CodesFileError(f"{path} cannot be read: {error.strerror}.", fix) from error
    except (ValidationError, UnusableError) as error:
        if path.suffix.lower() != CODES_SUFFIX:
            made = "It is made of a recording with: distill encode MODEL AUDIO"
            raise CodesFileError(f"{path} is not a {CODES_SUFFIX} file, which is needed here.", made) from error
        why = "its header holds values that cannot be" if isinstance(error, ValidationError) else error
        raise CodesFileError(f"{path} is not a usable {CODES_SUFFIX} file: {why}.", fix) from error
    if not 0 <= int(grid.min()) <= int(grid.max()) < codec.codebook_size:
        raise CodesFileError(f"{path} holds codes that its model does not have.", fix)
    return Codes(grid, header.codec, header.samples, header.sample_rate)


def _check_version(path: Path, table: Table) -> None:
    major = table.fields.get("major")
    if table.fields.get("format") == _FORMAT and is_version(major) and major > _MAJOR:
        raise CodesFileError(
            f"{path} was written by a newer Distill (format {major}; this one reads up to {_MAJOR}).", UPDATE
        )


def _check_codec(path: Path, header: _Header, fingerprint: str) -> None:
    if header.codec != fingerprint:
        raise CodesFileError(
            f"{path} was made by another model (fingerprint of its codes {header.codec[:8]}, of this one's {fingerprint[:8]}); "
            "its codes mean other sounds here.",
            "Decode it with the model that made it, whose fingerprint distill info MODEL shows, or encode the recording again "
            "with this one.",
        )
