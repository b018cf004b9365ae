"""A training while it runs in a terminal: on screen, in the tools it is watched with, and stopped by Ctrl-C."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from distill.cli.console import note, stop_on_interrupt
from distill.cli.training_view import TrainingView

if TYPE_CHECKING:
    from distill.audio.corpus import Corpus
    from distill.runs.watching import Watching
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
        from distill.audio.corpus import import_corpus

        return import_corpus(folder, channels=channels, progress=self.view.counting("Reading"), ahead=note)


@contextmanager
def watched(watching: "Watching", run_name: Callable[[], str]) -> Iterator[Watched]:
    """While the block lasts its training is shown, and an interrupt stops it as :func:`stop_on_interrupt` says.

    Args:
        watching: the tools it is also watched in.
        run_name: of the run's folder; called when the first event comes.
    """
    with (
        TrainingView() as view,
        watching.tell(view, run_name) as tell,
        stop_on_interrupt(view.is_training) as cancel,
    ):
        yield Watched(view, tell, cancel)
