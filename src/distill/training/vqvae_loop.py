"""Training the codec: windows of audio in, the weights that reconstruct the recordings best out."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from distill.errors import RankError, TrainingError
from distill.models import ranks
from distill.models.config import VQVAEConfig
from distill.models.health import LevelHealth, level_health, utilisation_warning
from distill.models.quantizer import count_codes
from distill.models.vqvae import ConvVQVAE
from distill.recordings.corpus import Corpus, import_corpus
from distill.recordings.passages import Split
from distill.recordings.split import split_corpus
from distill.sizes import codec_config_for, possible_sizes
from distill.training.checkpoint import StateFile
from distill.training.codec_data import count_corpus_codes, start_codebooks
from distill.training.codec_loss import CodecLoss, draws_of_step
from distill.training.codec_start import Begun, begin, check_channels, without_base
from distill.training.codec_validation import scored_by_first
from distill.training.loop_state import State, gradients, set_learning_rate
from distill.training.memory import keep_freed_memory
from distill.training.metrics import (
    MetricsCallback,
    Notice,
    VQEpochMetrics,
    VQStepMetrics,
    VQTrainingCompleteEvent,
    checked,
)
from distill.training.notices import ignore, noticing, tell_of_corpus
from distill.training.plan import CodecPlan
from distill.training.wrapped import WrappedCodec

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class VQTrainingResult:
    """A trained codec with its best weights, frozen, and the figures of its training."""

    codec: ConvVQVAE
    config: VQVAEConfig
    plan: CodecPlan
    corpus: Corpus
    split: Split
    code_counts: Tensor
    """How often the whole corpus uses each codebook entry: ``[Q, K]``."""
    levels: tuple[LevelHealth, ...]
    epochs_trained: int
    best_val_loss: float
    """Held-out mel distance of the weights that were kept."""
    curves: dict[str, list[float]]
    """``train_loss`` and ``val_loss`` of every epoch."""
    is_from_base: bool
    """Whether training started from the base codec."""
    seconds_taken: float
    """Training time in seconds, including that before it was resumed."""
    cancelled: bool

    @property
    def record(self) -> dict[str, float | int | str]:
        """The training as the model file records it."""
        return {
            "seed": self.plan.seed,
            "epochs_trained": self.epochs_trained,
            "best_val_loss": self.best_val_loss,
            "seconds_taken": round(self.seconds_taken, 1),
            "cancelled": int(self.cancelled),
            "from_base": int(self.is_from_base),
            "held_out": int(self.split.is_held_out),
        }

    @property
    def event(self) -> VQTrainingCompleteEvent:
        """The event that reports the end of the training."""
        return VQTrainingCompleteEvent(
            final_train_loss=self.curves["train_loss"][-1],
            final_val_loss=self.curves["val_loss"][-1],
            best_val_loss=self.best_val_loss,
            epochs_trained=self.epochs_trained,
            cancelled=self.cancelled,
            levels=self.levels,
            is_held_out=self.split.is_held_out,
        )


@dataclass(frozen=True)
class VQEpochResult:
    """The outcome of one training epoch."""

    loss: float
    """Mean over the steps, commitment included."""
    code_counts: Tensor
    """How often each codebook entry was used: ``[Q, K]``."""


def train_vqvae(
    dataset_dir: Path | str | Corpus,
    config: VQVAEConfig | None = None,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
    *,
    plan: CodecPlan | None = None,
    split: Split | None = None,
    state_file: StateFile | None = None,
) -> VQTrainingResult:
    """Trains a codec on a folder of recordings and returns it with its best weights, in eval mode.

    Args:
        dataset_dir: folder of recordings, or the corpus imported from one.
        config: sizes; a folder is read in its ``channels``, a corpus must have the same. Sizes that follow the corpus if not
            given; those of a resumed run are its own.
        callback: gets every event.
        cancel_event: when set, training stops after the current step and the best weights so far are kept.
        plan: the run's settings; the defaults if not given. A resumed run has the plan it began with, and one that is given may
            differ from that in its end and device (``plan.MAY_CHANGE``).
        split: of the corpus into training and held-out passages; drawn by the plan's seed if not given.
        state_file: where the state is saved, and what to resume from.

    Raises:
        CorpusError: if the folder holds nothing usable.
        SettingError: if a size is out of range, or the corpus has other channels.
        StateFileError: if the state to resume belongs to other recordings, or began with another plan or other sizes.
        TrainingError: if training diverges repeatedly before the first epoch is done.
    """
    file, tell = state_file or StateFile(), callback or ignore
    if file.resumed is None:
        plan, config = plan or CodecPlan(), config and possible_sizes(config)
    else:
        plan, config = file.resumed.plan(CodecPlan, plan), file.resumed.config(VQVAEConfig, config)
    if isinstance(dataset_dir, Corpus):
        corpus = dataset_dir
    else:
        corpus = import_corpus(
            Path(dataset_dir), channels=None if config is None else config.channels, ahead=noticing(tell)
        )
    config = config or codec_config_for(corpus)
    check_channels(config, corpus)
    split = split or split_corpus(corpus, seed=plan.seed)
    if file.resumed is None:
        tell(Notice(split.explanation))
        tell_of_corpus(corpus, tell)
        if words := without_base(config, plan):
            tell(Notice(words))

    keep_freed_memory()
    begun = begin(corpus, split, config, plan, file, cancel_event, tell)
    fabric, state, checkpoint = begun.fabric, begun.state, begun.checkpoint
    codec, schedule = state.model.module, state.schedule

    cancelled = False
    while state.epoch == 0 or not (schedule.finished or cancelled):
        started = time.monotonic()
        try:
            trained = train_vqvae_epoch(begun, tell)
            cancelled = not schedule.finished and begun.stop.is_set()
            if cancelled:  # before the unfinished epoch is validated: a resumed run must not notice the stop
                checkpoint.save()
            if not codec.quantizer.started:  # the first epoch ended early: what is kept must have codes
                start_codebooks(state.model, begun.data.windows, plan, fabric)
                checkpoint.begin_anew()  # or what can be heard now would come a minute later
            figures, score = validated(begun, tell)
        except RankError:
            checkpoint.save()
            raise
        except TrainingError as error:
            if state.epoch == 0:
                raise
            tell(Notice(f"{error.what} The best weights so far are kept.", is_warning=True))
            break
        state.keep_if_best(score, figures["mel"])
        state.end_epoch(train_loss=trained.loss, val_loss=figures["mel"])
        tell(_epoch_event(state, trained, figures, time.monotonic() - started, split.is_held_out))
    if not cancelled:
        checkpoint.save_end()

    codec.load_state_dict(state.best_weights)
    codec.requires_grad_(False).eval()
    begun.listening.write(schedule.step, lambda passage: codec(passage).reconstruction, fabric.device)  # as it is kept
    result = _result(begun, corpus, split, cancelled)
    tell(result.event)
    return result


def train_vqvae_epoch(begun: Begun, callback: MetricsCallback) -> VQEpochResult:
    """One epoch, ended early by the schedule or a cancel; what the state has already done of it is not done again.

    A step that goes wrong (a loss that is not finite or explodes, a codebook that collapses) never reaches the optimizer:
    training goes back to its last good state, halves the learning rate, and goes on with the next batch.

    Raises:
        TrainingError: if that does not help, time after time.
    """
    plan, state, windows, fabric = begun.plan, begun.state, begun.data.windows, begun.fabric
    model, schedule, sums = state.model, state.schedule, state.sums
    config, quantizer = model.module.config, model.module.quantizer
    counts = sums.tensors.setdefault(
        "code_counts", torch.zeros(config.num_quantizers, config.codebook_size, dtype=torch.int64)
    )
    model.train()
    # By the same sums on all ranks they stay equal, unless their machines' processors round differently.
    ranks.broadcast_tensors(quantizer.buffers())
    while sums.step < begun.data.steps_per_epoch:
        started = time.monotonic()
        batch = windows.batch(state.epoch, sums.step, plan.batch_size, ranks.rank())
        audio = torch.from_numpy(batch).to(fabric.device)
        if not quantizer.started and schedule.step >= plan.continuous_steps:
            start_codebooks(model, windows, plan, fabric)
            model.train()
            state.watch.forget()  # the loss means something else from here on
            begun.checkpoint.begin_anew()  # from here on there is something to hear
        metrics, trouble = train_step(state, audio, plan, begun.criterion, fabric)
        state.take_step({"loss": metrics["train_loss"]}, trouble, callback)
        callback(
            VQStepMetrics(
                **state.step_progress(metrics),
                step_time_s=time.monotonic() - started,
                audio_seconds=ranks.world_size() * audio.shape[0] * audio.shape[-1] / config.sample_rate,
            )
        )
        if begun.checkpoint.save_if_due() and quantizer.started:
            model.eval()
            begun.listening.write(schedule.step, lambda passage: model(passage).reconstruction, fabric.device)
            model.train()
        if schedule.finished or begun.stop.is_set():
            break
    if not sums.count:
        raise state.given_up("the loss was not finite in any step of an epoch")
    return VQEpochResult(sums.means()["loss"], counts)


def validated(begun: Begun, callback: MetricsCallback) -> tuple[dict[str, float], float]:
    """Validates the present weights, and reserves as much time at the end of the run.

    If the score is not finite, training first goes back to its last good state.

    Returns:
        The figures of the held-out windows, and the score (:func:`distill.training.codec_validation.score_codec`).

    Raises:
        TrainingError: if going back does not help repeatedly.
    """
    state, mel = begun.state, begun.criterion.mel
    with state.schedule.reserving():
        while not math.isfinite((scored := scored_by_first(state.model, mel, begun.data, begun.fabric))[1]):
            state.roll_back(f"the {checked('distance', begun.is_held_out)} was not finite", callback)
    return scored


def train_step(
    state: State[WrappedCodec], audio: Tensor, plan: CodecPlan, criterion: CodecLoss, fabric: "Fabric"
) -> tuple[dict[str, float], str]:
    """One optimisation step on a batch ``[B, C, N]``.

    Returns:
        Losses and learning rate by their names in :class:`VQStepMetrics`, and what went wrong, in words: empty if nothing did,
        otherwise the optimizer has not stepped.
    """
    model, config = state.model, state.model.module.config
    draw = draws_of_step(plan.seed, state.epoch, state.sums.step)
    rate = state.schedule.learning_rate
    set_learning_rate(state.optimizer, rate)

    is_quantizing = model.module.quantizer.started
    with fabric.autocast():
        output, predicted = model.forward_with_predicted(audio, is_quantizing)
    output, predicted = fabric.strategy.precision.convert_output((output, predicted))  # losses are computed in 32 bits
    parts = criterion(model.module, output.reconstruction, predicted, audio, draw)
    loss = torch.stack(list(parts.values())).sum() + config.commitment_weight * output.commitment_loss

    finite = gradients(loss, model, state.optimizer, fabric)
    losses = ranks.mean_losses(
        {
            "train_loss": loss,
            "reconstruction_loss": parts["reconstruction"],
            "commitment_loss": output.commitment_loss,
        }
    )
    used = ranks.summed_counts(count_codes(output.indices, config.codebook_size)) if is_quantizing else None
    trouble = state.watch.trouble(losses["train_loss"], finite, used)
    if not trouble:
        state.optimizer.step()
        if used is not None:
            state.sums.tensors["code_counts"] += used
    return {**losses, "learning_rate": rate}, trouble


def _epoch_event(
    state: State[WrappedCodec], trained: VQEpochResult, figures: dict[str, float], seconds: float, is_held_out: bool
) -> VQEpochMetrics:
    """The event that reports the epoch that has just ended."""
    levels = level_health(trained.code_counts)
    return VQEpochMetrics(
        **state.epoch_progress(seconds),
        train_loss=trained.loss,
        val_loss=figures["mel"],
        best_val_loss=state.best_loss,
        levels=levels,
        warning=utilisation_warning(levels),
        heard=figures,
        is_held_out=is_held_out,
    )


def _result(begun: Begun, corpus: Corpus, split: Split, cancelled: bool) -> VQTrainingResult:
    """The codec with the weights it has now, and how its training went."""
    state, codec = begun.state, begun.state.model.module
    code_counts = count_corpus_codes(codec, corpus, begun.fabric.device)
    return VQTrainingResult(
        codec=codec.cpu(),
        config=codec.config,
        plan=begun.plan,
        corpus=corpus,
        split=split,
        code_counts=code_counts,
        levels=level_health(code_counts),
        is_from_base=begun.is_from_base,
        epochs_trained=state.epoch,
        best_val_loss=state.best_loss,
        curves=state.curves,
        seconds_taken=state.schedule.elapsed_s,
        cancelled=cancelled,
    )
