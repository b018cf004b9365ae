"""Views: augmentations of a recording that change its codes but hardly the music.

A small corpus teaches a prior far more in many views (docs/prior.md). There are infinitely many, numbered from 0, and the first
n of them are spread evenly over all shifts, gains and transpositions for any n: their coordinates are the quasirandom sequences
R2 (the first two) and R1 of Roberts 2018 ("The unreasonable effectiveness of quasirandom sequences"), multiples modulo 1 of the
inverse powers of the plastic number, and of the inverse of the golden ratio.

Every other view keeps its pitch. The codec knows the recordings at their own, and transposed they get codes that change more
often: a prior that has seen little else makes new audio that flickers as they do (docs/prior.md).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import soxr

_GOLDEN, _PLASTIC = 1.618033988749895, 1.324717957244746
LOUDER_DB = 3.0
"""Views are at most this much louder or softer."""


@dataclass(frozen=True)
class View:
    """An augmentation: a delay, a transposition (by resampling, so the tempo changes too) and a gain."""

    shift: int = 0
    """Samples of silence before the recording, fewer than a hop."""
    semitones: float = 0.0
    gain_db: float = 0.0

    @classmethod
    def numbered(cls, number: int, hop: int, semitones: float) -> Self:
        """View ``number``; odd ones are transposed by at most ``semitones`` up or down. View 0 is the recording as it is."""
        if not number:
            return cls()
        late, loud, high = number / _PLASTIC % 1, number / _PLASTIC**2 % 1, (number + 1) // 2 / _GOLDEN % 1
        transposed = (2 * high - 1) * semitones if number % 2 else 0.0
        return cls(int(late * hop), transposed, (2 * loud - 1) * LOUDER_DB)

    def of(self, blocks: Iterable[np.ndarray], channels: int, sample_rate: int) -> Iterator[np.ndarray]:
        """This view of a recording: blocks float32 ``[C, n]`` in and out."""
        if self.shift:
            yield np.zeros((channels, self.shift), np.float32)
        gain = np.float32(10 ** (self.gain_db / 20))
        for block in self._transposed(blocks, sample_rate):
            yield block * gain if self.gain_db else block

    def _transposed(self, blocks: Iterable[np.ndarray], sample_rate: int) -> Iterator[np.ndarray]:
        if not self.semitones:
            yield from blocks
            return
        resampler: soxr.ResampleStream | None = None
        for block in blocks:
            if resampler is None:
                resampler = soxr.ResampleStream(
                    sample_rate * 2 ** (self.semitones / 12), sample_rate, len(block), dtype="float32", quality="HQ"
                )
            yield resampler.resample_chunk(np.ascontiguousarray(block.T)).T
        if resampler is not None:
            yield resampler.resample_chunk(np.zeros((0, len(block)), np.float32), last=True).T
