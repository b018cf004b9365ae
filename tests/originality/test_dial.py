"""The originality dial: what each mark on it stands for, and which takes are drawn again."""

import math
from collections.abc import Sequence

import pytest

from distill.errors import SettingError
from distill.originality.dial import MOST_TRIES, Dial, Drawn, draw_until_original
from distill.originality.verdict import Originality, Second, Verdict


@pytest.mark.parametrize(
    ("originality", "top_p", "limit", "longest", "joins"),
    [
        (0, 0.985, None, 2.0, 3.0),
        (0.25, 0.985, None, 2**0.5, 3**0.5),
        (0.5, 0.985, None, 1.0, 1.0),
        (0.75, 0.9875, 99.5, 2**-0.5, 3**-0.5),
        (1, 0.99, 99.0, 0.5, 1 / 3),
    ],
)
def test_what_a_mark_stands_for(
    originality: float, top_p: float, limit: float | None, longest: float, joins: float
) -> None:
    """Guards against a dial of which only one end does anything."""
    dial = Dial.at(originality)
    assert dial.top_p == pytest.approx(top_p)
    assert dial.max_similarity == (limit if limit is None else pytest.approx(limit))
    assert dial.longest_seconds == pytest.approx(longest)
    assert dial.join_factor == pytest.approx(joins)


@pytest.mark.parametrize("originality", [-0.01, 1.01, math.nan])
def test_there_is_nothing_beyond_its_ends(originality: float) -> None:
    with pytest.raises(SettingError, match="out of range"):
        Dial.at(originality)


def ranked(percentile: float) -> Originality:
    """A piece whose one second has that rank."""
    return Originality((Second(Verdict.ORIGINAL, 0.5, percentile, "a.wav", 0.0, 0.0, 1.0),), (), 0.0, math.nan)


def drawn(ranks: dict[int, float], seeds: range, limit: float) -> tuple[list[Drawn[int]], list[range]]:
    """What is kept where a take is its seed and has the rank that is given for it, and what was drawn."""
    tried: list[range] = []

    def draw(together: range) -> Sequence[int]:
        tried.append(together)
        return list(together)

    return draw_until_original(draw, lambda seed: ranked(ranks.get(seed, 100.0)), seeds, limit), tried


def test_only_what_is_not_within_the_limit_is_drawn_again() -> None:
    """Also where it is exactly at the limit it is within; the seeds that follow are those that follow the last ones tried."""
    kept, tried = drawn({5: 80.0, 6: 95.0, 9: 99.0, 8: 10.0, 11: 95.0}, range(5, 9), 95.0)
    assert tried == [range(5, 9), range(9, 10), range(10, 11), range(11, 12)]
    assert [one.take for one in kept] == [5, 6, 11, 8]
    assert [one.originality.percentile for one in kept] == [80, 95, 95, 10]
    assert all(one.is_within for one in kept)
    assert [one.together for one in kept] == [range(5, 9), range(5, 9), range(11, 12), range(5, 9)]


def test_of_several_that_cannot_be_original_each_keeps_its_least_alike() -> None:
    kept, tried = drawn({2: 97.0, 5: 98.0, 8: 97.0}, range(1, 3), 50.0)
    assert tried == [range(first, first + 2) for first in range(1, 1 + 2 * MOST_TRIES, 2)]
    assert [(one.take, one.is_within) for one in kept] == [(5, False), (2, False)], "the first of two that are equal"
    assert [one.together for one in kept] == [range(5, 7), range(1, 3)]
    assert MOST_TRIES == 8, "as the command line and the pages say"
