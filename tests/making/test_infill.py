"""Infilling: what is outside stays bit for bit, what is inside is new and hangs on both sides."""

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

import small_distill
from distill.errors import SettingError
from distill.making.drawing import Sampling
from distill.making.infill import infill, longest_passage
from distill.models import Model
from distill.models.model_file import Source


@pytest.fixture(scope="module")
def model() -> Model:
    codec = small_distill.small_codec(seed=1)
    prior = small_distill.small_prior(codec.config, num_layers=2, context=240)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    sources = tuple(Source(f"take-{i}.wav", 0.0, False, torch.tensor([[i, 2, 3, 4], [5, 6, 7, 8]])) for i in range(9))
    return small_distill.small_model(codec, prior, sources)


@pytest.fixture
def recording() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((1, 100_000)).astype(np.float32)


@pytest.mark.parametrize(("begin", "end"), [(0.5, 0.9), (0.0, 0.3), (1.9, 100_000 / 48_000)])
def test_outside_of_the_passage_nothing_changes(model: Model, recording: np.ndarray, begin: float, end: float) -> None:
    """Guards against a recording that comes back through the codec, shifted, or shorter than it was."""
    audio = infill(model, recording, begin, end)[0].audio(model)
    assert audio.shape == recording.shape
    start, stop = round(begin * 48_000), round(end * 48_000)
    np.testing.assert_array_equal(audio[:, :start], recording[:, :start])
    np.testing.assert_array_equal(audio[:, stop:], recording[:, stop:])
    changed = np.abs(audio - recording)[0, start:stop] > 0
    assert changed.mean() > 0.9


@pytest.mark.parametrize(("begin", "end"), [(0.0, 0.3), (1.9, 100_000 / 48_000), (0.5, 0.9)])
def test_at_the_ends_of_the_recording_new_sound_is_faded(
    model: Model, recording: np.ndarray, begin: float, end: float
) -> None:
    """Guards against a click where a passage reaches the recording's beginning or end, in the middle of a wave."""
    made = replace(infill(model, recording, begin, end)[0], voice=Held())
    audio = made.audio(model)[0]
    if begin == 0:
        assert audio[0] == 0
    if made.stop == len(audio):
        assert audio[-1] == 0
    within = audio[made.start + 1500 : made.stop - 1500]
    np.testing.assert_allclose(within, 1, atol=1e-6, err_msg="elsewhere it is as it was made")
    steps = np.abs(np.diff(audio[made.start : made.stop]))
    assert begin > 0 or steps[:500].max() < 0.02
    assert made.stop < len(audio) or steps[-500:].max() < 0.02


def test_the_level_is_held_where_old_and_new_meet(model: Model, recording: np.ndarray) -> None:
    """Guards against 3 dB less on both sides of a passage: old and new sound are never twice the same."""

    class Noise(Held):
        def blocks(self, codes: torch.Tensor) -> Iterator[np.ndarray]:
            yield 0.1 * np.random.default_rng(5).standard_normal((1, 1024 * len(codes))).astype(np.float32)

    made = replace(infill(model, recording, 0.5, 0.9)[0], voice=Noise())
    audio = made.audio(model)[0]
    for middle in (made.start + 480, made.stop - 480):
        assert audio[middle - 240 : middle + 240].std() > 0.1 * 10 ** (-1 / 20)


class Held:
    """A voice that is at full scale from the first sample to the last."""

    def blocks(self, codes: torch.Tensor) -> Iterator[np.ndarray]:
        yield np.ones((1, 1024 * len(codes)), np.float32)

    def as_coded(self, codes: torch.Tensor) -> tuple[torch.Tensor, None]:
        return codes, None


def test_the_new_sound_stands_at_its_place(model: Model, recording: np.ndarray) -> None:
    """Guards against sound that is a position early or late: around the passage it must be the recording's own codes."""
    made = infill(model, recording, 0.6, 0.9)[0]
    whole = model.codec.encode(torch.from_numpy(recording)[None])[0]
    first = made.first // model.codec.hop
    before = made.start // model.codec.hop - first
    assert torch.equal(made.codes[:before], whole[first : first + before])
    after = -(-made.stop // model.codec.hop) - first
    assert torch.equal(made.codes[after:], whole[first + after : first + len(made.codes)])


def test_both_sides_are_heard(model: Model, recording: np.ndarray) -> None:
    """Guards against a passage that follows from its left side alone."""
    likeliest = Sampling(temperature=0)
    as_it_is = infill(model, recording, 0.8, 1.0, sampling=likeliest)[0]
    other = recording.copy()
    other[:, 60_000:] = 0.3 * np.random.default_rng(1).standard_normal(40_000)
    with_other_right = infill(model, other, 0.8, 1.0, sampling=likeliest)[0]
    passage = slice(as_it_is.start // 1024 - as_it_is.first // 1024, 46 - as_it_is.first // 1024)
    assert not torch.equal(as_it_is.codes[passage], with_other_right.codes[passage])


@pytest.mark.parametrize("begin", [0.0, 0.5])
def test_versions_have_their_own_seeds(model: Model, recording: np.ndarray, begin: float) -> None:
    """Guards against versions that cannot be made again alone; without a left side they differ from the opening on."""
    several = infill(model, recording, begin, 0.8, count=2, seed=3)
    assert [one.seed for one in several] == [3, 4]
    assert not torch.equal(several[0].codes, several[1].codes)
    again = infill(model, recording, begin, 0.8, seed=4)[0]
    assert torch.equal(several[1].codes, again.codes)


@pytest.mark.parametrize(("begin", "end"), [(-1, 0.5), (0.5, 0.5), (0.9, 0.5), (0.5, 3.0), (0.5, 0.51), (0.0, 2.0)])
def test_passages_that_cannot_be(model: Model, recording: np.ndarray, begin: float, end: float) -> None:
    with pytest.raises(SettingError, match="--from and --to"):
        infill(model, recording, begin, end)


def test_a_passage_leaves_room_for_both_sides(model: Model) -> None:
    assert longest_passage(model) == pytest.approx(40 / 46.875)


@pytest.mark.parametrize("samples", [30_000, 100_000])
def test_the_longest_passage_that_is_advised_can_be_made(model: Model, recording: np.ndarray, samples: int) -> None:
    """Guards against "up to 3.99 s apart" in a recording of three seconds, and against a length that was rounded up."""
    short = recording[:, :samples]
    with pytest.raises(SettingError) as refused:
        infill(model, short, 0.1, 9.0)
    advised = re.findall(r"0.05 to (\S+) s apart", refused.value.fix)
    assert infill(model, short, 0.0, float(advised[0]))


def test_a_quiet_recording_is_heard_at_the_models_level_and_filled_at_its_own(
    model: Model, recording: np.ndarray
) -> None:
    """Guards against a passage as loud as the recordings of the model in the middle of something quiet."""
    (loud,) = infill(model, recording, 0.6, 0.9)
    (quiet,) = infill(model, recording / 128, 0.6, 0.9, gain=1 / 128)
    assert torch.equal(loud.codes, quiet.codes)
    np.testing.assert_allclose(quiet.audio(model) * 128, loud.audio(model), atol=1e-5)
    ((loud_sound,), (quiet_sound,)) = (list(one.new_sound(model)[1]) for one in (loud, quiet))
    np.testing.assert_allclose(
        quiet_sound, loud_sound, atol=1e-5, err_msg="it is judged at the level of the recordings"
    )
