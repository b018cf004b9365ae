"""Numbers of things in words."""

import pytest

from distill.counted import counted


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 columns"), (1, "1 column"), (-1, "-1 column"), (2, "2 columns"), (-2, "-2 columns")]
)
def test_one_is_not_many(number: int, words: str) -> None:
    assert counted(number, "column") == words


def test_a_plural_that_is_more_than_an_s() -> None:
    assert counted(1, "near-copy is", "near-copies are") == "1 near-copy is"
    assert counted(3, "near-copy is", "near-copies are") == "3 near-copies are"
