"""Sound at another sample rate, in bounded memory (soxr)."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr


def resampled(blocks: Iterable[np.ndarray], rate: float, wanted: float, channels: int) -> Iterator[np.ndarray]:
    """Blocks float32 ``[n, C]`` at ``wanted`` samples a second instead of ``rate``; what soxr holds back comes last.

    Of a short block nothing may come yet: then one of no samples does.
    """
    if rate == wanted:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, wanted, channels, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block))
    yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)
