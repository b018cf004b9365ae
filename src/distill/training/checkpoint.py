"""When a loop's state is saved: soon after the start, about once a minute, and when training stops."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from distill.errors import OutputError
from distill.files.leftovers import clear_parts
from distill.files.regular import is_folder
from distill.models import ranks
from distill.training.loop_state import State
from distill.training.metrics import MetricsCallback, Notice
from distill.training.plan import Plan
from distill.training.state_file import SavedState, save_state
from distill.training.wrapped import Wrapped

GOOD_MOMENT = 0.8
"""After this share of the interval a state is saved early if it is a third smaller, as right after a good state."""


@dataclass(frozen=True)
class StateFile:
    """Where a run's state is saved, and the state it resumes from."""

    path: Path | None = None
    """Written during training and at its end; None to save nothing."""
    resumed: SavedState | None = None
    """A saved state to resume from. On a CPU, a run that ends by epochs then has the same weights, bit for bit, as one that
    was never stopped."""
    about: Callable[[], Mapping[str, Any]] = dict
    """Called each time the state is saved; returns further values of the caller to save in it."""


class Checkpoint:
    """Saves the state of a run when it is time.

    If the disk is full or gone, the last good file stays, a warning is sent, and training goes on.

    Args:
        kind: the kind of loop (``Plan.STATE_KIND``).
        facts: further values of the state, which do not change.
    """

    def __init__(
        self,
        file: StateFile,
        kind: str,
        state: State[Wrapped[nn.Module]],
        facts: Mapping[str, Any],
        plan: Plan,
        callback: MetricsCallback,
    ) -> None:
        self._file, self._kind, self._state, self._callback = file, kind, state, callback
        self._facts = {**facts, "plan": plan.values()}
        self._every_s, self._first_s = plan.save_every_s, min(plan.first_save_s, plan.save_every_s)
        self.begin_anew()
        if file.path is not None and is_folder(file.path.parent):
            clear_parts(file.path.parent)

    def begin_anew(self) -> None:
        """Saves the next state as early as the first one of a run."""
        self._last, self._wait = time.monotonic(), self._first_s

    def save_if_due(self) -> bool:
        """Saves the state if the last time is long enough ago, a little earlier if it is small; returns whether it did."""
        is_due = time.monotonic() - self._last >= (GOOD_MOMENT if self._state.is_at_good_state else 1.0) * self._wait
        if is_due:
            self.save()
        return is_due

    def save(self) -> None:
        """Saves the state now, on the first rank."""
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
        """Saves the state of a finished run, so that it can be trained further."""
        self._state.finished = True
        self._state.mark_good()
        self.save()
