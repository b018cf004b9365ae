"""Ctrl-C, requests to end, and a terminal that is closed: what each does to a command at work."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SAME_REQUEST_S = 2.0


class AskedToEnd(KeyboardInterrupt):
    """Ctrl-C by another way: a request that reaches this process alone, and none of those that it has started."""

    def __str__(self) -> str:
        return "Ended at once, as another program or a closed terminal asked."


@contextmanager
def ending_in_order() -> Iterator[None]:
    """A request to end (SIGTERM), or a terminal that is closed (SIGHUP), ends the block as Ctrl-C does.

    Left to the system they would end the process on the spot, and what is half-written would stay.
    """

    def asked(_: int, __: FrameType | None) -> None:
        raise AskedToEnd

    numbers = [
        getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
    ]  # Windows has no SIGHUP
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # only there can signals be heard
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:  # what is started under nohup shall outlast its terminal
            signal.signal(number, asked)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_on_interrupt(is_training: Callable[[], bool], tell: Callable[[str], None]) -> Iterator[threading.Event]:
    """In training the first Ctrl-C asks to stop and keep what is best so far; otherwise, and the second time, it ends at once.

    A polite request to end (SIGTERM) counts as Ctrl-C; a moment after one it is the same request, handed on by a sweep.

    Args:
        tell: gets a sentence when the training is asked to stop.
    """
    cancel = threading.Event()
    last = 0, -math.inf

    def interrupted(number: int, _: FrameType | None) -> None:
        nonlocal last
        before, last = last, (number, time.monotonic())
        if cancel.is_set() and number != before[0] and last[1] - before[1] < _SAME_REQUEST_S:
            return
        if cancel.is_set() or not is_training():
            raise KeyboardInterrupt if number == signal.SIGINT else AskedToEnd
        cancel.set()
        tell("Stopping after this step; what was learned so far is kept. Press Ctrl-C again to end at once.")

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
