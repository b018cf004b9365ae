"""Grids of codes: their layout, and the way to them from audio."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.codes.extract import Codec, decode_chunks, encode_blocks, extract_code_sequences
    from distill.codes.layout import flatten_codes, unflatten_codes

__all__ = [
    "Codec",
    "decode_chunks",
    "encode_blocks",
    "extract_code_sequences",
    "flatten_codes",
    "unflatten_codes",
]

_HOMES = {
    **dict.fromkeys(
        (
            "Codec",
            "decode_chunks",
            "encode_blocks",
            "extract_code_sequences",
        ),
        "distill.codes.extract",
    ),
    **dict.fromkeys(
        (
            "flatten_codes",
            "unflatten_codes",
        ),
        "distill.codes.layout",
    ),
}


def __getattr__(name: str) -> Any:
    # PyTorch takes seconds to import, so it waits until something here is used.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
