"""Minutes that pass while nothing can be learned are not counted."""

from types import SimpleNamespace

import pytest

from distill import awake
from distill.awake import Awake


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What the machine says: ``now``, and how long this process has ``worked``. To nobody else: servers sleep by that clock."""
    said = {"now": 100.0, "worked": 5.0}
    clock = SimpleNamespace(monotonic=lambda: said["now"], process_time=lambda: said["worked"])
    monkeypatch.setattr(awake, "time", clock)
    return said


@pytest.mark.parametrize(
    ("gap", "worked", "counts"),
    [(3600.0, 0.01, False), (45.0, 0.0, False), (20.0, 0.0, True), (3600.0, 200.0, True), (60.0, 50.0, True)],
)
def test_a_sleep_does_not_count(clock: dict[str, float], gap: float, worked: float, counts: bool) -> None:
    """Guards against minutes of learning that are over when the laptop is opened again; a long step is no sleep."""
    seconds = Awake()
    before = seconds()
    clock["now"] += gap
    clock["worked"] += worked
    assert seconds() - before == (gap if counts else 0)
    clock["now"] += 2
    assert seconds() - before == (gap if counts else 0) + 2
