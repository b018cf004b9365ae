"""Everything that changes while a loop trains, listed once: to be saved, resumed, and gone back to when training goes wrong."""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from distill.errors import StateFileError, TrainingError
from distill.models import ranks
from distill.training.metrics import MetricsCallback, RolledBack
from distill.training.schedule import Schedule
from distill.training.state import Part, TrainingState
from distill.training.watch import GOOD_EVERY, Watch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MAX_ROLLBACKS = 6
"""Training ends after going back this many times in a row without a good state in between."""


LEAST_SCALE = 1.0
"""A loss that overflows when it is scaled by less is not finite."""


@dataclass
class EpochSums:
    """The current epoch: how many of its steps are done, and their losses."""

    step: int = 0
    """Steps done, the ones that went wrong included."""
    totals: dict[str, float] = field(default_factory=dict)
    """Each loss by name, summed over the steps that went well."""
    count: int = 0
    """What the totals are divided by in the end: steps, or tokens."""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """What else a loop keeps within an epoch: the codec counts its codes, the prior keeps its generator's state."""

    def add(self, losses: Mapping[str, float], weight: int = 1) -> None:
        """Takes in the losses of a step that went well, each of them a mean over ``weight`` items."""
        for name, loss in losses.items():
            self.totals[name] = self.totals.get(name, 0.0) + loss * weight
        self.count += weight

    def means(self) -> dict[str, float]:
        """Each loss as a mean over the epoch so far: summed over all items, divided once."""
        return {name: total / self.count for name, total in self.totals.items()}


class State:
    """Everything that changes in one training run.

    Args:
        models: modules whose weights change, by the name they are saved under. They may be wrapped by Fabric.
        optimizers: the same of the optimizers.
        good_every: after so many steps in a row without trouble, weights and optimizers are kept as a good state to go back
            to; None where the loop never goes back.
    """

    def __init__(
        self,
        models: Mapping[str, Any],
        optimizers: Mapping[str, torch.optim.Optimizer],
        schedule: Schedule,
        good_every: int | None = GOOD_EVERY,
    ) -> None:
        self.models, self.optimizers, self.schedule = dict(models), dict(optimizers), schedule
        self.epoch = 0
        """Epochs that are done."""
        self.sums = EpochSums()
        self.curves: dict[str, list[float]] = {}
        """What is drawn over time, one value an epoch."""
        self.figures: dict[str, float] = {}
        """Single numbers that a loop keeps, by name."""
        self.best_score = math.inf
        """Score of the best weights; every loop says by what it chooses them."""
        self.best_loss = math.inf
        """Held-out loss of the best weights."""
        self.best_weights: Mapping[str, Tensor] = {}
        """Copy of the best weights so far, where the loop chooses among them."""
        self.finished = False
        """Whether the run came to its planned end."""
        self.watch = Watch(good_every or GOOD_EVERY)
        self._goes_back = good_every is not None
        self._good: dict[str, Part] = {}
        self._good_step = 0
        self._rollbacks = 0
        if self._goes_back:
            self.best_weights = copy.deepcopy(self.model.state_dict())
        self.mark_good()

    @property
    def model(self) -> Any:
        """The model of a loop that trains one."""
        return self.models["weights"]

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of a loop that trains one model."""
        return self.optimizers["optimizer"]

    @property
    def devices(self) -> set[torch.device]:
        """Where the models are."""
        return {weights.device for model in self.models.values() for weights in model.parameters()}

    @property
    def is_at_good_state(self) -> bool:
        """Whether the last good state is the present one."""
        return self._good_step == self.schedule.step

    def take_step(
        self, losses: Mapping[str, float], trouble: str, callback: MetricsCallback | None, weight: int = 1
    ) -> None:
        """Counts a step: with its losses where it went well; where it did not, training goes back to the last good state.

        Args:
            losses: by name, each a mean over ``weight`` items.
            trouble: what went wrong, in words; empty where nothing did.

        Raises:
            TrainingError: if going back does not help, time after time.
        """
        trouble = ranks.words_from_first(trouble)
        if trouble:
            self.roll_back(trouble, callback)
        else:
            self.sums.add(losses, weight)
        self.schedule.step += 1
        self.sums.step += 1
        if self.watch.is_good:
            self.mark_good()
        self.schedule.agreement.renew()

    def keep_if_best(self, score: float, loss: float) -> None:
        """Keeps a copy of the weights as they are now if no earlier ones had so low a score."""
        if score < self.best_score:
            self.keep(score, loss)

    def keep(self, score: float, loss: float) -> None:
        """Keeps a copy of the weights as they are now."""
        self.best_score, self.best_loss = score, loss
        self.best_weights = copy.deepcopy(self.model.state_dict())

    def return_to_best(self) -> None:
        """Puts the weights back to the best ones; the optimizer's moments stay."""
        self.model.load_state_dict(self.best_weights)
        self.mark_good()

    def end_epoch(self, **values: float) -> None:
        """Adds the epoch's values to the curves, counts it, and starts the sums of the next one."""
        for name, value in values.items():
            self.curves.setdefault(name, []).append(value)
        self.epoch, self.sums = self.epoch + 1, EpochSums()

    def progress(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        """Where the run is, and the metrics of its last step, by the names that the events of a step have."""
        schedule = self.schedule
        return {
            "epoch": self.epoch + 1,
            "step": schedule.step,
            "total_steps": max(schedule.step, schedule.total_steps),
            "progress": schedule.progress,
            "remaining_s": schedule.remaining_s,
            **metrics,
        }

    def mark_good(self) -> None:
        """Keeps weights and optimizers as they are now, to go back to."""
        if self._goes_back:
            self._good = {name: copy.deepcopy(dict(model.state_dict())) for name, model in self.models.items()}
            for name, optimizer in self.optimizers.items():
                self._good[name] = {key: tensor.clone() for key, tensor in optimizer_tensors(optimizer).items()}
            self._good_step = self.schedule.step
            self._rollbacks = 0
            self.watch.mark_good()

    def roll_back(self, reason: str, callback: MetricsCallback | None) -> None:
        """Puts weights and optimizers back to the last good state and halves the learning rate; the data goes on.

        Raises:
            TrainingError: if that was done too often in a row.
        """
        if self._rollbacks == MAX_ROLLBACKS:
            raise self.given_up(reason)
        self._rollbacks += 1
        for name, model in self.models.items():
            model.load_state_dict(self._good[name])
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, {key: tensor.clone() for key, tensor in self._good[name].items()})
        self.schedule.slow_down()
        self.watch.went_back()
        if callback is not None:
            callback(RolledBack(self.schedule.step, self._good_step, reason, self.schedule.peak_rate))

    def given_up(self, reason: str) -> TrainingError:
        """The error to raise when going back does not help."""
        often = "once" if self._rollbacks == 1 else f"{self._rollbacks} times"
        return TrainingError(
            f"Training goes wrong again and again: {reason}. It went back and slowed down {often}, to no avail.",
            f"Train again with a lower learning rate than {self.schedule.peak_rate:.1e}, or look for damaged recordings.",
        )

    def save(self, values: Mapping[str, Any]) -> TrainingState:
        """All of it as one moment of the run, with further ``values`` that explain it."""
        parts: dict[str, Part] = {name: model.state_dict() for name, model in self.models.items()}
        parts |= {name: optimizer_tensors(optimizer) for name, optimizer in self.optimizers.items()}
        parts |= {"best": self.best_weights, "sums": self.sums.tensors, "random": random_state(self.devices)}
        if not self.is_at_good_state:
            parts |= {f"good-{name}": part for name, part in self._good.items()}
        return TrainingState(
            parts,
            {
                **values,
                "schedule": self.schedule.values(),
                "epoch": self.epoch,
                "sums": {"step": self.sums.step, "totals": self.sums.totals, "count": self.sums.count},
                "curves": self.curves,
                "figures": self.figures,
                "best_score": self.best_score,
                "best_loss": self.best_loss,
                "finished": self.finished,
                "watch": self.watch.values(),
                "good_step": self._good_step,
                "rollbacks": self._rollbacks,
            },
        )

    def restore(self, saved: TrainingState, belongs_to: Mapping[str, str]) -> None:
        """Goes back to where :meth:`save` was called.

        Args:
            belongs_to: what the state must have been trained on: a name in its values, and what must be there.

        Raises:
            StateFileError: if it belongs to something else, or does not fit.
        """
        values, parts = saved.values, saved.parts
        for name, wanted in belongs_to.items():
            if values.get(name) != wanted:
                raise StateFileError(
                    f"The saved training belongs to another {name}.",
                    "Give the very recordings and the model it was begun with, go on where it was begun, or train anew.",
                )
        try:
            for name, model in self.models.items():
                model.load_state_dict(parts[name])
            for name, optimizer in self.optimizers.items():
                restore_optimizer(optimizer, parts.get(name, {}))
            self.best_weights = parts["best"] if self._goes_back else {}
            self.schedule.resume(**values["schedule"])
            self.epoch = int(values["epoch"])
            self.sums = EpochSums(**values["sums"], tensors=dict(parts.get("sums", {})))
            self.curves = {name: list(curve) for name, curve in values["curves"].items()}
            self.figures |= {name: float(figure) for name, figure in values["figures"].items()}
            self.best_score, self.best_loss = float(values["best_score"]), float(values["best_loss"])
            self.mark_good()
            self._good |= {name.removeprefix("good-"): part for name, part in parts.items() if name.startswith("good-")}
            self._good_step, self._rollbacks = int(values["good_step"]), int(values["rollbacks"])
            self.watch.restore(values["watch"])
            restore_random_state(parts["random"], self.devices)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise StateFileError(
                "The saved training does not fit this version of Distill or was changed.", "Train that stage anew."
            ) from error


def gradients(
    loss: Tensor, module: Any, optimizer: torch.optim.Optimizer, fabric: "Fabric", max_norm: float = 1.0
) -> bool:
    """Backpropagates ``loss`` (a scalar) and clips the gradients' norm; says whether loss and gradients are finite.

    With several ranks each gives the loss of its own part of the batch; all get the gradients of the whole. Where the loss is
    scaled (``--precision 16``), gradients that overflow are no trouble as long as there is a scale to halve: the optimizer's
    step leaves them out.
    """
    optimizer.zero_grad()
    if not ranks.all_agree(bool(torch.isfinite(loss))):
        return False
    fabric.backward(loss)
    ranks.average(
        [weights.grad for group in optimizer.param_groups for weights in group["params"] if weights.grad is not None]
    )
    norm = fabric.clip_gradients(module, optimizer, max_norm=max_norm, error_if_nonfinite=False)
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    if scaler is not None and scaler.get_scale() >= LEAST_SCALE:
        return True
    return norm is None or bool(torch.isfinite(norm))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The rate of the next step, for all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimizer has accumulated (moments, step counts) as ``<parameter's place>.<name>``.

    Its settings are not part of it: whoever builds the optimizer again gives them again.
    """
    gathered = optimizer.state_dict()["state"]
    return {
        f"{place}.{name}": torch.as_tensor(value) for place, kept in gathered.items() for name, value in kept.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Part) -> None:
    """Puts back what :func:`optimizer_tensors` took out of an optimizer over parameters of the same shapes."""
    gathered: dict[int, dict[str, Tensor]] = {}
    for whole, tensor in tensors.items():
        place, _, name = whole.partition(".")
        gathered.setdefault(int(place), {})[name] = tensor
    optimizer.load_state_dict({"state": gathered, "param_groups": optimizer.state_dict()["param_groups"]})


def random_state(devices: Iterable[torch.device]) -> dict[str, Tensor]:
    """The state of PyTorch's random generators: on the CPU, and on each of the devices that compute.

    No other device is asked: a run on the CPU never opens the GPU that another program may be using.
    """
    states = {"cpu": torch.get_rng_state()}
    for device in devices:
        if device.type == "cuda":
            states[str(device)] = torch.cuda.get_rng_state(device)
        elif device.type == "mps":
            states["mps"] = torch.mps.get_rng_state()
    return states


def restore_random_state(tensors: Part, devices: Iterable[torch.device]) -> None:
    """Puts back what :func:`random_state` took on the devices that compute now; others are left alone."""
    torch.set_rng_state(tensors["cpu"])
    for device in devices:
        # An earlier version knew one GPU, as "cuda".
        kept = tensors.get(str(device), tensors.get(device.type))
        if kept is not None and device.type == "cuda":
            torch.cuda.set_rng_state(kept, device)
        elif kept is not None and device.type == "mps":
            torch.mps.set_rng_state(kept)
