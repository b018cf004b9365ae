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
from distill.training.metrics import MetricsCallback, Notice, RolledBack, TrainingEvent

TENSORBOARD_EXTRA = "pip install 'distill-audio[tensorboard]'"
WANDB_EXTRA = "pip install 'distill-audio[wandb]'"
WANDB_PROJECT = "distill"
Mode = Literal["offline", "online"]
_STAGES = {"VQ": "codec", "Refinement": "refinement", "Prior": "prior"}
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
        """Hands every event on, and draws it in the tools.

        Args:
            name: gives the run's name, once, when the first event comes.

        Raises:
            OutputError: if the folder cannot be written to.
            SettingError: if a tool is not installed.
        """
        if self.tensorboard is not None:
            _check_tensorboard(self.tensorboard)
        if self.wandb is not None:
            _wandb()
        opened: list[_Tool] = []
        is_on = self.tensorboard is not None or self.wandb is not None
        drawing = _Drawing()
        with ExitStack() as stack:

            def told(event: TrainingEvent) -> None:
                callback(event)
                nonlocal is_on
                if not is_on:
                    return
                try:
                    if not opened:
                        opened.extend(self._opened(name(), stack))
                    drawing.draw(event, opened)
                except OSError as error:
                    is_on = False
                    what = f"Nothing more can be logged to other tools ({error.strerror or error})."
                    callback(Notice(f"{what} Training goes on.", is_warning=True))

            yield told

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
        kind = type(event).__name__
        stage = next((stage for start, stage in _STAGES.items() if kind.startswith(start)), None)
        if stage is None:  # of encoding there is nothing to draw
            return
        self._stage = stage
        self._steps[stage] = int(getattr(event, "step", self._steps.get(stage, 0)))
        values = {f"{stage}/{name}": value for name, value in figures(event).items()}
        for tool in tools:
            tool.figures(values, self._steps[stage])


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
        for stage in _STAGES.values():
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
            "--tensorboard needs the package tensorboard, which is not installed.", f"Install it: {TENSORBOARD_EXTRA}"
        ) from error
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file.", "Give --tensorboard a folder.")
    make_folder(folder)


def _wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise SettingError(
            "--wandb needs the package wandb, which is not installed.", f"Install it: {WANDB_EXTRA}"
        ) from error
    return wandb
