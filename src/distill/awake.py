"""A clock that stands still while this process does: a laptop that sleeps, Ctrl-Z, a machine that is paused.

The minutes of a training are for learning. Some systems count a sleep as time and some do not; here it never is.
"""

import threading
import time

HELD_S = 30.0
"""Seconds between two looks at the clock from which they may have been a stand-still; see ``HELD_SHARE``."""
HELD_SHARE = 0.01
"""They were one if this process computed for less than this share of them: no step takes so long and works so little."""


class Awake:
    """Seconds in which this process could work; whoever counts by it looks at it at every step."""

    def __init__(self) -> None:
        self._claim = threading.Lock()
        self._now, self._worked, self._held = time.monotonic(), time.process_time(), 0.0

    def __call__(self) -> float:
        with self._claim:
            now, worked = time.monotonic(), time.process_time()
            gap = now - self._now
            if gap > HELD_S and worked - self._worked < HELD_SHARE * gap:
                self._held += gap
            self._now, self._worked = now, worked
            return now - self._held


seconds = Awake()
"""Of this process."""
