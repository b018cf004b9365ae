"""Which rank encodes what: everything once, and about as much each."""

import pytest

from distill.training.extraction import shared_out


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_passage_once_and_about_as_much_each(size: int) -> None:
    lengths = [90, 10, 10, 80, 20, 40, 40, 10]
    shares = shared_out(lengths, size)
    assert sorted(number for share in shares for number in share) == list(range(len(lengths)))
    loads = [sum(lengths[number] for number in share) for share in shares]
    assert max(loads) <= max(max(lengths), sum(lengths) / size + max(lengths) / 2)


def test_more_ranks_than_passages() -> None:
    assert shared_out([5], 3) == [[0], [], []]
