"""The nearest passage: found where it is, also when it is quieter, higher, or under noise; and told from mere likeness."""

from collections.abc import Callable

import numpy as np
import pytest
import soxr
import torch

from distill.originality.passages import AS_IT_IS, DEPTH_DB, FRAMES, Passages, Search, log_mel, spectra

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
    return Passages.of([[take(seed)] for seed in range(5)])


def test_a_copy_is_found_where_it_is(passages: Passages) -> None:
    found = passages.nearest([take(3)[:, round(2.2 * RATE) : round(4.2 * RATE)]], AS_IT_IS)
    assert found.similarity.min() > 0.99
    assert found.source.tolist() == [3, 3]
    np.testing.assert_allclose(found.seconds, [2.2, 3.2], atol=0.03)


@pytest.mark.parametrize(
    ("change", "atleast"),
    [
        (lambda audio: 0.1 * audio, 0.97),
        (lambda audio: audio + 0.01 * np.random.default_rng(0).standard_normal(audio.shape).astype(np.float32), 0.95),
        (lambda audio: soxr.resample(audio.T, RATE, RATE * 2 ** (-2 / 12)).T, 0.9),
    ],
    ids=["quieter", "noisier", "higher and faster"],
)
def test_a_changed_copy_is_found(
    passages: Passages, change: Callable[[np.ndarray], np.ndarray], atleast: float
) -> None:
    """Guards against a search that only a literal copy would trip."""
    found = passages.nearest([change(take(3)[:, RATE : 4 * RATE]).astype(np.float32)])
    assert (found.source == 3).all()
    assert found.similarity.min() > atleast


def test_a_transposed_copy_tells_by_how_much(passages: Passages) -> None:
    higher = soxr.resample(take(2).T, RATE, RATE * 2 ** (-2 / 12)).T
    found = passages.nearest([higher[:, : 3 * RATE]])
    assert set(found.semitones.tolist()) <= {1.5, 2.0, 2.5}
    assert (found.stretch < 1).all()
    plain = passages.nearest([higher[:, : 3 * RATE]], AS_IT_IS)
    assert (plain.similarity < found.similarity).all()


def test_an_innocent_piece_is_far_from_all(passages: Passages) -> None:
    copied, innocent = passages.nearest([take(1)]), passages.nearest([take(77)])
    assert innocent.similarity.max() < 0.9 * copied.similarity.min()


def test_silence_is_no_copy_of_silence(passages: Passages) -> None:
    """Guards against the most common false alarm: rests that look like rests."""
    quiet = np.concatenate([take(1)[:, :RATE], np.full((1, RATE), 1e-5, np.float32)], axis=1)
    found = passages.nearest([quiet])
    assert np.isnan(found.similarity).tolist() == [False, True]
    assert found.source.tolist()[1] == -1


def test_quiet_recordings_are_copied_like_others() -> None:
    """Guards against a piece of quiet recordings that is called silent, and never compared with them."""
    quiet = [np.float32(0.003) * take(seed) for seed in range(3)]
    assert max(np.sqrt(np.square(one).mean()) for one in quiet) < 10 ** (-60 / 20)
    passages = Passages.of([[one] for one in quiet])
    found = passages.nearest([quiet[1][:, RATE : 3 * RATE]], AS_IT_IS)
    assert found.similarity.min() > 0.99
    assert found.source.tolist() == [1, 1]
    for silence in (np.zeros((1, 2 * RATE), np.float32), 1e-3 * quiet[1]):
        assert np.isnan(passages.nearest([silence], AS_IT_IS).similarity).all()
    assert np.isnan(Passages.of([[np.zeros((1, 2 * RATE), np.float32)]]).nearest([silence], AS_IT_IS).similarity).all()


def test_one_knock_on_the_microphone_makes_nothing_else_silent() -> None:
    """Guards against quiet recordings of which one holds a bang: all new audio was called silent, and compared with nothing."""
    quiet = [np.float32(0.003) * take(seed) for seed in range(5)]
    quiet[2][:, 3 * RATE : 3 * RATE + 4000] = np.linspace(1, -1, 4000, dtype=np.float32)
    passages = Passages.of([[one] for one in quiet])
    found = passages.nearest([quiet[1][:, RATE : 3 * RATE]], AS_IT_IS)
    assert found.similarity.min() > 0.99
    assert found.source.tolist() == [1, 1]
    assert np.isnan(passages.nearest([1e-3 * quiet[1]], AS_IT_IS).similarity).all()


def test_what_is_left_out_is_not_found(passages: Passages) -> None:
    found = passages.nearest([take(3)], exclude=3)
    assert 3 not in found.source.tolist()


@pytest.mark.parametrize(("seconds", "count"), [(0.01, 1), (0.7, 1), (1.0, 1), (1.05, 1), (1.9, 2), (3.0, 3)])
def test_every_second_and_the_rest_has_its_nearest(seconds: float, count: int) -> None:
    assert len(Passages.of([[take(1)]]).nearest([take(0, seconds)]).similarity) == count
    assert len(Passages.of([[take(0, seconds)]]).nearest([take(0)]).similarity) == 6


def test_equals_its_slow_twin(passages: Passages) -> None:
    """Against every passage at every 10 ms, at full size: thumbnails lose little, and of a near one nothing."""
    pictures = []
    for seed in range(5):
        mel = torch.cat([log_mel(magnitudes) for magnitudes, _ in spectra([take(seed)])])
        pictures.append(mel.unfold(0, FRAMES, 1).transpose(1, 2).flatten(1))
    sought = np.concatenate([take(8, 4.0), take(2)[:, RATE : 3 * RATE]], axis=1)
    mel = torch.cat([log_mel(magnitudes) for magnitudes, _ in spectra([sought])])
    queries = torch.stack([mel[start : start + FRAMES].flatten() for start in range(0, 600, FRAMES)])

    def unit(rows: torch.Tensor) -> torch.Tensor:
        rows = rows.maximum(rows.amax(dim=1, keepdim=True) - DEPTH_DB / 20 * np.log(10))
        rows = rows - rows.mean(dim=1, keepdim=True)
        return rows / rows.norm(dim=1, keepdim=True)

    slow = (unit(queries) @ unit(torch.cat(pictures)).T).amax(dim=1).numpy()
    fast = passages.nearest([sought], AS_IT_IS).similarity
    assert (fast <= slow + 1e-5).all()
    assert (slow - fast).max() < 0.03
    np.testing.assert_allclose(fast[-2:], slow[-2:], atol=1e-4)


def test_blocks_of_any_size_are_one_sound() -> None:
    """Guards against frames that are lost, or heard twice, where blocks meet."""
    sound = take(4)
    pieces = np.split(sound, [1, 500, 3000, 100_000], axis=1)
    whole, parted = (torch.cat([mel for mel, _ in spectra(blocks)]) for blocks in ([sound], pieces))
    assert len(whole) == 1 + sound.shape[1] // 480
    torch.testing.assert_close(parted, whole)


def test_hiss_neither_hides_a_copy_nor_makes_one() -> None:
    """Guards against pictures whose empty parts decide: without a limit to the depth, hiss that few hear hides the copy."""
    sound = take(2) - 0.001 * np.random.default_rng(2).standard_normal(take(2).shape).astype(np.float32)  # its own hiss
    hiss = (0.002 * np.random.default_rng(0).standard_normal(sound.shape)).astype(np.float32)
    clean = [[take(seed)] for seed in range(2)] + [[sound]]
    shallow, whole = (Passages.of(clean, depth=depth).nearest([sound + hiss], AS_IT_IS) for depth in (DEPTH_DB, np.inf))
    assert shallow.similarity.min() > 0.97
    assert shallow.similarity.min() > whole.similarity.min()


def test_what_the_recordings_repeat_is_known() -> None:
    """A bar four times, a drone, and a melody that never repeats: only the last belongs to itself alone."""
    loop = np.tile(take(1, 1.5), (1, 4))
    drone = sum(np.sin(2 * np.pi * hz * np.arange(6 * RATE) / RATE) for hz in (110, 165, 220))[None].astype(np.float32)
    index = Passages.of([[loop], [drone], [take(3)]])
    found = index.elsewhere(np.array([0, 1, 2, -1]), np.array([1.0, 2.0, 2.0, 0.0]))
    assert found[:2].min() > 0.99
    assert found[2] < 0.9
    assert np.isnan(found[3])


def test_what_two_stretches_of_a_recording_hold_is_repeated() -> None:
    """Guards against a bar that is no repetition where something between its two places was held out."""
    stretches = [[take(3)], [np.concatenate([take(4), take(3)[:, RATE : 4 * RATE]], axis=1)], [take(5)]]
    here = np.array([0]), np.array([2.0])
    assert Passages.of(stretches, [7, 7, 8], recordings=[0, 0, 1]).elsewhere(*here)[0] > 0.99
    assert Passages.of(stretches, [7, 7, 8], recordings=[0, 1, 2]).elsewhere(*here)[0] < 0.9


@pytest.mark.parametrize("period", [1.92, 2.005])
def test_what_is_repeated_is_known_at_any_tempo(period: float) -> None:
    """Guards against loops whose period is no whole number of frames, which were less like themselves."""
    index = Passages.of([[np.tile(take(1, period), (1, 3))], [take(3)]])
    assert index.elsewhere(np.array([0]), np.array([1.3]))[0] > 0.995


def test_near_copies_of_a_take_are_no_repetition() -> None:
    """Guards against calling a recording common property because it was saved twice."""
    twice = [[take(3)], [0.5 * take(3)], [take(4)]]
    here = np.array([0]), np.array([2.0])
    assert Passages.of(twice).elsewhere(*here)[0] > 0.99
    assert Passages.of(twice, takes=[7, 7, 8]).elsewhere(*here)[0] < 0.9
    assert set(Passages.of(twice, takes=[7, 7, 8]).nearest([take(3)], exclude=7).source.tolist()) == {2}


def test_nothing_to_compare_with() -> None:
    for nothing in (Passages.of([]), Passages.of([[np.zeros((1, RATE), np.float32)]])):
        assert np.isnan(nothing.nearest([take(1)], Search()).similarity).all()


@pytest.mark.parametrize(
    "turned",
    [
        lambda audio: -audio,
        lambda audio: np.concatenate([audio, -audio]),
        lambda audio: np.concatenate([audio, 0 * audio]),
    ],
    ids=["upside down", "channels that cancel", "one channel"],
)
def test_a_copy_cannot_hide_behind_its_channels(passages: Passages, turned: Callable[[np.ndarray], np.ndarray]) -> None:
    """Guards against a mix to mono in which left and right cancel: that copy was called silence."""
    found = passages.nearest([turned(take(3)[:, RATE : 4 * RATE])], AS_IT_IS)
    assert found.source.tolist() == [3, 3, 3]
    assert found.similarity.min() > 0.97
