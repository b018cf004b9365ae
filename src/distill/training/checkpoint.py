"""When a loop's state is written to disk: early, about once a minute, and when training stops."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import OutputError
from distill.models import ranks
from distill.training.metrics import MetricsCallback, Notice
from distill.training.plan import Plan
from distill.training.progress import State
from distill.training.state import TrainingState, save_state

GOOD_MOMENT = 0.8
"""From this share of the interval on, a moment at which the state is a third smaller is taken."""


@dataclass(frozen=True)
class StateFile:
    """Where a run's state is kept, and what it goes on from."""

    path: Path | None = None
    """Written on the way and when training ends or is cancelled; nothing is written without it."""
    resumed: TrainingState | None = None
    """A saved state to go on from. On a CPU, a run that lasts for epochs then ends with the same weights, bit for bit, as if
    it had never stopped."""
    about: Callable[[], Mapping[str, Any]] = dict
    """Gives what the caller wants to find in the state beside the loop's own, each time the state is written."""


class Checkpoint:
    """Writes the state of a run when it is time.

    A disk that is full, or away, costs the chance to resume from this moment and nothing else: the last good file stays,
    the person is told, and training goes on.

    Args:
        kind: which loop the state belongs to.
        facts: values that explain the state and do not change.
    """

    def __init__(
        self,
        file: StateFile,
        kind: str,
        state: State,
        facts: Mapping[str, Any],
        plan: Plan,
        callback: MetricsCallback,
    ) -> None:
        self._file, self._kind, self._state, self._callback = file, kind, state, callback
        self._facts = {**facts, "plan": plan.values()}
        self._every_s, self._first_s = plan.save_every_s, min(plan.first_save_s, plan.save_every_s)
        self.begin_anew()
        if file.path is not None and file.path.parent.is_dir():
            for torn in file.path.parent.glob(".distill-*.part*"):  # of a process that was killed while it wrote
                torn.unlink(missing_ok=True)

    def begin_anew(self) -> None:
        """The next state is written as soon as the first of a run: at its beginning, and where what is trained is new."""
        self._last, self._wait = time.monotonic(), self._first_s

    def save_if_due(self) -> bool:
        """Writes the state if the last time is long enough ago; a little earlier if it happens to be small. Says whether."""
        is_due = time.monotonic() - self._last >= (GOOD_MOMENT if self._state.is_at_good_state else 1.0) * self._wait
        if is_due:
            self.save()
        return is_due

    def save(self) -> None:
        """Writes the state now."""
        if self._file.path is None or not ranks.leads():
            return
        try:
            save_state(
                self._file.path, self._kind, self._state.save({**self._facts, "about": dict(self._file.about())})
            )
        except OutputError as error:
            self._callback(
                Notice(
                    f"The state to resume from was not saved: {error.what} Training goes on. {error.fix}",
                    is_warning=True,
                )
            )
        self._last, self._wait = time.monotonic(), self._every_s

    def save_end(self) -> None:
        """Writes the state of a run that has come to its end, to be given more time one day."""
        self._state.finished = True
        self._state.mark_good()
        self.save()
