"""How large a prior is, by its recordings and its time, and what is said of that."""

from types import SimpleNamespace
from typing import Any

import pytest

from distill.models.config import VQVAEConfig
from distill.sizes import prior_config, too_short_for_larger

MODEL: Any = SimpleNamespace(header=SimpleNamespace(codec=VQVAEConfig()))


@pytest.mark.parametrize(
    ("seconds", "minutes", "width", "said"),
    [
        (7_600, 1.4, 128, "larger prior (width 384), but not in 1 min 24 s, so it has width 128"),
        (7_600, None, 384, ""),
        (200, 0.5, 128, ""),
    ],
)
def test_a_prior_without_the_time_for_its_sound_is_smaller_and_says_so(
    seconds: float, minutes: float | None, width: int, said: str
) -> None:
    corpus: Any = SimpleNamespace(seconds=seconds)
    assert prior_config(MODEL, corpus, {}, minutes).hidden_size == width
    words = too_short_for_larger(MODEL, corpus, minutes)
    assert said in words
    assert bool(said) == bool(words)
    assert prior_config(MODEL, corpus, {"hidden_size": 64}, minutes).hidden_size == 64
