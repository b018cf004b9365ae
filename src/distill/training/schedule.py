"""How long a run lasts, by epochs or by the clock, and the learning rate laid out over it."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

from distill.training.agreement import Agreement
from distill.training.plan import Plan

WARMUP_STEPS = 50
FINAL_SHARE = 0.02
"""The learning rate ends at this share of its peak."""


@dataclass(frozen=True)
class Cooldown:
    """An early end: where it began, and how the run ends from there."""

    step: int
    elapsed_s: float
    share: float
    """How long it lasts, as a share of the steps and seconds before it."""
    rate: float
    """The learning rate at its beginning, as a share of the peak."""


class Schedule:
    """Counts one run's steps against its end: a number of epochs, a time budget, or whichever comes first.

    With a time budget alone the same seed does not give the same weights, since the number of steps depends on the machine;
    with epochs it does. That a plan's end can be reached is checked where the plan is made (``training/plan.py``).
    """

    def __init__(
        self,
        steps_per_epoch: int,
        *,
        epochs: int | None,
        minutes: float | None,
        peak_rate: float,
        clock: Callable[[], float] | None = None,
        agreement: Agreement | None = None,
    ) -> None:
        self.agreement = agreement or Agreement()
        """The clock that all ranks share."""
        self._clock = clock or self.agreement.time
        self._started = self._clock()
        self._steps_per_epoch = steps_per_epoch
        self._epochs, self._seconds = epochs, None if minutes is None else minutes * 60
        self.peak_rate = peak_rate
        self._reserved = 0.0
        self.cooldown: Cooldown | None = None
        self.step = 0

    @classmethod
    def of(
        cls, plan: Plan, steps_per_epoch: int, minutes_spent: float = 0.0, agreement: Agreement | None = None
    ) -> Self:
        """The schedule of a plan, some of whose minutes may have been spent before the first step."""
        epochs, minutes = plan.end
        left = None if minutes is None else minutes - minutes_spent
        return cls(steps_per_epoch, epochs=epochs, minutes=left, peak_rate=plan.learning_rate, agreement=agreement)

    def reserve(self, seconds: float) -> None:
        """Keeps seconds at the end of the budget for work that follows the last step."""
        self._reserved = seconds

    @contextmanager
    def reserving(self) -> Iterator[None]:
        """Times the block, whose work will follow the last step too, and reserves 1.5 times as long. All ranks enter it, and
        agree on the time at its end."""
        began = self._clock()
        yield
        self.agreement.renew()
        self.reserve(1.5 * (self._clock() - began))

    def slow_down(self) -> None:
        """Halves the learning rate from here on."""
        self.peak_rate /= 2

    def start_cooldown(self, share: float) -> None:
        """Ends the run early: the learning rate falls to its end over ``share`` of the steps and seconds so far, or by the
        planned end if that comes first."""
        self.cooldown = Cooldown(self.step, self.elapsed_s, share, self._rate)

    def values(self) -> dict[str, Any]:
        """The progress of the run as plain JSON, for :meth:`resume`."""
        return {
            "step": self.step,
            "steps_per_epoch": self._steps_per_epoch,
            "elapsed_s": self.elapsed_s,
            "reserved_s": self._reserved,
            "peak_rate": self.peak_rate,
            # A finished run that is given more time starts at its new plan's learning rate.
            "rest": None if self.cooldown is None or self.finished else asdict(self.cooldown),
        }

    def resume(
        self,
        step: int,
        elapsed_s: float,
        reserved_s: float = 0.0,
        peak_rate: float | None = None,
        rest: Mapping[str, Any] | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        """Continues an earlier run from what :meth:`values` gave; ``rest`` is its cool-down."""
        self.cooldown = None
        if rest is not None:
            self.cooldown = Cooldown(**{**rest, "step": self.own_steps(rest["step"], steps_per_epoch)})
        self.step = self.own_steps(step, steps_per_epoch)
        self._started = self._clock() - float(elapsed_s)
        self._reserved = float(reserved_s)
        self.peak_rate = self.peak_rate if peak_rate is None else float(peak_rate)

    def own_steps(self, step: int, steps_per_epoch: int | None) -> int:
        """How many steps of this run are as many epochs as ``step`` steps were where an epoch had ``steps_per_epoch`` of them:
        with more ranks, or a larger batch, it has fewer. None where an earlier version did not save how many it had."""
        return int(step) * self._steps_per_epoch // int(steps_per_epoch or self._steps_per_epoch)

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._started

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1."""
        return self._done(self.step, self.elapsed_s)

    def _done(self, step: int, elapsed_s: float) -> float:
        shares = [0.0]
        if self._epochs is not None:
            shares.append(step / self._last_step)
        if self._seconds is not None:
            shares.append(elapsed_s / max(self._last_second - self._reserved, 1e-3))
        return min(1.0, max(shares))

    @property
    def _last_step(self) -> float:
        planned = math.inf if self._epochs is None else self._epochs * self._steps_per_epoch
        if self.cooldown is None:
            return planned
        # Whole epochs are meant, and the share is a fraction that may lie a little above.
        return min(planned, round(self.cooldown.step * (1 + self.cooldown.share)))

    @property
    def _last_second(self) -> float:
        planned = math.inf if self._seconds is None else self._seconds
        if self.cooldown is None:
            return planned
        return min(planned, self.cooldown.elapsed_s * (1 + self.cooldown.share) + self._reserved)

    @property
    def finished(self) -> bool:
        return self.progress >= 1.0

    @property
    def remaining_s(self) -> float:
        """Seconds to the end at the pace so far; infinite before the first step of a run without a time budget."""
        left = math.inf
        if self._seconds is not None:
            left = max(0.0, self._last_second - self.elapsed_s)
        if self._epochs is not None and self.step:
            steps_left = self._last_step - self.step
            left = min(left, steps_left * self.elapsed_s / self.step)
        return left

    @property
    def total_epochs(self) -> int:
        """Epochs the run will have at the pace so far."""
        if self._epochs is not None and (self._seconds is None or not self.step):
            return math.ceil(self._last_step / self._steps_per_epoch)
        steps = self.step / self.progress if self.progress else self._steps_per_epoch
        expected = max(1, math.ceil(steps / self._steps_per_epoch))
        return expected if self._epochs is None else min(expected, self._epochs)

    @property
    def total_steps(self) -> int:
        return self.total_epochs * self._steps_per_epoch

    @property
    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine from the peak to ``FINAL_SHARE`` of it (Loshchilov and Hutter 2016, arXiv:1608.03983);
        a cool-down is another cosine down to that."""
        return self.peak_rate * min(1.0, (self.step + 1) / WARMUP_STEPS) * self._rate

    @property
    def _rate(self) -> float:
        """The learning rate as a share of its peak, without the warm-up."""
        begun, rate = 0.0, 1.0
        if self.cooldown is not None:
            begun, rate = self._done(self.cooldown.step, self.cooldown.elapsed_s), self.cooldown.rate
        left = (1 - self.progress) / max(1 - begun, 1e-9)
        return FINAL_SHARE + (rate - FINAL_SHARE) * 0.5 * (1 - math.cos(math.pi * left))
