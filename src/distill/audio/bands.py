"""Which bins of a spectrum belong to which band."""

from itertools import pairwise

import numpy as np


def bins_of_bands(window: int, rate: int, edges: np.ndarray) -> np.ndarray:
    """A matrix that sums powers over bands: ``power @ matrix``.

    Args:
        window: samples of which a spectrum is made.
        rate: samples a second.
        edges: Hz, ascending; a band goes from one up to the next, without it.

    Returns:
        float32 ``[window // 2 + 1, len(edges) - 1]``. A band that no bin lies in has the one nearest to its middle.
    """
    hertz = np.fft.rfftfreq(window, 1 / rate)
    matrix = np.zeros((len(hertz), len(edges) - 1), np.float32)
    for band, (low, high) in enumerate(pairwise(edges)):
        within = (hertz >= low) & (hertz < high)
        if not within.any():
            within[np.argmin(np.abs(hertz - (low + high) / 2))] = True
        matrix[within, band] = 1
    return matrix
