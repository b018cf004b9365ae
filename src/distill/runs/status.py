"""Where a run stands, from its files alone: which stage, how far, its curves, and whether its process lives.

    status = look(run_folder)             everything there is
    status = look(run_folder, status)     a moment later: only what was written since is read

A log may be cut while it is followed, as a stage that goes on from its saved state first drops what it reported after it. So
the length of the log and the checksum of the last line read are compared before reading goes on; where they do not fit, the
log is read from its beginning. Needs no PyTorch.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from distill.errors import ModelFileError
from distill.files.names import command, last_written
from distill.files.process import lives
from distill.library.records import RunRecord, recovered
from distill.models.header import read_header
from distill.runs.anew import begin_again
from distill.runs.events import (
    EXTRACTION,
    STAGES,
    STEP,
    Mark,
    events_file,
    parse_event,
    read_on,
    state_file,
)
from distill.runs.renamed import found_model
from distill.training import metrics as m

MOST_POINTS = 2000
"""A curve has no more; where there were more steps, every second, fourth, eighth, … of them is kept."""
BEGIN_AGAIN = "Begin again with: "
_StepEvent = m.VQStepMetrics | m.RefinementStepMetrics | m.PriorStepMetrics
_EpochEvent = m.VQEpochMetrics | m.RefinementEpochMetrics | m.PriorEpochMetrics
_RECORD_FIELDS = {field.name for field in dataclasses.fields(RunRecord)}


def has_prior(model: Path) -> bool:
    """Whether a model has a prior; not where its file cannot be read."""
    try:
        return read_header(model).has_prior
    except ModelFileError:  # what is wrong with it, the next command on it says
        return False


@dataclass(frozen=True)
class Curve:
    """A value over steps or epochs, at most ``MOST_POINTS`` of it."""

    at: tuple[int, ...] = ()
    """Steps or epochs."""
    values: tuple[float, ...] = ()
    reported: int = 0
    """How many there were in all."""

    def extended(self, count: int, point: Callable[[int], tuple[int, float] | None]) -> "Curve":
        """With ``count`` more points; only those that are kept are asked for, by their number from 0 to ``count`` - 1.

        However often a curve is extended, it holds the same points as one that is made at once.
        """
        now, then = _stride(self.reported), _stride(self.reported + count)
        more = [found for number in range(-self.reported % then, count, then) if (found := point(number)) is not None]
        at, values = self.at[:: then // now], self.values[:: then // now]
        return Curve(
            at + tuple(place for place, _ in more), values + tuple(value for _, value in more), self.reported + count
        )


@dataclass(frozen=True)
class StageStatus:
    """How far one stage is, by what it reported."""

    name: str
    """``codec``, ``refinement`` or ``prior``."""
    step: int = 0
    total_steps: int = 0
    """As planned now; with a limit of time it is an estimate."""
    epoch: int = 0
    total_epochs: int = 0
    progress: float = 0.0
    """Share that is done, 0 to 1."""
    remaining_s: float | None = None
    """None before the first step and after the last."""
    is_complete: bool = False
    """Whether training came to its end. What was stopped or failed before that is not complete."""
    extracted: tuple[int, int] | None = None
    """Recordings encoded and in all, while the prior waits for its codes."""
    warning: str = ""
    """The last one."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """``train`` over steps: the loss, or the mel distance of a second stage. ``held_out`` over epochs, and ``perplexity`` of a
    prior."""


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands."""

    run_folder: Path
    stages: tuple[StageStatus, ...]
    """Those that have begun, in the order in which they are trained."""
    records: tuple[RunRecord, ...]
    """The last training of each stage, the one begun last at the end."""
    marks: Mapping[str, Mark]
    """How far each log has been read, by its name."""

    @property
    def record(self) -> RunRecord | None:
        """The training begun last; None where the library noted nothing of the run."""
        return self.records[-1] if self.records else None

    @property
    def stage(self) -> StageStatus | None:
        """The stage trained last."""
        named = {stage.name: stage for stage in self.stages}
        if self.record is not None:
            return named.get(self.record.kind)
        return self.stages[-1] if self.stages else None

    @cached_property
    def state(self) -> str:
        """``running``, ``stopped``, ``interrupted``, ``failed``, ``finished`` or ``unknown``.

        A training whose process is gone without a word counts as interrupted: it was killed, or the machine went down.
        """
        if self.record is None:
            return "unknown"
        if self.record.outcome != "unfinished":
            return self.record.outcome
        is_alive = lives(self.record.process)
        return "unknown" if is_alive is None else "running" if is_alive else "interrupted"

    @property
    def next_command(self) -> str:
        """What to type to go on; empty while the run is at work, and where there is nothing to go on from."""
        if self.record is None or self.state == "running":
            return ""
        model, kind = found_model(self.record), self.record.kind
        if self.state == "finished" and model is not None:
            if kind == "prior" or (kind == "refinement" and has_prior(model)):
                return command("distill", "generate", model)
            return command("distill", "train-prior", model, self.record.folder)
        if not self.has_state or (model is None and self.needs_model):
            return ""
        return command("distill", _verb(kind), "--resume", model or self.run_folder)

    @property
    def message(self) -> str:
        """What went wrong, and where nothing was saved before that, how to begin again; or that the model is not where it was,
        and what goes on needs it; empty otherwise."""
        if self.record is None:
            return ""
        can_go_on = self.has_state and self.state in ("stopped", "interrupted", "failed")
        if can_go_on and self.needs_model and found_model(self.record) is None:
            return f"{self.record.message} {' '.join(where_is(Path(self.record.model), self.record.kind))}".lstrip()
        if self.state not in ("interrupted", "failed") or self.has_state:
            return self.record.message
        words = "Stopped before anything was saved; there is nothing to go on from."
        if self.state == "failed":
            words = f"{self.record.message} {words}".lstrip()
        return f"{words} {BEGIN_AGAIN}{begin_again(self.record)}"

    @property
    def has_state(self) -> bool:
        """Whether the state of the training begun last is kept, so that it can go on."""
        return self.record is not None and state_file(self.run_folder, self.record.kind).exists()

    @property
    def needs_model(self) -> bool:
        """Whether it goes on from its model, of which the run holds none: only a codec's first stage begins without one."""
        is_first = self.record is not None and self.record.kind == "codec"
        return not is_first or state_file(self.run_folder, "refinement").exists()


def where_is(model: Path, kind: str) -> tuple[str, str]:
    """That a model is not where its training left it, and how it goes on from where it is now.

    Args:
        kind: of the training.
    """
    words = command("distill", _verb(kind), "--resume", "MODEL")
    return (
        f"{model} was moved or deleted, and its training goes on from it.",
        f"Give the model where it is now: {words}",
    )


def where_recordings(folder: Path, kind: str, run: Path, model: Path | None = None) -> tuple[str, str]:
    """That the recordings are not where a training had them, and how it goes on with them where they are now.

    Args:
        kind: of the training.
        run: what it goes on from, a run or a model.
        model: that of a prior, which is named before the folder.
    """
    words = command("distill", _verb(kind), "--resume", run, *([model] if model is not None else []), "FOLDER")
    return f"It was trained on {folder}, which is not there now.", f"Say where the recordings are now: {words}"


def look(run_folder: Path, before: RunStatus | None = None) -> RunStatus:
    """Where the run stands now.

    Args:
        before: what an earlier look at the same run found; only what was written since is read.
    """
    stages = {} if before is None else {stage.name: stage for stage in before.stages}
    marks = {} if before is None else before.marks
    read: dict[str, Mark] = {}
    logs = {stage: path for stage in STAGES if (path := events_file(run_folder, stage)).exists()}
    for stage, path in logs.items():
        mark, is_new, lines = read_on(path, marks.get(path.name, Mark()))
        read[path.name] = mark
        known = None if is_new else stages.get(stage)
        stages[stage] = _followed(known or StageStatus(stage), lines)
    records = records_of(run_folder)
    for record in records:  # a stage that was asked to stop tells of its end in the same words
        if record.kind in stages and record.outcome in ("stopped", "interrupted", "failed"):
            stages[record.kind] = dataclasses.replace(stages[record.kind], is_complete=False)
    ordered = tuple(stages[name] for name in STAGES if name in stages)
    return RunStatus(run_folder, ordered, records, read)


def records_of(run_folder: Path) -> tuple[RunRecord, ...]:
    """The last training of each stage of a run, the one begun last at the end."""
    newest = {}
    for stage in STAGES:
        by_beginning = sorted(run_folder.glob(f"{stage}-*.json"))  # they are named by that moment
        for path in by_beginning[-1:]:
            try:
                told = recovered(json.loads(path.read_bytes()))
                newest[stage] = RunRecord(**{name: told[name] for name in told.keys() & _RECORD_FIELDS})
            except (OSError, ValueError, TypeError, AttributeError):  # being replaced, or not ours to judge
                continue
    return tuple(sorted(newest.values(), key=lambda record: record.started))


def is_run(folder: Path) -> bool:
    """Whether a training has recorded anything in a folder: its events, its state, or that it began."""
    files = [path(folder, stage) for stage in STAGES for path in (events_file, state_file)]
    return any(file.exists() for file in files) or any(any(folder.glob(f"{stage}-*.json")) for stage in STAGES)


def changed(run_folder: Path) -> datetime:
    """When a run last wrote anything."""
    return datetime.fromtimestamp(last_written(run_folder), UTC)


def _verb(kind: str) -> str:
    return "train-prior" if kind == "prior" else "train"


def _followed(stage: StageStatus, lines: list[bytes]) -> StageStatus:
    """The stage after these lines. Of the steps only those are parsed that the curve keeps, and the last one."""
    steps = [number for number, line in enumerate(lines) if line.startswith(STEP)]
    extractions = [number for number, line in enumerate(lines) if line.startswith(EXTRACTION)]
    skipped = {*steps, *extractions[:-1]}
    last = steps[-1] if steps else -1
    others = [(number, parse_event(line)) for number, line in enumerate(lines) if number not in skipped]
    for event in (event for number, event in others if number < last):
        stage = _after(stage, event)
    if steps:
        stage = _after_steps(stage, [lines[number] for number in steps])
    for event in (event for number, event in others if number > last):
        stage = _after(stage, event)
    epochs = [event for _, event in others if isinstance(event, _EpochEvent)]
    return dataclasses.replace(stage, curves=_with_epochs(stage.curves, epochs)) if epochs else stage


def _after_steps(stage: StageStatus, steps: list[bytes]) -> StageStatus:
    def point(number: int) -> tuple[int, float] | None:
        match parse_event(steps[number]):
            case m.VQStepMetrics() | m.PriorStepMetrics() as event:
                return event.step, event.train_loss
            case m.RefinementStepMetrics() as event:
                return event.step, event.mel_loss
        return None

    curve = stage.curves.get("train", Curve()).extended(len(steps), point)
    stage = dataclasses.replace(stage, curves={**stage.curves, "train": curve})
    last = parse_event(steps[-1])
    if not isinstance(last, _StepEvent):
        return stage
    return dataclasses.replace(
        stage,
        step=last.step,
        total_steps=last.total_steps,
        epoch=last.epoch,
        progress=last.progress,
        remaining_s=last.remaining_s,
        extracted=None,
        is_complete=False,
    )


def _after(stage: StageStatus, event: m.TrainingEvent | None) -> StageStatus:
    match event:
        case m.ExtractionProgress():
            return dataclasses.replace(stage, extracted=(event.done, event.total))
        case m.VQEpochMetrics():
            warning = event.warning or stage.warning
            return dataclasses.replace(stage, epoch=event.epoch, total_epochs=event.total_epochs, warning=warning)
        case m.PriorEpochMetrics():
            warning = event.memorization_message or event.overfitting_message or stage.warning
            return dataclasses.replace(stage, epoch=event.epoch, total_epochs=event.total_epochs, warning=warning)
        case m.RefinementEpochMetrics():
            return dataclasses.replace(stage, epoch=event.epoch, total_epochs=event.total_epochs)
        case m.RolledBack():
            return dataclasses.replace(stage, warning=event.text)
        case m.Notice(is_warning=True):
            return dataclasses.replace(stage, warning=event.text)
        case m.VQTrainingCompleteEvent() | m.RefinementCompleteEvent() | m.PriorTrainingCompleteEvent():
            return dataclasses.replace(stage, is_complete=True, remaining_s=None)
    return stage


def _with_epochs(curves: Mapping[str, Curve], epochs: list[_EpochEvent]) -> dict[str, Curve]:
    figures: dict[str, list[tuple[int, float]]] = {}
    for event in epochs:
        held_out = event.val_mel if isinstance(event, m.RefinementEpochMetrics) else event.val_loss
        figures.setdefault("held_out", []).append((event.epoch, held_out))
        if isinstance(event, m.PriorEpochMetrics):
            figures.setdefault("perplexity", []).append((event.epoch, event.val_perplexity))
    more = {
        name: curves.get(name, Curve()).extended(len(points), points.__getitem__) for name, points in figures.items()
    }
    return {**curves, **more}


def _stride(count: int) -> int:
    """The power of two at which so many points are few enough."""
    stride = 1
    while -(-count // stride) > MOST_POINTS:
        stride *= 2
    return stride
