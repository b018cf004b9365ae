"""Lengths of time that can only be guessed, in words. (What was measured: tests/report/test_page.py.)"""

import math

import pytest

from distill.durations import about


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(math.inf, "–"), (5.4, "5 s"), (60, "1 minute"), (100, "2 minutes"), (1200, "20 minutes"), (9000, "2.5 hours")],
)
def test_no_finer_than_a_guess(seconds: float, words: str) -> None:
    assert about(seconds) == words
