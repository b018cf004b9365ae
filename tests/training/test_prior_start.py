"""How a prior begins: from the base where it fits and the codes can be heard, from the codebooks otherwise."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from distill.models import CodePrior, ConvVQVAE, PriorConfig, VQVAEConfig
from distill.recordings.passages import Passage
from distill.sizes import prior_config_for
from distill.training.plan import PriorPlan
from distill.training.prior_start import PriorInputs, new_prior, without_base

KEYS, HELD = 16, 12
"""So many tones, each held for so many positions."""


@pytest.fixture
def melody(sounding: Callable[[np.ndarray], Passage]) -> tuple[ConvVQVAE, Passage, torch.Tensor]:
    """Tones of four levels' codes: the coarsest says which, the finer ones nothing."""
    torch.manual_seed(0)
    codec = ConvVQVAE(
        VQVAEConfig(
            hidden_size=16,
            encoder_blocks=1,
            decoder_blocks=1,
            latent_size=KEYS,
            codebook_size=KEYS,
            sketch_size=0,
        )
    )
    codebooks = 1e-3 * torch.randn(4, KEYS, KEYS)
    codebooks[0] += torch.eye(KEYS)
    codec.quantizer.set_codebooks(codebooks)
    generator = torch.Generator().manual_seed(1)
    keys = torch.randint(KEYS, (40,), generator=generator).repeat_interleave(HELD)
    codes = torch.cat([keys[:, None], torch.randint(KEYS, (len(keys), 3), generator=generator)], dim=1)
    hertz = (110 * 2 ** (keys / 6)).repeat_interleave(codec.hop).double()
    audio = 0.3 * torch.sin(2 * torch.pi * torch.cumsum(hertz / 48_000, dim=0))
    return codec, sounding(audio.float().numpy()[None]), codes


def begun(melody: tuple[ConvVQVAE, Passage, torch.Tensor], config: PriorConfig, **plan: Any) -> tuple[CodePrior, bool]:
    codec, passage, codes = melody
    return new_prior(config, PriorPlan(**plan), codec, (passage,), [codes])


CONFIG = PriorConfig.for_corpus(30.0, codebook_size=KEYS, num_quantizers=4, frame_rate=46.875)


def test_the_base_is_lined_up_with_what_codes_sound_like(melody: tuple[ConvVQVAE, Passage, torch.Tensor]) -> None:
    """Guards against a base whose maps meet the wrong codes: keys a tone apart are more alike than keys far apart."""
    prior, is_from_base = begun(melody, CONFIG)
    assert is_from_base
    embedded = prior.embedding.weight[:KEYS].detach()
    apart = torch.cdist(embedded, embedded)
    near, far = apart.diagonal(1).mean(), apart.diagonal(KEYS - 2).mean()
    assert near < 0.8 * far
    assert not begun(melody, CONFIG, from_scratch=True)[1]


def test_other_sizes_start_from_the_codebooks(melody: tuple[ConvVQVAE, Passage, torch.Tensor]) -> None:
    other = PriorConfig(codebook_size=KEYS, hidden_size=16, num_heads=2, num_layers=1, context=64)
    assert not begun(melody, other)[1]


def test_too_little_to_hear_starts_from_the_codebooks(
    melody: tuple[ConvVQVAE, Passage, torch.Tensor], sounding: Callable[[np.ndarray], Passage]
) -> None:
    codec, passage, codes = melody
    short = sounding(passage.read(0, codec.hop - 1, 1))
    assert not begun((codec, short, codes[:1]), CONFIG)[1]


@pytest.mark.parametrize(
    ("seconds", "levels", "sizes", "from_scratch", "is_said"),
    [
        (200.0, 4, {}, False, False),
        (200.0, 2, {}, False, True),
        (200.0, 4, {"num_layers": 2}, False, True),
        (200.0, 4, {"num_layers": 2}, True, False),
        (2_000.0, 4, {}, False, False),
    ],
)
def test_sizes_that_have_no_base_are_named(
    seconds: float, levels: int, sizes: dict[str, int], from_scratch: bool, is_said: bool
) -> None:
    """Guards against a person's sizes that quietly cost the base prior. With long recordings none has it, as is meant."""
    model: Any = SimpleNamespace(header=SimpleNamespace(codec=VQVAEConfig(num_quantizers=levels)))
    corpus: Any = SimpleNamespace(seconds=seconds)
    config = dataclasses.replace(prior_config_for(model, corpus), **sizes)
    split: Any = SimpleNamespace()
    inputs = PriorInputs(model, corpus, split, config)
    words = without_base(inputs, PriorPlan(from_scratch=from_scratch))
    assert bool(words) == is_said
    assert is_said == ("starts from nothing" in words)
