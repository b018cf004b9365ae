"""What is said of a whole piece, from what is known of its seconds."""

import math
from dataclasses import replace

import pytest

from distill.originality.verdict import (
    CLOSE_PERCENTILE,
    CLOSE_SIMILARITY,
    COPY_PERCENTILE,
    COPY_SIMILARITY,
    INDISTINGUISHABLE,
    Originality,
    Second,
    Verdict,
    by_likeness,
)

ORIGINAL, CLOSE, COPY, SILENCE = Verdict.ORIGINAL, Verdict.CLOSE, Verdict.COPY, Verdict.SILENCE


def second(verdict: Verdict, similarity: float = 0.5, percentile: float = 20.0, is_repeated: bool = False) -> Second:
    if verdict == SILENCE:
        return Second(verdict, math.nan, math.nan, "", 0.0, 0.0, 1.0)
    return Second(verdict, similarity, percentile, "a.wav", 12.34, 0.0, 1.0, is_repeated)


def piece(*seconds: Second) -> Originality:
    return Originality(seconds, ())


@pytest.mark.parametrize(
    ("one", "rank"),
    [
        (second(ORIGINAL), 20.0),
        (second(CLOSE, percentile=96.0), 96.0),
        (second(COPY, percentile=96.0), 100.0),
        (second(COPY, percentile=math.nan), 100.0),
        (second(CLOSE, percentile=math.nan), 100.0),
        (second(ORIGINAL, percentile=math.nan), 0.0),
        (second(SILENCE), 0.0),
    ],
)
def test_the_rank_of_a_second(one: Second, rank: float) -> None:
    """Guards against a limit that takes what nothing was held out to rank for original, or for a copy, whatever it is like."""
    assert one.rank == rank
    assert piece(second(SILENCE), one, second(SILENCE)).percentile == rank


def test_silence_and_what_the_recordings_repeat_do_not_count() -> None:
    heard = piece(
        second(SILENCE), second(ORIGINAL, 0.7, 60.0), second(CLOSE, 0.9, 98.0, is_repeated=True), second(SILENCE)
    )
    assert [heard.share(verdict) for verdict in (ORIGINAL, CLOSE, COPY)] == [0.5, 0.5, 0.0]
    assert heard.percentile == 60
    assert heard.nearest == heard.seconds[2]
    assert heard.summary() == (
        "50 % original, 50 % close; nearest a.wav at 12.3 s (similarity 0.90; "
        "the recordings themselves repeat this nearly as closely)"
    )


def test_the_summary_names_the_nearest_second_and_what_there_is() -> None:
    heard = piece(second(COPY, 0.97, 100.0), *[second(ORIGINAL, 0.3)] * 3)
    assert heard.summary() == "75 % original, 25 % copy; nearest a.wav at 12.3 s (similarity 0.97)"
    assert heard.percentile == 100


def test_the_summary_names_what_was_copied() -> None:
    """Guards against naming a recording that another second merely resembles: a copy that its codes give away may look less
    like its source than that does."""
    copied = replace(second(COPY, 0.7, 50.0), recording="copied.wav")
    assert "; nearest copied.wav at 12.3 s (similarity 0.70)" in piece(second(ORIGINAL, 0.9), copied).summary()


def test_a_verdict_begins_exactly_at_its_bounds() -> None:
    """The bounds of the table in docs/copying.md."""
    below = math.nextafter
    assert (COPY_SIMILARITY, COPY_PERCENTILE, CLOSE_SIMILARITY, CLOSE_PERCENTILE) == (0.93, 99, 0.88, 95)
    assert by_likeness(0.93, 99, math.nan)[0] == COPY
    assert by_likeness(below(0.93, 0), 99, math.nan)[0] == CLOSE
    assert by_likeness(0.93, below(99, 0), math.nan)[0] == CLOSE
    assert by_likeness(0.88, 95, math.nan)[0] == CLOSE
    assert by_likeness(below(0.88, 0), 95, math.nan)[0] == ORIGINAL
    assert by_likeness(0.88, below(95, 0), math.nan)[0] == ORIGINAL


def test_what_is_hardly_alike_anywhere_is_not_called_repeated() -> None:
    """A second of which nothing is like the passages: that they are all as unlike is no common property."""
    assert by_likeness(0.70, 100, 0.87) == (ORIGINAL, False)
    assert by_likeness(0.70, 100, CLOSE_SIMILARITY) == (ORIGINAL, True)


def test_two_that_nobody_can_tell_apart_are_equally_near() -> None:
    """Guards against a bar that is called a copy as one of its repetitions is the nearer by a thousandth."""
    assert by_likeness(1.0, 100, 1 - 1.99 * INDISTINGUISHABLE) == (CLOSE, True)
    assert by_likeness(1.0, 100, 1 - 2.01 * INDISTINGUISHABLE) == (COPY, False)
