"""A prior's training codes, saved beside its state, so that a stopped prior can be resumed on any machine without encoding.

    prior.state   what changes while it trains (``training/state_file.py``)
    prior.codes   the passages as codes, int16, written anew whenever further views were encoded

Another processor rounds differently, so a few of 50 000 codes encoded there differ; a resumed prior needs exactly those it
began with. The file is safetensors, checked like every file that may come from elsewhere (``files/tensors.py``).
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from distill.errors import DistillError, OutputError
from distill.files.atomic import written_aside
from distill.files.regular import open_regular
from distill.files.tensors import Digest, Size, UnusableError, encode, read_table, read_tensors
from distill.models.config import PriorConfig
from distill.training.checkpoint import StateFile
from distill.training.metrics import MetricsCallback, Notice
from distill.training.prior_data import KeptCodes
from distill.training.state_file import KEPT_SUFFIX

_KEY = "distill-prior-codes"


class _Header(BaseModel):
    format: Literal[1] = 1
    belongs_to: Annotated[dict[str, Digest], Field(max_length=8)]
    passages: Size
    """How many are trained on."""
    encodings: Size
    """How many of them there are, in all views."""
    positions: Size
    """Of all encodings together."""
    held_out: Size
    """How many passages are held out."""
    held_out_positions: Size
    digest: Digest


def digest_of(coded: Sequence[Tensor]) -> str:
    """Identifies a set of codes: SHA-256 of its encodings ``[S, Q]`` as int16, in order."""
    digest = hashlib.sha256()
    for codes in coded:
        digest.update(codes.short().contiguous().numpy().data)
    return digest.hexdigest()


def keep_codes(
    state_file: StateFile,
    codes: KeptCodes,
    passages: int,
    belongs_to: Mapping[str, str],
    callback: MetricsCallback,
) -> None:
    """Saves the codes beside the state, if a state is saved.

    If the disk is full or gone, a warning is sent and training goes on.

    Args:
        passages: number of training passages.
        belongs_to: digests of what the codes were made from, by name.
    """
    if state_file.path is None:
        return
    tensors = {
        "lengths": torch.tensor([len(one) for one in (*codes.coded, *codes.held_out)]),
        "coded": torch.cat([one.short() for one in codes.coded]),
        "held_out": torch.cat([one.short() for one in codes.held_out]),
    }

    def header(digest: str) -> str:
        return _Header(
            belongs_to=dict(belongs_to),
            passages=passages,
            encodings=len(codes.coded),
            positions=len(tensors["coded"]),
            held_out=len(codes.held_out),
            held_out_positions=len(tensors["held_out"]),
            digest=digest,
        ).model_dump_json()

    path = state_file.path.with_suffix(KEPT_SUFFIX)
    try:
        content = encode(tensors, _KEY, header)
        with written_aside(path) as temporary:
            temporary.write_bytes(content)
    except (OutputError, UnusableError) as error:
        why = error.what if isinstance(error, DistillError) else f"{path} cannot be written: {error}."
        callback(Notice(f"{why} To go on after a stop, the recordings have to be encoded again.", is_warning=True))


def kept_codes(
    state_file: StateFile,
    config: PriorConfig,
    passages: tuple[int, int],
    belongs_to: Mapping[str, str],
    callback: MetricsCallback,
) -> KeptCodes | None:
    """The codes of a resumed training; None if nothing is resumed or there are no codes.

    A file that cannot be used is reported as a warning; the recordings are then encoded again.

    Args:
        passages: numbers of training and of held-out passages.
        belongs_to: the digests given to :func:`keep_codes`, except that of the set of codes, which the saved training holds.
    """
    if state_file.path is None or state_file.resumed is None:
        return None
    path = state_file.path.with_suffix(KEPT_SUFFIX)
    wanted = {**belongs_to, "set of codes": state_file.resumed.value("set of codes", str)}
    try:
        with open_regular(path) as file:
            table = read_table(file, _KEY)
            header = _Header.model_validate_json(table.about, strict=True)
            for name, digest in wanted.items():
                if header.belongs_to.get(name) != digest:
                    raise UnusableError(f"it belongs to another {name}")
            if (header.passages, header.held_out) != passages or header.encodings < header.passages:
                raise UnusableError("it holds other passages")
            expected = {
                "lengths": ("I64", [header.encodings + header.held_out]),
                "coded": ("I16", [header.positions, config.num_quantizers]),
                "held_out": ("I16", [header.held_out_positions, config.num_quantizers]),
            }
            tensors = read_tensors(file, table, expected, header.digest)
        lengths = tensors["lengths"].tolist()
        coded, held_out = lengths[: header.encodings], lengths[header.encodings :]
        sums = (sum(coded), sum(held_out))
        if min(lengths) < 1 or sums != (header.positions, header.held_out_positions):
            raise UnusableError("its lengths do not fit its codes")
        for codes in (tensors["coded"], tensors["held_out"]):
            if not 0 <= int(codes.min()) <= int(codes.max()) < config.codebook_size:
                raise UnusableError("it holds codes that cannot be")
    except FileNotFoundError:  # moved away, or never written, as the disk was full
        return None
    except (OSError, ValidationError, UnusableError) as error:
        why = error if isinstance(error, UnusableError) else "it cannot be read"
        callback(Notice(f"{path} is not used: {why}. The recordings are encoded again.", is_warning=True))
        return None
    return KeptCodes(tensors["coded"].split(coded), tuple(part.long() for part in tensors["held_out"].split(held_out)))
