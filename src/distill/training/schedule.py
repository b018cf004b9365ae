"""How long a run lasts, by epochs or by the clock, and the learning rate laid out over it."""

import math
from collections.abc import Callable
from typing import Self

from distill.errors import SettingError
from distill.training.agreement import Agreement
from distill.training.plan import Plan

WARMUP_STEPS = 50
FINAL_SHARE = 0.02
"""The learning rate ends at this share of its peak."""


class Schedule:
    """Counts one run's steps against its end: a number of epochs, a time budget, or whichever comes first.

    With a time budget alone the same seed does not give the same weights, since the number of steps depends on the machine;
    with epochs it does.
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
        if epochs is None and minutes is None:
            raise ValueError("a run needs an end: epochs, minutes or both")
        if epochs is not None and epochs < 1:
            raise SettingError(f"{epochs} epochs were asked for.", "Ask for at least 1.")
        if minutes is not None and not 0 < minutes < math.inf:
            raise SettingError(f"{minutes} minutes were asked for.", "Ask for more than 0.")
        self.agreement = agreement or Agreement()
        """By which all ranks know the same time."""
        self._clock = clock or self.agreement.time
        self._started = self._clock()
        self._steps_per_epoch = steps_per_epoch
        self._epochs, self._seconds = epochs, None if minutes is None else minutes * 60
        self.peak_rate = peak_rate
        self._reserved = 0.0
        self.step = 0

    @classmethod
    def of(
        cls, plan: Plan, steps_per_epoch: int, minutes_spent: float = 0.0, agreement: Agreement | None = None
    ) -> Self:
        """The schedule of a plan, of whose minutes some may be spent before its first step."""
        epochs, minutes = plan.end
        left = None if minutes is None else max(minutes - minutes_spent, 1e-3)
        return cls(steps_per_epoch, epochs=epochs, minutes=left, peak_rate=plan.learning_rate, agreement=agreement)

    def reserve(self, seconds: float) -> None:
        """Keeps time at the end of the budget for work that must still follow the last step."""
        self._reserved = seconds

    def slow_down(self) -> None:
        """Halves the learning rate from here on."""
        self.peak_rate /= 2

    def values(self) -> dict[str, float]:
        """How far the run is, as plain JSON, for :meth:`resume`."""
        return {
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "reserved_s": self._reserved,
            "peak_rate": self.peak_rate,
        }

    def resume(self, step: int, elapsed_s: float, reserved_s: float = 0.0, peak_rate: float | None = None) -> None:
        """Goes on from where an earlier run was after so many steps and seconds."""
        self.step = int(step)
        self._started = self._clock() - float(elapsed_s)
        self._reserved = float(reserved_s)
        self.peak_rate = self.peak_rate if peak_rate is None else float(peak_rate)

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._started

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1."""
        shares = [0.0]
        if self._epochs is not None:
            shares.append(self.step / (self._epochs * self._steps_per_epoch))
        if self._seconds is not None:
            shares.append(self.elapsed_s / max(self._seconds - self._reserved, 1e-3))
        return min(1.0, max(shares))

    @property
    def finished(self) -> bool:
        return self.progress >= 1.0

    @property
    def remaining_s(self) -> float:
        """Seconds to the end at the pace so far; infinite before the first step of a run without a time budget."""
        left = math.inf
        if self._seconds is not None:
            left = max(0.0, self._seconds - self.elapsed_s)
        if self._epochs is not None and self.step:
            steps_left = self._epochs * self._steps_per_epoch - self.step
            left = min(left, steps_left * self.elapsed_s / self.step)
        return left

    @property
    def total_epochs(self) -> int:
        """Epochs the run will have at the pace so far."""
        if self._epochs is not None and (self._seconds is None or not self.step):
            return self._epochs
        steps = self.step / self.progress if self.step else self._steps_per_epoch
        expected = max(1, math.ceil(steps / self._steps_per_epoch))
        return expected if self._epochs is None else min(expected, self._epochs)

    @property
    def total_steps(self) -> int:
        return self.total_epochs * self._steps_per_epoch

    @property
    def learning_rate(self) -> float:
        """Linear warm-up over the first steps, then a cosine from the peak to ``FINAL_SHARE`` of it."""
        warmup = min(1.0, (self.step + 1) / WARMUP_STEPS)
        cosine = FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * self.progress))
        return self.peak_rate * warmup * cosine
