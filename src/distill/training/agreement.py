"""What the first rank decides for all: the time, and whether to stop.

Learning rate and end of a run depend on the time, so all ranks must read the same clock. With several ranks it only advances
at each :meth:`Agreement.renew`; with one process it is the machine's clock.
"""

from typing import Protocol

from distill import awake
from distill.models import ranks


class Stop(Protocol):
    """A flag that stops a training, such as a ``threading.Event``."""

    def is_set(self) -> bool:
        """Whether to stop."""


class Agreement:
    """Time and stop flag, the same on all ranks.

    Args:
        stop: the flag on the first rank.
    """

    def __init__(self, stop: Stop | None = None) -> None:
        self._stop = stop
        self.renew()

    def renew(self) -> None:
        """Broadcasts the first rank's time and flag; all ranks must call it at the same step."""
        self._now, stops = ranks.broadcast([awake.seconds(), float(self._stop is not None and self._stop.is_set())])
        self._stops = bool(stops)

    def time(self) -> float:
        """Seconds of a monotonic clock, without those in which the process stood still."""
        return awake.seconds() if ranks.world_size() == 1 else self._now

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._stops if ranks.world_size() > 1 else self._stop is not None and self._stop.is_set()
