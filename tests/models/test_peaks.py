"""Nothing over full scale, and nothing where the recordings have nothing."""

import numpy as np
import pytest
import torch

import small_distill
from distill.models.peaks import BLOCK, CEILING, REACH, bent, held_down


def noise(seed: int, level: float, channels: int = 2) -> torch.Tensor:
    return torch.randn(1, channels, 120 * BLOCK, generator=torch.Generator().manual_seed(seed)) * level


@pytest.mark.parametrize("level", [0.4, 3.0, 1000.0])
def test_no_sample_is_over_the_ceiling(level: float) -> None:
    """Guards against clipping that was not in the source, at the ends too."""
    loud = noise(0, level)
    assert loud.abs().max() > 1
    assert held_down(loud).abs().max() <= CEILING + 1e-6


def test_what_is_in_range_is_left_as_it_is() -> None:
    """Guards against a gain of almost 1, and against turning down what is far from a peak."""
    sound = noise(1, 0.2).clamp(-CEILING, CEILING)
    assert torch.equal(held_down(sound), sound)
    peak = 60 * BLOCK
    sound[..., peak] = 3.0
    limited = held_down(sound)
    assert torch.equal(limited[..., : peak - REACH], sound[..., : peak - REACH])
    assert torch.equal(limited[..., peak + REACH :], sound[..., peak + REACH :])


def test_both_channels_are_turned_down_alike() -> None:
    """Guards against an image that moves to the softer channel where the other has a peak."""
    sound = noise(2, 0.1)
    sound[0, 0] += 2.0
    limited = held_down(sound)
    torch.testing.assert_close(limited[0, 1] / sound[0, 1], limited[0, 0] / sound[0, 0])
    assert (limited[0, 1] / sound[0, 1]).min() < 0.6


def test_a_part_is_limited_as_in_the_whole() -> None:
    loud = noise(3, 0.4)
    start, stop = 30 * BLOCK, 90 * BLOCK
    part = held_down(loud[..., start - REACH : stop + REACH])[..., REACH:-REACH]
    assert torch.equal(part, held_down(loud)[..., start:stop])


def test_limiting_a_low_sound_makes_no_highs() -> None:
    """Guards against what bending does: 50 dB more above the recordings' bandwidth than they have there."""
    time = torch.arange(480 * BLOCK) / 48_000
    swell = 1.4 * torch.hann_window(len(time)) * torch.sin(2 * torch.pi * 3000 * time)

    def highs(audio: torch.Tensor) -> float:
        spectrum = np.abs(np.fft.rfft(audio.numpy() * np.blackman(len(audio))))
        return float(20 * np.log10(spectrum[len(spectrum) // 3 :].max() / spectrum.max()))

    assert highs(bent(swell)) > -60
    assert highs(held_down(swell[None, None])[0, 0]) < -80


def test_bending_leaves_what_is_in_range() -> None:
    """Guards against sound that is brought to another level and changed where it has room."""
    quiet = torch.linspace(-0.95, 0.95, 101)
    assert torch.equal(bent(quiet), quiet)
    rising = bent(torch.linspace(0.9, 1.2, 50))
    assert (rising.diff() > 0).all()
    assert bent(torch.tensor(100.0)) <= 1


def test_no_codec_decodes_beyond_full_scale() -> None:
    """Whatever the codes."""
    model = small_distill.small_codec(channels=2)
    model.head.tones.spectrum.bias.data[: model.head.tones.bins] += 5
    loud = model.decode(torch.randint(0, 32, (1, 12, 4)))
    assert 0.9 < loud.abs().max() <= 1.0
