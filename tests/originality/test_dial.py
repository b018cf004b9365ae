"""The originality dial: what each mark on it stands for."""

import math

import pytest

from distill.errors import SettingError
from distill.originality.dial import Dial


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
