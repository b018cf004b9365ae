"""Watching in other tools: every figure at its step, read back as those tools read it, and words where one is missing."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from distill.errors import OutputError, SettingError
from distill.models.health import LevelHealth
from distill.runs.watching import Watching, figures
from distill.training.metrics import (
    ExtractionProgress,
    Notice,
    PriorEpochMetrics,
    PriorStepMetrics,
    TrainingEvent,
    VQEpochMetrics,
)

LEVELS = (LevelHealth(0, 0.9, 12.5, 3), LevelHealth(1, 0.8, 11.0, 4))
STEPS = [PriorStepMetrics(1, step, 40, 5.0 - step / 10, 1e-3, 0.1, tokens=64) for step in (1, 2, 3)]
CODEC_EPOCH = VQEpochMetrics(1, 2, 3.0, 4.0, 4.0, LEVELS, "", 10.0, 1e-3, {"mel": 4.0, "kept": 0.75})
PRIOR_EPOCH = PriorEpochMetrics(1, 2, 3.5, 3.75, 42.5, 42.5, False, "", 9.0, 1e-3, level_losses=(3.0, 4.5))
EVENTS: list[TrainingEvent] = [
    CODEC_EPOCH,
    ExtractionProgress(1, 2),
    *STEPS,
    PRIOR_EPOCH,
    Notice("A sentence.", is_warning=True),
]


def test_every_number_has_the_name_of_its_field() -> None:
    told = figures(PRIOR_EPOCH)
    assert told["val_perplexity"] == 42.5
    assert told["level 2 loss"] == 4.5
    assert told["is_memorizing"] == 0.0
    assert not {"epoch", "total_epochs", "memorization_message"} & set(told)
    assert figures(CODEC_EPOCH)["level 1 perplexity"] == 12.5
    assert figures(CODEC_EPOCH)["heard kept"] == 0.75, "pitch and texture, by their names"


def test_tensorboard_reads_back_what_was_told(tmp_path: Path) -> None:
    heard: list[TrainingEvent] = []
    with Watching(tensorboard=tmp_path / "board").tell(heard.append, lambda: "mine-1") as tell:
        for event in EVENTS:
            tell(event)
    assert heard == EVENTS
    read = EventAccumulator(str(tmp_path / "board" / "mine-1"))
    read.Reload()
    losses = [(one.step, pytest.approx(one.value)) for one in read.Scalars("prior/train_loss")]
    assert losses == [(1, 4.9), (2, 4.8), (3, 4.7), (3, 3.5)]
    (perplexity,) = read.Scalars("prior/val_perplexity")
    assert (perplexity.step, perplexity.value) == (3, 42.5)
    (dead,) = read.Scalars("codec/level 2 dead")
    assert (dead.step, dead.value) == (0, 4.0)
    (text,) = read.Tensors("notices/text_summary")
    assert text.tensor_proto.string_val == [b"A sentence."]


class FakeWandb:
    """What ``wandb`` is asked to do."""

    def __init__(self) -> None:
        self.begun: dict[str, Any] = {}
        self.logged: list[dict[str, Any]] = []
        self.metrics: list[str] = []
        self.is_finished = False

    def init(self, **told: Any) -> "FakeWandb":
        self.begun = told
        return self

    def define_metric(self, name: str, step_metric: str | None = None) -> None:
        self.metrics.append(f"{name} by {step_metric}")

    def log(self, told: dict[str, Any]) -> None:
        self.logged.append(told)

    def finish(self) -> None:
        self.is_finished = True


def test_wandb_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with Watching(wandb="offline").tell(lambda _: None, lambda: "mine-1") as tell:
        for event in EVENTS:
            tell(event)
    assert fake.begun == {"project": "distill", "name": "mine-1", "mode": "offline"}
    assert "prior/* by prior/step" in fake.metrics
    assert [one["prior/step"] for one in fake.logged if "prior/step" in one] == [1, 2, 3, 3]
    assert fake.logged[-1] == {"notice": "A sentence."}
    assert fake.is_finished


def test_nothing_is_opened_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    heard: list[TrainingEvent] = []
    with Watching().tell(heard.append, lambda: pytest.fail("there is nothing to name")) as tell:
        tell(EVENTS[0])
    assert heard == EVENTS[:1]


@pytest.mark.parametrize(
    ("module", "watching", "words"),
    [
        ("torch.utils.tensorboard", Watching(tensorboard=Path("board")), "distill-audio[tensorboard]"),
        ("wandb", Watching(wandb="offline"), "distill-audio[wandb]"),
    ],
)
def test_what_is_not_installed_is_said_before_anything_is_spent(
    module: str, watching: Watching, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SettingError) as told, watching.tell(lambda _: None, lambda: "a"):
        pytest.fail("it began")
    assert words in told.value.fix
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "board").touch()
    with pytest.raises(OutputError, match="is a file"), Watching(tmp_path / "board").tell(lambda _: None, str):
        pass


def test_a_full_disk_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[TrainingEvent] = []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", full)
    with Watching(tmp_path / "board").tell(heard.append, lambda: "a") as tell:
        for event in EVENTS:
            tell(event)
    said = [event for event in heard if isinstance(event, Notice)]
    assert [one.text for one in said] == [
        "Nothing more can be logged to other tools (No space left on device). Training goes on.",
        "A sentence.",
    ]


def test_nothing_is_opened_before_a_stage_begins(tmp_path: Path) -> None:
    """Guards against a run that is asked for its name before it has one; what was said until then is drawn all the same."""
    names: list[str] = []
    with Watching(tmp_path / "board").tell(lambda _: None, lambda: names[0]) as tell:
        tell(Notice("Long to read."))
        assert not list((tmp_path / "board").iterdir())
        names.append("mine-1")
        tell(CODEC_EPOCH)
    read = EventAccumulator(str(tmp_path / "board" / "mine-1"))
    read.Reload()
    assert read.Tensors("notices/text_summary")[0].tensor_proto.string_val == [b"Long to read."]


class CommError(Exception):
    """As wandb's own: no OSError."""


@pytest.mark.parametrize("method", ["init", "log", "finish"])
def test_the_trouble_of_a_tool_never_ends_a_training(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a night that ends, or looks failed, as the network was away or nobody was logged in."""

    def fail(*_: object, **__: object) -> None:
        raise CommError("The network is away.\nTry again.")

    fake = FakeWandb()
    setattr(fake, method, fail)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    heard: list[TrainingEvent] = []
    with Watching(wandb="offline").tell(heard.append, lambda: "mine-1") as tell:
        for event in EVENTS:
            tell(event)
    assert [event for event in heard if event in EVENTS] == EVENTS
    (said,) = [event for event in heard if isinstance(event, Notice) and event not in EVENTS]
    assert "(The network is away.)" in said.text
    assert said.is_warning


def test_a_disk_that_is_full_at_the_end_is_told_of_and_all_tools_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a training that looks failed, as what TensorBoard still had to write had no room."""

    def full(writer: Any) -> None:
        close(writer)
        raise OSError(28, "No space left on device")

    close = SummaryWriter.close
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr(SummaryWriter, "close", full)
    heard: list[TrainingEvent] = []
    with Watching(tmp_path / "board", "offline").tell(heard.append, lambda: "a") as tell:
        for event in EVENTS:
            tell(event)
    assert fake.is_finished
    (said,) = [event for event in heard if isinstance(event, Notice) and event not in EVENTS]
    assert "(No space left on device)" in said.text


def test_whoever_is_not_logged_in_is_told_before_anything_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a run whose figures are not sent, which is only said once an hour of it is over."""

    def login() -> None:
        raise CommError("api_key not configured (no-tty)")

    fake = FakeWandb()
    fake.login = login  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    watching = Watching(wandb="online")
    with pytest.raises(SettingError, match="api_key not") as told, watching.tell(lambda _: None, lambda: "a"):
        pytest.fail("it began")
    assert "--wandb offline" in told.value.fix
