"""Grids of codes: their layout, and the way to them from audio."""

from distill.doors import opening

__getattr__ = opening(
    __name__,
    {
        "distill.codes.extract": "decode_chunks encode_blocks extract_code_sequences",
        "distill.codes.layout": "flatten_codes unflatten_codes",
    },
)
