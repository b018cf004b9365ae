"""Views: augmentations of a recording that change its codes but hardly the music.

A small corpus teaches a prior far more in many views (docs/prior.md). There are infinitely many, numbered from 0, and the first
n of them are spread evenly over all shifts, gains and transpositions for any n: the first two follow the quasirandom sequence
R2 of Roberts 2018 ("The unreasonable effectiveness of quasirandom sequences"), multiples modulo 1 of the inverse powers of the
plastic number; the third, multiples of the square root of 2, pairs with neither.

Three of four views are transposed. The codec knows the recordings at their own pitch, and transposed they get codes that change
more often, so the prior is told which they are: new audio is as the others (docs/prior.md).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from distill.audio.resampling import resampled

_PLASTIC = 1.324717957244746
LOUDER_DB = 3.0
"""Views are at most this much louder or softer."""


def is_transposed(number: int) -> bool:
    """Whether view ``number`` has another pitch than the recording; every fourth has not, from 0 on."""
    return number % 4 > 0


@dataclass(frozen=True)
class View:
    """An augmentation: a delay, a transposition (by resampling, so the tempo changes too) and a gain."""

    shift: int = 0
    """Samples of silence before the recording, fewer than a hop."""
    semitones: float = 0.0
    gain_db: float = 0.0

    @classmethod
    def numbered(cls, number: int, hop: int, semitones: float) -> Self:
        """View ``number``, transposed by at most ``semitones`` up or down where :func:`is_transposed` says so. View 0 is the
        recording as it is."""
        if not number:
            return cls()
        late, loud, high = number / _PLASTIC % 1, number / _PLASTIC**2 % 1, (number - number // 4) * 2**0.5 % 1
        transposed = (2 * high - 1) * semitones if is_transposed(number) else 0.0
        return cls(int(late * hop), transposed, (2 * loud - 1) * LOUDER_DB)

    def of(self, blocks: Iterable[np.ndarray], channels: int, sample_rate: int) -> Iterator[np.ndarray]:
        """This view of a recording: blocks float32 ``[C, n]`` in and out."""
        if self.shift:
            yield np.zeros((channels, self.shift), np.float32)
        gain = np.float32(10 ** (self.gain_db / 20))
        told = (block.T for block in blocks)
        for block in resampled(told, sample_rate * 2 ** (self.semitones / 12), sample_rate, channels):
            yield block.T * gain if self.gain_db else block.T
