"""Events on disk: a JSON-lines file that is written as training goes on, and read to follow or draw a run again."""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from distill.errors import OutputError
from distill.files.atomic import make_folder, output_error
from distill.models.health import LevelHealth
from distill.training.metrics import (
    ExtractionProgress,
    Notice,
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
        Notice,
        RolledBack,
    )
}


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


def read_events(path: Path) -> Iterator[TrainingEvent]:
    """The events of a JSON-lines file, in order. A last line cut short by a crash is left out."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return
            fields = json.loads(line)
            kind = _KINDS[fields.pop("event")]
            if "levels" in fields:
                fields["levels"] = tuple(LevelHealth(**level) for level in fields["levels"])
            if "level_losses" in fields:
                fields["level_losses"] = tuple(fields["level_losses"])
            yield kind(**fields)
