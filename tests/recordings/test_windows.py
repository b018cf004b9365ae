"""Windows for training and checking."""

from pathlib import Path

import numpy as np
import pytest

from distill.recordings.corpus import Recording
from distill.recordings.passages import Passage
from distill.recordings.windows import TrainingWindows, validation_windows


def _passage(samples, value=None):
    """All samples are ``value``, or count from 1 so that each tells its own place."""
    audio = np.full((1, samples), value, np.float32) if value else np.arange(1, samples + 1, dtype=np.float32)[None]
    return Passage(Recording("a", Path("a"), "0", samples / 48_000, samples, 1, 0, audio), 0, samples)


def test_a_batch_is_the_same_whatever_was_drawn_before():
    """Guards against resumed training that hears other windows than uninterrupted training."""
    passages = [_passage(1000), _passage(70)]
    there = TrainingWindows(passages, 100, 2, seed=3)
    back = TrainingWindows(passages, 100, 2, seed=3)
    keys = [(epoch, index) for epoch in range(3) for index in range(3)]
    forward = {key: there.batch(*key, batch_size=4) for key in keys}
    for key in reversed(keys):
        np.testing.assert_array_equal(back.batch(*key, batch_size=4), forward[key])
    assert forward[0, 0].shape == (4, 2, 100)
    assert forward[0, 0].dtype == np.float32
    assert len({batch.tobytes() for batch in forward.values()}) == len(keys)
    # A larger batch begins with the smaller one: the batch size is not part of the draw.
    np.testing.assert_array_equal(there.batch(0, 0, 8)[:4], forward[0, 0])
    assert not np.array_equal(TrainingWindows(passages, 100, 2, seed=4).batch(0, 0, 4), forward[0, 0])


def test_short_passages_are_heard_whole_with_silence_around():
    """Guards against dropping or cutting short hits, and against a model that never hears the moment of attack."""
    windows = TrainingWindows([_passage(30)], 100, 1, seed=0).batch(0, 0, 200)[:, 0]
    starts = (windows != 0).argmax(axis=1)
    for window, start in zip(windows, starts, strict=True):
        np.testing.assert_array_equal(window[start : start + 30], np.arange(1, 31))
        assert np.count_nonzero(window) == 30
    assert 60 < (starts == 0).sum() < 140
    assert starts.max() > 50


def test_some_windows_begin_or_end_in_silence():
    """Guards against a codec that hisses in silence because its corpus never holds any."""
    windows = TrainingWindows([_passage(1000, 1.0)], 100, 1, seed=0, silenced=0.25).batch(0, 0, 400)[:, 0]
    silenced = windows[(windows == 0).any(axis=1)]
    assert 70 < len(silenced) < 130
    lengths = (silenced == 0).sum(axis=1)
    assert lengths.min() >= 25
    assert lengths.max() <= 75
    at_the_start = (silenced[:, 0] == 0).mean()
    assert 0.3 < at_the_start < 0.7
    assert (np.abs(np.diff(silenced, axis=1)).sum(axis=1) == 1).all()  # one cut, no holes


def test_long_passages_are_heard_evenly_up_to_both_ends():
    """Guards against an off-by-one that never reaches the last sample, and against windows from other passages."""
    windows = TrainingWindows([_passage(105)], 100, 1, seed=0).batch(0, 0, 300)[:, 0]
    starts = windows[:, 0] - 1
    assert set(starts) == {0, 1, 2, 3, 4, 5}
    np.testing.assert_array_equal(windows, starts[:, None] + np.arange(1, 101))


def test_passages_are_drawn_by_length_but_hits_are_not_starved():
    """Guards against a corpus of hits and one long drone in which the hits are never heard."""
    passages = [_passage(10_000, 1.0), _passage(1, 2.0), _passage(5_000, 3.0)]
    windows = TrainingWindows(passages, 2_000, 1, seed=0)
    drawn = windows.batch(0, 0, 3000).max(axis=(1, 2))
    counts = np.array([(drawn == value).sum() for value in (1, 2, 3)]) / 3000
    np.testing.assert_allclose(counts, np.array([10_000, 500, 5_000]) / 15_500, atol=0.03)
    assert windows.windows_per_epoch == 8
    assert TrainingWindows([_passage(10)], 2_000, 1, seed=0).windows_per_epoch == 1


def test_windows_need_something_to_draw_from():
    """Guards against an endless loop or a division by zero on an empty split."""
    with pytest.raises(ValueError, match="at least one"):
        TrainingWindows([], 100, 1, seed=0)


def test_validation_windows_tile_everything_and_drop_nothing():
    """Guards against a lost tail, and short passages left out of the measure."""
    windows = validation_windows([_passage(250), _passage(30)], 100, 1, limit=100)
    assert windows.shape == (4, 1, 100)
    heard = windows[:, 0]
    np.testing.assert_array_equal(heard[:3].ravel()[:250], np.arange(1, 251))
    assert not heard[2, 50:].any()
    np.testing.assert_array_equal(heard[3, :30], np.arange(1, 31))
    assert not heard[3, 30:].any()


@pytest.mark.parametrize("limit", [1, 3, 5, 7, 20, 64])
def test_a_limit_is_kept_and_spread(limit):
    """Guards against a check that hears only the beginning of the first recording."""
    passages = [_passage(10_000, 1.0), *(_passage(20, value) for value in (2.0, 3.0, 4.0, 5.0))]
    windows = validation_windows(passages, 100, 1, limit)
    assert len(windows) == limit
    values = {float(value) for value in windows.max(axis=(1, 2))}
    assert len(values) == min(limit, 5)
    if limit > 10:
        starts = validation_windows([_passage(10_000)], 100, 1, limit)[:, 0, 0]
        assert len(set(starts)) == limit
        assert starts.max() > 8_000
