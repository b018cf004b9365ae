"""Lengths of time that can only be guessed, in words. (What was measured: tests/report/test_page.py.)"""

import math

import pytest

from distill.durations import about, duration, place


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(math.inf, "–"), (5.4, "5 s"), (60, "1 minute"), (100, "2 minutes"), (1200, "20 minutes"), (9000, "2.5 hours")],
)
def test_no_finer_than_a_guess(seconds: float, words: str) -> None:
    assert about(seconds) == words


def test_a_sample_does_not_last_nothing() -> None:
    """Guards against "0.00 s of audio"."""
    assert [duration(seconds) for seconds in (0, 1 / 48_000, 0.0042, 0.01)] == [
        "0 s",
        "0.021 ms",
        "4.2 ms",
        "0.01 s",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (2.46, "2.5 s"),
        (59.94, "59.9 s"),
        (59.96, "1:00.0"),
        (414.3, "6:54.3"),
        (605, "10:05.0"),
        (7325.1, "2:02:05.1"),
    ],
)
def test_a_place_is_where_a_player_shows_it(seconds: float, words: str) -> None:
    """Guards against "at 414.3 s", which nobody finds."""
    assert place(seconds) == words
