"""What codes sound like: descriptions of sound, and the linear map to them."""

import math

import torch

from distill.codes.descriptions import BANDS, HALVES, LOWEST_HZ, SIZE, Description, entry_descriptions

HOP = 1024
describe = Description(HOP)


def test_a_description_knows_pitch_and_moment() -> None:
    """Guards against frames that lie beside their positions."""
    time = torch.arange(20 * HOP) / 48_000
    semitone = 24
    tone = 0.3 * torch.sin(2 * math.pi * LOWEST_HZ * 2 ** (semitone / 12) * time)
    described = describe(tone)
    assert described.shape == (20, SIZE)
    assert described[5:15, HALVES * BANDS :].argmax(dim=1).eq(semitone).all()
    click = torch.zeros(20 * HOP)
    click[10 * HOP + 3 * HOP // 4] = 1.0  # in the late half of position 10
    loudest = describe(click)[:, : HALVES * BANDS].reshape(20 * HALVES, BANDS).sum(dim=1).argmax()
    assert int(loudest) in (HALVES * 10 + 1, HALVES * 10 + 2)


def test_less_than_a_position_has_no_description() -> None:
    assert describe(torch.ones(HOP - 1)).shape == (0, SIZE)


def test_entries_are_heard_beside_the_others_of_their_level() -> None:
    codebooks = torch.randn(2, 4, 3)
    table = torch.randn(4, 5)
    described = entry_descriptions(codebooks, table)
    assert described.shape == (2, 4, 5)
    torch.testing.assert_close(described.mean(dim=1), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(described[0, 1] - described[0, 2], (codebooks[0, 1] - codebooks[0, 2]) @ table[:-1])
