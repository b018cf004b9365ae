"""What the first rank decides for all: what time it is, and whether to stop.

Learning rate, end of the run and end of an epoch all follow from the time, so all ranks must read the same clock. It stands
still between two steps; with one process it is the clock on the wall.
"""

import time
from typing import Protocol

from distill.models import ranks


class Stop(Protocol):
    """Says whether a training is to stop; ``threading.Event`` is one."""

    def is_set(self) -> bool:
        """Whether it is."""


class Agreement:
    """The time and the stop as all ranks know them.

    Args:
        stop: what the person asks for, on the first rank.
    """

    def __init__(self, stop: Stop | None = None) -> None:
        self._stop = stop
        self.renew()

    def renew(self) -> None:
        """The first rank says what time it is now, and whether to stop; all ranks come here at the same step."""
        self._now, stops = ranks.from_first([time.monotonic(), float(self._stop is not None and self._stop.is_set())])
        self._stops = bool(stops)

    def time(self) -> float:
        """Seconds of a clock that never goes back."""
        return time.monotonic() if ranks.size() == 1 else self._now

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._stops if ranks.size() > 1 else self._stop is not None and self._stop.is_set()
