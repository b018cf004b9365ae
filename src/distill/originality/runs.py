"""Which runs of a piece's positions also occur in a recording, code by code: exactly, and where.

How similar the *audio* is, is the subject of passages.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class SharedRun:
    """A stretch of a piece whose codes occur in a recording as well."""

    positions: int
    """Length of the run; 0 where nothing is shared."""
    start: int
    """The position in the piece where it begins."""
    source: int
    """Index of the recording in the list that was given; -1 where nothing is shared."""
    source_start: int
    """The position in the recording where it begins."""


def shared_runs(codes: Tensor, sources: Sequence[Tensor], levels: int) -> tuple[np.ndarray, np.ndarray]:
    """For every position of ``codes [S, Q]`` the longest run shared with any of ``sources [S_i, Q]`` that ends there.

    Positions are equal when their first ``levels`` codes are. All suffixes of recordings and piece are sorted; the longest
    run from a position is shared with one of the two recordings' suffixes beside it in that order (Manber and Myers 1993).

    Returns:
        Lengths in positions, and where in the joined sources they end: two int64 ``[S]``.
    """
    piece, joined = _symbols([codes], levels)[0], _joined(sources, levels)
    nothing = np.zeros(len(piece), np.int64)
    if not len(piece) or not len(joined):
        return nothing, nothing.copy()
    # The last symbol occurs nowhere else, so no two suffixes are equal.
    lengths, places = _runs_from(np.concatenate([joined, piece, [-2]]), len(joined))
    # Runs never end earlier than those that begin before them, so the longest that ends at a place begins first of
    # all that reach it.
    positions = np.arange(len(piece))
    first = np.searchsorted(positions + lengths, positions, side="right")
    found = np.where(first <= positions, positions - first + 1, 0)
    return found, np.where(found > 0, places[np.minimum(first, len(piece) - 1)] + found - 1, 0)


def _runs_from(line: np.ndarray, border: int) -> tuple[np.ndarray, np.ndarray]:
    """For every place of ``line [n]`` from ``border`` to the last but one: the longest run from there that also begins before
    the border and holds no negative symbol, and where."""
    ranks = _ranks(line)
    order = np.empty(len(line), np.int64)
    order[ranks[-1]] = np.arange(len(line))
    counts = np.arange(len(line))
    before = np.maximum.accumulate(np.where(order < border, counts, -1))
    after = np.minimum.accumulate(np.where(order < border, counts, len(line))[::-1])[::-1]
    here = np.arange(border, len(line) - 1)
    lengths, places = np.zeros(len(here), np.int64), np.zeros(len(here), np.int64)
    for neighbours in (before[ranks[-1][here]], after[ranks[-1][here]]):
        there = order[np.clip(neighbours, 0, len(line) - 1)]
        common = _common(ranks, here, there)
        common[(neighbours < 0) | (neighbours >= len(line))] = 0
        places = np.where(common > lengths, there, places)
        lengths = np.maximum(common, lengths)
    return lengths, places


def _ranks(line: np.ndarray) -> list[np.ndarray]:
    """Ranks of all substrings of length 1, 2, 4, … by where they begin, until no two are the same."""
    ranks = [np.unique(line, return_inverse=True)[1].astype(np.int64)]
    while ranks[-1].max() < len(line) - 1:
        reach = 1 << (len(ranks) - 1)
        second = np.zeros(len(line), np.int64)
        second[:-reach] = ranks[-1][reach:] + 1
        ranks.append(np.unique(ranks[-1] * (len(line) + 1) + second, return_inverse=True)[1].astype(np.int64))
    return ranks


def _common(ranks: list[np.ndarray], here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """How many symbols are equal from ``here`` and from ``there`` on: powers of two are tried from the largest down."""
    length = np.zeros(len(here), np.int64)
    end = len(ranks[0])
    for power in reversed(range(len(ranks))):
        first, second = here + length, there + length
        inside = (first < end) & (second < end)
        equal = ranks[power][np.minimum(first, end - 1)] == ranks[power][np.minimum(second, end - 1)]
        length += (inside & equal).astype(np.int64) << power
    return length


def longest_of(runs: Sequence[SharedRun]) -> SharedRun:
    """The longest of some runs; one of no positions where there are none."""
    return max(runs, key=lambda run: run.positions, default=SharedRun(0, 0, -1, 0))


def longest_runs(parts: Sequence[Tensor], sources: Sequence[Tensor], levels: int) -> list[int]:
    """The positions of the longest run that each of ``parts [S_i, Q]`` shares with ``sources``, all sorted once."""
    if not parts:
        return []
    lengths, first, found = shared_runs(torch.cat(list(parts)), sources, levels)[0], 0, []
    for part in parts:
        # What ends in a part may have begun before it; the end of a shared run is a shared run, too.
        within = np.minimum(lengths[first : first + len(part)], np.arange(1, len(part) + 1))
        found.append(int(within.max(initial=0)))
        first += len(part)
    return found


def whole_runs(codes: Tensor, sources: Sequence[Tensor], levels: int) -> list[SharedRun]:
    """Every shared run that cannot be made longer, in order of where it ends; each with one place where it occurs."""
    lengths, ends = shared_runs(codes, sources, levels)
    goes_on = np.append(lengths[1:] == lengths[:-1] + 1, False) if len(lengths) else np.zeros(0, bool)
    begins = _begins(sources)
    runs = []
    for last in np.flatnonzero((lengths > 0) & ~goes_on):
        length, first = int(lengths[last]), int(ends[last] - lengths[last] + 1)
        source = int(np.searchsorted(begins, first, side="right")) - 1
        runs.append(SharedRun(length, int(last) - length + 1, source, first - int(begins[source])))
    return runs


def is_repeated(
    run: SharedRun, sources: Sequence[Tensor], takes: Sequence[int], recordings: Sequence[int], levels: int
) -> bool:
    """Whether the recordings hold the passage of a run twice: in another take, or in the same recording without overlap.

    Such a passage is a loop, a drone or a pause, and belongs to no recording in particular.

    Args:
        takes: a number for each source, which near-copies share: another of one take is no repetition.
        recordings: a number for each source, which the stretches of one recording share; these do not overlap.
    """
    wanted = _symbols([sources[run.source][run.source_start :][: run.positions]], levels)[0]
    line = _joined(sources, levels)
    places = np.flatnonzero(line[: len(line) - len(wanted) + 1] == wanted[0])
    for offset in range(1, len(wanted)):
        places = places[line[places + offset] == wanted[offset]]
    begins = _begins(sources)
    owner = np.searchsorted(begins, places, side="right") - 1
    is_other_take = np.array(takes)[owner] != takes[run.source]
    is_same_recording = np.array(recordings)[owner] == recordings[run.source]
    is_apart = (owner != run.source) | (np.abs(places - begins[owner] - run.source_start) >= run.positions)
    return bool((is_other_take | (is_same_recording & is_apart)).any())


def covering(runs: Sequence[SharedRun], positions: int) -> np.ndarray:
    """The length of the longest of ``runs`` over each position of a piece: int64 ``[S]``."""
    longest = np.zeros(positions, np.int64)
    for run in runs:
        part = longest[run.start : run.start + run.positions]
        np.maximum(part, run.positions, out=part)
    return longest


def _begins(sources: Sequence[Tensor]) -> np.ndarray:
    # Every source is followed by one separator in the joined line.
    return np.cumsum([0] + [len(source) + 1 for source in sources])


def _joined(sources: Sequence[Tensor], levels: int) -> np.ndarray:
    """All recordings in a row, each followed by a symbol that no piece holds, so that no run crosses from one to the next."""
    return np.concatenate([np.zeros(0, np.int64), *(np.append(symbols, -1) for symbols in _symbols(sources, levels))])


def _symbols(grids: Sequence[Tensor], levels: int) -> list[np.ndarray]:
    """One number a position, the same for the same first ``levels`` codes: int64 ``[S]`` of each ``[S, Q]``."""
    if not all(1 <= levels <= grid.shape[1] for grid in grids):
        raise ValueError(f"{levels} levels cannot be compared in codes that have {[grid.shape[1] for grid in grids]}")
    weights = 65_536 ** torch.arange(levels)
    return [(grid[:, :levels].long() * weights).sum(dim=1).numpy() for grid in grids]
