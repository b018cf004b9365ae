"""What of a piece of codes stands in the recordings, code for code.

Exact answers to two questions: how long is the longest run of positions that also stands in a recording, and how many windows
of some seconds are nearly a recording's. How near a *sound* comes to one is another question: codes/passages.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

_BLOCK = 1 << 24
"""Comparisons made at once; bounds the memory."""


@dataclass(frozen=True)
class SharedRun:
    """The longest stretch of a piece that stands in a recording as well."""

    positions: int
    """Its length; 0 where nothing is shared."""
    start: int
    """Where it begins in the piece."""
    source: int
    """Which recording, as counted in the list that was given; -1 where nothing is shared."""
    source_start: int
    """Where it begins there."""


def shared_runs(codes: Tensor, sources: Sequence[Tensor], levels: int) -> tuple[np.ndarray, np.ndarray]:
    """For every position of ``codes [S, Q]`` the longest run shared with any of ``sources [S_i, Q]`` that ends there.

    Positions are equal when their first ``levels`` codes are. One row of the classic table of common substrings a position,
    over all recordings at once: linear memory, and fast enough (an hour against ten seconds: 80 million comparisons) that no
    suffix automaton is needed.

    Returns:
        Lengths in positions, and where in the joined sources they end: two int64 ``[S]``.
    """
    piece = _symbols([codes], levels)[0]
    joined = _joined(sources, levels)
    run = np.zeros(len(joined) + 1, np.int32)  # run[m + 1]: of the run that ends with joined[m]
    lengths, ends = np.zeros(len(piece), np.int64), np.zeros(len(piece), np.int64)
    for place, symbol in enumerate(piece):
        run[1:] = (run[:-1] + 1) * (joined == symbol)
        ends[place] = run.argmax() - 1
        lengths[place] = run[ends[place] + 1]
    return lengths, ends


def longest_shared_run(codes: Tensor, sources: Sequence[Tensor], levels: int) -> SharedRun:
    """The longest run of positions of ``codes [S, Q]`` whose first ``levels`` codes also stand in one of ``sources``."""
    if not len(codes) or not sources:
        return SharedRun(0, 0, -1, 0)
    lengths, ends = shared_runs(codes, sources, levels)
    last = int(lengths.argmax())
    length = int(lengths[last])
    if not length:
        return SharedRun(0, 0, -1, 0)
    # Every source is followed by one separator in the joined line.
    begins = np.cumsum([0] + [len(source) + 1 for source in sources])
    first = int(ends[last]) - length + 1
    source = int(np.searchsorted(begins, first, side="right")) - 1
    return SharedRun(length, last - length + 1, source, first - int(begins[source]))


def share_of_equal_windows(codes: Tensor, sources: Sequence[Tensor], window: int, equal: float = 0.8) -> float:
    """Share of the windows of ``codes [S, Q]`` of whose level-1 codes ``equal`` or more stand, in step, in one recording.

    A piece shorter than ``window`` positions is one window.
    """
    piece = _symbols([codes], 1)[0]
    window = min(window, len(piece))
    if not window or not sources:
        return 0.0
    # Padded so that a window may hang over either end of a recording; what hangs over is not equal.
    line = np.concatenate([np.full(len(piece), -1), _joined(sources, 1), np.full(len(piece), -1)])
    alignments = sliding_window_view(line, len(piece))  # [A, S]
    found = np.zeros(len(piece) - window + 1, bool)
    rows = max(1, _BLOCK // len(piece))
    for first in range(0, len(alignments), rows):
        same = np.cumsum(alignments[first : first + rows] == piece, axis=1, dtype=np.int32)
        counts = same[:, window - 1 :].copy()
        counts[:, 1:] -= same[:, :-window]
        found |= (counts >= equal * window).any(axis=0)
    return float(found.mean())


def _joined(sources: Sequence[Tensor], levels: int) -> np.ndarray:
    """All recordings in a row, each followed by a symbol that no piece holds, so that no run crosses from one to the next."""
    return np.concatenate([np.append(symbols, -1) for symbols in _symbols(sources, levels)])


def _symbols(grids: Sequence[Tensor], levels: int) -> list[np.ndarray]:
    """One number a position, the same for the same first ``levels`` codes: int64 ``[S]`` of each ``[S, Q]``."""
    if not all(1 <= levels <= grid.shape[1] for grid in grids):
        raise ValueError(f"{levels} levels cannot be compared of codes that have {[grid.shape[1] for grid in grids]}")
    weights = 65_536 ** torch.arange(levels)
    return [(grid[:, :levels].long() * weights).sum(dim=1).numpy() for grid in grids]
