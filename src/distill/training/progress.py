"""Everything that changes while a loop trains, listed once: to be saved, resumed, and gone back to when training goes wrong."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from distill.errors import StateFileError, TrainingError
from distill.training.metrics import MetricsCallback, RolledBack
from distill.training.schedule import Schedule
from distill.training.state import (
    Part,
    TrainingState,
    optimizer_tensors,
    random_state,
    restore_optimizer,
    restore_random_state,
)
from distill.training.watch import Watch

MAX_ROLLBACKS = 6
"""Going back so often in a row, without a good state in between, ends the training."""


@dataclass
class EpochSums:
    """The epoch under way: how many of its steps are done, and what they gave."""

    step: int = 0
    loss: float = 0.0
    count: int = 0
    """What the summed loss is divided by in the end."""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """What else a loop gathers: the codec how its codes are used, the prior where its generator stands."""


class Progress:
    """One training run as it stands. ``model`` and ``optimizer`` are as Fabric gave them back."""

    def __init__(self, model: Any, optimizer: torch.optim.Optimizer, schedule: Schedule) -> None:
        self.model, self.optimizer, self.schedule = model, optimizer, schedule
        self.epoch = 0
        """Epochs that are done."""
        self.sums = EpochSums()
        self.train_losses: list[float] = []
        self.val_losses: list[float] = []
        self.best_score = math.inf
        """Of the best weights, by whatever the loop chooses them."""
        self.best_loss = math.inf
        """Held-out loss of the best weights."""
        self.best_weights: Mapping[str, Tensor] = copy.deepcopy(model.state_dict())
        self.watch = Watch()
        self._rollbacks = 0
        self.mark_good()

    @property
    def is_at_good_state(self) -> bool:
        """Whether the last good state is the present one."""
        return self._good_step == self.schedule.step

    def mark_good(self) -> None:
        """Keeps weights and optimizer as they are now, to go back to."""
        self._good: dict[str, Part] = {
            "weights": copy.deepcopy(dict(self.model.state_dict())),
            "optimizer": {name: tensor.clone() for name, tensor in optimizer_tensors(self.optimizer).items()},
        }
        self._good_step = self.schedule.step
        self._rollbacks = 0
        self.watch.mark_good()

    def roll_back(self, reason: str, callback: MetricsCallback | None) -> None:
        """Puts weights and optimizer back to the last good state and halves the learning rate; the data goes on.

        Raises:
            TrainingError: if that was done too often in a row.
        """
        if self._rollbacks == MAX_ROLLBACKS:
            raise self.given_up(reason)
        self._rollbacks += 1
        self.model.load_state_dict(self._good["weights"])
        restore_optimizer(self.optimizer, {name: tensor.clone() for name, tensor in self._good["optimizer"].items()})
        self.schedule.slow_down()
        self.watch.went_back()
        if callback is not None:
            callback(RolledBack(self.schedule.step, self._good_step, reason, self.schedule.peak_rate))

    def given_up(self, reason: str) -> TrainingError:
        """What to raise when going back does not help."""
        often = "once" if self._rollbacks == 1 else f"{self._rollbacks} times"
        return TrainingError(
            f"Training goes wrong again and again: {reason}. It went back and slowed down {often}, to no avail.",
            f"Train again with a lower learning rate than {self.schedule.peak_rate:.1e}, or look for damaged recordings.",
        )

    def state(self, values: Mapping[str, Any]) -> TrainingState:
        """All of it, with further ``values`` of the loop's own."""
        parts: dict[str, Part] = {
            "weights": self.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
            "best": self.best_weights,
            "sums": self.sums.tensors,
            "random": random_state(),
        }
        if not self.is_at_good_state:
            parts |= {f"good-{name}": part for name, part in self._good.items()}
        return TrainingState(
            parts,
            {
                **values,
                "schedule": self.schedule.values(),
                "epoch": self.epoch,
                "sums": {"step": self.sums.step, "loss": self.sums.loss, "count": self.sums.count},
                "train_losses": self.train_losses,
                "val_losses": self.val_losses,
                "best_score": self.best_score,
                "best_loss": self.best_loss,
                "watch": self.watch.values(),
                "good_step": self._good_step,
                "rollbacks": self._rollbacks,
            },
        )

    def restore(self, state: TrainingState, belongs_to: Mapping[str, str]) -> None:
        """Stands where :meth:`state` was taken.

        Args:
            belongs_to: what the state must have been trained on: a name in its values, and what must be there.

        Raises:
            StateFileError: if it belongs to something else, or does not fit.
        """
        values, parts = state.values, state.parts
        for name, wanted in belongs_to.items():
            if values.get(name) != wanted:
                raise StateFileError(
                    f"The saved training belongs to another {name}.",
                    "Give the very recordings and the model it was begun with, or train anew.",
                )
        try:
            self.model.load_state_dict(parts["weights"])
            restore_optimizer(self.optimizer, parts.get("optimizer", {}))
            self.best_weights = parts["best"]
            self.schedule.resume(**values["schedule"])
            self.epoch = int(values["epoch"])
            self.sums = EpochSums(**values["sums"], tensors=dict(parts.get("sums", {})))
            self.train_losses, self.val_losses = list(values["train_losses"]), list(values["val_losses"])
            self.best_score, self.best_loss = float(values["best_score"]), float(values["best_loss"])
            self.mark_good()
            if "good-weights" in parts:
                self._good = {"weights": parts["good-weights"], "optimizer": parts.get("good-optimizer", {})}
            self._good_step, self._rollbacks = int(values["good_step"]), int(values["rollbacks"])
            self.watch.restore(values["watch"])
            restore_random_state(parts["random"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise StateFileError(
                "The saved training does not fit this version of Distill or was changed.", "Train that stage anew."
            ) from error
