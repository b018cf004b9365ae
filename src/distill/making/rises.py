"""When sounds begin, read from codes: how much louder the bands of the spectrum get from one position to the next.

What codes stand for says how a position sounds, not what comes of it beside the one before. A grain whose note began a moment
earlier is near to every position of that note, and new audio made of such grains loses its attacks, and with them its beat.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from distill.codes.descriptions import summed

PARTS = 8
"""Neighbouring bands are taken together until there are about so many: more said no more and took three times as long."""
MOST_OFF = 4.0
"""A rise that is further off than so many usual ones is as wrong as any."""


class Rises:
    """The rises that new codes ask for, beside those that would be heard in their place.

    Args:
        levels: what each entry adds to the bands ``[Q, K, B]`` (:func:`distill.codes.descriptions.entry_descriptions`).
        codes: of each stretch that may be quoted, ``[S, Q]``; their positions are numbered in a row.
    """

    def __init__(self, levels: Tensor, codes: Sequence[Tensor]) -> None:
        width = max(1, levels.shape[2] // PARTS)
        parts = torch.split(levels.detach().float().cpu(), width, dim=2)
        self._levels = torch.stack([part.mean(dim=2) for part in parts], dim=2)
        found = [self.bands(one) for one in codes]
        self._bands = np.ascontiguousarray(np.concatenate(found).T)  # [B, n]
        own = [_rise(one[1:] - one[:-1], axis=1) for one in found]
        self._own = np.concatenate([np.concatenate([[0.0], one]) for one in own]).astype(np.float32)
        self._usual = max(float(np.concatenate(own).std()), 1e-9) if any(map(len, own)) else 1.0

    def bands(self, codes: Tensor) -> np.ndarray:
        """Levels of the bands at each of the positions ``[S, Q]``: ``[S, B]``."""
        found: np.ndarray = summed(self._levels, codes).numpy()
        return found

    def asked(self, bands: np.ndarray, before: np.ndarray) -> np.ndarray:
        """The rise at each position of which the bands are ``[S, B]``, the first of them after ``before [B]``: ``[S]``."""
        found: np.ndarray = _rise(np.diff(bands, axis=0, prepend=before[None]), axis=1)
        return found

    def off_going_on(self, asked: float, places: np.ndarray) -> np.ndarray:
        """How many usual rises those of these positions ``[M]`` are from it, where their recording goes on to them: ``[M]``."""
        return self._off(self._own[places], asked)

    def off(self, asked: float, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The same for every step from positions ``before [M]`` to ``after [N]``: ``[M, N]``."""
        steps = self._bands[:, None, after] - self._bands[:, before, None]
        return self._off(_rise(steps, axis=0), asked)

    def _off(self, rises: np.ndarray, asked: float) -> np.ndarray:
        found: np.ndarray = np.minimum(np.abs(rises - asked) / self._usual, MOST_OFF)
        return found


def _rise(steps: np.ndarray, axis: int) -> np.ndarray:
    """The mean over the bands of what rises, in place."""
    found: np.ndarray = np.maximum(steps, 0, out=steps).sum(axis=axis) / steps.shape[axis]
    return found
