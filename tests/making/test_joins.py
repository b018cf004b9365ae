"""Joins that are not heard: phase, attacks, level, image."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from distill.making.grains import Grain, Stretch
from distill.making.joins import FADES, Placed, attack_strength, render

HOP = 1024
RATE = 48_000


def stretch(audio: np.ndarray, name: str = "a.wav") -> Stretch:
    return Stretch(name, audio, 0, torch.zeros(-(-audio.shape[1] // HOP), 2, dtype=torch.int64))


def rendered(stretches: list[Stretch], grains: list[Grain], channels: int = 1) -> tuple[np.ndarray, list[Placed]]:
    blocks: list[np.ndarray] = []
    placed: list[Placed] = []
    for block, ended in render(stretches, grains, HOP, channels):
        blocks.append(block)
        placed += ended
    return np.concatenate(blocks, axis=1), placed


def sine(hz: float, phase: float, seconds: float = 3.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * hz * time + phase))[None].astype(np.float32)


@pytest.mark.parametrize("hz", [98.3, 440.7, 1234.5])
def test_sines_keep_their_phase_over_joins(hz: float) -> None:
    """Guards against cancellation: a cross-fade of tones out of phase has a hole in it."""
    stretches = [stretch(sine(hz, phase), f"{phase}.wav") for phase in (0.3, 2.0, 4.4)]
    grains = [Grain(step % 3, 7 * step + 1, 6) for step in range(10)]
    sound, placed = rendered(stretches, grains)
    sound = sound[:, HOP:]
    power = np.sqrt(np.convolve(sound[0] ** 2, np.ones(4800) / 4800, mode="valid"))  # over a tenth of a second
    assert power.min() == pytest.approx(0.5 / np.sqrt(2), rel=0.03)
    assert power.max() == pytest.approx(0.5 / np.sqrt(2), rel=0.03)
    assert np.abs(np.diff(sound)).max() <= 1.05 * np.abs(np.diff(stretches[0].audio)).max()
    assert min(one.correlation for one in placed) > 0.99
    assert {one.fade_in for one in placed[1:]} == {FADES[-1]}, "a tone is faded as slowly as can be"


def test_noise_keeps_its_power(noise: Callable[..., np.ndarray]) -> None:
    draw = np.random.default_rng(0)
    stretches = [stretch(draw.normal(0, 0.1, (1, 3 * RATE)).astype(np.float32), f"{one}.wav") for one in range(3)]
    sound, placed = rendered(stretches, [Grain(step % 3, 7 * step, 4) for step in range(16)])
    inside = np.concatenate([sound[0, one.start : one.start + one.fade_in] for one in placed[1:]])
    assert np.sqrt(np.mean(inside**2)) == pytest.approx(0.1, rel=0.06)


@pytest.mark.parametrize("late_ms", [-12, -6, 0, 6, 12])
def test_an_attack_is_heard_once(late_ms: int) -> None:
    """Both grains have the attack that was asked for, a little apart; guards against a flam."""
    draw = np.random.default_rng(1)

    def hit(at: int) -> np.ndarray:
        audio = draw.normal(0, 0.002, (1, 2 * RATE)).astype(np.float32)
        decay = np.exp(-np.arange(RATE // 5) / (0.03 * RATE))
        audio[0, at : at + len(decay)] += (draw.normal(0, 0.3, len(decay)) * decay).astype(np.float32)
        return audio

    border = 10 * HOP
    stretches = [stretch(hit(border), "a.wav"), stretch(hit(border + late_ms * RATE // 1000), "b.wav")]
    sound, _ = rendered(stretches, [Grain(0, 0, 10), Grain(1, 10, 10)])
    attacks = attack_strength(sound[:, border - RATE // 20 : border + RATE // 20], RATE // 100)
    assert attacks.sum() == pytest.approx(1, abs=0.35)


def test_levels_lean_towards_each_other() -> None:
    quiet, loud = 0.5 * sine(300.0, 0.0), sine(300.0, 1.0)
    _, placed = rendered([stretch(loud), stretch(quiet, "b.wav")], [Grain(0, 1, 10), Grain(1, 9, 10)])
    assert 2 < placed[1].gain < 6.01


def test_a_raised_grain_does_not_clip() -> None:
    loud = 2 * sine(300.0, 0.0)
    nearly = sine(300.0, 1.0)
    nearly[0, 6 * HOP] = 0.95
    sound, _ = rendered([stretch(loud), stretch(nearly, "b.wav")], [Grain(0, 0, 10), Grain(1, 0, 10)])
    assert np.abs(sound[0, 11 * HOP :]).max() <= 1.0


def test_no_join_of_loud_recordings_clips() -> None:
    """Guards against fades that keep the power of mastered mixes, and go 3 dB over full scale with their peaks."""
    draw = np.random.default_rng(0)
    loud = [np.tanh(draw.normal(0, 0.45, (1, 3 * RATE))) for _ in range(4)]
    stretches = [
        stretch((0.99 * one / np.abs(one).max()).astype(np.float32), f"{at}.wav") for at, one in enumerate(loud)
    ]
    sound, _ = rendered(stretches, [Grain(step % 4, 4 * step, 4) for step in range(24)])
    assert np.abs(sound).max() <= 1


def test_the_stereo_image_is_kept(tone: Callable[..., np.ndarray]) -> None:
    left = np.concatenate([tone(2.0, 300.0), np.zeros((1, 2 * RATE), np.float32)])
    right = left[::-1].copy()
    sound, _ = rendered([stretch(left), stretch(right, "b.wav")], [Grain(0, 0, 20), Grain(1, 20, 20)], channels=2)
    assert np.abs(sound[1, : 18 * HOP]).max() == 0
    assert np.abs(sound[0, 22 * HOP :]).max() == 0


def test_what_is_said_of_grains_is_what_is_heard() -> None:
    """Outside of fades every sample is the recording's own at the place that is named, at the gain that is named."""
    draw = np.random.default_rng(2)
    stretches = [stretch(draw.normal(0, 0.1, (1, 2 * RATE)).astype(np.float32), f"{one}.wav") for one in range(3)]
    sound, placed = rendered(stretches, [Grain(0, 3, 5), Grain(2, 40, 2), Grain(1, 7, 9)])
    assert placed[0].start == 0
    assert placed[-1].start + placed[-1].length == sound.shape[1] == 16 * HOP
    for one in placed:
        first, stop = one.start + one.fade_in, one.start + one.length - one.fade_out
        source = one.source + one.fade_in
        quoted = stretches[one.stretch].audio[:, source : source + stop - first] * 10 ** (one.gain / 20)
        assert stop > first
        np.testing.assert_allclose(sound[:, first:stop], quoted, atol=2e-3)


def test_a_recording_that_is_cut_off_ends_without_a_click(tone: Callable[..., np.ndarray]) -> None:
    """Its last position is only partly filled, and nothing but silence follows in it."""
    short = tone((5 * HOP + 300) / RATE, 200.0) * 1.6
    sound, _ = rendered(
        [stretch(short), stretch(np.zeros((1, RATE), np.float32), "b.wav")], [Grain(0, 0, 6), Grain(1, 0, 9)]
    )
    assert np.abs(np.diff(sound)).max() < 0.1
