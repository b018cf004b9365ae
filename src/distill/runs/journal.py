"""Notes in the library about Distill's own work: every run as it begins and ends, every new piece, and their models.

Nothing else writes to the library during a run, and a library that cannot be written to never stops one: a warning says so
and the work goes on.
"""

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import soundfile

from distill.errors import DistillError
from distill.files.names import sole_writer
from distill.files.process import this_process
from distill.files.regular import absolute
from distill.library import Library, RunRecord
from distill.library.records import ENDED_AT_ONCE
from distill.runs.events import EventLog, read_events, stage_of_event
from distill.runs.status import records_of
from distill.training import metrics as m
from distill.training.metrics import MetricsCallback, Notice, TrainingEvent


class Recorded:
    """A training that is being noted: its log, and what is kept of its events, the curves and the result."""

    def __init__(self, log: EventLog, callback: MetricsCallback | None) -> None:
        self.log, self._callback = log, callback
        self.can_go_on: bool | None = None
        """Whether a stop leaves anything to go on with: one in the last seconds may come too late. None: it always does."""
        self._was_refused = False
        self._figures: dict[str, Any] = {}
        self._curves: dict[str, list[float]] = {}

    def tell(self, event: TrainingEvent) -> None:
        """Logs an event, remembers it, and hands it on. That the log cannot be written is said once, until it can be again."""
        self.log(event)
        self.remember([event])
        if self._callback is not None:
            self._callback(event)
            if self.log.refused and not self._was_refused:
                words = f"{self.log.refused.what} Training goes on. {self.log.refused.fix}"
                self._callback(Notice(words, is_warning=True))
        self._was_refused = self.log.refused is not None

    def remember(self, events: Iterable[TrainingEvent]) -> None:
        """Takes up what is kept of events."""
        for event in events:
            match event:
                case m.VQEpochMetrics():
                    self._draw(train_loss=event.train_loss, val_loss=event.val_loss)
                case m.PriorEpochMetrics():
                    self._draw(train_loss=event.train_loss, val_loss=event.val_loss, perplexity=event.val_perplexity)
                case m.RefinementEpochMetrics():
                    self._draw(train_mel=event.mel_loss, val_mel=event.val_mel)
                case m.VQTrainingCompleteEvent() | m.PriorTrainingCompleteEvent() | m.RefinementCompleteEvent():
                    self._figures = dataclasses.asdict(event)
                    self._figures.pop("levels", None)

    def _draw(self, **values: float) -> None:
        for name, value in values.items():
            self._curves.setdefault(name, []).append(value)

    def ended(self, run: RunRecord, outcome: str, message: str = "") -> RunRecord:
        """The record of the run, which ends now."""
        return dataclasses.replace(
            run, ended=_now(), outcome=outcome, message=message, figures=self._figures, curves=self._curves
        )


@contextmanager
def recorded_run(
    kind: str,
    model_path: Path,
    folder: Path,
    events: Path,
    settings: Mapping[str, Any],
    callback: MetricsCallback | None,
    cancel_event: Event | None,
    *,
    keep: int | None = None,
) -> Iterator[Recorded]:
    """A training that is noted in the library.

    The model is to be written within the block.

    Args:
        kind: ``codec``, ``refinement`` or ``prior``.
        events: the JSON-lines file for its events.
        keep: where a training goes on, how many bytes of that file count (:class:`EventLog`).

    Raises:
        OutputError: if another process trains in the folder of the events.
    """
    library = Noting(callback)
    model, recordings, log_file = (str(absolute(path)) for path in (model_path, folder, events))
    started = _after_those_before(events.parent)
    run = RunRecord(kind, model, recordings, log_file, started, dict(settings), process=this_process())
    had_model = kind != "codec"
    with sole_writer(events.parent), ExitStack() as stack:
        recorded = Recorded(stack.enter_context(EventLog(events, keep)), callback)
        library.save(run, had_model)
        if keep is not None:
            # Whoever calls a stage may let it report to a file that others share.
            recorded.remember(event for event in read_events(events) if stage_of_event(type(event).__name__) == kind)
        try:
            yield recorded
        except BaseException as error:
            library.save(recorded.ended(run, *_broken_off(error)), had_model)
            raise
        stopped = cancel_event is not None and cancel_event.is_set() and recorded.can_go_on is not False
        library.save(recorded.ended(run, "stopped" if stopped else "finished"), True)


def _broken_off(error: BaseException) -> tuple[str, str]:
    """The outcome of a run that an error ended, and why, in words."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", str(error) or ENDED_AT_ONCE
    if isinstance(error, DistillError):
        return "failed", error.what
    return "failed", f"{type(error).__name__}: {error}".rstrip(": ")


class Noting:
    """Writes to the library, or says once that it could not."""

    def __init__(self, callback: MetricsCallback | None) -> None:
        self._callback = callback
        self._has_warned = False

    def save(self, run: RunRecord, has_model: bool) -> None:
        """Notes a run, and the model file as it is now, where there is one already."""

        def note(library: Library) -> None:
            origin = library.note_model(Path(run.model)).origin if has_model else None
            library.save_run(dataclasses.replace(run, origin=origin))

        self.note(note)

    def note(self, work: Callable[[Library], None]) -> None:
        try:
            work(Library(self._tell))
        except (DistillError, OSError, soundfile.SoundFileError) as error:
            if not self._has_warned:
                self._tell(f"This is not noted in the library, but the work goes on. {error}")
            self._has_warned = True

    def _tell(self, text: str) -> None:
        if self._callback is not None:
            self._callback(Notice(text, is_warning=True))
        else:
            warnings.warn(text, stacklevel=2)


def _after_those_before(run_folder: Path) -> str:
    """Now; or a moment after what was begun in that folder before, if the clock was set back since: the last is the newest."""
    last, now = max((one.started for one in records_of(run_folder)), default=""), _now()
    if last < now:
        return now
    return (datetime.fromisoformat(last) + timedelta(microseconds=1)).isoformat(timespec="microseconds")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
