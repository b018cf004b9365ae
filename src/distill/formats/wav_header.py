"""The beginning of a WAV file: before sound that is sent while it is made, and before the sound of a damaged file."""

import struct

OPEN = 2**32 - 1
"""The largest size of 32 bits: it stands for one that is larger, or was left open."""
_WHOLE, _FLOAT = 1, 3


def form_of(channels: int, rate: int, bits: int) -> bytes:
    """The content of the ``fmt`` chunk, for samples of 16 or 24 bits as whole numbers, or of 32 as floats."""
    width = channels * bits // 8
    return struct.pack("<HHIIHH", _FLOAT if bits == 32 else _WHOLE, channels, rate, rate * width, width, bits)


def wav_header(form: bytes, held: int, order: str = "<") -> bytes:
    """All that comes before ``held`` bytes of sound, with sizes of 64 bits where it must be.

    An odd number of bytes is to be followed by another one, which counts for the file but not for the sound.

    Args:
        form: content of the ``fmt`` chunk.
        order: of bytes, as ``struct`` names it.
    """
    total = 4 + 8 + len(form) + len(form) % 2 + 8 + held + held % 2
    if total < OPEN:
        start = (b"RIFX" if order == ">" else b"RIFF") + struct.pack(order + "I", total) + b"WAVE"
    else:
        sizes = struct.pack("<IQQQI", 28, total + 36, held, 0, 0)
        start = b"RF64" + struct.pack("<I", OPEN) + b"WAVEds64" + sizes
    shape = b"fmt " + struct.pack(order + "I", len(form)) + form + b"\0" * (len(form) % 2)
    return start + shape + b"data" + struct.pack(order + "I", min(held, OPEN))
