"""The beat: found in the recordings' codes, kept by new audio, and left alone where there is none."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

import small_distill
from distill.codes.descriptions import summed
from distill.making import strength
from distill.making.beat import (
    Cycle,
    Metronome,
    beat_of_openings,
    beat_of_prompt,
    learn_bands,
)
from distill.making.drawing import Sampling, Steering, sample_codes
from distill.making.infill import infill
from distill.making.limits import Limits
from distill.making.loops import make_loops
from distill.making.openings import Openings
from distill.making.reimagine import reimagine
from distill.making.sampling import generate
from distill.making.streaming import stream
from distill.making.strength import in_words, least_enough, measured_strength
from distill.models import ConvVQVAE, Model
from distill.models.header import BANDS
from distill.models.model_file import Source
from distill.recordings.passages import Passage
from like_mps import DEVICE, LikeMPS

LOUD, PERIOD = 31, 24


def drummed(positions: int, first: int = 0) -> torch.Tensor:
    """Codes ``[S, 4]`` of quiet that changes a little, with something loud at every beat from position ``first`` on."""
    codes = torch.randint(8, (positions, 4), generator=torch.Generator().manual_seed(first))
    codes[first::PERIOD, 0] = LOUD
    return codes


@pytest.fixture(scope="module")
def model() -> Model:
    """Entry 31 of the coarsest level is loud, all others are quiet; the prior finds every code about as likely."""
    codec = small_distill.small_codec()
    codebooks = 0.01 * torch.randn(4, 32, 8)
    codebooks[0, LOUD, 0] += 1
    codec.quantizer.set_codebooks(codebooks)
    bands = [[1.0] * BANDS, *[[0.0] * BANDS] * 8]
    prior = small_distill.small_prior(codec.config, context=1024)
    sources = (Source("a.wav", 0.0, False, drummed(400)), Source("b.wav", 0.0, False, drummed(400)))
    return small_distill.small_model(codec, prior, sources, bands=bands)


def metronome(model: Model) -> Metronome:
    found = Metronome.of(model)
    assert found is not None
    return found


def test_period_and_moment_are_found_in_codes(model: Model) -> None:
    pulse = metronome(model).pulse(drummed(400, first=5), 100)
    assert pulse is not None
    assert pulse.period == pytest.approx(PERIOD, abs=0.1)
    # From position 100 on, the next beat is at 101.
    course = pulse.course(0, PERIOD)
    assert int(course.argmax()) in (0, 1, 2)
    assert course.max() > 3 * np.abs(course[4:-2]).max()


def test_the_beat_is_found_on_a_device_without_64_bits() -> None:
    """Guards against new audio with a beat that a Mac's own device cannot make."""
    elsewhere = Metronome(small_distill.small_codec().to(DEVICE), [[0.0] * BANDS] * 9, ())
    with LikeMPS():
        assert elsewhere.rises(torch.zeros(20, 4, dtype=torch.int64)).shape == (20,)


def test_what_has_no_beat_is_drawn_as_before(model: Model) -> None:
    """Guards against textures that are made to tick, and against other pieces from models of earlier versions."""
    torch.manual_seed(1)
    still = (Source("a.wav", 0.0, False, torch.randint(8, (400, 4))),)
    without_beat = dataclasses.replace(model, sources=still)
    assert beat_of_openings(without_beat, Openings(without_beat), [0, 1], 100) is None
    older = model.with_header(bands=[])
    assert beat_of_openings(older, Openings(older), [0], 100) is None
    unheld = model.with_header(beat_strength=0.0)
    assert beat_of_openings(unheld, Openings(unheld), [0], 100) is None
    assert beat_of_prompt(unheld, drummed(10 * PERIOD), 1, 100) is None
    assert model.prior is not None
    plain = sample_codes(model.prior, drummed(1), 100, Sampling(), [0], steering=Steering(Limits.of(older)))
    assert torch.equal(generate(older, 100 * 1024 / 48_000, 1)[0].codes, plain[0])


def on_beat(codes: torch.Tensor, first: int = 0) -> float:
    """The share of the loud positions ``[S, Q]`` that are on a beat or next to it; by chance an eighth."""
    loud = (codes[first:, 0] == LOUD).nonzero()[:, 0] + first
    return float(((loud + 1) % PERIOD < 3).float().mean())


def test_new_audio_keeps_the_beat_of_its_opening(model: Model) -> None:
    """Twelve clips of a band gave new audio with a sixth of their beat: the prior alone never learns when sounds begin."""
    older = model.with_header(bands=[])
    with_beat = torch.cat([piece.codes for piece in generate(model, 480 * 1024 / 48_000, 8)])
    without = torch.cat([piece.codes for piece in generate(older, 480 * 1024 / 48_000, 8)])
    assert on_beat(with_beat) > 0.6
    assert on_beat(without) < 0.25


def test_what_follows_a_prompt_keeps_its_beat(model: Model) -> None:
    prompt = drummed(10 * PERIOD)
    assert beat_of_prompt(model, drummed(400)[:20], 4, 480) is None  # too short to have one
    pieces = generate(model, 480 * 1024 / 48_000, 4, prompt=prompt)
    lines = [torch.cat([prompt, piece.codes[piece.lead :]]) for piece in pieces]
    assert np.mean([on_beat(line, len(prompt)) for line in lines]) > 0.6


@pytest.mark.parametrize(("heard_before", "loudness"), [(0, None), (47, None), (47, (-0.2, 0.0, 0.1))])
def test_a_stream_is_the_piece_that_is_generated(
    model: Model, heard_before: int, loudness: tuple[float, float, float] | None
) -> None:
    sources = tuple(dataclasses.replace(source, codes=drummed(600)) for source in model.sources)
    header = model.header.model_copy(update={"heard_before": heard_before, "loudness": loudness})
    model = dataclasses.replace(model, header=header, sources=sources)
    piece, place = generate(model, 3.0, 3, seed=2)[2], Openings(model).place(4)[1]
    assert torch.equal(piece.codes[0], drummed(600)[place])
    assert on_beat(torch.cat([drummed(place), piece.codes]), place) > 0.5
    whole = piece.audio(model)
    assert np.abs(np.concatenate(list(stream(model, 3.0, seed=4)), axis=1) - whole).max() < 1e-4


@pytest.mark.parametrize(
    ("cycle", "own", "expected"),
    [
        (Cycle(100.0), 24.0, 25.0),
        (Cycle(10.0), 24.0, 10.0),
        (Cycle(96.0, 4), 25.0, 24.0),
        (Cycle(96.0, 8), 25.0, 24.0),
        (Cycle(96.0, 3), 50.0, 32.0),
        (Cycle(96.0, 6), 70.0, 32.0),
        (Cycle(96.0, 1), 200.0, 96.0),
    ],
)
def test_a_loop_holds_a_whole_number_of_beats(cycle: Cycle, own: float, expected: float) -> None:
    """Guards against loops whose beat jumps where they begin anew, as one and a half of the recordings' beats would."""
    assert cycle.period(own) == pytest.approx(expected)


def test_where_the_beats_of_a_loop_lie_is_known(model: Model) -> None:
    """Guards against loops in beats that begin between two of them."""
    cycle = Cycle(4 * PERIOD, 4)
    for piece in generate(model, 0.5, 4, cycle=cycle):
        assert piece.pulse is not None
        first, period = piece.pulse.grid(cycle)
        assert period == PERIOD
        away = (Openings(model).place(piece.seed)[1] + first) % PERIOD  # the recordings have one at every 24th position
        assert min(away, PERIOD - away) <= 1.5
    still = tuple(dataclasses.replace(one, codes=torch.zeros_like(one.codes)) for one in model.sources)
    pieces = generate(dataclasses.replace(model, sources=still), 0.5, 4, cycle=cycle)
    assert [piece.pulse for piece in pieces] == [None] * 4


@pytest.mark.parametrize(
    "make",
    [
        lambda model: generate(model, 0.5, 2),
        lambda model: make_loops(model, 24_000, 2, beats=1),
        lambda model: list(stream(model, 0.5)),
        lambda model: reimagine(model, drummed(20), torch.ones(20, 4, dtype=torch.bool)),
        lambda model: infill(model, np.zeros((1, 96_000), np.float32), 0.0, 0.5),
    ],
    ids=["piece", "loop", "stream", "re-imagined", "infill"],
)
def test_the_recordings_are_gone_through_once(
    make: Callable[[Model], object], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against short pieces of long corpora that wait three times for which codes are silent."""
    looked_up = []
    monkeypatch.setattr("distill.making.limits.summed", lambda *given: looked_up.append(1) or summed(*given))
    make(model)
    assert len(looked_up) == len(model.trained_on)


def heard(codes: torch.Tensor) -> np.ndarray:
    """What the codes stand for: noise ``[1, N]`` that is loud at the loud ones."""
    gain = torch.where(codes[:, 0] == LOUD, 0.5, 0.01).repeat_interleave(1024).numpy()
    return (np.random.default_rng(0).normal(size=(1, len(gain))) * gain).astype(np.float32)


def test_the_strength_is_what_the_prior_needs(
    model: Model, sounding: Callable[[np.ndarray], Passage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against one strength for all: it gave textures more of a beat than they have, and took likeness from them.
    And against one that is judged in codes: there the beat of twelve clips was whole, to be heard was half of it."""
    spoken: list[torch.Tensor] = []

    def speak(_codec: ConvVQVAE, codes: torch.Tensor, _device: torch.device) -> list[np.ndarray]:
        spoken.append(codes)
        return [heard(codes)]

    monkeypatch.setattr(strength, "decode_chunks", speak)
    passages = [sounding(heard(source.codes)) for source in model.sources]
    # The file's own strength has no part in it.
    unheld = model.with_header(beat_strength=0.0, loudness=(-60.0, -30.0, 0.0))
    firmness = measured_strength(unheld, passages)
    assert firmness >= 1
    drawn, spoken[:] = spoken[:], []
    # Nor have the balance and the lean, which are measured after it.
    tilted = unheld.with_header(balance=(0.0,) * LOUD + (5.0,), loudness_lean=0.5)
    assert measured_strength(tilted, passages) == firmness
    assert all(torch.equal(*pair) for pair in zip(drawn, spoken, strict=True))
    # Where the recordings, as they sound, have no beat there is none to keep.
    even = [sounding(heard(torch.zeros_like(source.codes))) for source in model.sources]
    assert measured_strength(model, even) == 0
    torch.manual_seed(1)
    still = (Source("a.wav", 0.0, False, torch.randint(8, (400, 4))),)
    assert measured_strength(dataclasses.replace(model, sources=still), passages) == 0
    older = model.with_header(bands=[])
    assert measured_strength(older, passages) == 0


def test_the_beat_of_a_short_recording_is_beside_as_much_of_a_piece(
    model: Model, sounding: Callable[[np.ndarray], Passage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a beat that is kept in full and counts as more, or that is half lost and is enough: in more sound, more of
    it comes again."""
    sources = tuple(dataclasses.replace(source, codes=drummed(120)) for source in model.sources)
    found: list[float] = []
    monkeypatch.setattr(strength, "PIECES", 2)
    monkeypatch.setattr(strength, "decode_chunks", lambda *_: [heard(drummed(234))])
    monkeypatch.setattr(strength, "least_enough", lambda shares: found.extend(shares) or 0.0)
    measured_strength(
        dataclasses.replace(model, sources=sources), [sounding(heard(source.codes)) for source in sources]
    )
    assert found == pytest.approx([1.0] * len(strength.STRENGTHS), abs=0.01)


def test_a_weak_beat_is_enough_where_the_recordings_have_a_weak_one(
    model: Model, sounding: Callable[[np.ndarray], Passage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against strength for the sake of a clearer beat than there ever was."""
    theirs, ours = 0.2, (0.1, 0.19, 0.2, 0.2)
    listened: list[bool] = []

    def echo(audio: np.ndarray, _period: int) -> float:
        listened.append(bool(audio.any()))
        recorded = sum(listened)
        return theirs if listened[-1] else ours[(len(listened) - recorded - 1) // recorded]

    monkeypatch.setattr(strength, "PIECES", 2)
    monkeypatch.setattr(strength, "PIECE_SECONDS", 1.0)
    monkeypatch.setattr(strength, "onset_echo", echo)
    monkeypatch.setattr(strength, "decode_chunks", lambda *_: [np.zeros((1, 1024), np.float32)])
    passages = [sounding(heard(source.codes)) for source in model.sources]
    assert measured_strength(model, passages) == strength.STRENGTHS[1]
    assert listened == [True] * strength.PIECES + 2 * [False] * strength.PIECES


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.9, 1.1, 1.2, 1.3), 0.0),
        ((0.5, 0.91, 0.7, 1.2), 1.0),
        ((0.6, 0.8, 0.93, 1.03), 1.5),  # twelve clips, which kept 0.47 of their beat in ten seconds with 1
        ((0.2, 0.3, 0.5, 0.4), 1.5),
        ((0.3, 0.5, 0.55, 0.58), 1.0),
        ((0.2, 0.13, 0.1, 0.24), 0.0),  # none helps: what differs is chance
    ],
)
def test_the_least_strength_that_is_enough(shares: tuple[float, ...], expected: float) -> None:
    assert least_enough(shares) == expected
    assert ("strength 1" in in_words(expected)) == (expected > 0)


def test_bands_are_learned_from_codes_and_sound(model: Model, sounding: Callable[[np.ndarray], Passage]) -> None:
    """Noise that is loud where its codes say so."""
    codes = drummed(300)
    passage = sounding(heard(codes))
    source = Source("a.wav", 0.0, False, codes)
    bands = learn_bands(model.codec, [passage], [source])
    assert (len(bands), len(bands[0])) == (9, BANDS)
    rises = Metronome(model.codec, bands, (source,)).rises(codes)
    assert rises[PERIOD::PERIOD].min() > 3 * np.delete(rises, np.s_[::PERIOD]).mean()
