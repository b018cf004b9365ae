"""When a loop's state is written to disk: early, about once a minute, and when training stops."""

import time
from collections.abc import Callable
from pathlib import Path

from distill.errors import OutputError
from distill.training.metrics import MetricsCallback, Notice
from distill.training.state import TrainingState, save_state

SAVE_EVERY_S = 60.0
FIRST_SAVE_S = 10.0
GOOD_MOMENT = 0.8
"""From this share of the interval on, a moment at which the state is a third smaller is taken."""


class Checkpoint:
    """The file a loop can be resumed from. Without a path nothing is written.

    A disk that is full, or away, costs the chance to resume from this moment and nothing else: the last good file stays,
    the person is told, and training goes on.
    """

    def __init__(
        self,
        path: Path | None,
        kind: str,
        take: Callable[[], TrainingState],
        callback: MetricsCallback | None = None,
        *,
        every_s: float = SAVE_EVERY_S,
    ) -> None:
        self._path, self._kind, self._take, self._callback, self._every_s = path, kind, take, callback, every_s
        self._last, self._wait = time.monotonic(), min(FIRST_SAVE_S, every_s)
        if path is not None and path.parent.is_dir():
            for torn in path.parent.glob(".distill-*.part*"):  # of a process that was killed while it wrote
                torn.unlink(missing_ok=True)

    def save_if_due(self, *, is_small: bool = False) -> None:
        """Writes the state if the last time is long enough ago; a little earlier if it happens to be small."""
        if time.monotonic() - self._last >= (GOOD_MOMENT if is_small else 1.0) * self._wait:
            self.save()

    def save(self) -> None:
        """Writes the state now."""
        if self._path is None:
            return
        try:
            save_state(self._path, self._kind, self._take())
        except OutputError as error:
            if self._callback is not None:
                self._callback(
                    Notice(
                        f"The state to resume from was not saved: {error.what} Training goes on. {error.fix}",
                        is_warning=True,
                    )
                )
        self._last, self._wait = time.monotonic(), self._every_s
