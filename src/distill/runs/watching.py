"""Watching a run in the tools people have: the events of ``training/metrics.py`` for TensorBoard and Weights & Biases.

    event ──▶ figures ──▶ codec/train_loss, prior/val_perplexity, codec/level 1 utilisation, …   at the step they belong to

Every number that an event holds is drawn under its own name, so whatever training reports tomorrow is there too. Sentences
(what the person should know, roll-backs) are texts. Both tools are optional extras.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from distill.errors import OutputError, SettingError
from distill.files.atomic import make_folder
from distill.files.installing import installing_extra
from distill.files.regular import is_folder, is_there
from distill.runs.events import STAGES, stage_of_event
from distill.training.metrics import ExtractionProgress, MetricsCallback, Notice, RolledBack, TrainingEvent

WANDB_PROJECT = "distill"
Mode = Literal["offline", "online"]
_PLACES = frozenset({"epoch", "step", "total_steps", "total_epochs", "is_held_out"})
"""Fields that say when and of what, not how good."""


@dataclasses.dataclass(frozen=True)
class Watching:
    """The tools that a run is to be watched in."""

    tensorboard: Path | None = None
    """The folder that ``tensorboard --logdir`` is given; each run has a folder of its own in it."""
    wandb: Mode | None = None

    @contextmanager
    def tell(self, callback: MetricsCallback, name: Callable[[], str]) -> Iterator[MetricsCallback]:
        """Hands every event on, and draws it in the tools. What goes wrong in a tool is said once, and ends no training.

        Args:
            name: gives the run's name, once, when the first event of a stage comes.

        Raises:
            OutputError: if the folder cannot be written to.
            SettingError: if a tool is not installed, or takes nothing from this computer.
        """
        if self.tensorboard is not None:
            _check_tensorboard(self.tensorboard)
        if self.wandb is not None:
            _check_wandb(self.wandb)
        is_on = self.tensorboard is not None or self.wandb is not None
        stack, opened, drawing = ExitStack(), list[_Tool](), _Drawing()
        waiting: list[TrainingEvent] = []

        def attempt(work: Callable[[], None], otherwise: str) -> None:
            nonlocal is_on
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a tool raises errors of its own, and none is worth a night's training
                if is_on:
                    callback(Notice(otherwise.format(_reason(error)), is_warning=True))
                is_on = False

        def draw() -> None:
            if not opened:
                opened.extend(self._opened(name(), stack))
            for event in waiting:
                drawing.draw(event, opened)
            waiting.clear()

        def told(event: TrainingEvent) -> None:
            callback(event)
            if not is_on:
                return
            waiting.append(event)
            if opened or _stage_of(event) is not None:  # before that the run has no name
                attempt(draw, "Nothing more can be logged to other tools ({}). Training goes on.")

        try:
            yield told
        finally:
            attempt(stack.close, "Not all of this run could be logged to other tools ({}).")

    def _opened(self, name: str, stack: ExitStack) -> "Iterator[_Tool]":
        if self.tensorboard is not None:
            board = _TensorBoard(self.tensorboard / name)
            stack.callback(board.close)
            yield board
        if self.wandb is not None:
            wandb = _Wandb(name, self.wandb)
            stack.callback(wandb.close)
            yield wandb


class _Tool(Protocol):
    def figures(self, values: Mapping[str, float], step: int) -> None: ...

    def words(self, text: str, step: int) -> None: ...


class _Drawing:
    """Knows at which step of which stage the events are."""

    def __init__(self) -> None:
        self._steps: dict[str, int] = {}
        self._stage = "codec"

    def draw(self, event: TrainingEvent, tools: list[_Tool]) -> None:
        match event:
            case Notice() | RolledBack():
                for tool in tools:
                    tool.words(event.text, self._steps.get(self._stage, 0))
                return
        stage = _stage_of(event)
        if stage is None:
            return
        self._stage = stage
        self._steps[stage] = int(getattr(event, "step", self._steps.get(stage, 0)))
        values = {f"{stage}/{name}": value for name, value in figures(event).items()}
        for tool in tools:
            tool.figures(values, self._steps[stage])


def _stage_of(event: TrainingEvent) -> str | None:
    """The stage that an event is drawn in; None where nothing of it is drawn, as of encoding."""
    return None if isinstance(event, ExtractionProgress) else stage_of_event(type(event).__name__)


def figures(event: TrainingEvent) -> dict[str, float]:
    """Every number that an event holds, by the name of its field; of figures by name, field and name; of each quantizer level,
    what its health is."""
    found: dict[str, float] = {}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if field.name in _PLACES:
            continue
        if isinstance(value, bool | int | float):
            found[field.name] = float(value)
        elif isinstance(value, Mapping):
            found |= {f"{field.name} {name}": float(figure) for name, figure in value.items()}
        elif isinstance(value, tuple):
            for number, one in enumerate(value, 1):
                of_level = {"loss": one} if isinstance(one, float) else _numbers(one)
                found |= {
                    f"level {number} {name}": float(figure) for name, figure in of_level.items() if name != "level"
                }
    return found


def _numbers(one: Any) -> dict[str, float]:
    """The numbers in a dataclass of numbers."""
    return {name: value for name, value in dataclasses.asdict(one).items() if isinstance(value, int | float)}


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def figures(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def words(self, text: str, step: int) -> None:
        self._writer.add_text("notices", text, step)

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    def __init__(self, name: str, mode: Mode) -> None:
        self._run = _wandb().init(project=WANDB_PROJECT, name=name, mode=mode)
        # Each stage counts its own steps from the beginning, and wandb's own step may never go back.
        for stage in STAGES:
            self._run.define_metric(f"{stage}/step")
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")

    def figures(self, values: Mapping[str, float], step: int) -> None:
        stage = next(iter(values)).partition("/")[0]
        self._run.log({**values, f"{stage}/step": step})

    def words(self, text: str, step: int) -> None:
        self._run.log({"notice": text})

    def close(self) -> None:
        self._run.finish()


def _check_tensorboard(folder: Path) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: F401
    except ImportError as error:
        raise SettingError(
            "--tensorboard needs the package tensorboard, which is not installed.",
            f"Install it: {installing_extra('tensorboard')}",
        ) from error
    if is_there(folder) and not is_folder(folder):
        raise OutputError(f"{folder} is a file.", "Give --tensorboard a folder.")
    make_folder(folder)


def _check_wandb(mode: Mode) -> None:
    wandb = _wandb()
    if mode == "online":
        try:
            wandb.login()
        except Exception as error:  # errors of its own: there is no key, or no network
            raise SettingError(
                f"Weights & Biases takes nothing from this computer ({_reason(error)}).",
                "Log in with: wandb login. Or keep the figures here with: --wandb offline",
            ) from error


def _reason(error: Exception) -> str:
    """What went wrong, in a line."""
    said = str(getattr(error, "strerror", None) or error)
    return said.partition("\n")[0] or type(error).__name__


def _wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise SettingError(
            "--wandb needs the package wandb, which is not installed.", f"Install it: {installing_extra('wandb')}"
        ) from error
    return wandb
