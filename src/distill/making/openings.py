"""How new audio begins: as the recordings do, where something sounds.

A recording that fades out ends in silence, nothing follows there, and a prior that came to such a place would stay.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from distill.codes.layout import positions_in
from distill.making.limits import silent_codes
from distill.models.model_file import Model

_GOLDEN = 0x9E3779B1
"""The golden ratio's fraction, times 2 to the power of 32."""
LONG_SECONDS = 10.67
"""A recording of so many is entered anywhere; a shorter one at its beginning."""
HEARD_SECONDS = 1.0
"""So much of a long recording is the context in which a piece begins (``heard_before`` of a model file, in positions): a
fiftieth of a second does not say which piece of music it is from, and every third one changed over into another
(docs/prior.md)."""


class Openings:
    """Where new pieces begin: with which recording, and from which of its positions on.

    Seeds in a row go through the recordings evenly, longer ones more often, so that a few pieces already stand for the whole
    corpus: multiples of the golden ratio fall evenly between 0 and 1, however many are taken (Knuth, The Art of Computer
    Programming 3, 6.4). Silent positions are left out, unless there are no others.
    """

    def __init__(self, model: Model) -> None:
        self._sources, self._heard_before = model.trained_on, model.header.heard_before
        self._long = positions_in(LONG_SECONDS, model.codec.frame_rate)
        self.silent = silent_codes(model)
        """What they are, for whatever else needs them."""
        sounding = [torch.nonzero(~self.silent[source.codes[:, 0].long()])[:, 0] for source in self._sources]
        if not any(map(len, sounding)):
            sounding = [torch.arange(len(source.codes)) for source in self._sources]
        self._sounding = sounding
        self._ends = np.cumsum([len(places) for places in sounding])

    def place(self, seed: int) -> tuple[int, int]:
        """The recording, by its number in ``model.trained_on``, and the position in it."""
        at = int(((seed + 1) * _GOLDEN % 2**32) / 2**32 * int(self._ends[-1]))
        index = int(np.searchsorted(self._ends, at, side="right"))
        places = self._sounding[index]
        is_long = len(self._sources[index].codes) >= self._long
        return index, int(places[at - int(self._ends[index]) + len(places) if is_long else 0])

    def before(self, seed: int) -> Tensor:
        """The codes ``[L, Q]`` that precede the piece and are no part of it.

        None of a short recording, whose pieces open at its beginning, and none where there are too few.
        """
        index, position = self.place(seed)
        codes = self._sources[index].codes
        first = position - self._heard_before
        return codes[first if first >= 0 and len(codes) >= self._long else position : position]

    def codes(self, seeds: Sequence[int]) -> Tensor:
        """The codes with which the pieces begin, ``[B, Q]``."""
        places = [self.place(seed) for seed in seeds]
        return torch.stack([self._sources[index].codes[position] for index, position in places])
