"""How large a prior is, by its recordings and its time, and what is said of that."""

from types import SimpleNamespace
from typing import Any

import pytest

from distill.errors import SettingError
from distill.models.config import PriorConfig, VQVAEConfig
from distill.sizes import prior_config, too_short_for_larger
from distill.training import train_prior, train_vqvae

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


@pytest.mark.parametrize(
    ("train", "config", "said"),
    [
        (train_vqvae, VQVAEConfig(num_quantizers=8), "num_quantizers 8 is out of range. Choose 2 to 4"),
        (train_vqvae, VQVAEConfig(codebook_size=2048), "codebook_size 2048 is out of range. Choose 16 to 1024"),
        (train_vqvae, VQVAEConfig(voice="choir"), "voice 'choir' is out of range. Choose one of '"),  # type: ignore[arg-type]
        (train_prior, PriorConfig(dropout=1.0), "dropout 1.0 is out of range. Choose 0 to under 1"),
        (train_prior, PriorConfig(context=32_768), "context 32768 is out of range. Choose 8 to 16384"),
    ],
)
def test_sizes_that_no_file_can_hold_are_refused_before_anything_is_read(train: Any, config: Any, said: str) -> None:
    """Guards against a training that comes to its end, and saves a file that Distill then refuses to open."""
    inputs = ("nowhere",) if train is train_vqvae else ("nowhere.distill", "nowhere")
    with pytest.raises(SettingError, match=said):
        train(*inputs, config)
