"""What every test shares: a home of its own, and sounds made by arithmetic."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the person's own data folder."""
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def tone() -> Callable[..., np.ndarray]:
    """``tone(seconds, hz, rate, channels)``: float32 ``[C, N]``, a sine of amplitude 0.5."""

    def make(seconds: float, hz: float = 440.0, rate: int = 48_000, channels: int = 1) -> np.ndarray:
        time = np.arange(round(seconds * rate)) / rate
        return np.tile(0.5 * np.sin(2 * np.pi * hz * time), (channels, 1)).astype(np.float32)

    return make


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """``noise(seconds, seed, rate, channels)``: float32 ``[C, N]`` in bursts, every seed another take."""

    def make(seconds: float, seed: int = 0, rate: int = 48_000, channels: int = 1) -> np.ndarray:
        draw = np.random.default_rng(seed)
        samples = round(seconds * rate)
        bursts = np.exp(-6 * ((np.arange(samples) / rate * draw.uniform(2, 4)) % 1))
        return (0.2 * bursts * draw.standard_normal((channels, samples))).astype(np.float32)

    return make


@pytest.fixture
def save() -> Callable[..., Path]:
    """``save(path, audio, rate, subtype)`` writes ``[C, N]`` and returns the path; folders are made."""

    def write(path: Path, audio: np.ndarray, rate: int = 48_000, subtype: str | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(path, "w", rate, len(audio), subtype) as file:
            for start in range(0, audio.shape[1], rate):
                file.write(audio[:, start : start + rate].T)
        return path

    return write
