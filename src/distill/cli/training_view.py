"""Training as it is shown on a terminal: one live line with speed and remaining time, and lasting lines for each epoch."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from distill.cli.console import console, good, levels_table, note, percent, visible, warn
from distill.counted import counted
from distill.durations import about
from distill.files.home import PROGRESS
from distill.models.health import named_levels

if TYPE_CHECKING:
    from rich.progress import TaskID

    from distill.training.metrics import PriorEpochMetrics, RefinementCompleteEvent, TrainingEvent, VQEpochMetrics


_TOLD_EVERY_S = 0.25


class TrainingView:
    """Draws training events. Where stderr is no terminal the live line is left out and the lasting lines remain.

    Where ``DISTILL_PROGRESS`` names a file, what the live line says is written to it as JSON: ``step``, ``share``, ``detail``.
    """

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=5)),  # at 40 columns too
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:3.0f} %", table_column=Column(no_wrap=True, min_width=5)),
            TextColumn("{task.fields[detail]}", style="dim", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._step = ""
        self._warned = ""
        self._told: set[str] = set()
        self._distances: list[float] = []
        """Of the steps of the codec's epoch: its loss holds more than the distance that is measured on what is held out."""
        self._explained = False
        self._training = False
        self._file = Path(os.environ[PROGRESS]) if os.environ.get(PROGRESS) else None
        self._told_at = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def is_training(self) -> bool:
        """Whether there are weights for an interrupt to keep: from the first step until other work begins."""
        return self._training

    def progress(self, step: str, done: int, total: int, detail: str = "") -> None:
        """Moves the live line of work outside training."""
        self._training = False
        self._move(step, done / max(total, 1), detail)

    def counting(self, step: str) -> Callable[..., None]:
        """A progress function ``(done, total)`` or ``(done, total, name)`` for one step."""
        return lambda done, total, name="": self.progress(step, done, total, name)

    def __call__(self, event: "TrainingEvent") -> None:
        from distill.training import metrics as m

        match event:
            case m.VQStepMetrics():
                self._distances.append(event.reconstruction_loss)
                speed = event.audio_seconds / max(event.step_time_s, 1e-6)
                self._training_step(
                    "Codec",
                    event.progress,
                    f"loss {event.train_loss:.2f}  {speed:.0f}× real time  {_left(event.remaining_s)}",
                )
            case m.VQEpochMetrics():
                self._epoch_of_codec(event)
            case m.VQTrainingCompleteEvent():
                how = "stopped after" if event.cancelled else "trained for"
                distance = m.checked("distance", event.is_held_out)
                good(f"Codec {how} {_epochs(event.epochs_trained)}: {distance} {event.best_val_loss:.2f}")
                levels_table(named_levels(event.levels))
            case m.RefinementStepMetrics():
                self._training_step(
                    "Second stage",
                    event.progress,
                    f"mel {event.mel_loss:.2f}  features {event.feature_loss:.2f}  adversarial {event.adversarial_loss:.2f}  "
                    f"{_left(event.remaining_s)}",
                )
            case m.RefinementEpochMetrics():
                note(
                    f"second {_count(event.epoch, event.total_epochs)}  mel {event.mel_loss:.2f}  "
                    f"features {event.feature_loss:.2f}  adversarial {event.adversarial_loss:.2f}  "
                    f"{_check(event.is_held_out)} {event.val_mel:.2f}"
                )
            case m.RefinementCompleteEvent():
                self._end_of_refinement(event)
            case m.ExtractionProgress():
                self.progress("Encoding the recordings", event.done, event.total)
            case m.PriorStepMetrics():
                speed = event.tokens / max(event.step_time_s, 1e-6)
                self._training_step(
                    "Prior",
                    event.progress,
                    f"loss {event.train_loss:.2f}  {speed:.0f} tokens/s  {_left(event.remaining_s)}",
                )
            case m.PriorEpochMetrics():
                self._epoch_of_prior(event)
            case m.PriorTrainingCompleteEvent():
                perplexity = m.checked("perplexity", event.is_held_out)
                good(f"Prior trained for {_epochs(event.epochs_trained)}: {perplexity} {event.best_perplexity:.1f}")
            case m.PriorChosenEvent():
                note(event.text)
            case m.RolledBack():
                warn(event.text)
            case m.Notice() if event.text not in self._told:  # a whole run reports on its corpus twice
                self._told.add(event.text)
                (warn if event.is_warning else note)(event.text)

    def _training_step(self, step: str, share: float, detail: str) -> None:
        self._training = True
        self._move(step, share, detail)

    def _move(self, step: str, share: float, detail: str) -> None:
        is_new = step != self._step
        if is_new or self._task is None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(step, total=1.0, detail="")
            self._step = step
        self._progress.update(self._task, completed=share, detail=visible(detail))
        if self._file is not None and (is_new or time.monotonic() - self._told_at >= _TOLD_EVERY_S):
            self._told_at = time.monotonic()
            aside = self._file.with_suffix(".part")
            # The disk is full, or the page reads the file just now (Windows). It is told again in a moment, and no training is
            # to end for it.
            with contextlib.suppress(OSError):
                aside.write_text(json.dumps({"step": step, "share": share, "detail": detail}), encoding="utf-8")
                aside.replace(self._file)

    def _epoch_of_codec(self, event: "VQEpochMetrics") -> None:
        if not self._explained:
            note("Lower distances are better. Per level: codebook in use·perplexity.", "dim")
            self._explained = True
        trained = f"train {sum(self._distances) / len(self._distances):.2f}  " if self._distances else ""
        self._distances.clear()
        note(
            f"codec {_count(event.epoch, event.total_epochs)}  {trained}"
            f"{_check(event.is_held_out)} {event.val_loss:.2f}  kept {event.best_val_loss:.2f}"
        )
        levels = "  ".join(
            f"{level['name']} {percent(level['utilisation'])}·{level['perplexity']:.0f}"
            for level in named_levels(event.levels)
        )
        is_quantised = any(level.utilisation for level in event.levels)
        note(f"  {levels}" if is_quantised else "  Not quantised yet, so no code is in use.", "dim")
        self._warn_once(event.warning)

    def _end_of_refinement(self, event: "RefinementCompleteEvent") -> None:
        from distill.training.metrics import checked

        distance = checked("distance", event.is_held_out)
        distances = f"{distance} {event.mel_before:.2f} before, {event.mel_after:.2f} after"
        if event.cancelled:
            note(f"Second stage stopped at step {event.steps}; the model is unchanged.")
        elif event.is_kept:
            good(f"Second stage trained for {_epochs(event.epochs_trained)}: {distances}")
        else:
            warn(
                f"Judged by pitch, texture and distance together, the second stage made the codec no better ({distances}), so "
                "the model keeps its earlier decoder."
            )

    def _epoch_of_prior(self, event: "PriorEpochMetrics") -> None:
        note(
            f"prior {_count(event.epoch, event.total_epochs)}  train {event.train_loss:.2f}  "
            f"{_check(event.is_held_out)} {event.val_loss:.2f}  "
            f"perplexity {event.val_perplexity:.1f}  best {event.best_perplexity:.1f}"
        )
        self._warn_once(event.memorization_message or event.overfitting_message)

    def _warn_once(self, text: str) -> None:
        kind = text[:20]
        if text and kind != self._warned:
            warn(text)
        self._warned = kind


def _count(epoch: int, total: int) -> str:
    return f"{epoch}/{total}".rjust(7)


def _check(is_held_out: bool) -> str:
    """What an epoch's second figure is measured on; where nothing is held out it is a check on the training recordings."""
    return "held-out" if is_held_out else "check"


def _epochs(count: int) -> str:
    return counted(count, "epoch") if count else "less than an epoch"


def _left(seconds: float) -> str:
    return f"{about(seconds)} left"
