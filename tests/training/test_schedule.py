"""When a run ends, and its learning rate."""

import itertools
import time
from types import SimpleNamespace

import pytest

from distill import awake
from distill.training.budget import charged_seconds
from distill.training.plan import PriorPlan
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


def test_a_step_in_no_time_is_no_fault() -> None:
    """Guards against a division by zero where the shared clock stands still at the first step: a machine that was asleep."""
    schedule = Schedule(10, epochs=None, minutes=1, peak_rate=1.0, clock=Clock())
    schedule.step += 1
    assert schedule.total_epochs == 1


def test_what_follows_the_last_step_has_the_time_that_it_took_before_and_half_as_much_again() -> None:
    clock = Clock()
    schedule = Schedule(10, epochs=None, minutes=1, peak_rate=1.0, clock=clock)
    with schedule.reserving():
        clock.now += 4
    clock.now += 49
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


@pytest.mark.parametrize(("before", "after"), [(1200, 300), (300, 1200), (7, 3), (300, 300)])
def test_with_another_number_of_ranks_a_run_has_the_epochs_that_were_planned(before: int, after: int) -> None:
    """Guards against ten epochs that end after the fourth because four ranks take a quarter of the steps for each, or that are
    thirteen on one rank; and against a cool-down that is over, or never ends, for the same reason."""
    begun = Schedule(before, epochs=10, minutes=None, peak_rate=1.0, clock=lambda: 0.0)
    begun.step = 4 * before
    further = Schedule(after, epochs=10, minutes=None, peak_rate=1.0, clock=lambda: 0.0)
    further.resume(**begun.values())
    assert further.progress == begun.progress == pytest.approx(0.4)
    further.step += 6 * after - 1
    assert not further.finished
    further.step += 1
    assert further.finished
    begun.start_cooldown(0.5)
    further.resume(**begun.values())
    assert further.total_epochs == 6
    further.step += 2 * after - 1
    assert not further.finished
    further.step += 1
    assert further.finished


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


def test_a_run_comes_to_rest_early() -> None:
    """Guards against weights that are kept as they were at the highest learning rate, when there is nothing more to learn."""
    clock = Clock()
    schedule = Schedule(10, epochs=None, minutes=1, peak_rate=1.0, clock=clock)
    schedule.reserve(2)
    schedule.step, clock.now = WARMUP_STEPS, clock.now + 20
    rate, remaining = schedule.learning_rate, schedule.remaining_s
    schedule.start_cooldown(0.5)
    assert schedule.learning_rate == pytest.approx(rate)
    assert schedule.remaining_s == pytest.approx(12)
    assert remaining == pytest.approx(40)
    clock.now += 5
    # Half way through the rest the rate is half way to its end, also in a run that goes on elsewhere.
    assert schedule.learning_rate == pytest.approx((rate + FINAL_SHARE) / 2)
    elsewhere = Schedule(10, epochs=None, minutes=1, peak_rate=1.0, clock=clock)
    elsewhere.resume(**schedule.values())
    assert elsewhere.learning_rate == pytest.approx(schedule.learning_rate)
    clock.now += 5
    assert schedule.finished
    assert elsewhere.finished
    assert schedule.learning_rate == pytest.approx(FINAL_SHARE)
    # Who gives it more time then begins anew.
    longer = Schedule(10, epochs=None, minutes=2, peak_rate=1.0, clock=clock)
    longer.resume(**schedule.values())
    assert not longer.finished


def test_a_rest_is_as_many_steps_as_it_was_to_be() -> None:
    """Guards against a cool-down with an epoch of a single step after its last, where a share of the steps rounds up."""
    for epochs, more in itertools.combinations(range(50, 1, -1), 2):
        schedule = Schedule(50, epochs=200, minutes=None, peak_rate=1.0, clock=lambda: 0.0)
        schedule.step = 50 * epochs
        schedule.start_cooldown(more / epochs)
        schedule.step = 50 * (epochs + more) - 1
        assert not schedule.finished
        schedule.step += 1
        assert schedule.finished, (epochs, more)
        assert schedule.total_epochs == epochs + more


def test_a_rest_is_over_at_the_planned_end() -> None:
    schedule = Schedule(10, epochs=10, minutes=None, peak_rate=1.0)
    schedule.step = 80
    schedule.start_cooldown(1.0)
    assert schedule.total_epochs == 10
    schedule.step = 100
    assert schedule.finished
    assert schedule.learning_rate == pytest.approx(FINAL_SHARE)


def test_minutes_are_those_in_which_it_could_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a training that is over when the laptop is opened again, or after Ctrl-Z and fg."""
    schedule = Schedule(10, epochs=None, minutes=1, peak_rate=1.0)
    began = time.monotonic()
    later = SimpleNamespace(monotonic=lambda: began + 3600, process_time=time.process_time)
    monkeypatch.setattr(awake, "time", later)
    assert schedule.elapsed_s < 30
    assert not schedule.finished


@pytest.mark.parametrize(("spent", "left_s"), [(0.0, 60.0), (0.5, 30.0), (1.5, 12.0)])
def test_getting_ready_leaves_time_to_learn(spent: float, left_s: float) -> None:
    """Guards against recordings that took longer to encode than was thought, and a prior that learned for one step."""
    schedule = Schedule.of(PriorPlan(minutes=1.0), 100, minutes_spent=charged_seconds(60 * spent, 1.0) / 60)
    assert schedule.remaining_s == pytest.approx(left_s, abs=0.5)
