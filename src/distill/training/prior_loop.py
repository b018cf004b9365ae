"""Training the prior: next-token prediction on codes extracted once from a frozen codec."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from distill import awake
from distill.errors import CorpusError, RankError, TrainingError
from distill.models import ranks
from distill.models.config import PriorConfig
from distill.models.prior import CodePrior
from distill.recordings.corpus import Corpus
from distill.recordings.passages import Split
from distill.sizes import possible_sizes
from distill.training.agreement import Stop
from distill.training.candidates import worth_hearing
from distill.training.checkpoint import Checkpoint, StateFile
from distill.training.device import make_fabric
from distill.training.loop_state import State, gradients, set_learning_rate
from distill.training.metrics import (
    MetricsCallback,
    Notice,
    PriorEpochMetrics,
    PriorStepMetrics,
)
from distill.training.notices import ignore
from distill.training.orders import send_epoch, send_no_epoch
from distill.training.overfitting import (
    check_gap,
    check_memorization,
    cooldown_epochs,
    has_learned_all,
    kept_epoch,
    nothing_more,
    perplexity,
)
from distill.training.plan import PriorPlan
from distill.training.prior_outcome import TrainedPrior, ended, trained
from distill.training.prior_start import PriorInputs, begin
from distill.training.wrapped import WrappedPrior

if TYPE_CHECKING:
    from lightning_fabric import Fabric

VALIDATION_BATCH = 8


@dataclass(frozen=True)
class PriorValidation:
    """Cross-entropy on held-out sequences in nats per token: over all tokens, and of each level alone."""

    loss: float
    level_losses: tuple[float, ...]

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss)


def train_prior(
    model_path: Path | str,
    dataset_dir: Path | str | Corpus,
    prior_config: PriorConfig | None = None,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
    *,
    plan: PriorPlan | None = None,
    split: Split | None = None,
    state_file: StateFile | None = None,
) -> TrainedPrior:
    """Trains a prior over the codes of a model file's frozen codec. The file itself is not changed.

    Args:
        model_path: ``.distill`` file with the codec.
        dataset_dir: the folder of recordings the codec was trained on, or the corpus imported from it.
        prior_config: sizes; sizes that follow the corpus and the minutes if not given. Those of a resumed run are its own.
        callback: gets every event.
        cancel_event: when set, training stops after the current step and the best weights so far are kept.
        plan: the run's settings; the defaults if not given. Its minutes count from the call. A resumed run has the plan it
            began with, and one that is given may differ from that in its end and device (``plan.MAY_CHANGE``).
        split: the codec's split of the corpus; drawn by the codec's seed if not given.
        state_file: where the state is saved, with the codes beside it, and what to resume from. If the codes are gone they are
            extracted again and must be the same; that time does not count as training.

    Returns:
        A dict of all that is to be bundled with the codec (:class:`TrainedPrior`).

    Raises:
        ModelFileError, CorpusError: if one of the two inputs is unusable.
        SettingError: if a size is out of range, or the config's codebooks are not of the codec's number and size.
        StateFileError: if the state to resume belongs to another codec or other recordings, or began with another plan or
            other sizes.
        TrainingError: if training diverges repeatedly before the first epoch is done.
    """
    called = awake.seconds()
    file, tell = state_file or StateFile(), callback or ignore
    if file.resumed is None:
        plan, prior_config = plan or PriorPlan(), prior_config and possible_sizes(prior_config)
    else:
        plan, prior_config = file.resumed.plan(PriorPlan, plan), file.resumed.config(PriorConfig, prior_config)
    fabric = make_fabric(plan.device, plan.precision)
    inputs = PriorInputs.of(Path(model_path), dataset_dir, prior_config, plan, split, fabric.device, tell)
    begun = begin(inputs, plan, file, fabric, cancel_event, called, tell)
    plan, data, stop, state, checkpoint = begun.plan, begun.data, begun.stop, begun.state, begun.checkpoint
    schedule, file_count, is_held_out = state.schedule, inputs.corpus.file_count, inputs.split.is_held_out

    cancelled, others_wait = False, True
    while state.epoch == 0 or not (schedule.finished or cancelled):
        started = time.monotonic()
        with ranks.heartbeat():
            has_grown = data.grow(state.epoch, plan)
        if has_grown:
            begun.keep_codes(file, tell)
        tokens, transposed = data.epoch(state.epoch, plan)
        try:
            send_epoch(tokens, transposed)
            train_loss = train_prior_epoch(state, tokens, plan, fabric, tell, stop, checkpoint, transposed)
            cancelled = not schedule.finished and stop.is_set()
            if cancelled:  # before the unfinished epoch is validated: a resumed run must not notice the stop
                checkpoint.save()
            validation = validated(state, data.held_out, plan, fabric.device, tell)
        except RankError:
            checkpoint.save()
            raise
        except TrainingError as error:
            if state.epoch == 0:
                raise
            tell(Notice(f"{error.what} The best weights so far are kept.", is_warning=True))
            others_wait = False  # they have come to the same end
            break
        planned_s = schedule.remaining_s
        stops_early = end_prior_epoch(state, train_loss, validation, plan)
        tell(_epoch_event(state, validation, file_count, time.monotonic() - started, is_held_out))
        if stops_early and not cancelled:
            saved_s = planned_s - schedule.remaining_s
            losses = state.curves["train_loss"], state.curves["val_loss"]
            tell(Notice(nothing_more(*losses, saved_s, is_held_out)))
    stopped_early = schedule.cooldown is not None and not cancelled
    if not cancelled:
        checkpoint.save_end()
    if others_wait:
        try:
            send_no_epoch()
        except RankError as error:
            tell(Notice(f"{error.what} The training was over by then, so nothing of it is lost.", is_warning=True))

    begun.prior.load_state_dict(state.best_weights)
    outcome = ended(state, file_count, stopped_early, is_held_out)
    tell(outcome)
    return trained(begun, outcome, cancelled)


def train_prior_epoch(
    state: State[WrappedPrior],
    tokens: Tensor,
    plan: PriorPlan,
    fabric: "Fabric",
    callback: MetricsCallback | None = None,
    cancel_event: Stop | None = None,
    checkpoint: Checkpoint | None = None,
    transposed: Tensor | None = None,
) -> float:
    """One pass over token sequences ``[N, T]`` in random order; returns the mean loss in nats per token.

    It ends early with the schedule or on a cancel, and begins after the steps that the state has already done. A step with a
    loss that is not finite or explodes never reaches the optimizer: training goes back to its last good state, halves the
    learning rate, and continues with the next batch.

    In ``plan.infill_share`` of the steps the first part of each sequence may attend to the second, from a random position on
    (:meth:`CodePrior.forward`), so that the prior learns infilling.

    Args:
        transposed: bool ``[N]``, which sequences are of transposed views; None if none is.

    Raises:
        CorpusError: if there is no token to predict.
        TrainingError: if going back does not help repeatedly.
    """
    if not len(tokens) or tokens.shape[1] < 2:
        raise CorpusError("There is nothing to train the prior on.", "Add more or longer recordings.")
    if transposed is None:
        transposed = torch.zeros(len(tokens), dtype=torch.bool)
    schedule, sums = state.schedule, state.sums
    positions = tokens.shape[1] // state.model.module.config.num_quantizers
    generator = torch.Generator().manual_seed(plan.seed_of(state.epoch))
    order = torch.randperm(len(tokens), generator=generator)
    if sums.step:
        generator.set_state(sums.tensors["generator"])
    state.model.train()
    for chosen in order.split(ranks.world_size() * plan.batch_size)[sums.step :]:
        started = time.monotonic()
        known_from = None
        if positions > 1 and float(torch.rand(1, generator=generator)) < plan.infill_share:
            known_from = int(torch.randint(1, positions, (1,), generator=generator))
        # A rank without a part of the last, smaller batch computes one sequence with weight 0, to stay in step with the others.
        own = chosen[ranks.rank() * plan.batch_size :][: plan.batch_size]
        share = ranks.world_size() * len(own) / len(chosen)
        own = own if len(own) else chosen[:1]
        predicted = len(chosen) * (tokens.shape[1] - 1)
        metrics, trouble = train_step(state, tokens[own], transposed[own], known_from, fabric, share)
        state.take_step({"loss": metrics["train_loss"]}, trouble, callback, predicted)
        sums.tensors["generator"] = generator.get_state()
        if callback is not None:
            step_time = time.monotonic() - started
            callback(PriorStepMetrics(**state.step_progress(metrics), step_time_s=step_time, tokens=predicted))
        if checkpoint is not None:
            checkpoint.save_if_due()
        if schedule.finished or (cancel_event is not None and cancel_event.is_set()):
            break
    if not sums.count:
        raise state.given_up("the loss was not finite in any step of an epoch")
    return sums.means()["loss"]


def validated(
    state: State[WrappedPrior],
    held_out: Tensor,
    plan: PriorPlan,
    device: torch.device,
    callback: MetricsCallback | None = None,
) -> PriorValidation:
    """Validates the present weights on held-out sequences ``[N, T]``, and reserves as much time at the end of the run.

    If the loss is not finite, training first goes back to its last good state.

    Raises:
        TrainingError: if going back does not help repeatedly.
    """
    with state.schedule.reserving():
        while not math.isfinite((found := validate_prior_epoch(state.model, held_out, plan.batch_size, device)).loss):
            state.roll_back("the validation loss was not finite", callback)
    return found


def end_prior_epoch(
    state: State[WrappedPrior], train_loss: float, validation: PriorValidation, plan: PriorPlan
) -> bool:
    """Counts an epoch, and keeps its weights if its held-out loss is as good as any before, or nearly.

    If none has been for long, training stops early: it goes back to the kept weights and cools down.

    Returns:
        Whether the cool-down begins here.
    """
    state.end_epoch(train_loss=train_loss, val_loss=validation.loss)
    schedule, losses = state.schedule, state.curves["val_loss"]
    ended = state.epoch - 1
    if kept_epoch(losses) == ended:
        state.keep(validation.perplexity, validation.loss)
        weights = state.best_weights
    else:
        weights = state.copied_weights()
    at_hand = state.epoch_weights | {ended: weights}
    state.epoch_weights = {epoch: at_hand[epoch] for epoch in worth_hearing(losses) if epoch in at_hand}
    if schedule.cooldown is not None or schedule.finished:
        return False
    if not has_learned_all(losses, schedule.total_epochs, plan.patience):
        return False
    state.return_to_best()
    schedule.start_cooldown(cooldown_epochs(losses) / state.epoch)
    return True


def train_step(
    state: State[WrappedPrior],
    batch: Tensor,
    transposed: Tensor,
    known_from: int | None,
    fabric: "Fabric",
    share: float = 1.0,
) -> tuple[dict[str, float], str]:
    """One optimisation step on token sequences ``[B, T]``: every token is predicted from all before it.

    Args:
        transposed: bool ``[B]``, as :meth:`CodePrior.forward` takes it.
        share: weight of this rank's loss: the number of its sequences relative to the mean over ranks.

    Returns:
        Loss and learning rate by their names in :class:`PriorStepMetrics`, and what went wrong, in words: empty if nothing did,
        otherwise the optimizer has not stepped.
    """
    rate = state.schedule.learning_rate
    set_learning_rate(state.optimizer, rate)
    batch = batch.to(fabric.device)
    inputs, targets = batch[:, :-1], batch[:, 1:]
    logits = state.model(inputs, known_from=known_from, transposed=transposed.to(fabric.device))  # [B, T - 1, K]
    loss = share * F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    finite = gradients(loss, state.model, state.optimizer, fabric)
    losses = ranks.mean_losses({"train_loss": loss})
    trouble = state.watch.trouble(losses["train_loss"], finite)
    if not trouble:
        state.optimizer.step()
    return {**losses, "learning_rate": rate}, trouble


@torch.no_grad()
def validate_prior_epoch(
    model: CodePrior | WrappedPrior,
    tokens: Tensor,
    batch_size: int = VALIDATION_BATCH,
    device: torch.device | str = "cpu",
) -> PriorValidation:
    """Cross-entropy on held-out sequences ``[N, T]``: summed over all predicted tokens, then divided by their number.

    A mean of batch means would give the last, smaller batch too much weight. Ranks share the batches.

    Raises:
        CorpusError: if there is no token to predict.
    """
    if not len(tokens) or tokens.shape[1] < 2:
        raise CorpusError("There is nothing held out to validate the prior on.", "Add more or longer recordings.")
    model.eval()
    config: PriorConfig = getattr(model, "module", cast(Any, model)).config
    levels = torch.arange(1, tokens.shape[1]) % config.num_quantizers  # of the targets
    sums = torch.zeros(config.num_quantizers, dtype=torch.float64)
    for batch in tokens.split(batch_size)[ranks.rank() :: ranks.world_size()]:
        inputs, targets = batch[:, :-1].to(device), batch[:, 1:].to(device)
        logits = model(inputs)
        losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
        sums.index_add_(0, levels, losses.sum(dim=0).cpu().double())
    sums = torch.tensor(ranks.all_reduce_sum(sums.tolist()), dtype=torch.float64)
    counts = torch.bincount(levels, minlength=config.num_quantizers) * len(tokens)
    return PriorValidation(
        loss=float(sums.sum() / counts.sum()), level_losses=tuple((sums / counts.clamp(min=1)).tolist())
    )


def _epoch_event(
    state: State[WrappedPrior], validation: PriorValidation, file_count: int, seconds: float, is_held_out: bool
) -> PriorEpochMetrics:
    """The event that reports the epoch that has just ended."""
    train_losses, val_losses = state.curves["train_loss"], state.curves["val_loss"]
    codebook_size = state.model.module.config.codebook_size
    memorizing, message = check_memorization(validation.perplexity, codebook_size, file_count)
    overfitting, gap_message = check_gap(train_losses, val_losses, is_held_out)
    return PriorEpochMetrics(
        **state.epoch_progress(seconds),
        train_loss=train_losses[-1],
        val_loss=validation.loss,
        val_perplexity=validation.perplexity,
        best_perplexity=state.best_score,
        is_memorizing=memorizing,
        memorization_message=message,
        level_losses=validation.level_losses,
        best_epoch=kept_epoch(val_losses) + 1,
        is_overfitting=overfitting,
        overfitting_message=gap_message,
        is_held_out=is_held_out,
    )
