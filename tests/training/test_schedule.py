"""When a run ends, and its learning rate."""

import pytest

from distill.errors import SettingError
from distill.training.schedule import FINAL_SHARE, WARMUP_STEPS, Schedule


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_epochs_end_a_run() -> None:
    schedule = Schedule(10, epochs=3, minutes=None, peak_rate=1.0)
    for _ in range(30):
        assert not schedule.finished
        schedule.step += 1
    assert schedule.finished
    assert schedule.total_epochs == 3


def test_minutes_end_a_run_on_time_and_leave_room_for_the_last_validation() -> None:
    clock = Clock()
    schedule = Schedule(10, epochs=None, minutes=1, peak_rate=1.0, clock=clock)
    schedule.reserve(6)
    clock.now += 53
    assert not schedule.finished
    clock.now += 1.1
    assert schedule.finished


def test_rate_warms_up_and_ends_low_over_the_time_budget() -> None:
    """Guards against a schedule laid out over epochs that the clock cuts off at a high rate."""
    clock = Clock()
    schedule = Schedule(10, epochs=None, minutes=1, peak_rate=1.0, clock=clock)
    assert schedule.learning_rate == pytest.approx(1 / WARMUP_STEPS)
    schedule.step = WARMUP_STEPS
    assert schedule.learning_rate == pytest.approx(1.0)
    clock.now += 60
    assert schedule.learning_rate == pytest.approx(FINAL_SHARE)


def test_remaining_time_follows_the_pace() -> None:
    """Guards against an estimate divided by a timestamp instead of an elapsed time."""
    clock = Clock()
    schedule = Schedule(10, epochs=4, minutes=None, peak_rate=1.0, clock=clock)
    schedule.step, clock.now = 10, clock.now + 20
    assert schedule.remaining_s == pytest.approx(60)


def test_whichever_ends_first() -> None:
    clock = Clock()
    schedule = Schedule(10, epochs=1000, minutes=1, peak_rate=1.0, clock=clock)
    schedule.step, clock.now = 10, clock.now + 30
    assert schedule.progress == pytest.approx(0.5)
    assert schedule.total_epochs == 2


@pytest.mark.parametrize("end", [{"epochs": 0, "minutes": None}, {"epochs": None, "minutes": -1.0}])
def test_ends_that_cannot_be(end: dict[str, float | None]) -> None:
    with pytest.raises(SettingError):
        Schedule(10, peak_rate=1.0, **end)  # type: ignore[arg-type]
