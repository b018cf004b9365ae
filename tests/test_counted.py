"""Numbers of things, and of bytes, in words."""

import pytest

from distill.counted import bytes_in_words, counted


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 columns"), (1, "1 column"), (-1, "-1 column"), (2, "2 columns"), (-2, "-2 columns")]
)
def test_one_is_not_many(number: int, words: str) -> None:
    assert counted(number, "column") == words


def test_a_plural_that_is_more_than_an_s() -> None:
    assert counted(1, "near-copy is", "near-copies are") == "1 near-copy is"
    assert counted(3, "near-copy is", "near-copies are") == "3 near-copies are"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 kB"),
        (128, "1 kB"),
        (41_000, "41 kB"),
        (99_500, "0.1 MB"),
        (412_000, "0.4 MB"),
        (12_300_000, "12.3 MB"),
        (999_940_000, "999.9 MB"),
        (999_960_000, "1.0 GB"),
        (1_400_000_000, "1.4 GB"),
        (12e9, "12.0 GB"),
    ],
)
def test_bytes_are_told_in_the_unit_that_suits_them(count: float, words: str) -> None:
    """Guards against "12000.0 MB" of an emptied trash, "1000.0 MB", and "0.0 MB" of a file that is there."""
    assert bytes_in_words(count) == words
