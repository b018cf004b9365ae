"""``distill sweep`` that is asked to end: what it has started is asked too, wherever it runs."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distill.cli import engines
from distill.cli.interrupts import AskedToEnd, ending_in_order
from distill.cli.sweep import _Runner
from distill.evaluation.grid import variants
from distill.evaluation.progress import Progress

pytestmark = pytest.mark.usefixtures("hears_ctrl_c")


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGTERM, AskedToEnd), (signal.SIGINT, KeyboardInterrupt)])
def test_a_request_to_end_reaches_what_it_has_started(
    number: int,
    kind: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    strike_in: Callable[[float, int], None],
) -> None:
    """Guards against a training that goes on for minutes after its sweep was ended; Ctrl-C reaches both by itself, kill -INT
    of the sweep does not."""
    monkeypatch.setattr("distill.cli.engines._COMMAND", ("-c", "import time; time.sleep(60)"))
    begun = time.monotonic()
    runner = _Runner(Path("recordings"), Path("out"), 1.0, [], engines.here, Progress(Path("out"), {}))
    with ending_in_order():
        strike_in(1.0, number)
        with pytest.raises(kind):
            runner.all(variants(["levels=2,3"]), 1)
    assert time.monotonic() - begun < 20


_IN_ORDER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    open("begun", "w").close()
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)
    open("ended in order", "w").close()
"""


@pytest.mark.parametrize("times", [1, 2])
def test_where_nothing_can_be_asked_to_end_ctrl_c_has_its_time(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against Windows, where to end a process is to kill it: what Ctrl-C had asked to stop lost what it learned."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("distill.cli.engines.CAN_ASK", False)
    monkeypatch.setattr("distill.cli.engines._COMMAND", ("-c", _IN_ORDER))
    runner = _Runner(Path("recordings"), Path("out"), 1.0, [], engines.here, Progress(Path("out"), {}))

    is_over = threading.Event()

    def strike() -> None:
        while not Path("begun").exists():
            if is_over.wait(0.05):
                return  # without a signal: it would end the tests
        for process in engines._started:
            process.send_signal(signal.SIGINT)  # a terminal sends it to all
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            if is_over.wait(0.6):
                return

    striking = threading.Thread(target=strike)
    striking.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            runner.all(variants(["levels=2"]), 1)
    finally:
        is_over.set()
        striking.join()
    assert Path("ended in order").exists() is (times == 1)


def test_a_stopped_sweep_ends_what_it_has_begun_on_ray(
    monkeypatch: pytest.MonkeyPatch, strike_in: Callable[[float, int], None]
) -> None:
    """Guards against Ctrl-C that is answered when all trainings are at their end: no signal reaches another machine."""

    class Slow:
        """A cluster whose tasks take ten seconds, unless they are cancelled."""

        class exceptions:  # noqa: N801
            class RayError(Exception): ...

        def init(self, **_: Any) -> None: ...

        def shutdown(self) -> None: ...

        def cluster_resources(self) -> dict[str, float]:
            return {"CPU": 4.0}

        def remote(self, **_: Any) -> Callable[..., Any]:
            task = SimpleNamespace(remote=lambda words: threading.Event())
            task.options = lambda **_: task
            return lambda function: task

        def get(self, answer: threading.Event) -> Any:
            if answer.wait(10):
                raise self.exceptions.RayError("The task was cancelled.")
            return 0, "{}", ""

        def cancel(self, answer: threading.Event, **_: Any) -> None:
            answer.set()

    monkeypatch.setitem(sys.modules, "ray", Slow())
    begun = time.monotonic()
    with engines.on_ray("auto", "cpu") as engine:
        runner = _Runner(Path("recordings"), Path("out"), 1.0, [], engine, Progress(Path("out"), {}), goes_on=False)
        strike_in(0.3, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            runner.all(variants(["levels=2,3"]), 2)
    assert time.monotonic() - begun < 5
