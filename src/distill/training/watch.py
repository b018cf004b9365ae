"""Notices when training goes wrong: a loss that is not finite, one that explodes, a codebook that collapses."""

import math
from typing import Any

import torch
from torch import Tensor

from distill.models.quantizer import code_perplexity

GOOD_EVERY = 25
"""So many steps in a row without trouble make a state a good one."""
EXPLODED = 3.0
"""The smoothed loss may rise to this many times what it was at the last good state."""
LEAST_LEVEL = 0.5
"""What counts as the last good state's loss at least: near zero, a threefold loss is still a small one."""
SMOOTHING = 0.8
COLLAPSED = 0.1
"""A level is said to collapse when the number of codes it really uses, less one, falls to this share of its most."""
LEAST_CODES = 4.0
"""A level that never used this many has nothing to collapse from: some recordings are nearly silent."""


class Watch:
    """Looks at every step before the optimizer does. Feels nothing of the clock, so that a resumed run sees the same."""

    def __init__(self) -> None:
        self.healthy_steps = 0
        """Since the last good state, or since the last trouble."""
        self._smoothed = math.nan
        self._level = math.nan
        self._used: Tensor | None = None
        self._most: list[float] = []

    def trouble(self, loss: float, is_finite: bool, used: Tensor | None = None) -> str:
        """What is wrong with a step, in words; empty if nothing is.

        Args:
            loss: of the step.
            is_finite: whether loss and gradients are.
            used: how often the step used each codebook entry ``[Q, K]``, where there are codebooks.
        """
        if not is_finite:
            return "the loss was not finite"
        self._smoothed = loss if math.isnan(self._smoothed) else SMOOTHING * self._smoothed + (1 - SMOOTHING) * loss
        if math.isnan(self._level):
            self._level = self._smoothed
        if self._smoothed > EXPLODED * max(self._level, LEAST_LEVEL):
            return f"the loss exploded, from {self._level:.2f} to {loss:.2f}"
        self.healthy_steps += 1
        if used is not None:
            self._used = used.clone() if self._used is None else self._used + used
        if self.is_good and self._used is not None:
            return self._collapse(code_perplexity(self._used))
        return ""

    @property
    def is_good(self) -> bool:
        """Whether enough steps went well to call the state a good one."""
        return self.healthy_steps >= GOOD_EVERY

    def mark_good(self) -> None:
        """From here on, trouble is measured by how things stand now."""
        self._level = self._smoothed
        self._forget_stretch()

    def forget(self) -> None:
        """The loss means something else from here on."""
        self._smoothed = self._level = math.nan
        self._forget_stretch()

    def went_back(self) -> None:
        """Things stand again as they did at the last good state."""
        self._smoothed = self._level
        self._forget_stretch()

    def values(self) -> dict[str, Any]:
        """As plain JSON, for :meth:`restore`."""
        return {
            "healthy_steps": self.healthy_steps,
            "smoothed": self._smoothed,
            "level": self._level,
            "used": None if self._used is None else self._used.tolist(),
            "most": self._most,
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Stands where :meth:`values` was taken."""
        self.healthy_steps = int(values["healthy_steps"])
        self._smoothed, self._level = float(values["smoothed"]), float(values["level"])
        self._used = None if values["used"] is None else torch.tensor(values["used"], dtype=torch.int64)
        self._most = [float(value) for value in values["most"]]

    def _collapse(self, perplexities: list[float]) -> str:
        most = self._most or [0.0] * len(perplexities)
        for level, (now, before) in enumerate(zip(perplexities, most, strict=True)):
            if before >= LEAST_CODES and now - 1 < COLLAPSED * (before - 1):
                return f"the codebook of level {level + 1} collapsed, from {before:.0f} codes in use to {now:.0f}"
        self._most = [max(pair) for pair in zip(perplexities, most, strict=True)]
        return ""

    def _forget_stretch(self) -> None:
        self.healthy_steps, self._used = 0, None
