"""What is made for something given is as loud as that, not as the recordings."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from distill.making.level import at_level, gain_to_meet, loudest_part
from distill.models import Model
from distill.training import Notice, TrainingEvent


def model_at(level: float) -> Model:
    """A model whose recordings all are as loud."""

    def decode(codes: torch.Tensor) -> torch.Tensor:
        return torch.full((len(codes), 1, codes.shape[1] * 4), level)

    codec = SimpleNamespace(decode=decode, frame_rate=48_000 / 1024)
    source = SimpleNamespace(codes=torch.zeros(300, 4, dtype=torch.int64))
    return cast(Model, SimpleNamespace(codec=codec, trained_on=[source], device="cpu"))


def given_at(level: float) -> np.ndarray:
    return np.full((1, 1000), level, np.float32)


@pytest.mark.parametrize(("given", "expected"), [(0.001, 0.01), (0.06, 1.0), (0.1, 1.0), (0.19, 1.0), (0.5, 5.0)])
def test_what_is_far_quieter_or_louder_is_met(given: float, expected: float) -> None:
    """Guards against a jump of 40 dB where a quiet prompt ends."""
    told: list[TrainingEvent] = []
    assert gain_to_meet(model_at(0.1), given_at(given), "p.wav", told.append) == pytest.approx(expected, rel=1e-4)
    words = [event.text for event in told if isinstance(event, Notice)]
    assert len(words) == (expected != 1)
    if words:
        assert ("40 dB quieter" if given < 0.1 else "14 dB louder") in words[0]


@pytest.mark.parametrize(("before", "expected"), [(0.1, 1.0), (0.06, 1.0), (0.01, 0.1), (0.0001, 0.01)])
def test_what_follows_a_chord_that_dies_away_is_as_loud_as_it_was(before: float, expected: float) -> None:
    """Guards against an inaudible piece after a recording with a natural end, 40 dB below its first chord."""
    found = gain_to_meet(model_at(0.1), given_at(0.001), "p.wav", before=before)
    assert found == pytest.approx(expected, rel=1e-4)


def test_how_loud_the_loudest_part_is() -> None:
    rate = 1000
    audio = np.repeat(np.array([[0.1, 0.4, 0.001]], np.float32), 1500, axis=1)
    assert loudest_part(audio, rate) == pytest.approx(0.4)
    assert loudest_part(audio[:, 3000:3010], rate) == pytest.approx(0.001)
    assert loudest_part(audio[:, :0], rate) == 0


@pytest.mark.parametrize("seconds", [1.6, 9.5, 10.0])
def test_the_end_may_be_the_loudest_part(seconds: float) -> None:
    """Guards against a last chord that is not looked at: what follows it would be inaudible."""
    audio = np.full((1, round(1000 * seconds)), 0.001, np.float32)
    audio[:, -900:] = 0.4
    assert loudest_part(audio, 1000) == pytest.approx(0.4 * (900 / 1500) ** 0.5, rel=1e-3)


@pytest.mark.parametrize(("recordings", "given"), [(0.1, 0.0), (0.0, 0.1), (0.0, 0.0)])
def test_silence_has_no_level_to_meet(recordings: float, given: float) -> None:
    """Guards against a division by nothing, and against a piece of silence after a prompt that ends in silence."""
    assert gain_to_meet(model_at(recordings), given_at(given), "p.wav") == 1.0


def test_nothing_passes_full_scale() -> None:
    loud: Any = at_level(np.array([[0.1, -0.3]], np.float32), 5.0)
    assert np.abs(loud).max() <= 1
    assert loud[0, 0] == pytest.approx(0.5)
