"""Parts of a sound: as it sounds in its place, of some levels alone, held."""

import numpy as np
import pytest
import torch

import small_distill
from distill.codes.extract import decode_chunks
from distill.making.moments import FADE_SECONDS, HELD_SECONDS, entry, held, stretch
from distill.models import Model

FADE = round(FADE_SECONDS * 48_000)


@pytest.fixture(scope="module")
def model() -> Model:
    return small_distill.small_model(small_distill.small_codec())


@pytest.fixture(scope="module")
def noise() -> Model:
    """Of one whose tones are silent: their phases begin anew with every part, those of noise do not."""
    codec = small_distill.small_codec()
    codec.head.tones.spectrum.weight.zero_()
    codec.head.tones.spectrum.bias[: codec.head.tones.bins] = -20.0
    return small_distill.small_model(codec)


CODES = torch.randint(0, 32, (120, 4), generator=torch.Generator().manual_seed(1))


def test_a_stretch_is_where_it_should_be(noise: Model) -> None:
    """Guards against a selection that is heard a position early or late, or without what is around it."""
    audio = stretch(noise, CODES, 50, 60).audio
    assert audio.shape == (1, 10 * 1024)
    assert np.abs(audio[:, [0, -1]]).max() < 1e-3
    whole = np.concatenate(list(decode_chunks(noise.codec, CODES)), axis=1)[:, 50 * 1024 : 60 * 1024]
    np.testing.assert_allclose(audio[:, FADE:-FADE], whole[:, FADE:-FADE], atol=1e-5)
    assert np.abs(whole).max() > 0.01


def test_from_the_beginning_it_is_the_whole_sound(model: Model) -> None:
    whole = np.concatenate(list(decode_chunks(model.codec, CODES)), axis=1)
    audio = stretch(model, CODES, 0, len(CODES)).audio
    np.testing.assert_allclose(audio[:, FADE:-FADE], whole[:, FADE:-FADE], atol=1e-5)


def test_a_level_alone_does_not_depend_on_the_others(model: Model) -> None:
    other = CODES.clone()
    other[:, 1:] = (other[:, 1:] + 5) % 32

    def alone(codes: torch.Tensor, levels: list[int] | None) -> np.ndarray:
        return stretch(model, codes, 20, 30, levels).audio

    np.testing.assert_array_equal(alone(CODES, [0]), alone(other, [0]))
    assert not np.array_equal(alone(CODES, [1]), alone(other, [1]))
    np.testing.assert_allclose(alone(CODES, [0, 1, 2, 3]), alone(CODES, None), atol=1e-5)


def test_pieces_join_to_the_whole_sound(model: Model) -> None:
    """Guards against a click wherever one piece ends and the next begins, and against draws that differ from the real sound."""
    whole = np.concatenate(list(decode_chunks(model.codec, CODES)), axis=1)
    before, heard = None, []
    for first, stop in [(0, 30), (30, 33), (33, 90), (90, 120)]:
        low, high = max(0, first - 40), stop + 40
        before = stretch(model, CODES[low:high], first, stop, origin=low, before=before, goes_on=stop < 120)
        heard.append(before.audio)
    joined = np.concatenate(heard, axis=1)
    np.testing.assert_allclose(joined[:, FADE:-FADE], whole[:, FADE:-FADE], atol=1e-4)


def test_a_moment_lasts(model: Model) -> None:
    audio = held(model, CODES[7])
    assert audio.shape[1] == round(HELD_SECONDS * 48_000 / 1024) * 1024
    halves = np.abs(audio).reshape(2, -1).mean(axis=1)
    assert halves.min() > 0.3 * halves.max() > 0


def test_an_entry_is_heard_without_the_other_levels(model: Model) -> None:
    column = CODES[7].clone()
    column[2] = 9
    np.testing.assert_array_equal(entry(model, 2, 9), held(model, column, [2]))
