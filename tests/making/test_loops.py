"""Loops: exact in length, and with no step where the end meets the beginning."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from distill.errors import SettingError
from distill.making import loops
from distill.making.beat import BINS, Pulse
from distill.making.drawing import Sampling
from distill.making.loops import AUDIBLE_SEAM, best_cut, cut_loop, loop_samples
from distill.making.sampling import Generation
from distill.models import Model

RATE = 48_000


def test_of_a_repeating_sound_the_period_is_found() -> None:
    """Guards against a cut that ignores what it joins: a beat every half second must loop after whole beats."""
    time = np.arange(4 * RATE) / RATE
    beat = np.exp(-30 * (time % 0.5)) * np.sin(2 * np.pi * (200 + 800 * np.exp(-40 * (time % 0.5))) * time)
    change = np.where(time < 1.0, 0.0, 1.0) * 0.3 * np.sin(2 * np.pi * 3000 * time)  # the first second is another thing
    audio = (beat + change)[None].astype(np.float32)
    start, seam = best_cut(audio, 2 * RATE, RATE)
    assert start >= 0.8 * RATE, "before that the two sides differ"
    assert seam < 0.3
    _, odd = best_cut(audio[:, RATE:], round(1.75 * RATE), RATE)
    assert odd > 2 * seam


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_no_cut_in_a_steady_texture_is_heard_and_one_in_what_fades_is(slope: float) -> None:
    """Guards against "as audible as any cut" of wind and rain, where no cut is: noise is never twice the same."""
    white = np.fft.rfft(np.random.default_rng(0).standard_normal(6 * RATE))
    texture = np.fft.irfft(white / np.arange(1, len(white) + 1) ** slope)
    texture = (0.1 * texture / texture.std())[None].astype(np.float32)
    assert best_cut(texture, 4 * RATE, RATE)[1] < 0.1
    fading = 10 ** np.linspace(0, -2, 6 * RATE, dtype=np.float32) * texture
    assert best_cut(fading, 4 * RATE, RATE)[1] > AUDIBLE_SEAM


def test_the_end_runs_into_the_beginning() -> None:
    """Guards against a click at the seam and against a fade that is laid over the wrong end."""
    time = np.arange(3 * RATE) / RATE
    audio = np.sin(2 * np.pi * 220.5 * time)[None].astype(np.float32)  # does not close after a second by itself
    loop = cut_loop(audio, 1000, RATE, RATE)
    assert loop.shape == (1, RATE)
    twice = np.concatenate([loop, loop], axis=1)[0]
    largest_step = np.abs(np.diff(audio[0])).max()
    assert np.abs(np.diff(twice)).max() < 1.5 * largest_step
    plain = np.tile(audio[:, 1000 : 1000 + RATE], 2)[0]
    assert abs(np.diff(plain)[RATE - 1]) > 1.5 * largest_step, "without the fade there is a step to be heard"
    np.testing.assert_array_equal(loop[:, 5000:], audio[:, 6000 : 1000 + RATE])


def level_at_seam(loop: np.ndarray) -> float:
    """How much softer the softest 10 ms of the cross-fade are than the rest, in decibels."""
    parts = np.square(loop[0, : round(loops.FADE_SECONDS * RATE)]).reshape(-1, RATE // 100).mean(axis=1)
    return float(10 * np.log10(parts.min() / np.square(loop[0, RATE // 10 :]).mean()))


def test_sound_that_is_never_twice_the_same_holds_its_level_across_the_seam() -> None:
    """Guards against gains that add up to 1 whatever the sound: 3 dB less at every round of a loop of rain."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 4 * RATE)).astype(np.float32)
    assert level_at_seam(cut_loop(noise, 0, 2 * RATE, RATE)) > -1


def test_a_tone_that_cancels_itself_at_the_seam_is_heard() -> None:
    """Guards against a perfect seam, by its spectrum, at which the sound is gone for a moment."""
    time = np.arange(4 * RATE + 1440) / RATE
    for hertz, is_heard in ((220.25, True), (220.5, False)):  # both sides of every cut in antiphase; in phase
        audio = 0.5 * np.sin(2 * np.pi * hertz * time)[None].astype(np.float32)
        start, seam = best_cut(audio, 2 * RATE, RATE)
        assert (seam > AUDIBLE_SEAM) == is_heard
        assert (level_at_seam(cut_loop(audio, start, 2 * RATE, RATE)) < -6) == is_heard


def test_of_cuts_as_good_the_one_with_the_most_alike_waveforms_is_taken() -> None:
    """Guards against a tone that is cut in antiphase, where a little later it would go on as it was."""
    time = np.arange(4 * RATE + 1440) / RATE
    gliding = 0.5 * np.sin(2 * np.pi * (220 + 0.25 * time) * time)[None].astype(np.float32)
    start, seam = best_cut(gliding, 2 * RATE, RATE)
    assert seam < 0.1
    assert level_at_seam(cut_loop(gliding, start, 2 * RATE, RATE)) > -0.5


def test_a_loop_in_beats_begins_on_a_beat() -> None:
    """Guards against a loop whose hits lie a quarter of a second beside the grid of the program that it is put into."""
    time = (np.arange(5 * RATE) / RATE - 0.13) % 0.5
    hits = np.exp(-30 * time) * np.sin(2 * np.pi * (200 + 800 * np.exp(-40 * time)) * time)
    hits = (hits + 1e-3 * np.random.default_rng(0).standard_normal(len(hits)))[None].astype(np.float32)
    start, seam = best_cut(hits, 2 * RATE, RATE, (0.13 * RATE, 0.5 * RATE))
    assert (start - 0.13 * RATE) % (0.5 * RATE) == pytest.approx(0, abs=1)
    assert seam < 0.1


def test_a_seam_that_is_not_heard_matters_more_than_the_beat() -> None:
    """Guards against a cut between two sounds that differ, for the sake of the grid."""
    time = np.arange(5 * RATE) / RATE
    audio = (0.3 * np.sin(2 * np.pi * np.where(time < 0.9, 3000, 500) * time))[None].astype(np.float32)
    start, seam = best_cut(audio, 2 * RATE, RATE, (0.0, 4.0 * RATE))
    assert start >= 0.8 * RATE
    assert seam < 0.3


def test_a_loop_has_no_part_in_how_the_piece_fades_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a seam that dips, where the cut that was chosen is the last there is."""

    def latest(audio: np.ndarray, samples: int, rate: int, *_: object) -> tuple[int, float]:
        return audio.shape[1] - samples - round(loops.FADE_SECONDS * rate), 0.0

    monkeypatch.setattr(loops, "best_cut", latest)
    monkeypatch.setattr(loops, "generate", steady_pieces)
    model = cast(Model, SimpleNamespace(codec=SimpleNamespace(sample_rate=RATE, hop=1024)))
    (loop,) = loops.make_loops(model, RATE)
    assert loop.start == RATE, "the spare second is all there to choose from"
    np.testing.assert_allclose(loop.audio(model), 1, atol=1e-6)


def test_the_beat_of_its_opening_is_where_a_loop_in_beats_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a beat in positions that is taken for one in samples, and against one for loops that are in seconds."""
    pulse = Pulse(2 * RATE / 1024 / 4, np.eye(BINS)[3])
    monkeypatch.setattr(loops, "generate", lambda *given, **_: [replace(*steady_pieces(*given), pulse=pulse)])
    model = cast(Model, SimpleNamespace(codec=SimpleNamespace(sample_rate=RATE, hop=1024)))
    beat, first = RATE // 2, 3 * RATE // 2 // BINS
    assert loops.make_loops(model, 2 * RATE, beats=4)[0].start % beat == first
    assert loops.make_loops(model, 2 * RATE)[0].start % beat != first


def steady_pieces(_model: Model, seconds: float, *_: object, **__: object) -> list[Generation]:
    codes = torch.zeros(round(RATE * seconds) // 1024 + 1, 1)
    return [Generation(codes, seconds, 0, Sampling(), RATE, voice=Steady())]


class Steady:
    """A voice that never changes."""

    def blocks(self, codes: torch.Tensor) -> Iterator[np.ndarray]:
        yield np.ones((1, 1024 * len(codes)), np.float32)


def test_length_in_beats() -> None:
    assert loop_samples(10.0, 8, 120.0, RATE) == 4 * RATE
    assert loop_samples(1.5, None, None, RATE) == 72_000


@pytest.mark.parametrize(
    ("seconds", "beats", "bpm"),
    [
        (10, 8, None),
        (10, None, 120.0),
        (10, 0, 120.0),
        (10, 4, 5.0),
        (0.1, None, None),
        (400, None, None),
        (10, 1, 399.0),
    ],
)
def test_lengths_that_cannot_be(seconds: float, beats: int | None, bpm: float | None) -> None:
    with pytest.raises(SettingError):
        loop_samples(seconds, beats, bpm, RATE)
