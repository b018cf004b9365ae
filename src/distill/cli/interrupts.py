"""Ctrl-C, requests to end, and a terminal that is closed: what each does to a command at work."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SAME_REQUEST_S = 2.0
_HANGUP = getattr(signal, "SIGHUP", None)
"""Windows has none."""


class AskedToEnd(KeyboardInterrupt):
    """Ctrl-C by another way: a request that reaches this process alone, and none of those that it has started."""

    def __str__(self) -> str:
        return "Ended at once, as another program or a closed terminal asked."


@contextmanager
def ending_in_order() -> Iterator[None]:
    """A request to end (SIGTERM), or a terminal that is closed (SIGHUP), ends the block as Ctrl-C does.

    Left to the system they would end the process on the spot, and what is half-written would stay.
    """

    terminals = _terminals()

    def asked(number: int, _: FrameType | None) -> None:
        if number == _HANGUP:
            _hung_up(terminals)
        raise AskedToEnd

    # Only the main thread hears signals.
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in ((signal.SIGTERM, *_hangup()) if is_main else ())}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, asked)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_on_interrupt(is_training: Callable[[], bool], tell: Callable[[str], None]) -> Iterator[threading.Event]:
    """In training the first Ctrl-C asks to stop and keep what is best so far; otherwise, and the second time, it ends at once.

    A polite request to end (SIGTERM) or a closed terminal (SIGHUP) counts as Ctrl-C; a moment after one it is the same request,
    handed on by a sweep.

    Args:
        tell: gets a sentence when the training is asked to stop.
    """
    cancel = threading.Event()
    last, terminals = (0, -math.inf), _terminals()

    def interrupted(number: int, _: FrameType | None) -> None:
        nonlocal last
        if number == _HANGUP:
            _hung_up(terminals)
        before, last = last, (number, time.monotonic())
        if cancel.is_set() and number != before[0] and last[1] - before[1] < _SAME_REQUEST_S:
            return
        if cancel.is_set() or not is_training():
            raise KeyboardInterrupt if number == signal.SIGINT else AskedToEnd
        cancel.set()
        tell("Stopping after this step; what was learned so far is kept. Press Ctrl-C again to end at once.")

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM, *_hangup())}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not signal.SIG_IGN:  # as after a terminal is gone
                signal.signal(number, handler)


def leave(*streams: int) -> None:
    """What is still written to these goes nowhere, as nobody reads it any more and to write it would be an error.

    Args:
        streams: their file descriptors.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _hung_up(terminals: list[int]) -> None:
    """The terminal is gone. That is told twice: by the shell, and by the system as the shell ends."""
    leave(*terminals)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _terminals() -> list[int]:
    """Those of stdout and stderr that are a terminal; once it is closed they do not tell any more."""
    return [stream for stream in (1, 2) if os.isatty(stream)]


def _hangup() -> tuple[signal.Signals, ...]:
    """The signal of a closed terminal, where there is one; what is started under nohup shall outlast it."""
    return () if _HANGUP is None or signal.getsignal(_HANGUP) is signal.SIG_IGN else (_HANGUP,)
