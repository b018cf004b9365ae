"""Figures of new audio beside recordings: finite where there is next to nothing, better where it is nearer."""

import dataclasses
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from distill.audio.texture import FASTEST, SLOWEST
from distill.making import nearness
from distill.making.grains import JOIN_COSTS
from distill.making.nearness import FEWEST_WINDOWS, Nearness, Reference, compared, excerpts, in_words, noted, suited
from distill.making.tolls import Tolls
from distill.making.voices import RecordingsVoice
from distill.models import Model, Source
from distill.recordings.corpus import Recording
from distill.recordings.passages import Passage

RATE, FRAME_RATE = 48_000, 48_000 / 1024


def noise(seconds: float, seed: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((1, round(seconds * RATE))).astype(np.float32)


def tones(hertz: list[float], seconds: float = 2.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.05 * sum(np.sin(2 * np.pi * hz * time) for hz in hertz)[None].astype(np.float32)


@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.4, 1.5, 4.0])
def test_figures_are_figures_whatever_there_is_to_compare_with(seconds: float) -> None:
    """Guards against a prior that is trained and lost, since one second has no covariance."""
    reference = Reference([noise(seconds, 0)], RATE / 1024)
    assert reference.windows < FEWEST_WINDOWS
    found = reference.nearness([noise(5, 1)])
    assert all(math.isfinite(figure) for figure in (found.comb, found.frechet, found.distance))
    assert math.isfinite(found.movement_db) == (seconds >= 1), (
        "nothing can be seen moving that does not sound for a second"
    )


def test_the_same_kind_of_sound_is_nearer_than_another() -> None:
    reference = Reference([noise(12, 0)], RATE / 1024)
    assert reference.windows >= FEWEST_WINDOWS
    time = np.arange(5 * RATE) / RATE
    tone = (0.1 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[None]
    assert reference.nearness([noise(5, 1)]).distance < reference.nearness([tone]).distance


def test_the_recordings_themselves_are_at_no_distance_and_all_near_copies() -> None:
    """Guards against figures of the new audio alone: each is beside the recordings, and takes them for what they are."""
    recording = noise(4, 0)
    reference = Reference([recording], FRAME_RATE)
    played = reference.nearness([recording])
    assert played.movement_db == pytest.approx(0, abs=1e-6)
    assert played.frechet == pytest.approx(0, abs=1e-3)
    assert played.near_copies == 1
    half = reference.nearness([np.concatenate([recording[:, : 2 * RATE], noise(2, 1)], axis=1)])
    assert 0.25 <= half.near_copies <= 0.75
    other = reference.nearness([noise(4, 1)])
    assert other.near_copies == 0
    assert reference.nearness([np.zeros((1, 2 * RATE), np.float32)]).near_copies == 0, "silence copies nothing"


def test_what_is_softer_is_farther_and_so_is_what_wavers() -> None:
    """Means as well as deviations of how every second sounds."""
    reference = Reference([noise(6, 0)], FRAME_RATE)
    alike = reference.nearness([noise(6, 1)]).frechet
    assert reference.nearness([0.5 * noise(6, 1)]).frechet > 50 * alike
    wavering = np.sign(np.sin(2 * np.pi * 6 * np.arange(6 * RATE) / RATE))
    level = np.exp(0.5 * wavering).astype(np.float32)  # as loud on average
    assert reference.nearness([level * noise(6, 1)]).frechet > 20 * alike


def test_clouds_are_apart_by_their_centres_and_by_their_widths() -> None:
    """Guards against new audio that is called near as it is right on average, and all of it the same."""
    cloud = torch.randn(2000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cloud = (cloud - cloud.mean(dim=0)) / cloud.std(dim=0)
    width, centre = torch.tensor([2.0, 1.0]), torch.tensor([0.0, 3.0])
    assert nearness._frechet(cloud, width * cloud) == pytest.approx(1, abs=0.01)
    assert nearness._frechet(cloud, cloud + centre) == pytest.approx(9, abs=0.01)
    assert nearness._frechet(cloud, width * cloud + centre) == pytest.approx(10, abs=0.01)


def movement_by_torch(audio: np.ndarray) -> np.ndarray:
    """The slow twin: the measure written once more, with another library's transform and taper."""
    sound = torch.from_numpy(audio.mean(axis=0))
    sound = torch.nn.functional.pad(sound, (0, max(0, RATE - len(sound))))
    window = torch.hann_window(240)
    spectra = (
        torch.stft(sound, 1024, 120, 240, window, pad_mode="constant", return_complex=True).abs().square()
    )  # [513, F]
    hertz = torch.arange(513) * RATE / 1024
    edges = np.geomspace(1000, 16_000, 25)
    bands = torch.stack([spectra[(hertz >= low) & (hertz < high)].sum(dim=0) for low, high in pairwise(edges)])
    total, count = torch.zeros(201, dtype=torch.float64), 0
    for start in range(0, bands.shape[1] - 399, 200):
        second = bands[:, start : start + 400]
        live = second[(second > 24e-7).float().mean(dim=1) > 0.5]
        levels = 10 * torch.log10(live + 1e-9)
        levels = (levels - levels.mean(dim=1, keepdim=True)) * torch.hann_window(400, periodic=False)
        if not len(live):
            continue
        total, count = total + torch.fft.rfft(levels).abs().square().sum(dim=0), count + len(live)
    return (total / max(count, 1)).numpy()


@pytest.mark.parametrize("seconds", [0.4, 1.0, 3.7])
def test_movement_of_one_sound_equals_its_slow_twin(seconds: float) -> None:
    """Guards against a measure of the codec, in ``audio/texture.py``, that is another one for new audio."""
    time = np.arange(round(seconds * RATE)) / RATE
    beat = (0.3 * np.sin(2 * np.pi * 1500 * time) * np.exp(-8 * (time % 0.5))).astype(np.float32)[None]
    for audio in (noise(seconds, 0), beat, noise(seconds, 1) * (beat + 0.1), np.zeros_like(beat)):
        judged = slice(SLOWEST, FASTEST)
        found, twin = nearness._movement([audio])[judged], movement_by_torch(audio)[judged]
        np.testing.assert_allclose(found, twin, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("hz", [30, 47, 120])
def test_a_buzz_is_movement_that_the_recordings_do_not_have(hz: int) -> None:
    """Guards against a codec that repeats itself at every position and is called near."""
    reference = Reference([noise(4, 0)], FRAME_RATE)
    buzzing = (1 + 0.9 * np.sin(2 * np.pi * hz * np.arange(4 * RATE) / RATE)).astype(np.float32)
    still = reference.nearness([noise(4, 1)]).movement_db
    assert 0.3 < still < 1, "bands that move more and such as move less do not make up for each other"
    assert reference.nearness([buzzing * noise(4, 1)]).movement_db > 2 * still


def test_partials_at_multiples_of_the_rate_of_positions_are_a_comb() -> None:
    on, off = ([(number + aside) * FRAME_RATE for number in (6, 13, 31, 70)] for aside in (-0.02, 0.5))
    reference = Reference([tones(off)], FRAME_RATE)
    assert reference.nearness([tones(on)]).comb == 1
    assert reference.nearness([tones(off)]).comb == 0
    assert reference.nearness([tones(on + off)]).comb == pytest.approx(0.5)
    assert reference.nearness([tones(on)]).natural_comb == 0
    assert Reference([tones(on)], FRAME_RATE).nearness([tones(off)]).natural_comb == 1


def test_recordings_that_repeat_themselves_are_told_from_those_that_do_not() -> None:
    """Guards against texture that is called copied, where every second of the recordings is like another one of theirs."""
    once, again = noise(3, 0), noise(3, 1)
    other = reference_of(once, again).nearness([noise(3, 2)])
    assert other.natural_near_copies == 0, "a second is not its own repetition"
    looped = reference_of(np.tile(once, 2), again).nearness([noise(3, 2)])
    assert looped.natural_near_copies == pytest.approx(6 / 9)
    assert reference_of(once, again, again).nearness([noise(3, 2)]).natural_near_copies == pytest.approx(6 / 9)
    assert reference_of(np.zeros((1, 3 * RATE), np.float32)).nearness([once]).natural_near_copies == 0


def reference_of(*audio: np.ndarray) -> Reference:
    return Reference(audio, FRAME_RATE)


def test_what_each_figure_weighs() -> None:
    """As docs/voices.md has it; a comb counts as far as it goes beyond chance, or beyond that of the recordings."""
    nearest = Nearness(0.0, 0.0, 1.0, 0.0, 0.0, 0.0)

    def distance(**figures: float) -> float:
        return dataclasses.replace(nearest, **figures).distance

    assert distance() == 0
    assert distance(movement_db=3.0) == pytest.approx(1)
    assert distance(frechet=0.5) == pytest.approx(math.log(0.5))
    assert distance(frechet=0.0) == distance(frechet=1e-3)
    assert distance(near_copies=0.5) == pytest.approx(1.5)
    assert distance(near_copies=0.5, natural_near_copies=0.3) == pytest.approx(0.9)
    assert distance(near_copies=0.5, natural_near_copies=0.8) == pytest.approx(0.5)
    assert distance(comb=0.12) == 0
    assert distance(comb=0.32) == pytest.approx(1)
    assert distance(comb=0.32, natural_comb=0.22) == pytest.approx(0.5)
    assert distance(comb=0.32, natural_comb=0.5) == 0


@dataclasses.dataclass
class Unread:
    """Stands for a passage of which only what is read is known."""

    name: str
    samples: int

    def read(self, start: int, stop: int, channels: int) -> Any:
        return self.name, start, stop, channels


def test_excerpts_are_from_all_over_the_recordings() -> None:
    """All of them up to four minutes, and four minutes of more, to the end of each; guards against one that stands for all,
    and against 24 hits that stood for 300."""

    def parts(*seconds: float) -> list[Any]:
        passages = [Unread("abc"[number % 3], round(one * RATE)) for number, one in enumerate(seconds)]
        return cast(list[Any], excerpts(cast(list[Passage], passages), 2))

    ten = 10 * RATE
    assert parts(25, 10) == [("a", 0, ten, 2), ("a", ten, 2 * ten, 2), ("a", 2 * ten, 25 * RATE, 2), ("b", 0, ten, 2)]
    assert len(parts(120, 120)) == 24
    assert parts(20.05, 0.5) == [("a", 0, ten, 2), ("a", ten, round(20.05 * RATE), 2), ("b", 0, RATE // 2, 2)]
    many = parts(300, 1500, 305)
    assert len(many) == len(set(many)) == 24
    assert (many[0], many[-1]) == (("a", 0, ten, 2), ("c", 30 * ten, 305 * RATE, 2))
    assert [sum(name == one for name, *_ in many) for one in "abc"] == pytest.approx([3.5, 17, 3.5], abs=1)
    assert len(parts(*[1] * 300)) == 240


def test_a_second_that_is_mostly_silence_is_none_of_the_recordings(sounding: Callable[[np.ndarray], Passage]) -> None:
    """Guards against a remainder of 0.05 s that was heard as a whole second: recordings of 10.05 s were over a hundred from
    themselves."""
    recordings = [noise(10.05, seed) for seed in range(3)]
    reference = Reference(excerpts([sounding(one) for one in recordings], 1), FRAME_RATE)
    assert reference.nearness(recordings).frechet == pytest.approx(0, abs=1e-3)


def recorded(audio: np.ndarray, name: str) -> Passage:
    samples = audio.shape[1]
    return Passage(Recording(name, Path(name), name, samples / RATE, samples, 1, 0, audio), 0, samples)


def test_what_is_quoted_from_anywhere_is_a_near_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against quotes that count as none, as what they quote is in no excerpt; beyond an hour only the beginning of each
    recording is looked through."""
    monkeypatch.setattr(nearness, "MOST_SECONDS", 10.0)
    audio = [noise(16, seed) for seed in range(3)]
    audio[0][:, 3 * RATE : 4 * RATE] = audio[2][:, 12 * RATE : 13 * RATE]  # a second of an excerpt comes back
    recordings = [recorded(one, f"{number}.wav") for number, one in enumerate(audio)]
    model = cast(Model, SimpleNamespace(codec=SimpleNamespace(channels=1, frame_rate=FRAME_RATE)))
    quoted = [audio[1][:, 6 * RATE : 8 * RATE], audio[2][:, 14 * RATE :]]
    found = nearness.reference_of(model, recordings).nearness(quoted)
    assert found.near_copies == 1
    assert found.natural_near_copies == pytest.approx(0.1)

    monkeypatch.setattr(nearness, "MOST_QUOTED_SECONDS", 24.0)
    assert nearness.reference_of(model, recordings).nearness(quoted).near_copies == 0.5


@pytest.mark.parametrize("best", JOIN_COSTS)
@pytest.mark.parametrize(
    ("codec", "of_tolls", "nearer"),
    [(1.0, 0, "codec"), (2.0, 0, "codec"), (3.0, 0, "recordings"), (1.9, -0.5, "recordings"), (2.1, 0.5, "codec")],
)
@pytest.mark.parametrize("evens", [True, False])
def test_the_voice_that_came_nearer_is_noted_with_its_join_cost(
    monkeypatch: pytest.MonkeyPatch, codec: float, of_tolls: float, nearer: str, best: float, evens: bool
) -> None:
    """Guards against the other one, against joins that are not those that were heard to come nearest, and against a voice
    that is judged without the tolls with which it will be heard, measured now or before."""
    by_cost = {cost: 2.0 + (cost != best) for cost in JOIN_COSTS}

    @dataclasses.dataclass(frozen=True)
    class Piece:
        voice: RecordingsVoice | None = None

        def audio(self, model: Model) -> float:
            if self.voice is None:
                return codec
            return by_cost[self.voice._join_cost] + of_tolls * bool(self.voice.bank._tolls.any())

    class Told:
        """Stands for the recordings: a sound is its own distance from them."""

        windows = FEWEST_WINDOWS

        def __init__(self, *_: object) -> None: ...

        def nearness(self, audio: list[float]) -> Nearness:
            return Nearness(0.0, 0.1, math.exp(np.mean(audio)), 0.25 * audio[0], 0.1, 0.0)

    monkeypatch.setattr(nearness, "generate", lambda *_: [Piece()] * nearness.PIECES)
    recording = noise(1, 0)
    codes = torch.arange(94).view(47, 2) % 16
    tolls = Tolls(((0.5,),) if of_tolls else (), 0.5, 0.6)
    source = Source("a.wav", 0.0, False, codes, tolls=(0.5,) if of_tolls and not evens else ())
    passage = SimpleNamespace(
        recording=SimpleNamespace(audio=recording), start=0, samples=RATE, read=lambda start, stop, _: recording
    )
    quantizer = SimpleNamespace(codebooks=torch.randn(2, 16, 4, generator=torch.Generator().manual_seed(0)))
    spoken = SimpleNamespace(quantizer=quantizer, channels=1, sample_rate=RATE, hop=1024, frame_rate=FRAME_RATE)
    model = cast(Model, SimpleNamespace(codec=spoken, trained_on=(source,), header=SimpleNamespace(bands=())))
    monkeypatch.setattr(nearness, "measured_tolls", lambda *_: tolls if evens else pytest.fail("they are kept"))
    both = compared(model, cast(list[Passage], [passage]), cast(Reference, Told()), evens=evens)
    assert both is not None
    assert both.tolls.of_stretches == tolls.of_stretches
    found = both.figures
    assert (found["nearer"], found["join_cost"]) == (nearer, best)
    assert found["codec_frechet"] == pytest.approx(math.exp(codec), abs=0.01)
    assert found["recordings_frechet"] == pytest.approx(math.exp(2 + of_tolls), abs=0.01)
    Told.windows -= 1
    assert compared(model, cast(list[Passage], [passage]), cast(Reference, Told())) is None


@pytest.mark.parametrize(
    ("copies", "best"),
    [
        ({4.0: 0.4, 12.0: 0.52, 40.0: 0.9}, 12.0),
        ({4.0: 0.4, 12.0: 0.53, 40.0: 0.9}, 4.0),
        ({4.0: 0.7, 12.0: 0.6, 40.0: 0.9}, 12.0),
        ({4.0: 0.4, 12.0: 0.4, 40.0: 0.5}, 40.0),
    ],
)
def test_joins_that_quote_more_than_the_codec_are_not_considered(copies: dict[float, float], best: float) -> None:
    """The dearer joins are the nearer here. Guards against a voice that is near because it plays the recordings back."""
    by_cost = {cost: Nearness(0.0, 0.1, 100 / cost**2, share, 0.1, 1.0) for cost, share in copies.items()}
    assert suited(Nearness(0.0, 0.1, 1.0, 0.5, 0.1, 1.0), by_cost) == best


def test_what_loses_the_beat_is_farther_and_what_has_more_of_it_is_not() -> None:
    """Guards against cheap joins that are as near by all else."""
    kept, lost, firm = (Nearness(0.5, 0.1, 10.0, 0.5, 0.1, 0.5, beat, 0.3) for beat in (0.3, 0.15, 0.6))
    assert lost.distance - kept.distance == pytest.approx(0.45)
    assert firm.distance == kept.distance


@pytest.mark.parametrize("seconds", [5, 10])
def test_the_recordings_have_exactly_as_much_of_a_beat_as_they_have(seconds: int) -> None:
    """Guards against a beat of new audio that is looked for in more places, or in shorter parts, than that of the recordings:
    they had up to twice their own."""
    recordings = [unsteady(10, seed) for seed in range(4)]
    reference = Reference(recordings, FRAME_RATE)
    cut = [
        one[:, start : start + seconds * RATE] for one in recordings for start in range(0, 10 * RATE, seconds * RATE)
    ]
    found = reference.nearness(cut)
    assert found.beat == pytest.approx(found.natural_beat, abs=1e-6)
    assert 0.2 < reference.beat == found.natural_beat


def unsteady(seconds: int, seed: int) -> np.ndarray:
    """Strokes ``[1, N]`` about 0.7 s apart."""
    draw = np.random.default_rng(seed)
    sound = 0.003 * draw.standard_normal(seconds * RATE)
    stroke = 0.3 * np.exp(-np.arange(4800) / 900) * draw.standard_normal(4800)
    at = 0.7 * draw.random()
    while at < seconds - 0.11:
        sound[round(at * RATE) :][:4800] += stroke
        at += 0.7 * (1 + 0.04 * draw.standard_normal())
    return sound.astype(np.float32)[None]


@pytest.mark.parametrize("nearer", ["codec", "recordings"])
def test_the_nearer_voice_is_told_with_its_own_figures(nearer: str) -> None:
    other = {"codec": "recordings", "recordings": "codec"}[nearer]
    figures = {"frechet": (1.5, 20.25), "movement_db": (0.5, 3.0), "near_copies": (0.25, 0.5)}
    voices: dict[str, float | int | str] = {"nearer": nearer, "join_cost": 1.0, "natural_near_copies": 0.4}
    for name, both in figures.items():
        voices |= {f"{nearer}_{name}": both[0], f"{other}_{name}": both[1]}
    words = in_words(voices)
    assert words.startswith(f"New audio will be in the {nearer}' voice".replace("codec'", "codec's"))
    assert f"(the {other}' voice in brackets)".replace("codec'", "codec's") in words
    assert "Fréchet distance 1.5 (20.2); movement off by 0.5 dB (3 dB);" in words
    assert "nearly repeat one of the recordings 25 % (50 %), in the recordings themselves 40 %." in words


def test_how_hits_move_is_neither_counted_nor_told() -> None:
    """Guards against "movement off by 123 dB", beside which no other figure counts: a hit is over before it has moved."""
    hits = [noise(0.4, seed) for seed in range(12)]
    found = Reference(hits, FRAME_RATE).nearness([noise(5, 20)])
    assert math.isnan(found.movement_db)
    assert found.distance == dataclasses.replace(found, movement_db=0.0).distance

    farther, nearer = (dataclasses.replace(found, frechet=frechet) for frechet in (2003.54, 181.13))
    figures = noted(farther, nearer, 4.0)
    assert not any("movement" in name for name in figures)
    assert "Fréchet distance 181 (2004); seconds that nearly" in in_words(figures)
