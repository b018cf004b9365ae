"""Loops: exact in length, and with no step where the end meets the beginning."""

import numpy as np
import pytest

from distill.errors import SettingError
from distill.making.loops import best_cut, cut_loop, loop_samples

RATE = 48_000


def test_of_a_repeating_sound_the_period_is_found() -> None:
    """Guards against a cut that ignores what it joins: a beat every half second must loop after whole beats."""
    time = np.arange(4 * RATE) / RATE
    beat = np.exp(-30 * (time % 0.5)) * np.sin(2 * np.pi * (200 + 800 * np.exp(-40 * (time % 0.5))) * time)
    change = np.where(time < 1.0, 0.0, 1.0) * 0.3 * np.sin(2 * np.pi * 3000 * time)  # the first second is another thing
    audio = (beat + change)[None].astype(np.float32)
    start, seam = best_cut(audio, 2 * RATE, RATE)
    assert start >= 0.8 * RATE, "before that the two sides differ"
    assert seam < 0.3
    _, odd = best_cut(audio[:, RATE:], round(1.75 * RATE), RATE)
    assert odd > 2 * seam


def test_the_end_runs_into_the_beginning() -> None:
    """Guards against a click at the seam and against a fade that is laid over the wrong end."""
    time = np.arange(3 * RATE) / RATE
    audio = np.sin(2 * np.pi * 220.5 * time)[None].astype(np.float32)  # does not close after a second by itself
    loop = cut_loop(audio, 1000, RATE, RATE)
    assert loop.shape == (1, RATE)
    twice = np.concatenate([loop, loop], axis=1)[0]
    largest_step = np.abs(np.diff(audio[0])).max()
    assert np.abs(np.diff(twice)).max() < 1.5 * largest_step
    plain = np.tile(audio[:, 1000 : 1000 + RATE], 2)[0]
    assert abs(np.diff(plain)[RATE - 1]) > 1.5 * largest_step, "without the fade there is a step to be heard"
    np.testing.assert_array_equal(loop[:, 5000:], audio[:, 6000 : 1000 + RATE])


def test_length_in_beats() -> None:
    assert loop_samples(10.0, 8, 120.0, RATE) == 4 * RATE
    assert loop_samples(1.5, None, None, RATE) == 72_000


@pytest.mark.parametrize(
    ("seconds", "beats", "bpm"),
    [
        (10, 8, None),
        (10, None, 120.0),
        (10, 0, 120.0),
        (10, 4, 5.0),
        (0.1, None, None),
        (400, None, None),
        (10, 1, 399.0),
    ],
)
def test_lengths_that_cannot_be(seconds: float, beats: int | None, bpm: float | None) -> None:
    with pytest.raises(SettingError):
        loop_samples(seconds, beats, bpm, RATE)
