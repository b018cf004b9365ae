"""Events on disk: a JSON-lines file a stage, written as training goes on, and read to follow or draw a run again.

    runs/NAME-DATE/     codec.jsonl   refinement.jsonl   prior.jsonl

Each stage has a file of its own, so that going on with one never cuts what another reported.
"""

import dataclasses
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from distill.errors import OutputError
from distill.files.atomic import make_folder, output_error
from distill.models.health import LevelHealth
from distill.training.metrics import (
    ExtractionProgress,
    Notice,
    PriorChosenEvent,
    PriorEpochMetrics,
    PriorStepMetrics,
    PriorTrainingCompleteEvent,
    RefinementCompleteEvent,
    RefinementEpochMetrics,
    RefinementStepMetrics,
    RolledBack,
    TrainingEvent,
    VQEpochMetrics,
    VQStepMetrics,
    VQTrainingCompleteEvent,
)

STAGES = ("codec", "refinement", "prior")
"""In the order in which they are trained."""
_BEGINNINGS = {"VQ": "codec", "Refinement": "refinement", "Prior": "prior", "Extraction": "prior"}
_EVENT = b'{"event": "'
STEP = tuple(b'%s%sStepMetrics"' % (_EVENT, name) for name in (b"VQ", b"Refinement", b"Prior"))
EXTRACTION = _EVENT + b'ExtractionProgress"'
"""How the lines begin that there are most of: whoever follows a log need not parse all of them."""

_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        VQStepMetrics,
        VQEpochMetrics,
        VQTrainingCompleteEvent,
        RefinementStepMetrics,
        RefinementEpochMetrics,
        RefinementCompleteEvent,
        ExtractionProgress,
        PriorStepMetrics,
        PriorEpochMetrics,
        PriorTrainingCompleteEvent,
        PriorChosenEvent,
        Notice,
        RolledBack,
    )
}


@dataclass(frozen=True)
class Mark:
    """How far a log has been read."""

    offset: int = 0
    """Bytes of whole lines."""
    length: int = 0
    """The length of the last of these lines, in bytes."""
    checksum: int = 0
    """CRC-32 of that line."""


class EventLog:
    """Appends events to a JSON-lines file, each written at once: ``{"event": "VQStepMetrics", ...}``.

    What a full disk refuses waits in memory until there is room again; ``refused`` says so.

    Args:
        keep: where a run goes on, how much of the file counts: what was reported after the state was saved will be reported
            again. Everything counts if not given.
    """

    def __init__(self, path: Path, keep: int | None = None) -> None:
        make_folder(path.parent)
        try:
            self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
            whole = self._file.read()[:keep]
            self._file.truncate(whole.rfind(b"\n") + 1)  # a crash may have cut the last line short
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise output_error(path, error) from error
        self._path, self._waiting = path, b""
        self.refused: OutputError | None = None

    def __call__(self, event: TrainingEvent) -> None:
        line = {"event": type(event).__name__, **dataclasses.asdict(event)}
        self._waiting += json.dumps(line).encode() + b"\n"
        try:
            while self._waiting:
                self._waiting = self._waiting[self._file.write(self._waiting) :]
            self.refused = None
        except OSError as error:
            self.refused = output_error(self._path, error)

    @property
    def position(self) -> int:
        """Bytes of all events so far."""
        return self._file.tell() + len(self._waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def events_file(run_folder: Path, stage: str) -> Path:
    """Where a stage of a run reports."""
    return run_folder / f"{stage}.jsonl"


def state_file(run_folder: Path, stage: str) -> Path:
    """Where the state of a stage of a run is saved."""
    return run_folder / f"{stage}.state"


def read_events(path: Path) -> Iterator[TrainingEvent]:
    """The events of a JSON-lines file, in order.

    A last line cut short by a crash is left out, and so is what a newer version reports and this one does not know.
    """
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n") and (event := parse_event(line)) is not None:
                yield event


def read_on(log: Path, mark: Mark, most: int = -1) -> tuple[Mark, bool, list[bytes]]:
    """Reads a log on from a mark, or from its beginning where it does not hold the marked line any more.

    Args:
        mark: ``Mark()`` for a log that has not been read yet.
        most: bytes of new lines to read on by, at most; all there are if not given.

    Returns:
        How far the log is read then, whether it was read from its beginning, and the whole lines that are new.

    Raises:
        FileNotFoundError: if there is no log.
    """
    with log.open("rb") as file:
        file.seek(mark.offset - mark.length)
        marked = file.read(mark.length)
        is_known = len(marked) == mark.length > 0 and zlib.crc32(marked) == mark.checksum
        if not is_known:
            mark = Mark()
            file.seek(0)
        content = file.read(most) if is_known else file.read()
    end = content.rfind(b"\n") + 1
    if not end:
        return mark, not is_known, []
    last = content[content.rfind(b"\n", 0, end - 1) + 1 : end]
    return Mark(mark.offset + end, len(last), zlib.crc32(last)), not is_known, content[:end].splitlines()


def read_run(run_folder: Path) -> Iterator[TrainingEvent]:
    """The events of all stages of a run, one stage after the other."""
    for stage in STAGES:
        path = events_file(run_folder, stage)
        if path.exists():
            yield from read_events(path)


def parse_event(line: bytes) -> TrainingEvent | None:
    """The event of one line; None for one that this version does not know.

    A newer version may have given a kind of event further fields; they are left out.
    """
    try:
        fields = json.loads(line)
        kind = _KINDS[fields.pop("event")]
        known = {field.name for field in dataclasses.fields(kind)}
        fields = {name: value for name, value in fields.items() if name in known}
        if "levels" in fields:
            fields["levels"] = tuple(LevelHealth(**level) for level in fields["levels"])
        if "level_losses" in fields:
            fields["level_losses"] = tuple(fields["level_losses"])
        event: TrainingEvent = kind(**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return event


def stage_of_event(name: str) -> str | None:
    """The stage that reports events of that name; None for those that every stage reports, as notices."""
    return next((stage for beginning, stage in _BEGINNINGS.items() if name.startswith(beginning)), None)
