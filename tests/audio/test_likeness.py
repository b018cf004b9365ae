"""Pitch and texture: each finds what the mel distance misses."""

import numpy as np
import pytest

from distill.audio.likeness import likeness_between, pooled
from distill.audio.pitch import compare_pitch
from distill.audio.texture import compare_texture

RATE = 48_000
TIME = np.arange(2 * RATE) / RATE


def tones(*hertz: float) -> np.ndarray:
    return (0.1 * sum((np.sin(2 * np.pi * one * TIME + one) for one in hertz), np.zeros(len(TIME)))).astype(np.float32)


def noise(seed: int, seconds: float = 6.0) -> np.ndarray:
    return (0.05 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def test_tones_themselves_are_kept_and_nothing_is_invented() -> None:
    sound = tones(220.0, 331.0, 1200.0)
    score = compare_pitch(sound, sound)
    assert score.partials > 50
    assert score.kept_share == 1
    assert score.invented == 0
    assert score.cents == 0


def test_tones_out_of_tune_are_lost_and_those_in_their_place_invented() -> None:
    """Guards against a measure that takes a tone bent to a multiple of 46.9 Hz for the tone."""
    score = compare_pitch(tones(234.4, 1218.8), tones(220.0, 1172.0))
    assert score.kept_share < 0.1
    assert score.invented_share > 0.9


def test_cents_are_those_between_the_tones() -> None:
    score = compare_pitch(tones(440.0 * 2 ** (7 / 1200)), tones(440.0))
    assert score.kept_share == 1
    assert score.cents == pytest.approx(7, abs=0.5)


def test_another_noise_of_the_same_kind_has_the_same_texture() -> None:
    score = compare_texture(noise(1), noise(2))
    assert score.movement < 1.5
    assert score.line < 3
    assert abs(score.grain) < 0.7


def test_noise_that_repeats_itself_buzzes() -> None:
    """Guards against missing what phases that repeat at every position do: the buzz at 46.9 Hz."""
    once = noise(1, 1024 / RATE)
    score = compare_texture(np.tile(once, 282)[: 6 * RATE], noise(2))
    assert score.line > 10
    assert score.movement > 5


def test_a_blur_has_too_little_grain() -> None:
    """A sound whose loudness stands still, as a mel distance would have it."""
    sweeps = [np.sin(2 * np.pi * hertz * np.arange(6 * RATE) / RATE + hertz**2) for hertz in range(1000, 16000, 800)]
    score = compare_texture((0.02 * sum(sweeps)).astype(np.float32), noise(2))
    assert score.grain < -3


def test_what_cannot_be_judged_does_not_count() -> None:
    silence = np.zeros(RATE, np.float32)
    likeness = likeness_between([(silence, silence)], mel=0.5)
    assert likeness.score == 0.5
    assert np.isnan(likeness.figures()["kept"])
    assert np.isnan(likeness.figures()["movement"])


def test_pooling_adds_partials_up_and_not_shares() -> None:
    one, other = (likeness_between([(tones(*made), tones(*wanted))], mel) for made, wanted, mel in (
        ((220.0,), (220.0,), 1.0), ((), (300.0, 500.0, 900.0), 2.0)
    ))  # fmt: skip
    both = pooled([one, other])
    assert both.mel == 1.5
    assert both.pitch.partials == one.pitch.partials + other.pitch.partials
    assert both.pitch.kept_share == pytest.approx(0.25, abs=0.02)


def test_the_score_prefers_pitch_and_grain_to_a_little_less_distance() -> None:
    """Guards against choosing weights by the mel distance alone, which prefers a blur that buzzes."""
    wanted = tones(220.0, 1172.0)
    assert (
        likeness_between([(wanted, wanted)], mel=1.2).score
        < likeness_between([(tones(234.4, 1218.8), wanted)], mel=1.0).score
    )
