"""What people see: everything goes to stderr, so that stdout stays free for ``--json``."""

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from distill.training.metrics import TrainingEvent

console = Console(stderr=True, highlight=False)


def print_json(result: Mapping[str, Any]) -> None:
    """The machine-readable result, on stdout."""
    print(json.dumps(result, indent=2, default=str))


def note(text: str) -> None:
    """A plain sentence."""
    console.print(Text(text))


def warn(text: str) -> None:
    """A sentence the person should not miss."""
    console.print(Text(f"! {text}", style="yellow"))


def settings_table(settings: Mapping[str, tuple[str, str]]) -> None:
    """Name, value, and whether Distill chose it ``(auto)`` or the person ``(set)``."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, (value, origin) in settings.items():
        table.add_row(
            Text(name, style="dim"),
            Text(value),
            Text(f"({origin})", style="bold" if origin == "set" else "dim"),
        )
    console.print(table)


def duration(seconds: float) -> str:
    """Seconds in words that fit a progress line."""
    if seconds == float("inf"):
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """The first Ctrl-C asks the work to stop and keep what is best so far; the second one ends it at once."""
    cancel = threading.Event()

    def interrupted(_: int, __: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()
        warn("Stopping after this step; the best weights so far are kept. Ctrl-C again ends at once.")

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


class TrainingView:
    """Draws training events: one live line with speed and remaining time, and a line an epoch that stays."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[detail]}", style="dim"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._step = ""
        self._warned = ""

    def __enter__(self) -> "TrainingView":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def progress(self, step: str, done: int, total: int, detail: str = "") -> None:
        """Moves the live line; another ``step`` begins a new one."""
        if step != self._step or self._task is None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(step, total=1.0, detail="")
            self._step = step
        self._progress.update(self._task, completed=done / max(total, 1), detail=detail)

    def __call__(self, event: "TrainingEvent") -> None:
        from distill.training import metrics as m

        match event:
            case m.VQStepMetrics():
                speed = event.audio_seconds / max(event.step_time_s, 1e-6)
                self._share(
                    "Codec",
                    event.progress,
                    f"loss {event.train_loss:.2f}  {speed:.0f} s audio/s  {_left(event.remaining_s)}",
                )
            case m.VQEpochMetrics():
                self._epoch_of_codec(event)
            case m.ExtractionProgress():
                self.progress("Encoding the recordings", event.done, event.total)
            case m.PriorStepMetrics():
                speed = event.tokens / max(event.step_time_s, 1e-6)
                self._share(
                    "Prior",
                    event.progress,
                    f"loss {event.train_loss:.2f}  {speed:.0f} tokens/s  {_left(event.remaining_s)}",
                )
            case m.PriorEpochMetrics():
                self._epoch_of_prior(event)
            case m.Notice():
                warn(event.text)
            case m.VQTrainingCompleteEvent():
                kept = "Stopped; kept" if event.cancelled else "Codec trained: kept"
                note(
                    f"{kept} the weights with held-out distance {event.best_val_loss:.2f} ({event.epochs_trained} epochs)."
                )
            case m.PriorTrainingCompleteEvent():
                note(
                    f"Prior trained: kept the weights with perplexity {event.best_perplexity:.1f} ({event.epochs_trained} epochs)."
                )

    def _share(self, step: str, share: float, detail: str) -> None:
        self.progress(step, round(share * 1000), 1000, detail)

    def _epoch_of_codec(self, event: Any) -> None:
        use = "  ".join(
            f"{health.utilisation:4.0%} used, perplexity {health.perplexity:3.0f}, {health.dead} dead"
            for health in event.levels
        )
        note(
            f"codec {event.epoch:>3}/{event.total_epochs:<3} train {event.train_loss:.3f}  held-out {event.val_loss:.3f}  "
            f"best {event.best_val_loss:.3f}  | {use}"
        )
        self._warn_once(event.warning)

    def _epoch_of_prior(self, event: Any) -> None:
        note(
            f"prior {event.epoch:>3}/{event.total_epochs:<3} train {event.train_loss:.3f}  held-out {event.val_loss:.3f}  "
            f"perplexity {event.val_perplexity:.1f}  best {event.best_perplexity:.1f}"
        )
        self._warn_once(event.memorization_message)

    def _warn_once(self, text: str) -> None:
        kind = text[:20]
        if text and kind != self._warned:
            warn(text)
        self._warned = kind


def counting(view: TrainingView, step: str) -> Callable[..., None]:
    """A progress function for work that counts: ``(done, total)``, or ``(done, total, name)``."""
    return lambda done, total, name="": view.progress(step, done, total, name)


def _left(seconds: float) -> str:
    return f"{duration(seconds)} left"
