"""The last seconds of a prior's training: the weights that sound nearest are used, and what was found is said."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

import small_distill
from distill.evaluation import remeasured
from distill.evaluation.remeasured import remeasured_and_saved
from distill.making import closing, nearness
from distill.making.balance import Balance
from distill.making.beat import learn_bands
from distill.making.lean import Leaning
from distill.making.nearness import FEWEST_WINDOWS, Compared, Nearness, Reference, noted
from distill.making.tolls import Tolls
from distill.models.header import BEAT_STRENGTH
from distill.models.model_file import Model, Source, load_model
from distill.recordings.corpus import Corpus, Recording
from distill.recordings.passages import Passage
from distill.runs.journal import Recorded
from distill.training.budget import Closing, leaves_time_to_close
from distill.training.candidates import Candidate
from distill.training.metrics import Notice, PriorChosenEvent, TrainingEvent
from distill.training.plan import PriorPlan

DISTANCES = {1.0: 5.0, 2.0: 3.0, 3.0: 4.0}
"""Of new audio, by what all weights are."""


@pytest.fixture(scope="module")
def small_model() -> Model:
    codec = small_distill.small_codec()
    return small_distill.small_model(codec, small_distill.small_prior(codec.config))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was drawn with, by what all weights were; nothing is really drawn or compared."""
    drawn: list[float] = []

    def by_codecs_voice(model: Model, _: Reference) -> tuple[list[Any], Nearness]:
        assert model.header.beat_strength == 0
        drawn.append(float(next(iter(model.require_prior().state_dict().values())).mean()))
        return [], Nearness(3 * DISTANCES[drawn[-1]], 0.0, 1.0, 0.0, 0.0, 0.0)

    class Told:
        windows = FEWEST_WINDOWS

    monkeypatch.setattr(nearness, "by_codecs_voice", by_codecs_voice)
    monkeypatch.setattr(nearness, "reference_of", lambda *_: Told())
    monkeypatch.setattr(nearness, "compared", lambda *_, **__: None)
    monkeypatch.setattr("distill.making.strength.measured_strength", lambda *_: 1.5)
    monkeypatch.setattr(closing, "measured_balance", lambda *_: Balance((0.25,) * 32, 0.4, 0.8))
    monkeypatch.setattr(closing, "measured_lean", lambda *_: Leaning(-0.01, 2.0, 0.5))
    return drawn


def of_weights(model: Model) -> list[Candidate]:
    names = model.require_prior().state_dict()
    return [
        Candidate(int(value), 10 * value, {name: torch.full_like(one, value) for name, one in names.items()})
        for value in DISTANCES
    ]


def test_the_weights_that_sound_nearest_are_used(small_model: Model, heard: list[float]) -> None:
    told: list[TrainingEvent] = []
    found = closing.with_measures(small_model, [], told.append, candidates=of_weights(small_model))
    assert found is not None
    assert heard == [1.0, 2.0, 3.0]
    assert {float(one.mean()) for one in found.require_prior().state_dict().values()} == {2.0}
    assert found.header.beat_strength == 1.5
    assert found.header.loudness_lean == -0.01
    assert set(found.header.balance) == {0.25}
    assert "kept 40 % of the balance" in "".join(one.text for one in told if isinstance(one, Notice))
    assert "New audio came out 2.0 dB louder" in "".join(one.text for one in told if isinstance(one, Notice))
    assert found.header.perplexity == 20.0
    assert (found.header.prior_training or {})["kept_epoch"] == 2
    (event,) = [one for one in told if isinstance(one, PriorChosenEvent)]
    assert (event.epoch, event.val_perplexity) == (2, 20.0)
    assert "Of 3 epochs" in event.text
    assert "epoch 2" in event.text
    before = small_model.require_prior().state_dict()
    assert any(float(one.float().mean()) != 2.0 for one in before.values()), "another model's weights are left alone"


def test_why_the_nearest_may_have_a_larger_distance_is_said(
    small_model: Model, heard: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against "nearest (Fréchet distance 42.9; the others 39.2 to 57.8)", which contradicts itself."""
    told: list[TrainingEvent] = []
    closing.with_measures(small_model, [], told.append, candidates=of_weights(small_model))
    as_drawn = nearness.by_codecs_voice

    def by_spectra_too(model: Model, reference: Reference) -> tuple[Any, Nearness]:
        sounds, found = as_drawn(model, reference)
        return sounds, dataclasses.replace(found, frechet=4.0 + heard[-1])

    monkeypatch.setattr(nearness, "by_codecs_voice", by_spectra_too)
    closing.with_measures(small_model, [], told.append, candidates=of_weights(small_model))
    first, second = (one for one in told if isinstance(one, PriorChosenEvent))
    assert (first.epoch, second.epoch) == (2, 2)
    assert "(Fréchet distance 1; the others 1)" in first.text
    assert "distance 6; the others 5 to 7; how it moves, what it repeats and its beat count too)" in second.text


@pytest.mark.parametrize("case", ["one alone", "too little sound"])
def test_without_a_choice_a_model_keeps_its_weights(
    case: str, small_model: Model, heard: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = of_weights(small_model)
    if case == "one alone":
        given = given[:1]
    else:
        monkeypatch.setattr(nearness, "FEWEST_WINDOWS", FEWEST_WINDOWS + 1)
    found = closing.with_measures(small_model, [], lambda _: None, candidates=given)
    assert found is not None
    assert not heard
    assert found.prior is small_model.prior


def test_what_was_found_of_the_voices_is_kept_and_said(
    small_model: Model, heard: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against tolls that were measured and are not in the model."""
    figures = noted(Nearness(2.0, 0.1, 30.0, 0.2, 0.1, 0.3), Nearness(1.0, 0.1, 20.0, 0.2, 0.1, 0.3), 12.0)
    tolls = Tolls(((0.5,),), 0.41, 0.82)
    source = Source("a.wav", 0.0, False, torch.zeros(3, 2, dtype=torch.int64))
    monkeypatch.setattr(nearness, "compared", lambda *_, **__: Compared(figures, tolls))
    told: list[TrainingEvent] = []
    found = closing.with_measures(dataclasses.replace(small_model, sources=(source,)), [], told.append)
    assert found is not None
    assert [one.tolls for one in found.trained_on] == [(0.5,)]
    assert found.header.voices == figures
    evenly, nearer = [one.text for one in told if isinstance(one, Notice)][-2:]
    assert "41 % evenly; now that" in evenly
    assert "New audio will be in the recordings' voice" in nearer


@pytest.mark.parametrize("hours", [1, 2])
def test_recordings_that_were_looked_through_in_part_are_said_to_be(
    small_model: Model, heard: list[float], monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Guards against near-copies that are called few, where only a part of what they may repeat was compared."""
    figures = noted(Nearness(2.0, 0.1, 30.0, 0.2, 0.1, 0.3), Nearness(1.0, 0.1, 20.0, 0.2, 0.1, 0.3), 12.0)
    monkeypatch.setattr(nearness, "compared", lambda *_, **__: Compared(figures, Tolls.not_measured()))
    told: list[TrainingEvent] = []
    passages = cast(list[Passage], [SimpleNamespace(seconds=1200.0)] * 3 * hours)
    assert closing.with_measures(small_model, passages, told.append) is not None
    said = " ".join(one.text for one in told if isinstance(one, Notice))
    assert ("the first 50 % of each recording" in said) == (hours == 2)


def test_after_a_second_stage_only_what_the_decoder_decides_is_measured(
    small_model: Model, heard: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Guards against a balance, a lean and tolls that are measured of codes, which a decoder does not change, while those of
    before are at work."""
    for name in ("measured_balance", "measured_lean"):
        monkeypatch.setattr(closing, name, lambda *_: pytest.fail("codes are as they were"))
    monkeypatch.setattr(nearness, "measured_tolls", lambda *_: pytest.fail("codes are as they were"))
    figures = noted(Nearness(1.0, 0.1, 2.0, 0.2, 0.1, 0.3), Nearness(2.0, 0.1, 3.0, 0.2, 0.1, 0.3), 12.0)
    monkeypatch.setattr(
        nearness, "compared", lambda model, *_, evens: Compared(figures, Tolls.of(model)) if not evens else None
    )
    monkeypatch.setattr(remeasured, "own_split", lambda *_: SimpleNamespace(train=[]))
    source = Source("a.wav", 0.0, False, torch.zeros(3, 4, dtype=torch.int64), tolls=(0.5,))
    before = dataclasses.replace(small_model, sources=(source,)).with_header(
        balance=(0.1,) * 32,
        loudness_lean=0.02,
        beat_strength=1.0,
        voices={"nearer": "recordings", "join_cost": 4.0},
        prior_training={"corpus_fingerprint": "0" * 64},
    )
    told: list[TrainingEvent] = []
    corpus = cast(Corpus, SimpleNamespace(fingerprint="0" * 64))
    now, is_measured = remeasured_and_saved(before, tmp_path / "m.distill", corpus, told.append, lambda: False)
    assert is_measured
    assert (now.header.balance, now.header.loudness_lean) == (before.header.balance, 0.02)
    assert [one.tolls for one in now.trained_on] == [(0.5,)]
    assert now.header.beat_strength == 1.5
    assert now.header.voices == figures
    assert len([one for one in told if isinstance(one, Notice)]) == 2, (
        "the beat and the voices are told, and nothing else"
    )
    assert (
        load_model(tmp_path / "m.distill").header.measures_digest
        == now.header.model_copy(update={"sources": tuple(one.record for one in now.sources)}).measures_digest
    )
    undone = remeasured_and_saved(before, tmp_path / "m.distill", corpus, told.append, lambda: True)[1]
    assert not undone


@pytest.fixture
def close(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Model, list[str]]]:
    """``close(before, sources, minutes)``: that model after its prior has gone on without time to measure, and what is told."""

    def closed(before: Model, sources: tuple[Source, ...], minutes: float | None) -> tuple[Model, list[str]]:
        codec, told = before.codec.config, []

        class Record:
            can_go_on = False

            def tell(self, event: TrainingEvent) -> None:
                assert isinstance(event, Notice)
                told.append(event.text)

        monkeypatch.setattr(closing, "learn_bands", lambda *_: [[0.0] * 24] * (codec.vector_size + 1))
        monkeypatch.setattr(closing, "learn_loudness", lambda *_: (0.0, 1.0, 2.0))
        ends, plan = leaves_time_to_close(PriorPlan(epochs=500) if minutes is None else PriorPlan(minutes=minutes))
        given: Any = (tmp_path / "m.distill", [], Record(), Event(), [], ends)
        now = dataclasses.replace(before, sources=sources)
        closing.closed_and_saved(now, *given, before=before, is_timed=plan.minutes is not None, is_cut_short=False)
        return load_model(tmp_path / "m.distill"), told

    return closed


SOURCE = Source("a.wav", 0.0, False, torch.zeros(3, 4, dtype=torch.int64), sha256="a" * 64)


@pytest.mark.parametrize(("minutes", "why"), [(None, "by epochs"), (0.5, "for a minute or more")])
def test_why_nothing_was_measured_is_said(minutes: float | None, why: str, small_model: Model, close: Any) -> None:
    """Guards against "only priors that train for a minute or more have time for that", of one that trains for hours."""
    found, told = close(small_model, (SOURCE,), minutes)
    assert found.header.nearer_voice == "recordings"
    assert not found.header.is_voice_measured
    (words,) = told
    assert "The two voices were not compared" in words
    assert [one for one in ("by epochs", "for a minute or more") if one in words] == [why]


@pytest.mark.parametrize("minutes", [None, 0.5])
def test_what_was_measured_is_not_lost_without_a_word(minutes: float | None, small_model: Model, close: Any) -> None:
    """Guards against a prior that goes on for a moment, whose beat, balance, level and tolls were gone and nothing was said."""
    voices = {"nearer": "codec", "join_cost": 4.0}
    before = dataclasses.replace(small_model, sources=(dataclasses.replace(SOURCE, tolls=(0.5, 1.0)),)).with_header(
        beat_strength=0.5, loudness_lean=0.02, balance=(0.1,) * 32, voices=voices
    )
    found, told = close(before, (SOURCE,), minutes)
    assert (found.header.beat_strength, found.header.loudness_lean, found.header.balance) == (BEAT_STRENGTH, 0.0, ())
    assert ([one.tolls for one in found.trained_on], found.header.voices) == ([(0.5, 1.0)], voices)
    gone, kept = told
    assert all(word in gone for word in ("beat", "evenly", "loud", "not measured again"))
    assert "Which voice is nearer" in kept
    assert "earlier weights" in kept

    found, told = close(before, (dataclasses.replace(SOURCE, sha256="b" * 64),), minutes)
    assert ([one.tolls for one in found.trained_on], found.header.is_voice_measured) == ([()], False)
    assert "The two voices were not compared" in told[-1], "they were, but with other recordings"


def test_a_short_training_leaves_out_what_evens_new_audio(
    small_model: Model, heard: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against runs of four minutes that ended half a minute late."""
    monkeypatch.setattr(closing, "measured_balance", lambda _: pytest.fail("there is no time for it"))
    monkeypatch.setattr(nearness, "compared", lambda *_, evens: None if evens else Compared({}, Tolls.not_measured()))
    monkeypatch.setattr(nearness, "in_words", lambda _: "Both voices.")
    told: list[TrainingEvent] = []
    short = Closing(hears=False, measures=True)
    assert closing.with_measures(small_model, [], told.append, closing=short) is not None
    said = [one.text for one in told if isinstance(one, Notice)]
    assert sum("was not measured" in text for text in said) == 1
    assert said[-1] == "Both voices."


def test_of_a_single_recording_no_balance_is_said(
    small_model: Model, heard: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "measured_balance", lambda _: None)
    told: list[TrainingEvent] = []
    found = closing.with_measures(small_model, [], told.append)
    assert found is not None
    assert found.header.balance == ()
    assert not any("balance" in one.text for one in told if isinstance(one, Notice))


def test_a_level_that_cannot_be_known_is_not_said_to_be_right(
    small_model: Model, heard: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "measured_lean", lambda *_: None)
    told: list[TrainingEvent] = []
    found = closing.with_measures(small_model, [], told.append)
    assert found is not None
    assert found.header.loudness_lean == 0
    said = [one.text for one in told if isinstance(one, Notice)]
    assert said
    assert not any("loud" in text or "soft" in text for text in said)


def test_passages_are_those_of_the_sources_whatever_the_recordings_are_called_now(
    small_model: Model, heard: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Guards against figures of one recording's codes beside another one's sound: passages are in the order of names, and those
    had changed between a stop and going on, or before a second stage."""
    draw = torch.Generator().manual_seed(0)
    passages, sources = [], []
    for start, digest in ((0, "b"), (3 * 48_000, "b"), (0, "a")):
        audio = torch.randn(1, 6 * 48_000, generator=draw).numpy()
        recording = Recording(f"{digest}.wav", tmp_path, 64 * digest, 6.0, 6 * 48_000, 1, 0, audio)
        passages.append(Passage(recording, start, start + 48_000))
        codes = torch.randint(32, (47, 4), generator=draw)
        sources.append(Source(f"{digest}.wav", start / 48_000, False, codes, sha256=recording.sha256))
    model = dataclasses.replace(small_model, sources=tuple(sources))
    given: list[Sequence[Passage]] = []

    def compared(_: Model, passages: Sequence[Passage], *__: Any, **___: Any) -> None:
        given.append(passages)

    monkeypatch.setattr(nearness, "compared", compared)
    for order in (passages, passages[::-1], sorted(passages, key=lambda one: one.recording.name)):
        record = cast(Recorded, SimpleNamespace(tell=lambda _: None, can_go_on=None))
        path, closing_time = tmp_path / "m.distill", Closing(hears=False, measures=True)
        given_here = (model, path, order, record, Event(), [], closing_time)
        found = closing.closed_and_saved(*given_here, before=model, is_timed=True, is_cut_short=False)
        assert found.header.bands == learn_bands(model.codec, passages, sources)
        assert closing.with_measures_of_decoder(found, order, lambda _: None) is not None
    assert [list(one) for one in given] == 6 * [passages]


def test_a_stop_between_two_leaves_it_undone(small_model: Model, heard: list[float]) -> None:
    def is_stopped() -> bool:
        return len(heard) == 2

    assert closing.with_measures(small_model, [], lambda _: None, is_stopped, of_weights(small_model)) is None
    assert heard == [1.0, 2.0]
