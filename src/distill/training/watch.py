"""Detects when training goes wrong: a loss that is not finite, one that explodes, a codebook that collapses."""

import math
from typing import Any

from torch import Tensor

from distill.models.health import code_perplexity

GOOD_EVERY = 25
"""Steps in a row without trouble after which a state counts as good; a plan may say otherwise."""
EXPLODED = 3.0
"""The smoothed loss has exploded above this many times its lowest value at a good state."""
STILL_GOOD = 1.5
"""A state is good only below this many times that value: a slow explosion must not raise its own limit."""
STUCK_AFTER = 100
"""So many steps without a new good state count as trouble too, and at least twice as many as a good state takes."""
LEAST_REFERENCE = 0.5
"""Lower bound of the loss in these comparisons: near zero, three times the loss is still small."""
SMOOTHING = 0.9
SETTLING = 10
"""The reference loss of the beginning is a mean over so many steps, as a single batch may be silent."""
EXPLODED_AT_ONCE = 100.0
"""During those steps, a loss explodes above this many times the mean so far."""
COLLAPSED = 0.1
"""A level has collapsed when its effective number of codes (perplexity), less one, falls to this share of that in a good
state."""
STILL_IN_USE = 0.3
"""A state is good only if its last step used at least this share of the codes of the steps before."""
LEAST_CODES = 4.0
"""A level that never used so many codes is not watched for collapse: some recordings are nearly silent."""


class Watch:
    """Checks every step before the optimizer steps. It does not depend on time, so a resumed run decides the same."""

    def __init__(self, good_every: int = GOOD_EVERY) -> None:
        self._good_every = good_every
        self.healthy_steps = 0
        """Steps without trouble since the last good state, or since the last trouble."""
        self._measured = 0
        self._smoothed = math.nan
        self._reference = math.nan
        """The loss that the others are compared with: the lowest smoothed one of a good state, at first a mean."""
        # Effective number of codes of each level: smoothed, the largest in a good state, and in the last step.
        self._codes: list[float] = []
        self._most_codes: list[float] = []
        self._last_codes: list[float] = []

    def trouble(self, loss: float, is_finite: bool, used: Tensor | None = None) -> str:
        """What is wrong with a step, in words; empty if nothing is.

        Args:
            loss: the step's loss.
            is_finite: whether loss and gradients are finite.
            used: how often the step used each codebook entry, ``[Q, K]``; None without codebooks.
        """
        if not is_finite:
            return "the loss was not finite"
        if 0 < self._measured < SETTLING and loss > EXPLODED_AT_ONCE * max(self._reference, LEAST_REFERENCE):
            return f"the loss exploded, from {self._reference:.2f} to {loss:.2f}"
        self._measured += 1
        weight = max(1 / self._measured, 1 - SMOOTHING)
        self._smoothed = loss if self._measured == 1 else (1 - weight) * self._smoothed + weight * loss
        if self._measured <= SETTLING:
            self._reference = self._smoothed
        if self._smoothed > EXPLODED * max(self._reference, LEAST_REFERENCE):
            return f"the loss exploded, from {self._reference:.2f} to {loss:.2f}"
        self.healthy_steps += 1
        if self.healthy_steps >= max(STUCK_AFTER, 2 * self._good_every) and not self.is_good:
            return f"the loss stays at {self._smoothed:.2f}, where it was at {self._reference:.2f}"
        return "" if used is None else self._collapse(code_perplexity(used))

    @property
    def is_good(self) -> bool:
        """Whether the present state counts as good."""
        in_use = all(
            now - 1 >= STILL_IN_USE * (before - 1) for now, before in zip(self._last_codes, self._codes, strict=True)
        )
        is_low = self._smoothed <= STILL_GOOD * max(self._reference, LEAST_REFERENCE)
        return self.healthy_steps >= self._good_every and is_low and in_use

    def mark_good(self) -> None:
        """Makes the present loss and codes the reference for trouble, where they are better than any before."""
        self._reference = min(self._smoothed, self._reference)
        self._most_codes = [max(pair) for pair in zip(self._codes, self._most_codes or self._codes, strict=True)]
        self.healthy_steps = 0

    def forget(self) -> None:
        """Forgets all losses so far: from here on the loss is another function."""
        self._smoothed = self._reference = math.nan
        self._measured = self.healthy_steps = 0

    def went_back(self) -> None:
        """Takes the reference values as the present ones, after a rollback."""
        self._smoothed = self._reference
        self._codes, self._last_codes = list(self._most_codes), list(self._most_codes)
        self.healthy_steps = 0

    def values(self) -> dict[str, Any]:
        """The watch as plain JSON, for :meth:`restore`."""
        return {
            "healthy_steps": self.healthy_steps,
            "measured": self._measured,
            "smoothed": self._smoothed,
            "level": self._reference,
            "codes": self._codes,
            "most_codes": self._most_codes,
            "last_codes": self._last_codes,
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Restores what :meth:`values` gave."""
        self.healthy_steps = int(values["healthy_steps"])
        self._measured = int(values["measured"])
        self._smoothed, self._reference = float(values["smoothed"]), float(values["level"])
        self._codes, self._most_codes, self._last_codes = (
            [float(value) for value in values[name]] for name in ("codes", "most_codes", "last_codes")
        )

    def _collapse(self, now: list[float]) -> str:
        self._last_codes = now
        before = self._codes or now
        self._codes = [SMOOTHING * old + (1 - SMOOTHING) * new for old, new in zip(before, now, strict=True)]
        for level, (codes, most) in enumerate(zip(self._codes, self._most_codes, strict=bool(self._most_codes))):
            if most >= LEAST_CODES and codes - 1 < COLLAPSED * (most - 1):
                return f"the codebook of level {level + 1} collapsed, from {most:.0f} codes in use to {now[level]:.0f}"
        return ""
