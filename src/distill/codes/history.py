"""What was done to a grid, so that all of it can be undone and redone.

Every step keeps the rows that it replaced and those it put there, and nothing else: a thousand steps on a minute of sound are
as large as what they changed.

    before   a b c d e f          Step(first=2, before=[c d], after=[x y z])
    after    a b x y z e f
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Step:
    """One edit, in both directions."""

    words: str
    """What it did, for people."""
    first: int
    """The row where it begins."""
    before: np.ndarray
    """The rows ``[n, W]`` it replaced; none where rows were inserted."""
    after: np.ndarray
    """The rows ``[m, W]`` it put in their place; none where rows were deleted."""
    pair: str = ""
    """The same in two histories where one step was taken in both."""

    def done(self, grid: np.ndarray) -> np.ndarray:
        """The grid with this step."""
        return np.concatenate([grid[: self.first], self.after, grid[self.first + len(self.before) :]])

    def undone(self, grid: np.ndarray) -> np.ndarray:
        """The grid without it."""
        return np.concatenate([grid[: self.first], self.before, grid[self.first + len(self.after) :]])


def step_between(words: str, before: np.ndarray, after: np.ndarray) -> Step:
    """The shortest step that leads from one grid ``[S, W]`` to another ``[S', W]``."""
    common = min(len(before), len(after))
    same = (before[:common] == after[:common]).all(axis=1)
    first = common if same.all() else int(same.argmin())
    left = common - first
    same = (before[len(before) - left :] == after[len(after) - left :]).all(axis=1)[::-1]
    last = left if same.all() else int(same.argmin())
    return Step(words, first, before[first : len(before) - last].copy(), after[first : len(after) - last].copy())


@dataclass(frozen=True)
class History:
    """A grid, and the steps that led to it or were taken back."""

    grid: np.ndarray
    """``[S, W]``"""
    past: tuple[Step, ...] = ()
    future: tuple[Step, ...] = ()
    """Steps that were undone, the next to be redone last."""

    def do(self, step: Step) -> "History":
        """One step further; what was undone before is forgotten."""
        return History(step.done(self.grid), (*self.past, step))

    def undo(self) -> "History":
        """One step back; the same history where there is none."""
        if not self.past:
            return self
        step = self.past[-1]
        return replace(self, grid=step.undone(self.grid), past=self.past[:-1], future=(*self.future, step))

    def redo(self) -> "History":
        """Takes back the last undo; the same history where there is none."""
        if not self.future:
            return self
        step = self.future[-1]
        return History(step.done(self.grid), (*self.past, step), self.future[:-1])
