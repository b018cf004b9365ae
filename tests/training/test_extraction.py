"""Which rank encodes what: everything once, and about as much each."""

import math

import pytest

from distill.durations import about
from distill.training.extraction import shared_out
from distill.training.prior_data import _too_long


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_passage_once_and_about_as_much_each(size: int) -> None:
    lengths = [90, 10, 10, 80, 20, 40, 40, 10]
    shares = shared_out(lengths, size)
    assert sorted(number for share in shares for number in share) == list(range(len(lengths)))
    loads = [sum(lengths[number] for number in share) for share in shares]
    assert max(loads) <= max(max(lengths), sum(lengths) / size + max(lengths) / 2)


def test_more_ranks_than_passages() -> None:
    assert shared_out([5], 3) == [[0], [], []]


def test_a_length_of_time_about() -> None:
    """Guards against "1 minutes" and "5 s of the 0.0 minutes"."""
    assert [about(seconds) for seconds in (1.8, 59.7, 61, 120, 7200, math.inf)] == [
        "2 s", "1 minute", "1 minute", "2 minutes", "2.0 hours", "–",
    ]  # fmt: skip
    assert "has 1.8 s, and encoding the recordings takes about 5 s, so it trains hardly at all: far" in _too_long(
        5.0, 0.03
    )
    assert "takes about 5 s, so it trains for 2 s: too little" in _too_long(5.0, 0.12)
    assert _too_long(5.0, 0.03).endswith(
        "hold together. Give it 1 minute, which a whole run has in 4 minutes, or fewer recordings."
    )
