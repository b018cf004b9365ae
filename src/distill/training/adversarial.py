"""The codec's second stage: the decoder alone trains further, against a discriminator; encoder and codebooks are frozen.

A mel distance ignores phase and tolerates blur, so the first stage sounds a little dull and rough. Here discriminators learn
to tell recordings from reconstructions, and the decoder learns to pass for recordings. The first stage's loss keeps it close
to the recording it reconstructs, and keeps its predictions of phases and noise right: these are sampled, and no gradient of a
discriminator passes through the sampling. Loss and weights are those of the Descript Audio Codec (Kumar et al. 2023,
arXiv:2306.06546). Codes keep their meaning: whatever was encoded before stays valid, and so does a prior.

The result is the moving average of the decoder's weights at the end. It is kept if pitch, texture and mel distance of held-out
recordings together are no worse than before (``audio/likeness.py``); the mel distance alone would prefer dull decoders, since
natural grain costs some of it. If it ends above ``worst_mel`` times its first value, the stage is discarded in any case.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Never

import torch
from torch import Tensor

from distill.errors import RankError, TrainingError
from distill.models import ranks
from distill.models.discriminator import (
    adversarial_loss,
    discriminator_loss,
    feature_distance,
)
from distill.models.vqvae import ConvVQVAE
from distill.recordings.corpus import Corpus
from distill.recordings.passages import Split
from distill.recordings.split import split_corpus
from distill.training.adversarial_networks import Networks
from distill.training.adversarial_start import Begun, begin
from distill.training.checkpoint import StateFile
from distill.training.codec_loss import draws_of_step
from distill.training.codec_validation import figures_by_first, likeness_of_windows
from distill.training.loop_state import State, gradients, set_learning_rate
from distill.training.metrics import (
    MetricsCallback,
    RefinementCompleteEvent,
    RefinementEpochMetrics,
    RefinementStepMetrics,
)
from distill.training.notices import ignore
from distill.training.plan import RefinementPlan
from distill.training.wrapped import WrappedDiscriminator

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class RefinementResult:
    """Both decoders, and which of them to keep."""

    first: ConvVQVAE
    """The codec with the first stage's decoder."""
    refined: ConvVQVAE
    """The codec with the second stage's decoder."""
    is_kept: bool
    """Whether the second stage's decoder replaces the first one's."""
    mel_before: float
    mel_after: float
    figures_before: dict[str, float]
    """All figures of the held-out recordings, by name (``Likeness.figures``)."""
    figures_after: dict[str, float]
    steps: int
    epochs_trained: int
    seconds_taken: float
    """Training time of the stage in seconds, including that before it was resumed."""
    curves: dict[str, list[float]]
    """Held-out mel distance and mean losses of every epoch."""
    is_held_out: bool
    """Whether anything was held out to judge by."""
    cancelled: bool

    @property
    def record(self) -> dict[str, float | int | str]:
        """The stage as the model file records it."""
        return {
            "refinement_steps": self.steps,
            "refinement_epochs": self.epochs_trained,
            "refinement_seconds": round(self.seconds_taken, 1),
            "refinement_mel_before": self.mel_before,
            "refinement_mel_after": self.mel_after,
            "refinement_kept": int(self.is_kept),
        }

    @property
    def event(self) -> RefinementCompleteEvent:
        """The event that reports the end of the stage."""
        return RefinementCompleteEvent(
            mel_before=self.mel_before,
            mel_after=self.mel_after,
            is_kept=self.is_kept,
            epochs_trained=self.epochs_trained,
            steps=self.steps,
            cancelled=self.cancelled,
            is_held_out=self.is_held_out,
        )

    @property
    def codec(self) -> ConvVQVAE:
        """The codec to keep."""
        return self.refined if self.is_kept else self.first


def refine_decoder(
    codec: ConvVQVAE,
    corpus: Corpus,
    plan: RefinementPlan,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
    *,
    split: Split | None = None,
    state_file: StateFile | None = None,
) -> RefinementResult:
    """Trains the decoder of a codec further, against discriminators, and returns a codec with the same codes.

    Args:
        codec: the result of the first stage; it is not changed.
        corpus: the recordings the first stage was trained on.
        plan: the run's settings. A resumed run needs the plan it began with, except for its end and device
            (``plan.MAY_CHANGE``).
        callback: gets every event.
        cancel_event: when set, the stage ends after the current step; its state can be resumed.
        split: the first stage's; drawn by the plan's seed if not given.
        state_file: where the state is saved, and what to resume from.

    Raises:
        TrainingError: if ``plan.max_bad_steps`` losses in a row are not finite.
        StateFileError: if the state to resume belongs to another codec or other recordings, or began with another plan.
    """
    file, tell = state_file or StateFile(), callback or ignore
    plan = plan if file.resumed is None else file.resumed.plan(RefinementPlan, plan)
    split = split or split_corpus(corpus, seed=plan.seed)
    begun = begin(codec, corpus, split, plan, file, cancel_event, tell)
    fabric, networks, state, checkpoint = begun.fabric, begun.networks, begun.state, begun.checkpoint
    schedule = state.schedule

    state.finished, cancelled = schedule.finished, False
    epoch_started = time.monotonic()
    try:
        while not (state.finished or cancelled):
            started = time.monotonic()
            batch = begun.windows.batch(state.epoch, state.sums.step, plan.batch_size, ranks.rank())
            metrics, finite = train_step(state, torch.from_numpy(batch).to(fabric.device), plan, networks, fabric)
            take_step(state, metrics, finite, plan)
            state.finished = schedule.finished
            tell(
                RefinementStepMetrics(
                    **state.step_progress(metrics),
                    step_time_s=time.monotonic() - started,
                    audio_seconds=ranks.world_size() * batch.shape[0] * batch.shape[-1] / codec.sample_rate,
                )
            )

            # Evaluate.
            if state.sums.step >= begun.steps_per_epoch or state.finished:
                with schedule.reserving():
                    figures = figures_by_first(networks.averaged, networks.distance, begun.held_out, fabric)
                if not state.sums.count:
                    raise _not_finite(state.sums.step)
                means = state.sums.means()
                state.end_epoch(val_mel=figures["mel"], **means)
                tell(_epoch_event(state, means, figures, time.monotonic() - epoch_started, split.is_held_out))
                epoch_started = time.monotonic()

            if checkpoint.save_if_due():
                begun.listening.write(schedule.step, networks.rebuilt, fabric.device)
            cancelled = not state.finished and begun.stop.is_set()
    except RankError:
        checkpoint.save()
        raise
    checkpoint.save()
    begun.listening.write(schedule.step, networks.rebuilt, fabric.device)

    result = _result(begun, plan, split, cancelled)
    tell(result.event)
    return result


def train_step(
    state: State[Never], audio: Tensor, plan: RefinementPlan, networks: Networks, fabric: "Fabric"
) -> tuple[dict[str, float], bool]:
    """The discriminator's step, then the decoder's, on one batch ``[B, C, N]``.

    Returns:
        Unweighted losses and the decoder's learning rate, by their names in :class:`RefinementStepMetrics`, and whether all
        were finite. A loss that is not moves no weights.
    """
    rate = state.schedule.learning_rate
    for optimizer, peak in (
        (networks.decoder_optimizer, plan.learning_rate),
        (networks.discriminator_optimizer, plan.discriminator_learning_rate),
    ):
        set_learning_rate(optimizer, peak * rate / plan.learning_rate)

    with torch.no_grad():
        codes = networks.codec.encode(audio)
    with fabric.autocast():
        made, predicted = networks.codec.decode_with_predicted(codes)
    made, predicted = fabric.strategy.precision.convert_output((made, predicted))  # losses are computed in 32 bits
    # Quiet passages are normalised for the discriminator, but near-silence is amplified by at most 80.
    gain = 0.8 / audio.abs().amax(dim=(1, 2), keepdim=True).clamp(min=0.01)

    least_squares, finite = _discriminator_step(networks, gain * audio, gain * made.detach(), fabric)

    features, adversarial = _against_discriminator(networks.discriminator, gain * audio, gain * made)
    draw = draws_of_step(plan.seed, state.epoch, state.sums.step)
    parts = networks.criterion(networks.codec.module, made, predicted, audio, draw)
    reconstruction = torch.stack(list(parts.values())).sum()
    loss = plan.mel_weight * reconstruction + plan.feature_weight * features + plan.adversarial_weight * adversarial
    finite = _decoder_step(state, loss, finite, plan, networks, fabric)

    losses = ranks.mean_losses(
        {
            "mel_loss": parts["reconstruction"],
            "feature_loss": features,
            "adversarial_loss": adversarial,
            "discriminator_loss": least_squares,
        }
    )
    return {**losses, "learning_rate": rate}, finite


def _discriminator_step(networks: Networks, real: Tensor, made: Tensor, fabric: "Fabric") -> tuple[Tensor, bool]:
    """Trains the discriminator to tell recordings from reconstructions, both ``[B, C, N]``.

    Returns:
        Its loss, and whether loss and gradients were finite.
    """
    discriminator, optimizer = networks.discriminator, networks.discriminator_optimizer
    discriminator.requires_grad_(True)
    loss = discriminator_loss(discriminator(real), discriminator(made))
    finite = gradients(loss, discriminator, optimizer, fabric, max_norm=10.0)
    if finite:
        optimizer.step()
    return loss, finite


def _against_discriminator(discriminator: WrappedDiscriminator, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """How far the reconstructions ``[B, C, N]`` are from the recordings in the discriminator's features, and how far from
    passing for recordings; gradients reach the decoder alone."""
    discriminator.requires_grad_(False)
    with torch.no_grad():
        real_features = discriminator(real)
    made_features = discriminator(made)
    return feature_distance(real_features, made_features), adversarial_loss(made_features)


def _decoder_step(
    state: State[Never], loss: Tensor, finite: bool, plan: RefinementPlan, networks: Networks, fabric: "Fabric"
) -> bool:
    """Trains the decoder and moves its average along, unless the discriminator is still trained alone.

    Args:
        finite: whether the discriminator's loss was finite; if not, the decoder takes no step either.

    Returns:
        Whether both losses were.
    """
    schedule = state.schedule
    is_alone = schedule.step < plan.discriminator_first_steps and schedule.progress < plan.discriminator_first_share
    if is_alone or not finite:
        return ranks.all_agree(finite and bool(torch.isfinite(loss)))
    finite = gradients(loss, networks.codec, networks.decoder_optimizer, fabric, max_norm=100.0)
    if finite:
        networks.decoder_optimizer.step()
        state.figures["decoder_steps"] += 1
        steps = state.figures["decoder_steps"]
        networks.update_average(min(plan.average_decay, steps / (steps + 10)))  # faster in the first steps
    return finite


def take_step(state: State[Never], metrics: Mapping[str, float], finite: bool, plan: RefinementPlan) -> None:
    """Counts a step, and adds its losses if they were finite.

    Raises:
        TrainingError: if they were not finite ``plan.max_bad_steps`` times in a row.
    """
    if finite:
        state.sums.add({name: loss for name, loss in metrics.items() if name != "learning_rate"})
        state.figures["bad_steps"] = 0
    else:
        state.figures["bad_steps"] += 1
        if state.figures["bad_steps"] >= plan.max_bad_steps:
            raise _not_finite(plan.max_bad_steps)
    state.count_step()


def _epoch_event(
    state: State[Never], means: dict[str, float], figures: Mapping[str, float], seconds: float, is_held_out: bool
) -> RefinementEpochMetrics:
    """The event that reports the epoch that has just ended."""
    return RefinementEpochMetrics(
        **state.epoch_progress(seconds) | means,
        val_mel=figures["mel"],
        mel_before=state.figures["mel_before"],
        heard=figures,
        is_held_out=is_held_out,
    )


def _result(begun: Begun, plan: RefinementPlan, split: Split, cancelled: bool) -> RefinementResult:
    """Both decoders, and whether the second stage's is kept: one that was cut short is not, nor one that is worse."""
    networks, state = begun.networks, begun.state
    mel_before = state.figures["mel_before"]
    mel_after = state.curves["val_mel"][-1] if state.epoch else mel_before
    after = likeness_of_windows(networks.averaged, networks.distance, begun.held_out, begun.fabric)
    is_kept = not cancelled and after.score <= begun.before.score and mel_after <= plan.worst_mel * mel_before
    return RefinementResult(
        first=networks.first,
        refined=networks.averaged.cpu(),
        is_kept=is_kept,
        mel_before=mel_before,
        mel_after=mel_after,
        figures_before=begun.before.figures(),
        figures_after=after.figures(),
        steps=state.schedule.step,
        epochs_trained=state.epoch,
        seconds_taken=state.schedule.elapsed_s,
        curves=state.curves,
        is_held_out=split.is_held_out,
        cancelled=cancelled,
    )


def _not_finite(steps: int) -> TrainingError:
    return TrainingError(
        f"The second stage's losses were not finite {steps} times in a row.",
        "The first stage's model is unharmed. Look for damaged recordings, or train again with another --seed.",
    )
