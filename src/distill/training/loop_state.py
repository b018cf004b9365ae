"""The state of a training loop, listed once: to save it, to resume it, and to roll back when training goes wrong."""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from distill.errors import StateFileError, TrainingError
from distill.models import ranks
from distill.training.metrics import MetricsCallback, RolledBack
from distill.training.schedule import Schedule
from distill.training.state_file import Part, SavedState
from distill.training.watch import GOOD_EVERY, Watch
from distill.training.wrapped import Wrapped

if TYPE_CHECKING:
    from lightning_fabric import Fabric

W_co = TypeVar("W_co", bound=Wrapped[nn.Module], covariant=True)

MAX_ROLLBACKS = 6
"""Training fails after this many rollbacks in a row without a good state in between."""
LEAST_SCALE = 1.0
"""Half precision: gradients that overflow at a loss scale of at least this are no trouble, since the scale can be halved."""


@dataclass
class EpochSums:
    """The epoch in progress: how many of its steps are done, and their losses."""

    step: int = 0
    """Steps done, including those that went wrong."""
    totals: dict[str, float] = field(default_factory=dict)
    """Each loss by name, summed over the steps that went well."""
    count: int = 0
    """The divisor of the totals: steps, or tokens."""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """Further values of the epoch: the codec's code counts, the state of the prior's generator."""

    def add(self, losses: Mapping[str, float], weight: int = 1) -> None:
        """Adds the losses of a step that went well, each a mean over ``weight`` items."""
        for name, loss in losses.items():
            self.totals[name] = self.totals.get(name, 0.0) + loss * weight
        self.count += weight

    def means(self) -> dict[str, float]:
        """The mean of each loss over all items of the epoch so far."""
        return {name: total / self.count for name, total in self.totals.items()}


class State(Generic[W_co]):
    """Everything that changes in one training run; generic in the model of a loop that trains one (:attr:`model`).

    Args:
        models: modules whose weights change, by the name they are saved under. They may be wrapped by Fabric.
        optimizers: their optimizers, likewise.
        good_every: weights and optimizers are kept as a good state after so many steps in a row without trouble; None if the
            loop never rolls back.
        instead: what to do if going back never helps.
    """

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        schedule: Schedule,
        good_every: int | None = GOOD_EVERY,
        instead: str = "Look for damaged recordings with distill check, or train again with another --seed.",
    ) -> None:
        self.models, self.optimizers, self.schedule = dict(models), dict(optimizers), schedule
        self.epoch = 0
        """Number of completed epochs."""
        self.sums = EpochSums()
        self.curves: dict[str, list[float]] = {}
        """Learning curves by name, one value an epoch."""
        self.figures: dict[str, float] = {}
        """Further numbers of a loop, by name."""
        self.best_score = math.inf
        """Score of the best weights, lower is better; each loop has a score of its own."""
        self.best_loss = math.inf
        """Held-out loss of the best weights."""
        self.best_weights: Mapping[str, Tensor] = {}
        """Copy of the best weights so far, in loops that choose among them."""
        self.epoch_weights: dict[int, Mapping[str, Tensor]] = {}
        """Copies of the weights of further epochs, counted from 0, in loops that choose among them once more at their end."""
        self.finished = False
        """Whether the run reached its planned end."""
        self.watch = Watch(good_every or GOOD_EVERY)
        self._goes_back = good_every is not None
        self._instead = instead
        self._good: dict[str, Part] = {}
        self._good_step = 0
        self._rollbacks = 0
        if self._goes_back:
            self.best_weights = self.copied_weights()
        self.mark_good()

    @property
    def model(self) -> W_co:
        """The model of a loop that trains one, as Fabric wraps it; a ``State[Never]`` has several, which its loop holds."""
        return cast(W_co, self.models["weights"])

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
        """Counts a step; if it went wrong, rolls back to the last good state instead of adding its losses.

        Args:
            losses: by name, each a mean over ``weight`` items.
            trouble: what went wrong, in words; empty if nothing did.

        Raises:
            TrainingError: after too many rollbacks in a row.
        """
        trouble = ranks.broadcast_text(trouble)
        if trouble:
            self.roll_back(trouble, callback)
        else:
            self.sums.add(losses, weight)
        self.count_step()
        if self.watch.is_good:
            self.mark_good()

    def count_step(self) -> None:
        """Counts a step of the run and of its epoch, after which all ranks agree on the time again."""
        self.schedule.step += 1
        self.sums.step += 1
        self.schedule.agreement.renew()

    def keep_if_best(self, score: float, loss: float) -> None:
        """Keeps a copy of the present weights if their score is the lowest so far."""
        if score < self.best_score:
            self.keep(score, loss)

    def keep(self, score: float, loss: float) -> None:
        """Keeps a copy of the present weights as the best."""
        self.best_score, self.best_loss = score, loss
        self.best_weights = self.copied_weights()

    def copied_weights(self) -> Mapping[str, Tensor]:
        """A copy of the present weights, by name."""
        return copy.deepcopy(self.models["weights"].state_dict())

    def return_to_best(self) -> None:
        """Restores the best weights; the optimizer's moments stay."""
        self.models["weights"].load_state_dict(self.best_weights)
        self.mark_good()

    def end_epoch(self, **values: float) -> None:
        """Adds the epoch's values to the curves, counts it, and starts the sums of the next one."""
        for name, value in values.items():
            self.curves.setdefault(name, []).append(value)
        self.epoch, self.sums = self.epoch + 1, EpochSums()

    def step_progress(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        """Progress of the run and metrics of its last step, by the field names of the step events."""
        schedule = self.schedule
        return {
            "epoch": self.epoch + 1,
            "step": schedule.step,
            "total_steps": max(schedule.step, schedule.total_steps),
            "progress": schedule.progress,
            "remaining_s": schedule.remaining_s,
            **metrics,
        }

    def epoch_progress(self, seconds: float) -> dict[str, Any]:
        """Progress of the run after an epoch that took ``seconds``, by the field names of the epoch events."""
        schedule = self.schedule
        return {
            "epoch": self.epoch,
            "total_epochs": max(self.epoch, schedule.total_epochs),
            "epoch_time_s": seconds,
            "learning_rate": schedule.learning_rate,
        }

    def mark_good(self) -> None:
        """Keeps a copy of weights and optimizers to roll back to."""
        if self._goes_back:
            self._good = {name: copy.deepcopy(dict(model.state_dict())) for name, model in self.models.items()}
            for name, optimizer in self.optimizers.items():
                self._good[name] = {key: tensor.clone() for key, tensor in optimizer_tensors(optimizer).items()}
            self._good_step = self.schedule.step
            self._rollbacks = 0
            self.watch.mark_good()

    def roll_back(self, reason: str, callback: MetricsCallback | None) -> None:
        """Restores weights and optimizers of the last good state and halves the learning rate; the data is not rewound.

        Raises:
            TrainingError: after too many rollbacks in a row. The weights are those of the last good state even then, since a
                loop that has best weights to keep saves its state afterwards.
        """
        for name, model in self.models.items():
            model.load_state_dict(self._good[name])
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, {key: tensor.clone() for key, tensor in self._good[name].items()})
        self.watch.went_back()
        if self._rollbacks == MAX_ROLLBACKS:
            raise self.given_up(reason)
        self._rollbacks += 1
        self.schedule.slow_down()
        if callback is not None:
            callback(RolledBack(self.schedule.step, self._good_step, reason, self.schedule.peak_rate))

    def given_up(self, reason: str) -> TrainingError:
        """The error to raise when rolling back does not help."""
        often = "once" if self._rollbacks == 1 else f"{self._rollbacks} times"
        return TrainingError(
            f"Training keeps going wrong: {reason}. Going back and halving the learning rate {often} did not help.",
            self._instead,
        )

    def save(self, values: Mapping[str, Any]) -> SavedState:
        """The whole state, with further ``values`` that describe it, to be saved."""
        parts: dict[str, Part] = {name: model.state_dict() for name, model in self.models.items()}
        parts |= {name: optimizer_tensors(optimizer) for name, optimizer in self.optimizers.items()}
        parts |= {"best": self.best_weights, "sums": self.sums.tensors, "random": random_state(self.devices)}
        # The best weights are often those of one of the epochs; what a state lacks of them is the best.
        parts |= {
            _epoch_part(epoch): weights
            for epoch, weights in self.epoch_weights.items()
            if weights is not self.best_weights
        }
        if not self.is_at_good_state:
            parts |= {f"good-{name}": part for name, part in self._good.items()}
        return SavedState(
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
                "epochs_kept": list(self.epoch_weights),
                "finished": self.finished,
                "watch": self.watch.values(),
                "good_step": self._good_step,
                "rollbacks": self._rollbacks,
            },
        )

    def restore(self, saved: SavedState, belongs_to: Mapping[str, Any]) -> None:
        """Restores the state that :meth:`save` gave.

        Args:
            belongs_to: values that the saved state must have, by name: what it was trained on, mostly as fingerprints.

        Raises:
            StateFileError: if they differ, or the state does not fit.
        """
        saved.check_belongs(belongs_to)
        values, parts = saved.values, saved.parts
        try:
            for name, model in self.models.items():
                model.load_state_dict(parts[name])
            for name, optimizer in self.optimizers.items():
                restore_optimizer(optimizer, parts.get(name, {}))
            self.best_weights = parts["best"] if self._goes_back else {}
            kept = values["epochs_kept"]
            self.epoch_weights = {int(epoch): parts.get(_epoch_part(epoch), self.best_weights) for epoch in kept}
            self.schedule.resume(**values["schedule"])
            self.epoch = int(values["epoch"])
            self.sums = EpochSums(**values["sums"], tensors=dict(parts.get("sums", {})))
            self.sums.step = self.schedule.own_steps(self.sums.step, values["schedule"].get("steps_per_epoch"))
            self.curves = {name: list(curve) for name, curve in values["curves"].items()}
            self.figures |= {name: float(figure) for name, figure in values["figures"].items()}
            self.best_score, self.best_loss = float(values["best_score"]), float(values["best_loss"])
            self.mark_good()
            self._good |= {name.removeprefix("good-"): part for name, part in parts.items() if name.startswith("good-")}
            since_good = int(values["schedule"]["step"]) - int(values["good_step"])
            self._good_step, self._rollbacks = self.schedule.step - since_good, int(values["rollbacks"])
            self.watch.restore(values["watch"])
            restore_random_state(parts["random"], self.devices)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise StateFileError(
                "The saved training does not fit this version of Distill or was changed.", "Train that stage again."
            ) from error


def _epoch_part(epoch: int) -> str:
    """What the weights of an epoch are called in a saved state."""
    return f"epoch-{epoch}"


def gradients(
    loss: Tensor, module: Wrapped[nn.Module], optimizer: torch.optim.Optimizer, fabric: "Fabric", max_norm: float = 1.0
) -> bool:
    """Backpropagates ``loss`` (a scalar) and clips the gradients' norm; returns whether loss and gradients are finite.

    Each rank passes the loss of its own part of the batch, and all get the gradients of the whole batch. If the loss is scaled
    (``--precision 16``), gradients that overflow count as finite as long as the scale can be halved: the optimizer skips such
    a step by itself.
    """
    optimizer.zero_grad()
    if not ranks.all_agree(bool(torch.isfinite(loss))):
        return False
    fabric.backward(loss)
    ranks.all_reduce_mean(
        [weights.grad for group in optimizer.param_groups for weights in group["params"] if weights.grad is not None]
    )
    norm = fabric.clip_gradients(module, optimizer, max_norm=max_norm, error_if_nonfinite=False)
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    if scaler is not None and scaler.get_scale() >= LEAST_SCALE:
        return True
    return norm is None or bool(torch.isfinite(norm))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of all parameters for the next step, whatever rates their groups were made with."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimizer's state (moments, step counts) as ``<index of the parameter>.<name>``.

    Its settings (learning rate, betas) are not included; the optimizer must be built with them again.
    """
    gathered = optimizer.state_dict()["state"]
    return {
        f"{place}.{name}": torch.as_tensor(value) for place, kept in gathered.items() for name, value in kept.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Part) -> None:
    """Restores what :func:`optimizer_tensors` gave into an optimizer over parameters of the same shapes."""
    gathered: dict[int, dict[str, Tensor]] = {}
    for whole, tensor in tensors.items():
        place, _, name = whole.partition(".")
        gathered.setdefault(int(place), {})[name] = tensor
    optimizer.load_state_dict({"state": gathered, "param_groups": optimizer.state_dict()["param_groups"]})


def random_state(devices: Iterable[torch.device]) -> dict[str, Tensor]:
    """The state of PyTorch's random generators on the CPU and on each of ``devices``, by its type: each rank has a GPU of its
    own, and all go on from the first one's state, so that they replace dead codes by the same vectors.

    Other devices are not touched: a run on the CPU never opens a GPU that another program may be using.
    """
    states = {"cpu": torch.get_rng_state()}
    for device in devices:
        if device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(device)
        elif device.type == "mps":
            states["mps"] = torch.mps.get_rng_state()
    return states


def restore_random_state(tensors: Part, devices: Iterable[torch.device]) -> None:
    """Restores what :func:`random_state` gave on the CPU and on each of ``devices``; other devices are not touched."""
    torch.set_rng_state(tensors["cpu"])
    for device in devices:
        kept = tensors.get(device.type)
        if kept is not None and device.type == "cuda":
            torch.cuda.set_rng_state(kept, device)
        elif kept is not None and device.type == "mps":
            torch.mps.set_rng_state(kept)
