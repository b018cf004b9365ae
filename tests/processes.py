"""Processes and signals that end with the test that began them, also where it fails."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def start_process() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """``start_process(words)``: a process, as ``subprocess.Popen`` starts it, in text; it is killed when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def begin(words: list[str], **how: Any) -> "subprocess.Popen[str]":
        started.append(subprocess.Popen(words, text=True, **how))
        return started[-1]

    yield begin
    for process in started:
        with process:  # which waits for it, and closes what is open to it
            process.kill()


@pytest.fixture
def strike_in() -> Iterator[Callable[[float, int], None]]:
    """``strike_in(seconds, number)``: so much later this process gets that signal, unless the test is over by then."""
    timers: list[threading.Timer] = []

    def begin(seconds: float, number: int) -> None:
        timers.append(threading.Timer(seconds, os.kill, (os.getpid(), number)))
        timers[-1].start()

    yield begin
    for timer in timers:
        timer.cancel()
