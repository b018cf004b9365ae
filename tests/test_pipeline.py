"""The pipeline's own promises: what is there already is not made worse."""

import dataclasses
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from distill import awake, pipeline
from distill.errors import OutputError
from distill.evaluation import remeasured
from distill.library import trash
from distill.making.strength import in_words, measured_strength
from distill.models.header import Header
from distill.models.model_file import Model, load_model, save_model
from distill.recordings.corpus import import_corpus
from distill.recordings.passages import Passage
from distill.recordings.split import split_corpus
from distill.run_plan import RunPlan
from distill.runs.resume import stopped_prior
from distill.runs.saved import RefinementRun, Stopped
from distill.training import Notice, TrainingEvent, budget
from distill.training.budget import Closing
from distill.training.plan import Plan, StageEnd

CODEC = {"hidden_size": 16, "encoder_blocks": 1, "decoder_blocks": 1, "latent_size": 8, "codebook_size": 16}
PRIOR = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "context": 64}
REFINEMENT = pipeline.RefinementPlan(
    epochs=1,
    batch_size=1,
    least_steps=1,
    discriminator_width=4,
    window_positions=16,
    validation_windows=2,
    device="cpu",
)


@pytest.fixture(scope="module")
def trained(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec of the small corpus, without a prior, as its training wrote it."""
    folder = tmp_path_factory.mktemp("codec")
    with pytest.MonkeyPatch.context() as own:
        own.setenv("DISTILL_HOME", str(folder / "home"))
        corpus = import_corpus(small_corpus)
        plan = pipeline.CodecPlan(epochs=4, least_steps=5, continuous_steps=2, device="cpu")
        path, log = folder / "m.distill", folder / "events.jsonl"
        pipeline.train_codec(corpus, split_corpus(corpus), path, log, plan, config_changes=CODEC)
    return path


@pytest.fixture
def codec(trained: Path, tmp_path: Path) -> Path:
    """The model file of that codec, which a test may change."""
    return Path(shutil.copy(trained, tmp_path / "m.distill"))


def test_a_worse_prior_does_not_replace_a_better_one(small_corpus: Path, codec: Path, tmp_path: Path) -> None:
    """Guards against an interrupted second training that destroys the first one's work."""
    corpus = import_corpus(small_corpus)
    split = split_corpus(corpus)
    plan = pipeline.PriorPlan(epochs=1, views=2, least_steps=40, learning_rate=3e-4, device="cpu")
    path, log = codec, tmp_path / "events.jsonl"
    good = pipeline.add_prior(path, corpus, split, log, plan, config_changes=PRIOR)
    groups = {recording.name: recording.group for recording in corpus.recordings}
    assert {source.name: source.take for source in good.sources} == groups
    before = path.read_bytes()

    events: list[TrainingEvent] = []
    hopeless = dataclasses.replace(plan, learning_rate=1e-6)
    kept = pipeline.add_prior(path, corpus, split, log, hopeless, config_changes=PRIOR, callback=events.append)
    assert path.read_bytes() == before
    assert kept.header.prior_training == load_model(path).header.prior_training == good.header.prior_training
    assert any("is kept" in event.text for event in events if isinstance(event, Notice))

    faster = dataclasses.replace(plan, learning_rate=1e-3)
    better = pipeline.add_prior(path, corpus, split, log, faster, config_changes=PRIOR)
    assert path.read_bytes() != before
    assert better.header.prior_training != good.header.prior_training
    (kept_copy,) = trash.trashed()
    assert kept_copy.file.read_bytes() == before


def test_a_prior_too_short_to_compare_the_voices_has_the_recordings_voice(
    small_corpus: Path, codec: Path, tmp_path: Path
) -> None:
    """Guards against the first minute of a newcomer, heard through a decoder that has hardly been trained."""
    corpus = import_corpus(small_corpus)
    split = split_corpus(corpus)
    told: list[TrainingEvent] = []
    plan = pipeline.PriorPlan(epochs=1, views=1, least_steps=1, device="cpu")

    def trained(**changes: float) -> Header:
        short = dataclasses.replace(plan, **changes)
        add = pipeline.add_prior
        add(codec, corpus, split, tmp_path / "events.jsonl", short, config_changes=PRIOR, callback=told.append)
        return load_model(codec).header

    first = trained(learning_rate=1e-5)
    assert first.nearer_voice == "recordings"
    assert not first.is_voice_measured
    assert sum("the two voices were not compared" in one.text.lower() for one in told if isinstance(one, Notice)) == 1

    compared = first.model_copy(update={"voices": {"nearer": "codec", "join_cost": 4.0}, "digest": None})
    save_model(codec, dataclasses.replace(load_model(codec), header=compared))
    again = trained(learning_rate=1e-2)
    assert again.prior_training != first.prior_training
    assert again.nearer_voice == "codec", "what was compared stays until it is compared again"
    assert again.is_voice_measured


def test_what_was_measured_of_a_decoder_is_measured_again_after_its_second_stage(
    small_corpus: Path, codec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a voice that is chosen by how another decoder sounded."""
    corpus = import_corpus(small_corpus)
    split = split_corpus(corpus)
    path, log = codec, tmp_path / "events.jsonl"
    plan = pipeline.PriorPlan(epochs=1, views=1, least_steps=1, device="cpu")
    trained = pipeline.add_prior(path, corpus, split, log, plan, config_changes=PRIOR)
    measured: list[Model] = []

    def measure(model: Model, passages: Sequence[Passage], *_: object) -> Model:
        assert [passage.recording.name for passage in passages] == [one.name for one in model.trained_on]
        measured.append(model)
        return model.with_header(voices={"nearer": "codec"})

    monkeypatch.setattr(remeasured, "with_measures_of_decoder", measure)

    def refined(**changes: object) -> tuple[str, list[str]]:
        save_model(path, trained.with_header(**changes, digest=None))
        told: list[TrainingEvent] = []
        pipeline.refine_codec(path, corpus, split, RefinementRun(tmp_path, REFINEMENT), callback=told.append)
        assert "unmeasured" not in load_model(path).header.codec_training
        return load_model(path).header.nearer_voice, [one.text for one in told if isinstance(one, Notice)]

    assert refined(voices={"nearer": "recordings"})[0] == "codec"
    assert len(measured) == 1
    assert refined(voices={})[0] == "codec", "where nothing was measured, nothing is"
    assert len(measured) == 1
    elsewhere = (trained.header.prior_training or {}) | {"corpus_fingerprint": "0" * 64}
    nearer, words = refined(voices={"nearer": "recordings"}, prior_training=elsewhere)
    assert nearer == "recordings"
    assert any("learned from other recordings" in one for one in words)
    assert len(measured) == 1


def test_a_second_stage_is_kept_from_what_the_first_one_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a second stage by another seed, which goes on later and trains on what was held out."""
    first, begun = pipeline.CodecPlan(epochs=1, seed=7, device="cpu", precision="bf16"), []

    def refine(_path: Path, _corpus: object, _split: object, stage: RefinementRun, **_: Any) -> SimpleNamespace:
        begun.append(stage.plan)
        return SimpleNamespace(model=None)

    monkeypatch.setattr(pipeline, "train_codec", lambda *_, **__: None)
    monkeypatch.setattr(pipeline, "refine_codec", refine)
    nothing: Any = None
    path, end = tmp_path / "m.distill", StageEnd(epochs=2, minutes=None)
    pipeline.train_codec_in_stages(nothing, nothing, path, tmp_path, first, end)
    (second,) = begun
    shared = ("seed", "split_rule", "device", "precision")
    assert [getattr(second, name) for name in shared] == [getattr(first, name) for name in shared]


def test_how_firmly_the_beat_is_held_is_measured_noted_and_told(
    small_corpus: Path, codec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "leaves_time_to_close", lambda plan: (Closing(hears=False, measures=True), plan))
    corpus = import_corpus(small_corpus)
    split = split_corpus(corpus)
    path, log = codec, tmp_path / "events.jsonl"
    events: list[TrainingEvent] = []
    plan = pipeline.PriorPlan(epochs=1, device="cpu")
    pipeline.add_prior(path, corpus, split, log, plan, config_changes=PRIOR, callback=events.append)
    model = load_model(path)
    upright = model.with_header(loudness_lean=0.0, balance=())
    assert model.header.beat_strength == measured_strength(upright, split.train), "it is measured before them"
    assert in_words(model.header.beat_strength) in [event.text for event in events if isinstance(event, Notice)]


def test_a_stop_does_not_move_the_end_of_a_prior(small_corpus: Path, codec: Path, tmp_path: Path) -> None:
    """Guards against time for measuring that is taken from the minutes anew whenever a training goes on."""
    corpus = import_corpus(small_corpus)
    split = split_corpus(corpus)
    path, log = codec, tmp_path / "run" / "prior.jsonl"
    stop = threading.Event()
    stop.set()
    plan, ends = pipeline.PriorPlan(minutes=2.0, views=1, device="cpu"), []
    resumed: Stopped | None = None
    for further in (None, None, 1.0):
        if resumed is not None:
            plan = resumed.plan(pipeline.PriorPlan, minutes=further, device="cpu")
        pipeline.add_prior(path, corpus, split, log, plan, config_changes=PRIOR, resumed=resumed, cancel_event=stop)
        resumed = stopped_prior(log.parent)
        ends.append(resumed.state.value("plan.minutes", float))
    assert ends[0] == ends[1] == pytest.approx(1.36), "a run is to measure in the last of its minutes"
    assert ends[2] < (plan.minutes or 0), "and so is what is trained further"


def test_a_prior_that_goes_on_has_the_time_it_was_promised(
    small_corpus: Path, codec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a stop after which the epochs are not heard and nothing is evened out, "as the training is too short";
    and against a minute more of which what is left for measuring is a share of all the time since the beginning."""
    closings: list[Closing] = []

    def closed(model: Model, path: Path, *given: Any, **_: Any) -> Model:
        closings.append(given[-1])
        save_model(path, model)
        return model

    monkeypatch.setattr(pipeline, "closed_and_saved", closed)
    corpus, log = import_corpus(small_corpus), tmp_path / "run" / "prior.jsonl"
    split, stop = split_corpus(corpus), threading.Event()
    stop.set()

    def train(plan: pipeline.PriorPlan, resumed: Stopped | None = None) -> Stopped:
        pipeline.add_prior(codec, corpus, split, log, plan, config_changes=PRIOR, resumed=resumed, cancel_event=stop)
        return stopped_prior(log.parent)

    def going_on(stopped: Stopped, minutes: float | None = None) -> Stopped:
        return train(stopped.plan(pipeline.PriorPlan, minutes=minutes, device="cpu"), stopped)

    whole, beat_alone = Closing(hears=True, measures=True, evens=True), Closing(hears=False, measures=True)
    stopped = going_on(train(pipeline.PriorPlan(minutes=2.0, views=1, device="cpu")))
    assert closings == [whole, whole]
    schedule = {**stopped.state.values["schedule"], "elapsed_s": 78.0}
    values = {**stopped.state.values, "schedule": schedule, "extraction_s": 3.0}
    stopped = dataclasses.replace(stopped, state=dataclasses.replace(stopped.state, values=values))
    stopped = going_on(stopped, minutes=1.0)
    assert stopped.state.value("plan.minutes", float) == pytest.approx(81 / 60 + 0.84)
    stopped = going_on(stopped)
    assert stopped.state.value("plan.minutes", float) == pytest.approx(81 / 60 + 0.84)
    assert closings[2:] == [beat_alone, beat_alone]


def test_a_stopped_prior_does_not_replace_that_of_other_recordings(
    small_corpus: Path, codec: Path, tmp_path: Path, noise: Callable[..., np.ndarray], save: Callable[..., Path]
) -> None:
    """Guards against one step on another folder that takes the place of a good prior."""
    for seed in range(5):
        save(tmp_path / "others" / f"{seed}.wav", noise(1.0, seed))
    corpus, others = import_corpus(small_corpus), import_corpus(tmp_path / "others")
    plan = pipeline.PriorPlan(epochs=1, device="cpu")
    path, log = codec, tmp_path / "events.jsonl"
    pipeline.add_prior(path, corpus, split_corpus(corpus), log, plan, config_changes=PRIOR)
    before = path.read_bytes()
    stopped = threading.Event()
    stopped.set()
    events: list[TrainingEvent] = []
    pipeline.add_prior(
        path, others, split_corpus(others), log, plan,
        config_changes=PRIOR, callback=events.append, cancel_event=stopped,
    )  # fmt: skip
    assert path.read_bytes() == before
    assert any("keeps the prior it has" in event.text for event in events if isinstance(event, Notice))
    assert not trash.trashed()

    pipeline.add_prior(path, others, split_corpus(others), log, plan, config_changes=PRIOR, callback=events.append)
    assert path.read_bytes() != before
    (kept_copy,) = trash.trashed()
    assert kept_copy.file.read_bytes() == before
    assert any(kept_copy.key in event.text for event in events if isinstance(event, Notice))


def test_a_computer_that_sleeps_while_it_reads_takes_no_time_from_learning(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against "Reading the recordings took 1 h", and a tenth of the minutes to learn in, for a lid that was closed."""
    read = pipeline.import_corpus
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600, process_time=time.process_time)
    told: list[float] = []
    monkeypatch.setattr(awake, "seconds", awake.Awake())

    def read_and_sleep(*given: Any, **how: Any) -> Any:
        corpus = read(*given, **how)
        monkeypatch.setattr(awake, "time", later)
        return corpus

    def time_to_learn(_minutes: float, reading_s: float, *_: Any) -> float:
        told.append(reading_s)
        raise OutputError("It ends here.", "It is a test.")

    monkeypatch.setattr(pipeline, "import_corpus", read_and_sleep)
    monkeypatch.setattr(budget, "time_to_learn", time_to_learn)
    with pytest.raises(OutputError, match="It ends here"):
        pipeline.run(small_corpus, tmp_path / "out", RunPlan(minutes=1))
    assert told[0] < 600


def test_a_reading_that_takes_all_the_minutes_leaves_the_prior_its_share(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a codec that has all of the tenth which learning gets at least, and a prior of a second."""
    clock, given, read = [0.0], [], pipeline.import_corpus

    def read_long(*words: Any, **how: Any) -> Any:
        clock[0] += 600
        return read(*words, **how)

    def train(*words: Any, **_: Any) -> None:
        given.append(next(word.minutes for word in words if isinstance(word, Plan)))
        clock[0] += 60 * given[-1]
        if len(given) == 2:
            raise OutputError("It ends here.", "It is a test.")

    monkeypatch.setattr(awake, "seconds", lambda: clock[0])
    monkeypatch.setattr(pipeline, "import_corpus", read_long)
    monkeypatch.setattr(pipeline, "train_codec", train)
    monkeypatch.setattr(pipeline, "add_prior", train)
    with pytest.raises(OutputError, match="It ends here"):
        pipeline.run(small_corpus, tmp_path / "out", RunPlan(minutes=10))
    assert sum(given) == pytest.approx(1)
    assert given[1] == pytest.approx(0.33, rel=0.1)
