"""Grids of codes: their layout, and the way to them from audio."""

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
