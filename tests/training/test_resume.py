"""A run that was stopped anywhere and goes on ends as if it had never stopped; both loops, to the bit."""

import dataclasses
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import small_distill
from distill import awake
from distill.errors import SettingError, StateFileError
from distill.files.atomic import written_aside
from distill.files.leftovers import part_beside
from distill.models import ConvVQVAE, Model, PriorConfig, save_model
from distill.models.header import CorpusRecord, new_header
from distill.recordings.split import SPLIT_RULE
from distill.runs.saved import Stopped
from distill.training import (
    Notice,
    PriorStepMetrics,
    TrainingEvent,
    VQStepMetrics,
    extraction,
    prior_data,
    prior_loop,
    prior_start,
    train_prior,
    train_vqvae,
)
from distill.training.checkpoint import Checkpoint, StateFile
from distill.training.loop_state import State
from distill.training.metrics import ExtractionProgress, MetricsCallback, RolledBack
from distill.training.notices import ignore
from distill.training.plan import CodecPlan, PriorPlan
from distill.training.schedule import Schedule
from distill.training.state_file import SavedState, load_state, read_values

pytestmark = pytest.mark.usefixtures("little_is_sketched")

Step = VQStepMetrics | PriorStepMetrics
CODEC = small_distill.codec_config(codebook_size=16)
PRIOR = PriorConfig(16, 4, hidden_size=16, num_layers=1, num_heads=2, context=32, dropout=0.2)


# Good states every few steps, so that there is one to go back to.
SHARED: dict[str, Any] = {"epochs": 2, "batch_size": 4, "least_steps": 12, "good_every": 5, "device": "cpu"}
PLANS = {
    "codec": CodecPlan(continuous_steps=4, validation_windows=1, validation_positions=16, **SHARED),
    "prior": PriorPlan(views=2, **SHARED),
}


@pytest.fixture(autouse=True)
def _entries_are_replaced_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """At random, so that a random state that is not restored shows."""
    monkeypatch.setattr("distill.models.quantizer.DEAD_CODE_SHARE", 0.9)


@dataclasses.dataclass(frozen=True)
class Loop:
    """The loop of a kind, on a corpus; the state that it saves is ``place / "state"``."""

    kind: str
    corpus: Path
    place: Path

    def __call__(
        self,
        folder: Path | None = None,
        callback: MetricsCallback | None = None,
        cancel_event: threading.Event | None = None,
        resumed: SavedState | None = None,
        *,
        saves: bool = True,
        **changes: Any,
    ) -> Any:
        folder, state_file = folder or self.corpus, StateFile(self.place / "state" if saves else None, resumed)
        how: Any = {"plan": dataclasses.replace(PLANS[self.kind], **changes), "state_file": state_file}
        if self.kind == "codec":
            return train_vqvae(folder, CODEC, callback, cancel_event, **how)
        return train_prior(self.place / "m.distill", folder, PRIOR, callback, cancel_event, **how)


def train_of(kind: str, corpus: Path, place: Path) -> Loop:
    """The loop, with the model file that a prior needs."""
    torch.manual_seed(0)
    untrained = ConvVQVAE(CODEC)
    untrained.quantizer.set_codebooks(torch.randn(4, 16, 8) * 0.3)
    record = CorpusRecord(fingerprint="0" * 64, file_count=6, seconds=6, split_seed=0, split_rule=SPLIT_RULE)
    header = new_header("m", CODEC, record, codec_training={"seed": 0})
    save_model(place / "m.distill", Model(header, untrained, torch.ones(4, 16, dtype=torch.int64)))
    return Loop(kind, corpus, place)


@pytest.fixture(params=["codec", "prior"])
def train(request: pytest.FixtureRequest, small_corpus: Path, tmp_path: Path) -> Loop:
    """``train(epochs=2, …)``: one of the loops on the small corpus, its state in ``tmp_path / "state"``."""
    return train_of(request.param, small_corpus, tmp_path)


def torn_beside(path: Path) -> Path:
    """What a process that was killed had begun to write."""
    own = part_beside(path)
    torn = own.with_name(own.name.replace(f"-{os.getpid()}-", "-999999999-"))  # above any number that a system gives
    torn.write_bytes(b"half a state")
    return torn


def stop_at(step: int, events: list[TrainingEvent]) -> dict[str, Any]:
    """The arguments that cancel a run after that step."""
    cancel = threading.Event()

    def listen(event: TrainingEvent) -> None:
        events.append(event)
        if isinstance(event, Step) and event.step == step:
            cancel.set()

    return {"callback": listen, "cancel_event": cancel}


def weights(result: Any) -> dict[str, torch.Tensor]:
    return (result["prior_model"] if isinstance(result, dict) else result.codec).state_dict()


def to_hear(result: Any) -> list[tuple[int, dict[str, torch.Tensor]]]:
    """The weights of the epochs that are to be heard; the codec has none."""
    return [(one.epoch, one.weights) for one in result["candidates"]] if isinstance(result, dict) else []


def curves(result: Any) -> Any:
    return result["curves"] if isinstance(result, dict) else result.curves


def measured(events: list[TrainingEvent]) -> list[tuple[int, int, float, float]]:
    return [(one.epoch, one.step, one.train_loss, one.learning_rate) for one in events if isinstance(one, Step)]


# Before quantisation begins, at the end of an epoch, and in the middle of the last.
@pytest.mark.parametrize("step", [2, 12, 19])
def test_resumed_equals_uninterrupted(step: int, train: Loop, tmp_path: Path) -> None:
    whole_events: list[TrainingEvent] = []
    whole = train(callback=whole_events.append, saves=False)

    events: list[TrainingEvent] = []
    train(**stop_at(step, events))
    state = load_state(tmp_path / "state", train.kind)
    assert state.values["schedule"]["step"] == step
    torch.manual_seed(99)  # what another process would have drawn meanwhile
    rest = train(resumed=state, callback=events.append)

    assert measured(events) == measured(whole_events)
    assert curves(rest) == curves(whole)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(rest)[name]), name
    assert [epoch for epoch, _ in to_hear(rest)] == [epoch for epoch, _ in to_hear(whole)]
    for (epoch, had), (_, has) in zip(to_hear(whole), to_hear(rest), strict=True):
        assert all(torch.equal(tensor, has[name]) for name, tensor in had.items()), epoch


def test_going_back_is_resumed_too(train: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a resumed run that has forgotten its last good state when the next step goes wrong."""
    from distill.training.watch import Watch

    look = Watch.trouble

    def trouble(self: Watch, loss: float, *seen: Any) -> str:
        return look(self, loss, *seen) or ("a test" if next(steps) == 20 else "")

    monkeypatch.setattr(Watch, "trouble", trouble)
    events: list[TrainingEvent] = []
    steps = itertools.count(1)
    whole = train(callback=events.append, saves=False)
    (back,) = [event for event in events if isinstance(event, RolledBack)]
    assert back.good_step < 19
    steps = itertools.count(1)
    train(**stop_at(19, []))
    state = load_state(tmp_path / "state", train.kind)
    assert state.values["good_step"] == back.good_step
    rest = train(resumed=state)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(rest)[name]), name


def test_the_state_is_saved_on_the_way(train: Loop, tmp_path: Path) -> None:
    """Guards against a state that only a polite end writes: a power cut would cost everything."""
    saved = []

    def look(event: TrainingEvent) -> None:
        if isinstance(event, Step) and (tmp_path / "state").exists():
            saved.append(read_values(tmp_path / "state", train.kind)["schedule"]["step"])

    train(save_every_s=0.0, epochs=1, callback=look)
    assert saved == list(range(1, len(saved) + 1))
    assert len(saved) >= 11
    values = read_values(tmp_path / "state", train.kind)
    assert values["finished"]
    assert values["epoch"] == 1
    beside = [] if train.kind == "codec" else ["state.codes"]
    assert sorted(path.name for path in tmp_path.glob("*state*")) == ["state", *beside]


def test_with_more_ranks_it_goes_on_in_the_middle_of_the_same_epoch() -> None:
    """Guards against an epoch of half as many steps that goes on with a step that it does not have, and so never ends."""

    def state_of(steps_per_epoch: int) -> State:
        layer = torch.nn.Linear(1, 1)
        schedule = Schedule(steps_per_epoch, epochs=10, minutes=None, peak_rate=1.0)
        return State({"weights": layer}, {"optimizer": torch.optim.SGD(layer.parameters())}, schedule)

    begun, further, events = state_of(300), state_of(150), list[Any]()
    begun.epoch, begun.schedule.step = 4, 4 * 300 + 180
    begun.mark_good()
    begun.sums.step, begun.schedule.step = 200, 4 * 300 + 200
    further.restore(begun.save({}), {})
    assert (further.epoch, further.sums.step, further.schedule.step) == (4, 100, 4 * 150 + 100)
    further.roll_back("the loss was not finite", events.append)
    assert (events[0].step, events[0].good_step) == (700, 680), "it went back to a step that is still to come"


def test_time_that_was_spent_counts(train: Loop, tmp_path: Path) -> None:
    train(**stop_at(3, []), epochs=None, minutes=10)
    state = load_state(tmp_path / "state", train.kind)
    assert 0 < state.values["schedule"]["elapsed_s"] < 60
    spent = state.values["schedule"] | {"elapsed_s": 9.99 * 60}
    state = dataclasses.replace(state, values=state.values | {"schedule": spent})
    events: list[TrainingEvent] = []
    train(resumed=state, **stop_at(500, events), epochs=None, minutes=10)
    assert measured(events)[0][1] == 4
    assert measured(events)[-1][1] < 500, "0.6 of 600 s were left"


def test_a_full_disk_costs_no_training(train: Loop, tmp_path: Path, full_disk: Callable[[int | None], None]) -> None:
    """The last good state stays, the person is told, and it still is a state to go on from."""
    whole = train(saves=False)
    events: list[TrainingEvent] = []

    def fill(event: TrainingEvent) -> None:
        events.append(event)
        if isinstance(event, Step) and event.step == 6:
            full_disk((tmp_path / "state").stat().st_size // 2)

    result = train(save_every_s=0.0, callback=fill)
    full_disk(None)
    warnings = [event.text for event in events if isinstance(event, Notice) and event.is_warning]
    assert any("was not saved" in text and "Training goes on" in text for text in warnings)
    assert not list(tmp_path.glob("*.part*"))
    state = load_state(tmp_path / "state", train.kind)
    assert state.values["schedule"]["step"] == 5
    rest = train(resumed=state)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(result)[name]), name
        assert torch.equal(tensor, weights(rest)[name]), name


def test_what_a_killed_writer_left_is_cleared_away(train: Loop, tmp_path: Path) -> None:
    torn = torn_beside(tmp_path / "state")
    train(epochs=1)
    assert not torn.exists()


def test_what_another_training_is_writing_is_left(tmp_path: Path) -> None:
    """Guards against a training that removes, as it begins, what others are writing in the same folder at that moment."""
    state: Any = State({}, {}, Schedule(10, epochs=1, minutes=None, peak_rate=1.0), good_every=None)
    with written_aside(tmp_path / "other.state") as aside:
        aside.write_bytes(b"half a state")
        Checkpoint(StateFile(tmp_path / "state"), "codec", state, {}, CodecPlan(), ignore)
        assert aside.exists()


def test_a_half_written_state_that_is_in_use_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a training on Windows that ends before it begins, while a backup reads what a killed one left."""
    torn_beside(tmp_path / "state")

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "The process cannot access the file because it is being used", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    state: Any = State({}, {}, Schedule(10, epochs=1, minutes=None, peak_rate=1.0), good_every=None)
    Checkpoint(StateFile(tmp_path / "state"), "codec", state, {}, CodecPlan(), ignore)


def test_a_state_of_something_else_is_refused(train: Loop, small_corpus: Path, tmp_path: Path) -> None:
    train(**stop_at(3, []))
    state = load_state(tmp_path / "state", train.kind)
    other = tmp_path / "other"
    shutil.copytree(small_corpus, other)
    (other / "take-0.wav").unlink()
    with pytest.raises(StateFileError, match="another folder of recordings"):
        train(other, resumed=state)
    with pytest.raises(StateFileError, match="does not fit"):
        train(resumed=dataclasses.replace(state, parts={**state.parts, "weights": {}}))
    with pytest.raises(StateFileError, match="does not fit"):
        train(resumed=dataclasses.replace(state, values={**state.values, "schedule": None}))


def test_other_recordings_are_refused_before_anything_is_spent(
    train: Loop, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a prior that says it will learn the changed folder, encodes all of it, and then refuses; and against other
    ranks that are told to take part in what is refused."""
    train(**stop_at(3, []))
    state, other = load_state(tmp_path / "state", train.kind), tmp_path / "other"
    shutil.copytree(small_corpus, other)
    (other / "take-0.wav").unlink()
    events: list[TrainingEvent] = []
    for spends in ("codec_start.order_codec", "prior_start.encoded"):
        monkeypatch.setattr(f"distill.training.{spends}", lambda *_: pytest.fail("it has begun"))
    with pytest.raises(StateFileError, match="another folder of recordings"):
        train(other, resumed=state, callback=events.append)
    assert not any("will learn the new folder" in event.text for event in events if isinstance(event, Notice))


def test_what_goes_on_has_the_plan_and_sizes_that_it_began_with(
    train: Loop, small_corpus: Path, tmp_path: Path
) -> None:
    """Guards against a run that goes on with the default plan, without a word, and trains on what was held out before."""
    whole = train(seed=7, saves=False)
    train(seed=7, **stop_at(3, []))
    state = StateFile(None, load_state(tmp_path / "state", train.kind))
    if train.kind == "codec":
        rest = train_vqvae(small_corpus, state_file=state)
    else:
        rest = train_prior(tmp_path / "m.distill", small_corpus, state_file=state)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(rest)[name]), name


@pytest.mark.parametrize("change", [{"seed": 7}, {"least_steps": 13}, {"learning_rate": 0.5}])
def test_another_plan_is_refused_before_anything_is_read(change: dict[str, Any], train: Loop) -> None:
    """Guards against a resumed run whose held-out recordings are others, and against one of which half has another rate."""
    plan = dataclasses.replace(PLANS[train.kind], epochs=1).values()
    ((name, value),) = change.items()
    with pytest.raises(StateFileError, match=f"began with {name} {plan[name]}, and now {value} is given"):
        train(train.place / "nowhere", resumed=SavedState({}, {"plan": plan}), **change)


def test_other_sizes_are_refused(small_corpus: Path) -> None:
    """Guards against a codec of which half was trained with another weight of the commitment loss, where all shapes fit."""
    state = SavedState({}, {"plan": PLANS["codec"].values(), "config": dataclasses.asdict(CODEC)})
    other = dataclasses.replace(CODEC, commitment_weight=1.0)
    with pytest.raises(StateFileError, match="began with commitment_weight"):
        train_vqvae(small_corpus, other, state_file=StateFile(None, state))


def test_other_codes_are_refused(small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a prior that goes on with codes that mean, or are, something else."""
    train = train_of("prior", small_corpus, tmp_path)
    train(**stop_at(3, []))
    state = load_state(tmp_path / "state", "prior")
    (tmp_path / "state.codes").unlink()
    encode = extraction.encode_view
    with monkeypatch.context() as elsewhere:  # on a processor that rounds otherwise
        elsewhere.setattr(extraction, "encode_view", lambda *given: encode(*given) ^ 1)
        with pytest.raises(StateFileError, match="another set of codes"):
            train(resumed=state)
    with pytest.raises(StateFileError, match="another codec"):
        train(resumed=dataclasses.replace(state, values={**state.values, "codec": "0" * 64}))


def test_a_prior_goes_on_where_encoding_gives_other_codes(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another processor rounds otherwise, so some codes are others there: the ones it began with lie beside its state.

    Guards against a refusal on the other machine, and against encoding anything twice.
    """
    train = train_of("prior", small_corpus, tmp_path)
    whole = train(saves=False, fresh_share=0.0)
    train(**stop_at(3, []), fresh_share=0.0)

    def encode(*_: Any, **__: Any) -> Any:
        pytest.fail("encoded again")

    monkeypatch.setattr("distill.training.extraction.encode_view", encode)
    events: list[TrainingEvent] = []
    rest = train(resumed=load_state(tmp_path / "state", "prior"), callback=events.append, fresh_share=0.0)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(rest)[name]), name
    for one, other in zip(whole["sources"], rest["sources"], strict=True):
        assert dataclasses.replace(one, codes=other.codes) == other
        assert torch.equal(one.codes, other.codes)
    assert rest["prior_metadata"]["views"] == whole["prior_metadata"]["views"] == 2
    assert not any("encoded again" in event.text for event in events if isinstance(event, Notice))


@pytest.mark.parametrize("are_kept", [True, False])
def test_renamed_recordings_keep_their_own_codes(are_kept: bool, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against codes that go to the wrong recordings, without a word, where a name changed between the stop and the
    resume, and against a refusal where these codes are encoded again."""
    train = train_of("prior", small_corpus, tmp_path)
    whole = train(saves=False)
    train(**stop_at(3, []))
    if not are_kept:
        (tmp_path / "state.codes").unlink()
    renamed = tmp_path / "renamed"
    shutil.copytree(small_corpus, renamed)
    for number, path in enumerate(sorted(renamed.iterdir(), reverse=True)):
        path.rename(renamed / f"{number}-{path.name}")
    rest = train(renamed, resumed=load_state(tmp_path / "state", "prior"))
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(rest)[name]), name
    for one, other in zip(whole["sources"], rest["sources"], strict=True):
        assert one.sha256 == other.sha256
        assert other.name.endswith(one.name)
        assert torch.equal(one.codes, other.codes)


@pytest.mark.parametrize("what", ["missing", "damaged", "cut", "of another run"])
def test_codes_that_cannot_be_used_are_encoded_again(what: str, small_corpus: Path, tmp_path: Path) -> None:
    train = train_of("prior", small_corpus, tmp_path)
    whole = train(saves=False)
    train(**stop_at(3, []), transpose=1.0)
    codes = tmp_path / "state.codes"
    other = codes.read_bytes()
    train(**stop_at(3, []))
    kept = codes.read_bytes()
    spoilt = {"damaged": kept[:-1] + bytes([kept[-1] ^ 1]), "cut": kept[:-2], "of another run": other}
    codes.unlink()
    if what in spoilt:
        codes.write_bytes(spoilt[what])
    events: list[TrainingEvent] = []
    rest = train(resumed=load_state(tmp_path / "state", "prior"), callback=events.append)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(rest)[name]), name
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any("encoded again to go on" in text for text in told)
    assert any("is not used" in text for text in told) == (what in spoilt)
    assert codes.stat().st_size > len(kept), "they are kept again, and what the second epoch added"


def test_what_earlier_epochs_added_is_encoded_again_before_the_clock_starts(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against minutes of learning that are spent, in silence, on encoding again what earlier epochs had added."""
    train = train_of("prior", small_corpus, tmp_path)
    train(**stop_at(20, []), fresh_share=1.0)
    (tmp_path / "state.codes").unlink()
    events: list[Any] = []
    encode = extraction.encode_view
    monkeypatch.setattr(extraction, "encode_view", lambda *given: (events.append("encoding"), encode(*given))[1])
    train(resumed=load_state(tmp_path / "state", "prior"), **stop_at(21, events), fresh_share=1.0)
    before = events[: next(at for at, event in enumerate(events) if "encoded again" in getattr(event, "text", ""))]
    assert events.count("encoding") == before.count("encoding"), (
        "some were encoded after it was said how long that took"
    )
    told = [(event.done, event.total) for event in before if isinstance(event, ExtractionProgress)]
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def test_a_sleep_while_it_encodes_takes_no_time_from_learning(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a prior with one view and a fifth of its minutes because the laptop was closed while it encoded."""
    slept = [0.0]
    machine = SimpleNamespace(monotonic=lambda: time.monotonic() + slept[0], process_time=time.process_time)
    for module in (awake, prior_data, prior_loop, prior_start):
        monkeypatch.setattr(module, "time", machine, raising=False)
    encode = extraction.encode_view

    def closed_meanwhile(*given: Any) -> Any:
        slept[0] += 1000.0
        return encode(*given)

    monkeypatch.setattr(extraction, "encode_view", closed_meanwhile)
    events: list[TrainingEvent] = []
    train_of("prior", small_corpus, tmp_path)(**stop_at(1, events), epochs=None, minutes=10)
    values = read_values(tmp_path / "state", "prior")
    assert values["extraction_s"] < 60
    assert values["plan"]["views"] == 2
    assert slept[0] > 0


def test_a_kill_between_codes_and_state_changes_nothing(small_corpus: Path, tmp_path: Path) -> None:
    """The codes are written when an epoch begins, and the state later: the codes of an epoch that the state knows nothing of
    are forgotten, and encoded again when their time comes."""
    train = train_of("prior", small_corpus, tmp_path)
    events: list[TrainingEvent] = []
    whole = train(callback=events.append)
    later = (tmp_path / "state.codes").read_bytes()
    train(**stop_at(3, []))
    assert len((tmp_path / "state.codes").read_bytes()) < len(later)
    (tmp_path / "state.codes").write_bytes(later)
    rest = train(resumed=load_state(tmp_path / "state", "prior"))
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(rest)[name]), name


def test_a_disk_without_room_for_the_codes_costs_no_training(
    small_corpus: Path, tmp_path: Path, full_disk: Callable[[int | None], None]
) -> None:
    train = train_of("prior", small_corpus, tmp_path)
    events: list[TrainingEvent] = []

    def fill(event: TrainingEvent) -> None:
        events.append(event)
        if isinstance(event, ExtractionProgress):
            full_disk(100)

    train(callback=fill, epochs=1)
    full_disk(None)
    assert any("have to be encoded again" in event.text for event in events if isinstance(event, Notice))
    assert not list(tmp_path.glob("*.part*"))


def test_more_minutes_are_so_many_however_long_encoding_took(small_corpus: Path, tmp_path: Path) -> None:
    """Guards against two more minutes that become six, as a share of half an hour of encoding was added to them; and, after a
    stop, against another end than the one that they had."""
    train = train_of("prior", small_corpus, tmp_path)
    train(**stop_at(2, []), epochs=None, minutes=3.0)
    state = load_state(tmp_path / "state", "prior")
    spent = {"extraction_s": 1800.0, "schedule": state.values["schedule"] | {"elapsed_s": 36.0}}
    state = dataclasses.replace(state, values={**state.values, **spent})
    minutes = Stopped(tmp_path, tmp_path / "m.distill", state, stage="prior").end(None, 2.0)[1]
    for step in (3, 4):
        events: list[TrainingEvent] = []
        train(resumed=state, **stop_at(step, events), epochs=None, minutes=minutes)
        (last,) = [event for event in events if isinstance(event, PriorStepMetrics)]
        assert last.remaining_s == pytest.approx(120, abs=10)
        state = load_state(tmp_path / "state", "prior")


def test_how_much_further(tmp_path: Path) -> None:
    values = {
        "plan": {"epochs": None, "minutes": 8.0},
        "epoch": 3,
        "schedule": {"elapsed_s": 120.0},
        "extraction_s": 60.0,
        "finished": True,
    }
    stopped = Stopped(tmp_path, tmp_path / "m.distill", SavedState({}, values))
    assert stopped.end(None, None) == (None, 8.0), "its model was never written"
    assert stopped.end(2, None) == (5, None)
    assert stopped.end(None, 1.0) == (None, 4.0)
    with pytest.raises(SettingError, match="is finished"):
        dataclasses.replace(stopped, written_epochs=3).end(None, None)


def test_kill_9_at_any_moment() -> None:
    """Three of the fifty that ``benchmarks/kill.py`` is run with by hand (docs/reliability.md)."""
    script = Path(__file__).parents[2] / "benchmarks" / "kill.py"
    words = [sys.executable, script, "--kills", "3", "--epochs", "1", "--longest", "0.8", "--interval", "0.05"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 kills" in done.stdout
