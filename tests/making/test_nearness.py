"""Figures of new audio beside recordings: finite where there is next to nothing, better where it is nearer."""

import math

import numpy as np
import pytest

from distill.making.nearness import FEWEST_WINDOWS, Reference

RATE = 48_000


def noise(seconds: float, seed: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((1, round(seconds * RATE))).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.4, 1.5, 4.0])
def test_figures_are_figures_whatever_there_is_to_compare_with(seconds: float) -> None:
    """Guards against a prior that is trained and lost, since one second has no covariance."""
    reference = Reference([noise(seconds, 0)], RATE / 1024)
    assert reference.windows < FEWEST_WINDOWS
    found = reference.nearness([noise(5, 1)])
    assert all(math.isfinite(figure) for figure in (found.movement_db, found.comb, found.frechet))


def test_the_same_kind_of_sound_is_nearer_than_another() -> None:
    reference = Reference([noise(12, 0)], RATE / 1024)
    assert reference.windows >= FEWEST_WINDOWS
    time = np.arange(5 * RATE) / RATE
    tone = (0.1 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[None]
    assert reference.nearness([noise(5, 1)]).distance < reference.nearness([tone]).distance
