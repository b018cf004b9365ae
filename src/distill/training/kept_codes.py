"""What a prior learns from, kept beside its state, so that nothing is encoded twice and a stopped prior goes on on any machine.

    prior.state   what changes while it trains (``training/state.py``)
    prior.codes   the code sequences, int16, written once, when the recordings have been encoded

Another processor rounds otherwise, so of 50 000 codes encoded there a few are others; a prior that goes on needs the very ones
it began with. Safetensors, checked like every file that may come from elsewhere (``files/tensors.py``).
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from distill.errors import DistillError, OutputError
from distill.files.atomic import written_aside
from distill.files.regular import open_regular
from distill.files.tensors import Digest, Size, UnusableError, encode, read_table, read_tensors
from distill.models.header import SourceRecord
from distill.models.model_file import Source
from distill.models.prior import PriorConfig
from distill.training.checkpoint import StateFile
from distill.training.metrics import MetricsCallback, Notice
from distill.training.prior_data import PriorData
from distill.training.state import CODES_SUFFIX

_KEY = "distill-prior-codes"


class _Header(BaseModel):
    format: Literal[1] = 1
    belongs_to: Annotated[dict[str, Digest], Field(max_length=8)]
    views: Annotated[int, Field(ge=1, le=1 << 32)]
    tokens: tuple[Size, Size]
    """Shape of the sequences to train on."""
    held_out: tuple[Size, Size]
    """Shape of the held-out ones."""
    sources: Annotated[tuple[SourceRecord, ...], Field(max_length=100_000)]
    digest: Digest


def digest_of(tokens: Tensor) -> str:
    """By what a set of code sequences ``[N, T]`` is known: SHA-256 of them as int64."""
    return hashlib.sha256(tokens.numpy().data).hexdigest()


def keep_codes(
    state_file: StateFile, data: PriorData, belongs_to: Mapping[str, str], callback: MetricsCallback
) -> None:
    """Writes the codes beside the state; nothing where no state is kept.

    A disk that is full, or away, costs the chance to go on elsewhere and nothing else: the person is told, and training
    goes on.

    Args:
        belongs_to: what the codes are of, by name, as digests.
    """
    if state_file.path is None:
        return
    records = tuple(
        SourceRecord(
            name=source.name,
            start_seconds=source.start_seconds,
            positions=len(source.codes),
            held_out=source.held_out,
            take=source.take,
            sha256=source.sha256 or None,
            gain=source.gain,
            mix=source.mix,
        )
        for source in data.sources
    )
    tensors = {
        "tokens": data.tokens.short(),
        "held_out": data.held_out.short(),
        "sources": torch.cat([source.codes for source in data.sources]).short(),
    }

    def header(digest: str) -> str:
        return _Header(
            belongs_to=dict(belongs_to),
            views=data.views,
            tokens=(data.tokens.shape[0], data.tokens.shape[1]),
            held_out=(data.held_out.shape[0], data.held_out.shape[1]),
            sources=records,
            digest=digest,
        ).model_dump_json()

    path = state_file.path.with_suffix(CODES_SUFFIX)
    try:
        content = encode(tensors, _KEY, header)
        with written_aside(path) as temporary:
            temporary.write_bytes(content)
    except (OutputError, UnusableError) as error:
        why = error.what if isinstance(error, DistillError) else f"{path} cannot be written: {error}."
        callback(Notice(f"{why} To go on after a stop, the recordings have to be encoded again.", is_warning=True))


def kept_codes(
    state_file: StateFile, config: PriorConfig, belongs_to: Mapping[str, str], callback: MetricsCallback
) -> PriorData | None:
    """The codes that a saved training goes on with; None where there is nothing to go on from, or they are not there.

    What lies there and cannot be used is told, and the recordings are encoded again.

    Args:
        belongs_to: what they must be the codes of: all that was given to :func:`keep_codes` but the set of codes, which
            the saved training knows.
    """
    if state_file.path is None or state_file.resumed is None:
        return None
    path = state_file.path.with_suffix(CODES_SUFFIX)
    wanted = {**belongs_to, "set of codes": state_file.resumed.value("set of codes", str)}
    try:
        with open_regular(path) as file:
            table = read_table(file, _KEY)
            header = _Header.model_validate_json(table.about, strict=True)
            for name, digest in wanted.items():
                if header.belongs_to.get(name) != digest:
                    raise UnusableError(f"it belongs to another {name}")
            positions = sum(record.positions for record in header.sources)
            expected = {
                "tokens": ("I16", list(header.tokens)),
                "held_out": ("I16", list(header.held_out)),
                "sources": ("I16", [positions, config.num_quantizers]),
            }
            tensors = {name: found.long() for name, found in read_tensors(file, table, expected, header.digest).items()}
        for codes in tensors.values():
            if not (codes.numel() and 0 <= int(codes.min()) <= int(codes.max()) < config.codebook_size):
                raise UnusableError("it holds codes that cannot be")
    except FileNotFoundError:  # kept by an earlier version, or not at all
        return None
    except (OSError, ValidationError, UnusableError) as error:
        why = error if isinstance(error, UnusableError) else "it cannot be read"
        callback(Notice(f"{path} is not used: {why}. The recordings are encoded again.", is_warning=True))
        return None
    parts = tensors["sources"].split([record.positions for record in header.sources])
    sources = tuple(
        Source(
            record.name,
            record.start_seconds,
            record.held_out,
            codes,
            record.take,
            record.sha256 or "",
            record.gain,
            record.mix,
        )
        for record, codes in zip(header.sources, parts, strict=True)
    )
    return PriorData(tensors["tokens"], tensors["held_out"], sources, header.views)
