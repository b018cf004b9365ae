"""Shared runs, against slow twins and planted copies."""

import pytest
import torch

from distill.originality.runs import (
    SharedRun,
    covering,
    is_repeated,
    longest_of,
    longest_runs,
    shared_runs,
    whole_runs,
)


def grids(*lengths: int, seed: int = 0, entries: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(entries, (length, 2), generator=generator) for length in lengths]


def longest(codes: torch.Tensor, sources: list[torch.Tensor], levels: int) -> SharedRun:
    return longest_of(whole_runs(codes, sources, levels))


def slow_longest(codes: torch.Tensor, sources: list[torch.Tensor], levels: int) -> int:
    piece = [tuple(position) for position in codes[:, :levels].tolist()]
    best = 0
    for source in sources:
        line = [tuple(position) for position in source[:, :levels].tolist()]
        for length in range(best + 1, min(len(piece), len(line)) + 1):
            known = {tuple(line[start : start + length]) for start in range(len(line) - length + 1)}
            if any(tuple(piece[start : start + length]) in known for start in range(len(piece) - length + 1)):
                best = length
    return best


@pytest.mark.parametrize("seed", range(5))
def test_longest_runs_of_parts_are_those_of_each_part_alone(seed: int) -> None:
    """Guards against a run that goes on from one part to the next: here the parts follow each other in a recording."""
    first, second, other = grids(40, 30, 25, seed=seed)
    parts = [first[:17], first[17:18], first[18:], other]
    assert longest_runs(parts, [first, second], 2) == [
        17,
        1,
        22,
        longest(other, [first, second], 2).positions,
    ]
    assert longest_runs(parts, [second], 1) == [longest(part, [second], 1).positions for part in parts]
    assert longest_runs(parts, [], 2) == [0, 0, 0, 0]
    assert longest_runs([], [first], 2) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [1, 2])
def test_longest_run_equals_its_slow_twin(seed: int, levels: int) -> None:
    piece, *sources = grids(40, 30, 1, 50, seed=seed)
    found = longest(piece, sources, levels)
    assert found.positions == slow_longest(piece, sources, levels)
    here = piece[found.start : found.start + found.positions, :levels]
    there = sources[found.source][found.source_start : found.source_start + found.positions, :levels]
    assert torch.equal(here, there)


def test_no_run_crosses_from_one_recording_to_the_next() -> None:
    """Guards against recordings laid end to end without a border: their seam would count as a passage."""
    first, second = grids(20, 20, entries=500)
    piece = torch.cat([first[-5:], second[:5]])
    assert longest(piece, [first, second], 2).positions == 5


def test_nothing_shared() -> None:
    piece, source = grids(10, 10, entries=500)
    assert longest(piece, [source], 2).source == -1
    assert longest(piece, [], 2).positions == 0
    assert longest(piece[:0], [source], 2).positions == 0


@pytest.mark.parametrize("seed", range(3))
def test_runs_end_as_the_table_of_common_substrings_says(seed: int) -> None:
    """Against the slow twin of the sorted suffixes: the classic table, a row a position."""
    piece, *sources = grids(60, 40, 30, seed=seed, entries=2)
    line = [tuple(one) for source in sources for one in [*source.tolist(), [-1, -1]]]
    row, slow = [0] * (len(line) + 1), []
    for symbol in [tuple(one) for one in piece.tolist()]:
        row = [0] + [row[place] + 1 if line[place] == symbol else 0 for place in range(len(line))]
        slow.append(max(row))
    lengths, ends = shared_runs(piece, sources, 2)
    assert lengths.tolist() == slow
    for last in range(len(piece)):
        assert line[ends[last] - lengths[last] + 1 : ends[last] + 1] == [
            tuple(one) for one in piece[last - lengths[last] + 1 : last + 1].tolist()
        ]


def test_whole_runs_and_what_they_cover() -> None:
    source = grids(50, entries=500)[0]
    other = grids(6, seed=1, entries=400)[0] + 500
    piece = torch.cat([source[10:22], other, source[30:35]])
    runs = whole_runs(piece, [other[:0], source], 2)
    assert [(run.positions, run.start, run.source, run.source_start) for run in runs] == [
        (12, 0, 1, 10),
        (5, 18, 1, 30),
    ]
    assert covering(runs, len(piece)).tolist() == [12] * 12 + [0] * 6 + [5] * 5


def test_a_passage_that_stands_twice_belongs_to_no_recording() -> None:
    """A riff in two takes, a drone in one; but saved twice, or overlapping itself, is not twice."""
    first, second = grids(60, 60, entries=500)
    second[20:40] = first[5:25]
    run = longest(first[5:25], [first, second], 2)
    assert is_repeated(run, [first, second], [0, 1], [0, 1], 2)
    assert not is_repeated(run, [first, second], [0, 0], [0, 1], 2)
    own = longest(first[30:50], [first, second], 2)
    assert not is_repeated(own, [first, second], [0, 1], [0, 1], 2)
    drone = torch.full((60, 2), 3)
    assert is_repeated(longest(drone[:20], [drone], 2), [drone], [0], [0], 2)
    assert not is_repeated(longest(drone[:50], [drone], 2), [drone], [0], [0], 2)


def test_a_passage_in_two_stretches_of_a_recording_stands_twice() -> None:
    """Guards against a riff that is a copy only where something between its two places was held out."""
    first, second = grids(60, 60, entries=500)
    second[20:40] = first[5:25]
    run = longest(first[5:25], [first, second], 2)
    assert is_repeated(run, [first, second], [0, 0], [3, 3], 2)
    own = longest(first[30:50], [first, second], 2)
    assert not is_repeated(own, [first, second], [0, 0], [3, 3], 2)


def test_runs_are_known_for_every_position() -> None:
    source = grids(50, entries=500)[0]
    other = grids(6, seed=1, entries=400)[0] + 500
    piece = torch.cat([other, source[10:22], other])
    lengths, ends = shared_runs(piece, [source], 2)
    assert lengths.tolist() == [0] * 6 + list(range(1, 13)) + [0] * 6
    assert ends[17] == 21


def test_levels_that_are_not_there() -> None:
    piece, source = grids(10, 10)
    with pytest.raises(ValueError, match="3 levels"):
        longest(piece, [source], 3)
