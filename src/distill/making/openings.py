"""How new audio begins, and how long it may stay where it is: what the recordings, as codes, say of both.

Both are about silence. A recording that fades out ends in it, nothing follows there, and a prior that came to such a place
would stay: so pieces begin where something sounds, and pause no longer than the recordings do between two sounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from distill.codes.heard import entries_heard
from distill.models.model_file import Model

_GOLDEN = 0x9E3779B1
"""The golden ratio's fraction, times 2 to the power of 32."""
LONG_POSITIONS = 500
"""A recording of so many, some ten seconds, is entered anywhere; a shorter one at its beginning."""
HELD_POSITIONS = 12
"""For so many, a quarter of a second, any coarse code may be held on to."""
PAUSE_POSITIONS = 24
"""For so many, half a second, new audio may be silent, however short the recordings' own pauses are."""
HEARD_SECONDS = 1.0
"""So much of a long recording is heard before a piece begins in it (``heard_before`` of a model file, in positions): a fiftieth
of a second does not say which piece of music it is from, and every third one changed over into another (docs/prior.md)."""
SILENT_DB = 25.0
"""A coarse code is silent if its loudest mel band is on average so far below the recordings' median: a quiet bass is none."""


class Openings:
    """Where new pieces begin: with which recording, and from which of its positions on.

    Seeds in a row go through the recordings evenly, longer ones more often, so that a few pieces already stand for the whole
    corpus: multiples of the golden ratio fall evenly between 0 and 1, however many are taken (Knuth, The Art of Computer
    Programming 3, 6.4). Silent positions are left out, unless there are no others.
    """

    def __init__(self, model: Model) -> None:
        self._sources, self._heard_before = model.trained_on, model.header.heard_before
        silent = silent_codes(model)
        sounding = [torch.nonzero(~silent[source.codes[:, 0].long()])[:, 0] for source in self._sources]
        if not any(map(len, sounding)):
            sounding = [torch.arange(len(source.codes)) for source in self._sources]
        self._sounding = sounding
        self._ends = np.cumsum([len(places) for places in sounding])

    def place(self, seed: int) -> tuple[int, int]:
        """The recording, by its number in ``model.trained_on``, and the position in it."""
        at = int(((seed + 1) * _GOLDEN % 2**32) / 2**32 * int(self._ends[-1]))
        index = int(np.searchsorted(self._ends, at, side="right"))
        places = self._sounding[index]
        is_long = len(self._sources[index].codes) >= LONG_POSITIONS
        return index, int(places[at - int(self._ends[index]) + len(places) if is_long else 0])

    def before(self, seed: int) -> Tensor:
        """The codes ``[L, Q]`` that are heard before the piece begins and are no part of it: none of a short recording, which
        begins where it begins, and none where there are too few."""
        index, position = self.place(seed)
        codes = self._sources[index].codes
        first = position - self._heard_before
        return codes[first if first >= 0 and len(codes) >= LONG_POSITIONS else position : position]

    def codes(self, seeds: Sequence[int]) -> Tensor:
        """The codes with which the pieces begin, ``[B, Q]``."""
        places = [self.place(seed) for seed in seeds]
        return torch.stack([self._sources[index].codes[position] for index, position in places])


@dataclass(frozen=True)
class Stays:
    """How many positions in a row new audio may stay where it is, as long as the recordings do.

    A code that they held once for long, above all that of silence, is so likely to come again each time that careful
    drawing would never leave it.
    """

    longest: Tensor
    """Of each coarse code ``[K]``."""
    silent: Tensor
    """Which coarse codes stand for silence: bool ``[K]``."""
    pause: int
    """Of any of those."""

    @classmethod
    def of(cls, model: Model) -> "Stays":
        """Those of a model. The silence before a recording's first sound and after its last one is no pause."""
        longest = torch.full((model.codec.codebook_size,), HELD_POSITIONS)
        silent, pause = silent_codes(model), PAUSE_POSITIONS
        for source in model.trained_on:
            coarse = source.codes[:, 0].long()
            codes, counts = torch.unique_consecutive(coarse, return_counts=True)
            longest.scatter_reduce_(0, codes, counts, "amax")
            sounding = torch.nonzero(~silent[coarse])[:, 0]
            pause = max(pause, int((sounding.diff() - 1).max()) if len(sounding) > 1 else 0)
        return cls(longest, silent, pause)

    def to(self, device: torch.device) -> "Stays":
        """The same on a device."""
        return replace(self, longest=self.longest.to(device), silent=self.silent.to(device))


def silent_codes(model: Model) -> Tensor:
    """Which coarse codes stand for silence in the recordings: bool ``[K]``; none in model files without a map to bands."""
    size, sources = model.codec.codebook_size, model.trained_on
    if not model.header.bands or not sources:
        return torch.zeros(size, dtype=torch.bool)
    codebooks, table = model.codec.quantizer.codebooks.cpu(), torch.tensor(model.header.bands)
    heard = entries_heard(codebooks, table)  # [Q, K, BANDS], beside the mean of each level
    mean = codebooks.mean(dim=1).sum(dim=0) @ table[:-1] + table[-1]
    levels = 20 * torch.cat([_added(heard, source.codes).add_(mean).amax(dim=1) for source in sources])
    coarse = torch.cat([source.codes[:, 0] for source in sources]).long()
    total = torch.zeros(size).index_add_(0, coarse, levels)
    count = torch.bincount(coarse, minlength=size)
    return (count > 0) & (total / count.clamp(min=1) < levels.median() - SILENT_DB)


def _added(heard: Tensor, codes: Tensor) -> Tensor:
    """What all levels of the codes ``[S, Q]`` add, together: ``[S, BANDS]``."""
    return torch.stack([entries[code] for entries, code in zip(heard, codes.T.long(), strict=True)]).sum(dim=0)
