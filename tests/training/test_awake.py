"""Minutes that pass while nothing can be learned are not counted."""

import time

import pytest

from distill.training.awake import Awake


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What the machine says: ``now``, and how long this process has ``worked``."""
    said = {"now": 100.0, "worked": 5.0}
    monkeypatch.setattr(time, "monotonic", lambda: said["now"])
    monkeypatch.setattr(time, "process_time", lambda: said["worked"])
    return said


@pytest.mark.parametrize(
    ("gap", "worked", "counts"),
    [(3600.0, 0.01, False), (45.0, 0.0, False), (20.0, 0.0, True), (3600.0, 200.0, True), (60.0, 50.0, True)],
)
def test_a_sleep_does_not_count(clock: dict[str, float], gap: float, worked: float, counts: bool) -> None:
    """Guards against minutes of learning that are over when the laptop is opened again; a long step is no sleep."""
    awake = Awake()
    before = awake()
    clock["now"] += gap
    clock["worked"] += worked
    assert awake() - before == (gap if counts else 0)
    clock["now"] += 2
    assert awake() - before == (gap if counts else 0) + 2
