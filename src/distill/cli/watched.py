"""A training while it runs in a terminal: on screen, in the tools it is watched with, and stopped by Ctrl-C."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from distill.cli.console import note, place, warn
from distill.cli.interrupts import stop_on_interrupt
from distill.cli.training_view import TrainingView
from distill.errors import CorpusError, DistillError
from distill.files.process import this_process
from distill.runs.watching import Watching

if TYPE_CHECKING:
    from distill.recordings.corpus import Corpus
    from distill.training.metrics import MetricsCallback


@dataclass(frozen=True)
class Watched:
    """What a training is given by whoever watches it."""

    view: TrainingView
    tell: "MetricsCallback"
    """Gets every event."""
    cancel: Event
    """Set by the first Ctrl-C in training."""

    def read(self, folder: Path, channels: int | None) -> "Corpus":
        """The recordings, with progress, and what is left out."""
        from distill.recordings.corpus import import_corpus

        return import_corpus(folder, channels=channels, progress=self.view.counting("Reading"), ahead=note)


def still_there(folder: Path, kind: str, run: Path, model: Path | None = None) -> Path:
    """The folder that a training was trained on, for one that goes on and was given none.

    Args:
        kind, run, model: of the training, as in :func:`distill.runs.status.where_recordings`.

    Raises:
        CorpusError: if it is gone, with how to say where the recordings are now.
    """
    from distill.runs.status import where_recordings

    if not os.path.lexists(folder):
        raise CorpusError(*where_recordings(folder, kind, run, model))
    return folder


@contextmanager
def _naming_what_goes_on() -> Iterator[None]:
    """After an error in the block, such as a full disk at the end of a night, what goes on from where its training came."""
    try:
        yield
    except (DistillError, OSError):
        from distill.files.names import run_folders
        from distill.runs.status import look, records_of

        for folder in run_folders():
            records = records_of(folder)
            if records and records[-1].process == this_process() and (words := (run := look(folder)).next_command):
                place("Next" if run.state == "finished" else "Go on", words)
        raise


@contextmanager
def watched(watching: Watching, run_name: Callable[[], str]) -> Iterator[Watched]:
    """While the block lasts its training is shown, and an interrupt stops it as :func:`stop_on_interrupt` says.

    Args:
        watching: the tools it is also watched in.
        run_name: of the run's folder; called when the first event of a stage comes.
    """
    with (
        _naming_what_goes_on(),
        TrainingView() as view,
        watching.tell(view, run_name) as tell,
        stop_on_interrupt(view.is_training, warn) as cancel,
    ):
        yield Watched(view, tell, cancel)
