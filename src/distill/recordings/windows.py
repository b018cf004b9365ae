"""Windows of equal length for training and checking, the same for the same seed whatever was drawn before."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from distill.recordings.passages import Passage

T = TypeVar("T")


class TrainingWindows:
    """Endless training windows; each depends on (seed, epoch, index, place in the batch) alone.

    A passage is drawn by its length, but never as if it were shorter than a quarter of a window, so that short
    hits are heard too. Nothing is dropped for being short: what is shorter than the window lies in it among
    zeros, half of the time with silence before its attack. A share of ``silenced`` windows is cut so that it
    begins or ends in digital silence.
    """

    def __init__(
        self, passages: Sequence[Passage], window_samples: int, channels: int, seed: int, silenced: float = 0.0
    ) -> None:
        if not passages or window_samples < 1:
            raise ValueError("Training windows need at least one passage and one sample.")
        self.passages = tuple(passages)
        self.window_samples = window_samples
        self.channels = channels
        self.seed = seed
        self.silenced = silenced
        lengths = np.array([passage.samples for passage in self.passages], dtype=np.float64)
        weights = np.maximum(lengths, window_samples / 4)
        self._upper = np.cumsum(weights / weights.sum())
        self.windows_per_epoch = max(1, math.ceil(lengths.sum() / window_samples))

    def batch(self, epoch: int, index: int, batch_size: int, part: int = 0) -> np.ndarray:
        """Batch ``index`` of ``epoch``: float32 ``[B, C, N]``.

        Args:
            part: which part of it, where several processes share a batch of so many times the size.
        """
        windows = np.zeros((batch_size, self.channels, self.window_samples), np.float32)
        for place, window in enumerate(windows):
            draw = np.random.default_rng((self.seed, epoch, index, part * batch_size + place))
            chosen = int(np.searchsorted(self._upper, draw.random(), side="right"))
            passage = self.passages[min(chosen, len(self.passages) - 1)]
            slack = self.window_samples - passage.samples
            if slack <= 0:
                start = int(draw.integers(0, -slack, endpoint=True))
                window[:] = passage.read(start, start + self.window_samples, self.channels)
            else:
                before = int(draw.integers(0, slack, endpoint=True)) if draw.random() < 0.5 else 0
                window[:, before : before + passage.samples] = passage.read(0, passage.samples, self.channels)
            if draw.random() < self.silenced:
                cut = int(draw.integers(self.window_samples // 4, 3 * self.window_samples // 4, endpoint=True))
                window[:, slice(cut) if draw.random() < 0.5 else slice(cut, None)] = 0
        return windows


def validation_windows(passages: Sequence[Passage], window_samples: int, channels: int, limit: int) -> np.ndarray:
    """At most ``limit`` windows float32 ``[n, C, N]`` that tile the passages, always the same ones.

    Every passage gives its first window before any gives a second one; when even that is too many, or when
    not all further windows fit, those taken are spread evenly. A passage's last window is filled with zeros.
    """
    first = [(number, 0) for number in range(len(passages))]
    further = [
        (number, start)
        for number, passage in enumerate(passages)
        for start in range(window_samples, passage.samples, window_samples)
    ]
    chosen = spread(first, limit)
    chosen += spread(further, limit - len(chosen))
    windows = np.zeros((len(chosen), channels, window_samples), np.float32)
    for window, (number, start) in zip(windows, sorted(chosen), strict=True):
        stop = min(start + window_samples, passages[number].samples)
        window[:, : stop - start] = passages[number].read(start, stop, channels)
    return windows


def spread(items: list[T], limit: int) -> list[T]:
    """At most ``limit`` of the items, evenly spread, the same ones every time."""
    if len(items) <= limit:
        return items
    return [items[(2 * place + 1) * len(items) // (2 * limit)] for place in range(max(0, limit))]
