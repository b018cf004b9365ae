"""The nearest passage: found where it is, also when it is quieter, higher, or under noise; and told from mere likeness."""

from collections.abc import Callable

import numpy as np
import pytest
import soxr

from distill.codes.passages import Passages

RATE = 48_000


def take(seed: int, seconds: float = 6.0) -> np.ndarray:
    """A little melody of decaying tones, every seed another one: ``[1, N]``."""
    draw = np.random.default_rng(seed)
    samples = round(seconds * RATE)
    audio = 0.001 * draw.standard_normal(samples)
    begin = 0.0
    while begin < seconds:
        first, length = round(begin * RATE), samples - round(begin * RATE)
        time = np.arange(length) / RATE
        pitch = 110 * 2 ** (draw.integers(0, 48) / 12)
        tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6)) * np.exp(-draw.uniform(4, 12) * time)
        audio[first:] += draw.uniform(0.05, 0.2) * tone
        begin += draw.uniform(0.08, 0.3)
    return audio[None].astype(np.float32)


@pytest.fixture(scope="module")
def passages() -> Passages:
    return Passages([take(seed) for seed in range(5)])


def test_a_copy_is_found_where_it_is(passages: Passages) -> None:
    found = passages.nearest(take(3)[:, round(2.2 * RATE) : round(4.2 * RATE)], transposed=False)
    assert found.similarity.min() > 0.99
    assert found.source.tolist() == [3, 3]
    np.testing.assert_allclose(found.seconds, [2.2, 3.2], atol=0.03)


@pytest.mark.parametrize(
    ("change", "atleast"),
    [
        (lambda audio: 0.1 * audio, 0.97),
        (lambda audio: audio + 0.003 * np.random.default_rng(0).standard_normal(audio.shape).astype(np.float32), 0.85),
        (lambda audio: soxr.resample(audio.T, RATE, RATE * 2 ** (-2 / 12)).T, 0.9),
    ],
    ids=["quieter", "noisier", "higher and faster"],
)
def test_a_changed_copy_is_found(
    passages: Passages, change: Callable[[np.ndarray], np.ndarray], atleast: float
) -> None:
    """Guards against a search that only a literal copy would trip."""
    found = passages.nearest(change(take(3)[:, RATE : 4 * RATE]).astype(np.float32))
    assert (found.source == 3).all()
    assert found.similarity.min() > atleast


def test_a_transposed_copy_tells_by_how_much(passages: Passages) -> None:
    higher = soxr.resample(take(2).T, RATE, RATE * 2 ** (-2 / 12)).T
    found = passages.nearest(higher[:, : 3 * RATE])
    assert set(found.semitones.tolist()) <= {1.5, 2.0, 2.5}
    assert (found.stretch < 1).all()
    plain = passages.nearest(higher[:, : 3 * RATE], transposed=False)
    assert (plain.similarity < found.similarity).all()


def test_an_innocent_piece_is_far_from_all(passages: Passages) -> None:
    copied, innocent = passages.nearest(take(1)), passages.nearest(take(77))
    assert innocent.similarity.max() < 0.9 * copied.similarity.min()


def test_silence_is_no_copy_of_silence(passages: Passages) -> None:
    """Guards against the most common false alarm: rests that look like rests."""
    quiet = np.concatenate([take(1)[:, :RATE], np.full((1, RATE), 1e-5, np.float32)], axis=1)
    found = passages.nearest(quiet)
    assert found.is_silent.tolist() == [False, True]
    assert found.source.tolist()[1] == -1


def test_what_is_left_out_is_not_found(passages: Passages) -> None:
    found = passages.nearest(take(3), exclude=3)
    assert 3 not in found.source.tolist()


@pytest.mark.parametrize("seconds", [0.01, 0.7, 1.0, 1.9])
def test_short_sounds_are_one_second(passages: Passages, seconds: float) -> None:
    assert len(passages.nearest(take(0, seconds)).similarity) == 1
    assert len(Passages([take(0, seconds)]).nearest(take(0)).similarity) == 6
