"""Safetensors from a stranger: no tensor is built before the table, the sizes and the digest of the bytes are found right.

8 bytes   length of the table
table     JSON: {"__metadata__": {key: about}, name: {dtype, shape, data_offsets}, ...}
bytes     the tensors, without gaps
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

if TYPE_CHECKING:
    from torch import Tensor

MAX_TABLE_BYTES = 4 << 20
"""Names of some 25 000 recordings."""
MOST_PARTS = 100_000
"""JSON objects and lists; in memory each takes up to a hundred times the room it has in the file."""
_SEAL = "sha256"
_CHUNK = 1 << 20

Size = Annotated[int, Field(ge=0, lt=1 << 48)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Expected = Mapping[str, tuple[str, list[int]]]
"""Name to (type, shape) of every tensor that a file must hold."""


class UnusableError(ValueError):
    """Why a file cannot be used, as the end of a sentence; the caller knows what the file is and what to do."""


class Entry(BaseModel):
    """What the table says of one tensor."""

    model_config = ConfigDict(frozen=True, strict=True)

    dtype: Annotated[str, Field(max_length=16)]
    shape: Annotated[list[Size], Field(max_length=8)]
    data_offsets: Annotated[list[Size], Field(min_length=2, max_length=2)]


_ENTRIES = TypeAdapter(dict[str, Entry])


@dataclass(frozen=True)
class Table:
    """The beginning of a file: what it says of itself, and where its tensors lie."""

    about: str
    """JSON, known to be an object without a name that comes twice."""
    fields: Mapping[str, Any]
    """The same, parsed."""
    entries: Mapping[str, Entry]
    body: int
    """Bytes of tensors that the file holds."""


def encode(tensors: "Mapping[str, Tensor]", key: str, about: Callable[[str], str]) -> bytes:
    """A whole file; ``about`` is given the digest of the tensor bytes and says what goes under ``key``.

    Raises:
        UnusableError: if the table would be too long to be read again.
    """
    import safetensors.torch  # takes seconds with PyTorch, so only whoever needs tensors pays for it

    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    plain = memoryview(safetensors.torch.save(whole))
    digest = hashlib.sha256(plain[8 + int.from_bytes(plain[:8], "little") :]).hexdigest()
    text = about(digest)
    content = safetensors.torch.save(whole, {key: text, _SEAL: _seal(text)})
    if int.from_bytes(content[:8], "little") > MAX_TABLE_BYTES:
        raise UnusableError(f"what is to be said of it takes more than {MAX_TABLE_BYTES >> 20} MiB")
    return content


def read_table(file: BinaryIO, key: str) -> Table:
    """Reads the table of a file that stands at its beginning, and leaves it where the tensors begin.

    Raises:
        UnusableError: if it is not one, or says nothing under ``key``.
    """
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= min(MAX_TABLE_BYTES, size - 8):
        raise UnusableError("it is too short or does not begin as it should")
    try:
        table = _parsed(file.read(length).decode())
        said = table.pop("__metadata__")
        about = said[key]
        found = Table(about, _parsed(about), _ENTRIES.validate_python(table), size - 8 - length)
        is_whole = said[_SEAL] == _seal(about)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnusableError("its header cannot be understood") from error
    if not is_whole:
        raise UnusableError("its header does not match its checksum")
    return found


def read_tensors(file: BinaryIO, table: Table, expected: Expected, digest: str) -> "dict[str, Tensor]":
    """The tensors, if they are exactly the expected ones; ``digest`` is the SHA-256 they must have.

    Raises:
        UnusableError: if they are others, or not whole.
    """
    import safetensors.torch

    _check(table, expected)
    start = file.tell()
    if _sha256(_pieces(file, start, table.body)) != digest:
        raise UnusableError("its content does not match its checksum")
    file.seek(start)
    try:
        # Written anew from what was checked, so that no second reader can understand the table in another way.
        encoded = json.dumps({name: entry.model_dump() for name, entry in table.entries.items()}).encode()
        return safetensors.torch.load(len(encoded).to_bytes(8, "little") + encoded + file.read(table.body))
    except (safetensors.SafetensorError, ValueError) as error:
        raise UnusableError("its tensors cannot be read") from error
    except MemoryError as error:
        raise UnusableError(f"its tensors take {table.body >> 20} MiB, more memory than there is") from error


def rewrite(
    file: BinaryIO,
    table: Table,
    key: str,
    about: Callable[[str], str],
    digest: str,
    out: BinaryIO,
    without: Collection[str] = (),
) -> None:
    """Writes the tensors with other words under ``key``. None is built.

    Args:
        file: stands where its tensors begin.
        about: is given the digest of the bytes that are written and says what goes under ``key``.
        digest: the SHA-256 that the tensors must have.
        without: the names of those that are left out.

    Raises:
        UnusableError: if the tensors are others, or the table would be too long to be read again.
    """
    start = file.tell()
    if _sha256(_pieces(file, start, table.body)) != digest:
        raise UnusableError("its content does not match its checksum")
    kept = [(name, entry) for name, entry in _in_order(table) if name not in without]

    def content() -> Iterator[bytes]:
        spans = (entry.data_offsets for _, entry in kept)
        return chain.from_iterable(_pieces(file, start + begin, end - begin) for begin, end in spans)

    wanted, at = _sha256(content()), 0
    words = about(wanted)
    said: dict[str, Any] = {"__metadata__": {key: words, _SEAL: _seal(words)}}
    for name, entry in kept:
        begin, end = entry.data_offsets
        said[name] = {**entry.model_dump(), "data_offsets": [at, at := at + end - begin]}
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors lie as they should in memory
    if len(text) > MAX_TABLE_BYTES:
        raise UnusableError(f"what is to be said of it takes more than {MAX_TABLE_BYTES >> 20} MiB")
    out.write(len(text).to_bytes(8, "little") + text)
    if _sha256(content(), out) != wanted:
        raise UnusableError("its content changed while it was read")


def _seal(about: str) -> str:
    return hashlib.sha256(about.encode()).hexdigest()


def _parsed(text: str) -> dict[str, Any]:
    if text.count("{") + text.count("[") > MOST_PARTS:
        raise ValueError("more parts than a Distill file can have")
    found = json.loads(text, object_pairs_hook=_unique)
    if not isinstance(found, dict):
        raise TypeError("not an object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two values for one name every reader takes the one it likes.
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _check(table: Table, expected: Expected) -> None:
    if table.entries.keys() != expected.keys():
        raise UnusableError("it holds other tensors than its header declares")
    ordered = _in_order(table)
    if {name: (entry.dtype, entry.shape) for name, entry in table.entries.items()} != dict(expected):
        raise UnusableError("its tensors have other sizes than its header declares")
    position = ordered[-1][1].data_offsets[1] if ordered else 0
    if position != table.body:
        raise UnusableError(f"{table.body} bytes of tensors are there and {position} were expected")


def _in_order(table: Table) -> list[tuple[str, Entry]]:
    """The tensors as they lie one behind the other."""
    ordered, position = sorted(table.entries.items(), key=lambda one: one[1].data_offsets), 0
    for _, entry in ordered:
        start, stop = entry.data_offsets
        if start != position or stop < start:
            raise UnusableError("its tensors overlap or leave gaps")
        position = stop
    return ordered


def _sha256(pieces: Iterable[bytes], out: BinaryIO | None = None) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        if out is not None:
            out.write(piece)
    return digest.hexdigest()


def _pieces(file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    # Piece by piece: a huge file that is no model is never held in memory.
    file.seek(start)
    while size > 0 and (piece := file.read(min(_CHUNK, size))):
        size -= len(piece)
        yield piece
