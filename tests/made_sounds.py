"""Fixtures: music made by arithmetic, of notes, drums and bars that come back; and sound as files of every format."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile

RATE = 48_000


def note(hertz: float, seconds: float) -> np.ndarray:
    """A plucked tone with seven partials."""
    time = np.arange(round(seconds * RATE)) / RATE
    partials = [np.sin(2 * np.pi * hertz * k * time) / k**1.3 * np.exp(-(2 + k) * time) for k in range(1, 8)]
    return sum(partials) * np.minimum(1, time / 0.005)


def lay(onto: np.ndarray, sound: np.ndarray, second: float) -> None:
    """Adds a sound to another one, cut off at its end."""
    start = round(second * RATE)
    size = max(0, min(len(sound), len(onto) - start))
    onto[start : start + size] += sound[:size]


def _bar(draw: np.random.Generator, beat: float) -> np.ndarray:
    bar = np.zeros(round(8 * beat * RATE))
    for step in range(8):
        if draw.random() < 0.8:
            lay(bar, 0.25 * note(220 * 2 ** (draw.integers(0, 17) / 12), 0.9 * beat), step * beat / 2)
    for tone in draw.choice(9, 3, replace=False):
        lay(bar, 0.12 * note(110 * 2 ** (tone / 12), 4 * beat), 0)
    return bar


@pytest.fixture
def piece() -> Callable[..., np.ndarray]:
    """``piece(seconds, form, seed, drums)``: float32 ``[1, N]``, sequenced; a letter is a bar of 2.14 s."""

    def make(seconds: float, form: str = "AABACABADDBCAABA", seed: int = 0, drums: bool = True) -> np.ndarray:
        draw = np.random.default_rng(seed)
        beat = 60 / 112
        bars = {letter: _bar(draw, beat) for letter in sorted(set(form))}
        time = np.arange(9_600) / RATE
        kick = 0.9 * np.exp(-12 * time) * np.sin(2 * np.pi * (50 * time + 3 * (1 - np.exp(-40 * time))))
        snare = 0.5 * np.exp(-20 * time) * draw.standard_normal(9_600)
        music = np.zeros(round((seconds + 9) * RATE))
        for number in range(int(seconds / (4 * beat)) + 1):
            lay(music, bars[form[number % len(form)]], 4 * number * beat)
            for step in range(4 * drums):
                lay(music, snare if step % 2 else kick, (4 * number + step) * beat)
        music = music[: round(seconds * RATE)]
        return (0.7 * music / np.abs(music).max()).astype(np.float32)[None]

    return make


@pytest.fixture
def melody() -> Callable[..., np.ndarray]:
    """``melody(seconds, seed)``: float32 ``[1, N]``, every seed another one."""

    def make(seconds: float, seed: int) -> np.ndarray:
        draw = np.random.default_rng(seed)
        music = np.zeros(round(seconds * RATE))
        second = 0.0
        while second < seconds:
            lay(music, 0.3 * note(220 * 2 ** (draw.integers(0, 17) / 12), 0.4), second)
            second += draw.choice([0.2, 0.25, 0.3, 0.4])
        return (0.3 * music / np.abs(music).max()).astype(np.float32)[None]

    return make


@pytest.fixture
def encoded(noise: Callable[..., np.ndarray]) -> Callable[..., bytes]:
    """``encoded(format, subtype, seconds, seed, channels, rate)``: the bytes of a file."""

    def make(
        form: str, subtype: str, seconds: float = 1.0, seed: int = 0, channels: int = 1, rate: int = RATE
    ) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, noise(seconds, seed, rate, channels).T, rate, subtype, format=form)
        return file.getvalue()

    return make
