"""The codec's second stage: the decoder alone learns on against a critic; encoder and codebooks stay as they are.

A mel distance is deaf to phase and forgives blur, so the first stage ends up a little dull and rough. Here discriminators
learn to tell recordings from reconstructions, and the decoder to please them, while the mel distance keeps it to the
recording. Loss and weights are those of the Descript Audio Codec (Kumar et al. 2023, arXiv:2306.06546). Codes
keep their meaning: whatever was encoded before stays valid, and so does a prior.

What is kept is the moving average of the decoder's weights, at the end. It is not chosen by the lowest held-out mel
distance, which would choose the dull ones; but if that distance ends worse than ``WORST_MEL`` times what it was, the stage
has failed and the first stage's decoder stays.
"""

import copy
import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from distill.audio.corpus import Corpus
from distill.audio.distance import WINDOWS, MultiScaleMel
from distill.audio.split import split_corpus
from distill.audio.windows import TrainingWindows, validation_windows
from distill.errors import StateFileError, TrainingError
from distill.models.discriminator import (
    Discriminator,
    DiscriminatorConfig,
    adversarial_loss,
    discriminator_loss,
    feature_distance,
)
from distill.models.model_file import alphabet_fingerprint
from distill.models.vqvae import ConvVQVAE, swap_mid_side
from distill.training.checkpoint import SAVE_EVERY_S, Checkpoint
from distill.training.codec_loss import SCALES_PER_STEP
from distill.training.launch import make_fabric
from distill.training.metrics import (
    MetricsCallback,
    RefinementCompleteEvent,
    RefinementEpochMetrics,
    RefinementStepMetrics,
)
from distill.training.schedule import Schedule
from distill.training.state import (
    TrainingState,
    optimizer_tensors,
    random_state,
    restore_optimizer,
    restore_random_state,
)
from distill.training.vqvae_loop import (
    SILENCED,
    VALIDATION_POSITIONS,
    VALIDATION_WINDOWS,
    validate_vqvae_epoch,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STATE_KIND = "codec refinement"
WINDOW_POSITIONS = 47
"""About a second at the default rate."""
MEL_WEIGHT, FEATURE_WEIGHT, ADVERSARIAL_WEIGHT = 15.0, 2.0, 1.0
CRITIC_FIRST_STEPS = 100
CRITIC_FIRST_SHARE = 0.1
"""The critic learns alone for the first steps, or the first share of a short stage: an untrained one would only mislead."""
AVERAGE_DECAY = 0.999
WORST_MEL = 1.1
"""A held-out mel distance above this share of what it was means that the stage has failed."""
MIN_STEPS_PER_EPOCH = 50
MAX_BAD_STEPS = 20
"""This many losses in a row that are not finite end the stage. One alone is stepped over: it has moved nothing."""
_LOSSES = ("mel_loss", "feature_loss", "adversarial_loss", "discriminator_loss")


@dataclass(frozen=True)
class RefinementPlan:
    """What is decided before the stage begins, and stays when it is resumed."""

    epochs: int | None = None
    minutes: float | None = None
    """The end of the stage, whichever comes first."""
    seed: int = 0
    batch_size: int = 4
    learning_rate: float = 2e-4
    critic_learning_rate: float = 1e-3
    """A critic as slow as the decoder has nothing to say for hundreds of steps (measured: docs/codec.md)."""
    critic_width: int = DiscriminatorConfig.width


@dataclass
class RefinementResult:
    """Both decoders, and which of them is to be kept."""

    first: ConvVQVAE
    refined: ConvVQVAE
    is_kept: bool
    mel_before: float
    mel_after: float
    steps: int
    epochs_trained: int
    seconds_taken: float
    """Of the whole stage, earlier sittings included."""
    curves: dict[str, list[float]]
    """Held-out mel distance and mean losses of every epoch."""
    cancelled: bool

    @property
    def codec(self) -> ConvVQVAE:
        return self.refined if self.is_kept else self.first


@dataclass
class _Stage:
    """Everything that changes while the stage trains."""

    codec: Any
    critic: Any
    averaged: ConvVQVAE
    decoder_optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer
    schedule: Schedule
    mel_before: float = float("nan")
    decoder_steps: int = 0
    sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*_LOSSES, "steps"), 0.0))
    """Losses summed over this epoch's steps, and how many there were."""
    curves: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ("val_mel", *_LOSSES)})


def refine_decoder(
    codec: ConvVQVAE,
    corpus: Corpus,
    plan: RefinementPlan,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
    *,
    state_path: Path | None = None,
    resumed: TrainingState | None = None,
    about: Callable[[], Mapping[str, Any]] = dict,
    device: str = "auto",
    save_every_s: float = SAVE_EVERY_S,
) -> RefinementResult:
    """Trains the decoder of a codec on against discriminators and gives back a codec with the same codes.

    Args:
        codec: as the first stage left it; it is not changed.
        corpus: the recordings the first stage learned from; the same ones are kept aside.
        cancel_event: when set, the stage ends after the current step; its state can be resumed.
        state_path: written every ``save_every_s`` seconds, first after ten, and at the end.
        resumed: a state to go on from. On a CPU, a stage that lasts for epochs then ends with the same weights, bit for bit, as
            if it had never stopped.
        about: what the caller wants to find in the state beside the loop's own.

    Raises:
        TrainingError: if the losses stay not finite.
        StateFileError: if ``resumed`` belongs to another codec or other recordings.
    """
    torch.manual_seed(plan.seed)
    fabric = make_fabric(device)
    first = copy.deepcopy(codec).cpu().requires_grad_(False).eval()
    averaged = copy.deepcopy(first).to(fabric.device)
    trained = copy.deepcopy(first)
    trained.decoder.requires_grad_(True)
    critic = Discriminator(DiscriminatorConfig(codec.channels, width=plan.critic_width))
    wrapped, decoder_optimizer = fabric.setup(trained, _optimizer(trained.decoder))
    wrapped.mark_forward_method("encode")
    wrapped.mark_forward_method("decode")
    wrapped_critic, critic_optimizer = fabric.setup(critic, _optimizer(critic))
    distance = MultiScaleMel(codec.sample_rate).to(fabric.device)

    split = split_corpus(corpus, seed=plan.seed)
    window = WINDOW_POSITIONS * codec.hop
    windows = TrainingWindows(split.train, window, codec.channels, plan.seed, SILENCED)
    held_out = validation_windows(split.held_out, VALIDATION_POSITIONS * codec.hop, codec.channels, VALIDATION_WINDOWS)
    steps_per_epoch = max(-(-windows.windows_per_epoch // plan.batch_size), MIN_STEPS_PER_EPOCH)
    schedule = Schedule(steps_per_epoch, epochs=plan.epochs, minutes=plan.minutes, peak_rate=plan.learning_rate)
    stage = _Stage(wrapped, wrapped_critic, averaged, decoder_optimizer, critic_optimizer, schedule)
    belongs_to = {"alphabet": alphabet_fingerprint(first), "corpus": corpus.fingerprint}
    if resumed is None:
        stage.mel_before = validate_vqvae_epoch(averaged, distance, held_out, fabric)
    else:
        _restore(stage, first, resumed, belongs_to)

    finished, cancelled, bad_steps = schedule.finished, False, 0

    def state() -> TrainingState:
        values = {"plan": dataclasses.asdict(plan), "finished": finished, "about": dict(about())}
        return _state(stage, first, steps_per_epoch, belongs_to | values)

    checkpoint = Checkpoint(state_path, STATE_KIND, state, callback, every_s=save_every_s)
    epoch_started = time.monotonic()
    while not (finished or cancelled):
        started = time.monotonic()
        epoch, index = divmod(schedule.step, steps_per_epoch)
        rate = schedule.learning_rate
        for optimizer, peak in ((decoder_optimizer, plan.learning_rate), (critic_optimizer, plan.critic_learning_rate)):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate / plan.learning_rate

        audio = torch.from_numpy(windows.batch(epoch, index, plan.batch_size)).to(fabric.device)
        draw = np.random.default_rng((plan.seed, epoch, index, 1 << 20))
        losses, finite = _step(stage, audio, distance, draw, fabric)
        if finite:
            bad_steps = 0
            for name, loss in losses.items():
                stage.sums[name] += loss
            stage.sums["steps"] += 1
        else:
            bad_steps += 1
            if bad_steps == MAX_BAD_STEPS:
                raise _not_finite(bad_steps)
        schedule.step += 1
        if callback is not None:
            callback(
                RefinementStepMetrics(
                    epoch=epoch + 1,
                    step=schedule.step,
                    total_steps=max(schedule.step, schedule.total_steps),
                    **losses,
                    learning_rate=rate,
                    step_time_s=time.monotonic() - started,
                    audio_seconds=audio.shape[0] * audio.shape[-1] / codec.sample_rate,
                    progress=schedule.progress,
                    remaining_s=schedule.remaining_s,
                )
            )

        finished = schedule.finished
        if schedule.step % steps_per_epoch == 0 or finished:
            validating = time.monotonic()
            val_mel = validate_vqvae_epoch(averaged, distance, held_out, fabric)
            schedule.reserve(1.5 * (time.monotonic() - validating))
            count = stage.sums.pop("steps")
            if not count:
                raise _not_finite(bad_steps)
            means = {name: total / count for name, total in stage.sums.items()}
            stage.sums = dict.fromkeys((*_LOSSES, "steps"), 0.0)
            for name, value in {"val_mel": val_mel, **means}.items():
                stage.curves[name].append(value)
            if callback is not None:
                callback(
                    RefinementEpochMetrics(
                        epoch=epoch + 1,
                        total_epochs=max(epoch + 1, schedule.total_epochs),
                        **means,
                        val_mel=val_mel,
                        mel_before=stage.mel_before,
                        epoch_time_s=time.monotonic() - epoch_started,
                        learning_rate=schedule.learning_rate,
                    )
                )
            epoch_started = time.monotonic()
        checkpoint.save_if_due()
        cancelled = not finished and cancel_event is not None and cancel_event.is_set()
    checkpoint.save()

    mel_after = (stage.curves["val_mel"] or [stage.mel_before])[-1]
    is_kept = not cancelled and mel_after <= WORST_MEL * stage.mel_before
    epochs_trained = len(stage.curves["val_mel"])
    if callback is not None:
        callback(
            RefinementCompleteEvent(
                mel_before=stage.mel_before,
                mel_after=mel_after,
                is_kept=is_kept,
                epochs_trained=epochs_trained,
                steps=schedule.step,
                cancelled=cancelled,
            )
        )
    return RefinementResult(
        first,
        averaged.cpu(),
        is_kept,
        stage.mel_before,
        mel_after,
        schedule.step,
        epochs_trained,
        schedule.elapsed_s,
        stage.curves,
        cancelled,
    )


def _step(
    stage: _Stage, audio: Tensor, distance: MultiScaleMel, draw: np.random.Generator, fabric: "Fabric"
) -> tuple[dict[str, float], bool]:
    """The critic's turn, then the decoder's, on one batch ``[B, C, N]``. Gives the losses, and whether all were finite."""
    schedule = stage.schedule
    with torch.no_grad():
        codes = stage.codec.encode(audio)
    made = stage.codec.decode(codes)
    # The critic hears quiet passages as loud as others, but never lifts silence out of the noise.
    gain = 0.8 / audio.abs().amax(dim=(1, 2), keepdim=True).clamp(min=0.01)

    stage.critic.requires_grad_(True)
    critic_loss = discriminator_loss(stage.critic(gain * audio), stage.critic(gain * made.detach()))
    finite = _descend(critic_loss, stage.critic, stage.critic_optimizer, 10.0, fabric)

    stage.critic.requires_grad_(False)
    with torch.no_grad():
        real = stage.critic(gain * audio)
    fake = stage.critic(gain * made)
    features, adversarial = feature_distance(real, fake), adversarial_loss(fake)
    # Left and right must sound right, and so must their sum and difference: they take turns.
    sides = swap_mid_side if audio.shape[1] == 2 and draw.random() < 0.5 else torch.Tensor.clone
    mel = distance(sides(made), sides(audio), draw.choice(len(WINDOWS), SCALES_PER_STEP, replace=False).tolist())
    loss = MEL_WEIGHT * mel + FEATURE_WEIGHT * features + ADVERSARIAL_WEIGHT * adversarial
    critic_first = schedule.step < CRITIC_FIRST_STEPS and schedule.progress < CRITIC_FIRST_SHARE
    if critic_first or not finite:
        finite = finite and bool(torch.isfinite(loss))
    else:
        finite = _descend(loss, stage.codec, stage.decoder_optimizer, 100.0, fabric)
        if finite:
            _average(stage)
    values = (mel, features, adversarial, critic_loss)
    return {name: float(value.detach()) for name, value in zip(_LOSSES, values, strict=True)}, finite


def _descend(loss: Tensor, module: Any, optimizer: torch.optim.Optimizer, max_norm: float, fabric: "Fabric") -> bool:
    """One optimiser step, unless the loss or a gradient is not finite."""
    optimizer.zero_grad()
    if not bool(torch.isfinite(loss)):
        return False
    fabric.backward(loss)
    norm = fabric.clip_gradients(module, optimizer, max_norm=max_norm, error_if_nonfinite=False)
    if norm is not None and not bool(torch.isfinite(norm)):
        return False
    optimizer.step()
    return True


@torch.no_grad()
def _average(stage: _Stage) -> None:
    """Moves the average towards the decoder; it forgets faster while it is young."""
    stage.decoder_steps += 1
    decay = min(AVERAGE_DECAY, stage.decoder_steps / (stage.decoder_steps + 10))
    now = stage.codec.module.decoder.parameters()
    for mean, value in zip(stage.averaged.decoder.parameters(), now, strict=True):
        mean.lerp_(value, 1 - decay)


def _state(stage: _Stage, first: ConvVQVAE, steps_per_epoch: int, about: Mapping[str, Any]) -> TrainingState:
    epoch, index = divmod(stage.schedule.step, steps_per_epoch)
    return TrainingState(
        parts={
            "first": first.decoder.state_dict(),
            "decoder": stage.codec.module.decoder.state_dict(),
            "average": stage.averaged.decoder.state_dict(),
            "critic": stage.critic.module.state_dict(),
            "decoder-optimizer": optimizer_tensors(stage.decoder_optimizer),
            "critic-optimizer": optimizer_tensors(stage.critic_optimizer),
            "random": random_state(),
        },
        values={
            **about,
            "step": stage.schedule.step,
            "elapsed_s": stage.schedule.elapsed_s,
            "epoch": epoch,
            "index": index,
            "decoder_steps": stage.decoder_steps,
            "mel_before": stage.mel_before,
            "sums": stage.sums,
            "curves": stage.curves,
        },
    )


def _restore(stage: _Stage, first: ConvVQVAE, state: TrainingState, belongs_to: Mapping[str, str]) -> None:
    values, parts = state.values, state.parts
    for name, what in (("alphabet", "model"), ("corpus", "folder of recordings")):
        if values.get(name) != belongs_to[name]:
            raise StateFileError(
                f"The saved second stage belongs to another {what}.",
                "Give the model and the very recordings it was begun with, or begin anew with distill train.",
            )
    try:
        first.decoder.load_state_dict(parts["first"])
        stage.codec.module.decoder.load_state_dict(parts["decoder"])
        stage.averaged.decoder.load_state_dict(parts["average"])
        stage.critic.module.load_state_dict(parts["critic"])
        restore_optimizer(stage.decoder_optimizer, parts.get("decoder-optimizer", {}))
        restore_optimizer(stage.critic_optimizer, parts.get("critic-optimizer", {}))
        restore_random_state(parts["random"])
        stage.schedule.resume(int(values["step"]), float(values["elapsed_s"]))
        stage.decoder_steps, stage.mel_before = int(values["decoder_steps"]), float(values["mel_before"])
        stage.sums, stage.curves = dict(values["sums"]), {name: list(kept) for name, kept in values["curves"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise StateFileError(
            "The saved second stage does not fit this version of Distill or was changed.",
            "Begin the second stage anew with distill train FOLDER --quality high.",
        ) from error


def _optimizer(module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(module.parameters(), betas=(0.8, 0.99), fused=True)  # the loop sets the rate at every step


def _not_finite(steps: int) -> TrainingError:
    return TrainingError(
        f"The second stage's losses were not finite {steps} times in a row.",
        "The first stage's model is unharmed. Look for damaged recordings, or train again with another --seed.",
    )
