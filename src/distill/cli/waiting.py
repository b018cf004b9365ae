"""A sign of life while a command has nothing to say yet: loading PyTorch alone takes a second, and three on a busy computer."""

import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

DELAY_S = 0.7
"""What is done by then needs no sign."""
_EVERY_S = 0.1
_SIGNS, _PLAIN_SIGNS = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"


class Waiting:
    """A line on a terminal that says for how long a command has been at work. It goes as soon as there is something to say."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def on(self, terminal: TextIO) -> Iterator[None]:
        """Shows the line after ``DELAY_S``, until :meth:`end` or the block's end; nothing where it is no terminal."""
        if self._thread is not None or not terminal.isatty() or os.environ.get("TERM") == "dumb":
            yield
            return
        self._over.clear()
        self._thread = threading.Thread(target=self._draw, args=(terminal,), daemon=True)
        self._thread.start()
        try:
            yield
        finally:
            self.end()
            self._thread = None

    def end(self) -> None:
        """Takes the line away for good, before anything else is written."""
        if self._thread is not None:
            self._over.set()
            self._thread.join()

    def _draw(self, terminal: TextIO) -> None:
        began, shown = time.monotonic(), ""
        if self._over.wait(DELAY_S):
            return
        signs = _SIGNS if (terminal.encoding or "").lower().startswith("utf") else _PLAIN_SIGNS
        for sign in itertools.cycle(signs):
            shown = f"{sign} Working  {time.monotonic() - began:.0f} s"
            terminal.write(f"\r{shown}")
            terminal.flush()
            if self._over.wait(_EVERY_S):
                break
        terminal.write(f"\r{' ' * len(shown)}\r")
        terminal.flush()
