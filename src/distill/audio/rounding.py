"""Samples as the whole numbers that a file of 16 or 24 bits holds."""

import numpy as np


def rounded(audio: np.ndarray, bits: int) -> np.ndarray:
    """Sound of any shape, -1 to 1, as the nearest numbers of ``bits``: 16 in int16, 24 in the upper bits of int32.

    libsndfile takes these as they are; given floats it rounds those of a WAV file down. What was read from a file of as many
    bits comes back exactly. Beyond full scale is clipped.
    """
    full = 2 ** (bits - 1)
    whole = np.clip(np.rint(audio * np.float32(full)), -full, full - 1)
    return whole.astype(np.int16) if bits == 16 else whole.astype(np.int32) << (32 - bits)
