"""How much of a beat is to be heard in a sound, and how much of it is enough."""

from collections.abc import Iterator

import numpy as np
import pytest

from distill.making.onsets import onset_echo, strongest_period
from distill.making.strength import BY_CHANCE, ENOUGH, STRENGTHS, least_enough

FRAME = 480


def strokes(period: int, apart: int = 0) -> np.ndarray:
    """Four seconds ``[1, N]`` of short bursts of noise every so many frames, each up to ``apart`` of them early or late."""
    draw = np.random.default_rng(0)
    sound = 0.003 * draw.standard_normal(400 * FRAME)
    for frame in range(2 * apart, 400 - 5 - apart, period):
        begin = (frame + int(draw.integers(-apart, apart + 1))) * FRAME
        sound[begin : begin + 5 * FRAME] += 0.1 * draw.standard_normal(5 * FRAME)
    return sound.astype(np.float32)[None]


@pytest.mark.parametrize(("period", "is_near"), [(47, False), (48, True), (50, True), (52, True), (53, False)])
def test_an_echo_may_miss_the_beat_by_two_frames(period: int, is_near: bool) -> None:
    """Guards against a beat that is found where there is another, and not found as it is a fiftieth of a second longer."""
    assert (onset_echo(strokes(period), 50) > 0.7) == is_near


def test_what_is_off_the_beat_or_has_none_is_no_echo() -> None:
    assert onset_echo(strokes(100), 50) < 0.1, "only every other beat has a stroke"
    assert onset_echo(strokes(25), 50) > 0.7, "every half beat has one"
    assert onset_echo(strokes(50, apart=12), 50) < 0.4
    assert onset_echo(np.random.default_rng(0).standard_normal((1, 400 * FRAME)).astype(np.float32), 50) < 0.1
    assert onset_echo(np.zeros((1, 400 * FRAME), np.float32), 50) == 0
    assert onset_echo(strokes(50), 1000) == 0, "it is over before the next beat"


def test_only_where_sounds_begin_is_an_onset() -> None:
    """Sounds that end on the beat, whenever they begin, have none; those that begin on it have, whenever they end."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(5, 45, 8)
    noise = 0.1 * draw.standard_normal(400 * FRAME)
    ending, beginning = (np.full(400 * FRAME, 0.03) for _ in range(2))
    for number, length in enumerate(lengths):
        beat = 50 * number * FRAME
        beginning[beat : beat + length * FRAME] = 1
        ending[beat + (50 - length) * FRAME : beat + 50 * FRAME] = 1
    begun, ended = (onset_echo((gain * noise).astype(np.float32)[None], 50) for gain in (beginning, ending))
    assert begun > 2 * ended


def test_an_echo_does_not_depend_on_level_or_channels() -> None:
    sound = strokes(50)
    assert onset_echo(0.1 * sound, 50) == pytest.approx(onset_echo(sound, 50), abs=0.05)
    assert onset_echo(np.concatenate([sound, sound]), 50) == pytest.approx(onset_echo(sound, 50), abs=1e-5)


def test_the_period_is_that_after_which_recordings_repeat_most() -> None:
    period, echo = strongest_period([strokes(60), strokes(60), strokes(45)])
    assert abs(period - 60) <= 1
    assert 0.3 < echo < 0.9, "two of three repeat then"
    assert strongest_period([strokes(60)[:, : 149 * FRAME]]) == (0, 0.0), "none is as long as the longest beat"


@pytest.mark.parametrize("samples", [1, FRAME - 1, FRAME, 2 * FRAME])
def test_a_sound_too_short_for_two_frames_has_no_echo(samples: int) -> None:
    """Guards against a training that ends in an error: a recording of 10 s and a few samples leaves a part of a few samples."""
    short = strokes(50)[:, :samples]
    assert onset_echo(short, 50) == 0
    assert strongest_period([short, strokes(60)]) == strongest_period([strokes(60)])


def test_exactly_enough_is_enough_and_what_is_stronger_is_not_drawn() -> None:
    """Each strength costs a batch of pieces in the last seconds of training."""
    drawn: list[float] = []

    def shares(*given: float) -> Iterator[float]:
        for share in given:
            drawn.append(share)
            yield share

    below = float(np.nextafter(ENOUGH, 0))
    assert least_enough(shares(ENOUGH, 1.0, 1.0, 1.0)) == STRENGTHS[0]
    assert len(drawn) == 1
    assert least_enough(shares(0.2, below, ENOUGH, 1.0)) == STRENGTHS[2]
    assert len(drawn) == 1 + 3


def test_what_is_no_better_than_by_chance_is_not_worth_more_strength() -> None:
    """Of those that are not enough, the first that comes as near to the best one as chance has it."""
    best = 0.7
    assert least_enough([best - BY_CHANCE, 0.65, best, 0.6]) == STRENGTHS[0]
    assert least_enough([best - 1.01 * BY_CHANCE, 0.65, best, 0.6]) == STRENGTHS[1]
    assert least_enough([0.1, 0.2, 0.3, best]) == STRENGTHS[3]
