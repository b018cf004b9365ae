"""Training the codec: windows of audio in, the weights that reconstruct the recordings best out."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from distill.audio.corpus import Corpus, import_corpus
from distill.audio.distance import MultiScaleMel
from distill.audio.files import to_channels
from distill.audio.likeness import Likeness, judge
from distill.audio.split import Split, split_corpus, whole_recordings
from distill.audio.windows import TrainingWindows, validation_windows
from distill.codes.extract import encode_blocks
from distill.errors import TrainingError
from distill.models.health import LevelHealth, level_health, utilisation_warning
from distill.models.quantizer import count_codes
from distill.models.tones import TonesAndNoise
from distill.models.vqvae import ConvVQVAE, VQVAEConfig
from distill.sizes import codec_config_for
from distill.training.checkpoint import SAVE_EVERY_S, Checkpoint
from distill.training.codec_loss import CodecLoss
from distill.training.launch import make_fabric
from distill.training.metrics import MetricsCallback, Notice, VQEpochMetrics, VQStepMetrics, VQTrainingCompleteEvent
from distill.training.progress import EpochSums, Progress
from distill.training.schedule import Schedule
from distill.training.state import TrainingState

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STATE_KIND = "codec"
LEARNING_RATE = 3e-3
BATCH_SIZE = 12
CONTINUOUS_STEPS = 30
"""The first steps train without quantisation; the codebooks then start from latents that already mean something."""
WINDOW_POSITIONS = 16
"""A third of a second at the default rate: many short windows teach more than a few long ones, but pitch needs some length."""
SILENCED = 1 / 16
"""Share of the windows that are cut to begin or end in silence, so that every codec knows what silence is."""
MIN_STEPS_PER_EPOCH = 200
VALIDATION_WINDOWS = 8
VALIDATION_POSITIONS = 94
VALIDATION_BATCH = 4
_START_EPOCH = 1 << 30
"""An epoch number no run reaches: its windows place the codebooks before training."""


@dataclass
class VQTrainingResult:
    """The codec with its best weights, frozen, and what training it brought to light."""

    codec: ConvVQVAE
    config: VQVAEConfig
    corpus: Corpus
    split: Split
    code_counts: Tensor
    """How often the whole corpus uses each codebook entry: ``[Q, K]``."""
    levels: tuple[LevelHealth, ...]
    epochs_trained: int
    best_val_loss: float
    """Held-out distance of the weights that were kept."""
    train_losses: list[float]
    val_losses: list[float]
    seconds_taken: float
    """Training time, earlier sittings included."""
    cancelled: bool


@dataclass(frozen=True)
class VQEpochResult:
    """What one epoch of training gives."""

    loss: float
    """Mean over the steps, commitment included."""
    code_counts: Tensor
    """How often each codebook entry was used: ``[Q, K]``."""


def train_vqvae(
    dataset_dir: Path | str,
    config: VQVAEConfig | None = None,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
    *,
    corpus: Corpus | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    seed: int = 0,
    device: str = "auto",
    state_path: Path | None = None,
    resumed: TrainingState | None = None,
    about: Callable[[], Mapping[str, Any]] = dict,
    save_every_s: float = SAVE_EVERY_S,
) -> VQTrainingResult:
    """Trains a codec on a folder of recordings and gives it back with its best weights, in eval mode.

    Args:
        dataset_dir: folder of recordings.
        config: sizes; its ``channels`` must be the corpus's. Sizes that follow the corpus if not given.
        callback: gets every event.
        cancel_event: when set, training stops after the current step and the best weights so far are kept.
        corpus: the folder as already imported, to spare importing it again.
        epochs, minutes: the end of the run; 100 epochs if neither is given. An epoch is one pass over the seconds of
            the corpus, at least 100 steps.
        state_path: written every ``save_every_s`` seconds, first after ten, and when training ends or is cancelled.
        resumed: a state to go on from, with the other arguments as they were; ``epochs`` and ``minutes`` count from the very
            beginning. On a CPU, a run that lasts for epochs then ends with the same weights, bit for bit, as if it had
            never stopped.
        about: what the caller wants to find in the state beside the loop's own.

    Raises:
        CorpusError: if the folder holds nothing usable.
        StateFileError: if ``resumed`` belongs to other recordings.
        TrainingError: if training goes wrong again and again before the first epoch is done.
    """
    corpus = corpus or import_corpus(Path(dataset_dir))
    config = config or codec_config_for(corpus)
    split = split_corpus(corpus, seed=seed)
    if callback is not None and resumed is None:
        callback(Notice(split.explanation))
        for warning in corpus.warnings:
            callback(Notice(warning, is_warning=True))
    torch.manual_seed(seed)
    fabric = make_fabric(device)
    model = ConvVQVAE(config)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    model, optimizer = fabric.setup(model, optimizer)
    model.mark_forward_method("latents")
    model.mark_forward_method("forward_with_tones")
    criterion = CodecLoss(config.sample_rate).to(fabric.device)

    windows = TrainingWindows(split.train, WINDOW_POSITIONS * config.hop, config.channels, seed, SILENCED)
    held_out, trained_on = (
        validation_windows(passages, VALIDATION_POSITIONS * config.hop, config.channels, VALIDATION_WINDOWS)
        for passages in (split.held_out, split.train)
    )
    steps_per_epoch = max(-(-windows.windows_per_epoch // batch_size), MIN_STEPS_PER_EPOCH)
    schedule = Schedule(
        steps_per_epoch,
        epochs=100 if epochs is None and minutes is None else epochs,
        minutes=minutes,
        peak_rate=learning_rate,
    )

    model.module.quantizer.expect(WINDOW_POSITIONS * batch_size)
    progress = Progress(model, optimizer, schedule)
    belongs_to = {"folder of recordings": corpus.fingerprint}
    if resumed is None:
        _start_levels(model, windows, batch_size, fabric)
        progress.mark_good()
    else:
        progress.restore(resumed, belongs_to)
    finished = cancelled = False

    def state() -> TrainingState:
        plan = {
            "epochs": epochs,
            "minutes": minutes,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "seed": seed,
        }
        values = {"config": asdict(config), "plan": plan, "finished": finished, "about": dict(about())}
        return progress.state(belongs_to | values)

    def heard() -> tuple[Likeness, float]:
        # The codec will speak for all recordings, so the weights to keep are the best for those that were trained on and for
        # those that were not; a few held-out seconds alone chose weights from long before the end (docs/codec.md).
        unknown, known = (judge_windows(model, criterion.mel, one, fabric) for one in (held_out, trained_on))
        return unknown, (unknown.score + known.score) / 2

    checkpoint = Checkpoint(state_path, STATE_KIND, state, callback, every_s=save_every_s)
    levels: tuple[LevelHealth, ...] = ()
    while progress.epoch == 0 or not (schedule.finished or cancelled):
        started = time.monotonic()
        try:
            trained = train_vqvae_epoch(
                model, criterion, optimizer, windows, schedule, fabric,
                epoch=progress.epoch, steps=steps_per_epoch, batch_size=batch_size, seed=seed,
                callback=callback, cancel_event=cancel_event, progress=progress, checkpoint=checkpoint,
            )  # fmt: skip
        except TrainingError as error:
            if not progress.val_losses:
                raise
            if callback is not None:
                callback(Notice(f"{error.what} The best weights so far are kept.", is_warning=True))
            break
        cancelled = not schedule.finished and cancel_event is not None and cancel_event.is_set()
        if cancelled:  # in the middle of an epoch: what follows is for whoever takes the weights as they are
            checkpoint.save()
        if (
            not model.module.quantizer.started
        ):  # the first epoch ended early: what is kept must be able to speak in codes
            _start_codebooks(model, windows, batch_size, fabric)
        validating = time.monotonic()
        likeness, both = heard()
        if not math.isfinite(both):
            progress.roll_back("the held-out distance was not finite", callback)
            likeness, both = heard()
        schedule.reserve(1.5 * (time.monotonic() - validating))
        val_loss = likeness.mel
        progress.train_losses.append(trained.loss)
        progress.val_losses.append(val_loss)
        if both < progress.best_score:
            progress.best_score, progress.best_loss = both, val_loss
            progress.best_weights = copy.deepcopy(model.state_dict())
        levels = level_health(trained.code_counts)
        progress.epoch, progress.sums = progress.epoch + 1, EpochSums()
        if callback is not None:
            callback(
                VQEpochMetrics(
                    epoch=progress.epoch,
                    total_epochs=max(progress.epoch, schedule.total_epochs),
                    train_loss=trained.loss,
                    val_loss=val_loss,
                    best_val_loss=progress.best_loss,
                    levels=levels,
                    warning=utilisation_warning(levels),
                    epoch_time_s=time.monotonic() - started,
                    learning_rate=schedule.learning_rate,
                )
            )
    if not cancelled:
        finished = True
        progress.mark_good()
        checkpoint.save()

    model.load_state_dict(progress.best_weights)
    codec: ConvVQVAE = model.module.requires_grad_(False).eval()
    code_counts = count_corpus_codes(codec, corpus, fabric.device)
    levels = level_health(code_counts)
    if callback is not None:
        callback(
            VQTrainingCompleteEvent(
                final_train_loss=progress.train_losses[-1],
                final_val_loss=progress.val_losses[-1],
                best_val_loss=progress.best_loss,
                epochs_trained=progress.epoch,
                cancelled=cancelled,
                levels=levels,
            )
        )
    return VQTrainingResult(
        codec.cpu(),
        config,
        corpus,
        split,
        code_counts,
        levels,
        progress.epoch,
        progress.best_loss,
        progress.train_losses,
        progress.val_losses,
        schedule.elapsed_s,
        cancelled,
    )


def train_vqvae_epoch(
    model: Any,
    criterion: CodecLoss,
    optimizer: torch.optim.Optimizer,
    windows: TrainingWindows,
    schedule: Schedule,
    fabric: "Fabric",
    *,
    epoch: int,
    steps: int,
    batch_size: int,
    seed: int,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> VQEpochResult:
    """One epoch, ended early by the schedule or a cancel; what ``progress`` has already done of it is not done again.

    A step that goes wrong (a loss that is not finite or explodes, a codebook that collapses) never reaches the optimizer:
    training goes back to its last good state, halves the learning rate, and goes on with the next batch.

    Raises:
        TrainingError: if that does not help, time after time.
    """
    model.train()
    config: VQVAEConfig = model.module.config
    progress = progress or Progress(model, optimizer, schedule)
    sums = progress.sums
    counts = sums.tensors.setdefault(
        "code_counts", torch.zeros(config.num_quantizers, config.codebook_size, dtype=torch.int64)
    )
    for index in range(sums.step, steps):
        started = time.monotonic()
        audio = torch.from_numpy(windows.batch(epoch, index, batch_size)).to(fabric.device)
        draw = np.random.default_rng((seed, epoch, index, 1 << 20))
        rate = schedule.learning_rate
        for group in optimizer.param_groups:
            group["lr"] = rate

        quantizing = model.module.quantizer.started
        if not quantizing and schedule.step >= CONTINUOUS_STEPS:
            _start_codebooks(model, windows, batch_size, fabric)
            model.train()
            quantizing = True
            progress.watch.forget()
        output, tones = model.forward_with_tones(audio, quantizing)
        parts = criterion(model.module, output.reconstruction, tones, audio, draw)
        loss = torch.stack(list(parts.values())).sum() + config.commitment_weight * output.commitment_loss
        optimizer.zero_grad()
        finite = bool(torch.isfinite(loss))
        if finite:
            fabric.backward(loss)
            norm = fabric.clip_gradients(model, optimizer, max_norm=1.0, error_if_nonfinite=False)
            finite = norm is None or bool(torch.isfinite(norm))
        used = count_codes(output.indices, config.codebook_size).cpu() if quantizing else None
        trouble = progress.watch.trouble(float(loss.detach()), finite, used)
        if trouble:
            progress.roll_back(trouble, callback)
        else:
            optimizer.step()
            sums.loss += float(loss.detach())
            sums.count += 1
            if used is not None:
                counts += used
        schedule.step += 1
        sums.step += 1
        if progress.watch.is_good:
            progress.mark_good()
        if callback is not None:
            callback(
                VQStepMetrics(
                    epoch=epoch + 1,
                    step=schedule.step,
                    total_steps=max(schedule.step, schedule.total_steps),
                    train_loss=float(loss.detach()),
                    reconstruction_loss=float(parts["reconstruction"].detach()),
                    commitment_loss=float(output.commitment_loss.detach()),
                    learning_rate=rate,
                    step_time_s=time.monotonic() - started,
                    audio_seconds=audio.shape[0] * audio.shape[-1] / config.sample_rate,
                    progress=schedule.progress,
                    remaining_s=schedule.remaining_s,
                )
            )
        if checkpoint is not None:
            checkpoint.save_if_due(is_small=progress.is_at_good_state)
        if schedule.finished or (cancel_event is not None and cancel_event.is_set()):
            break
    if not sums.count:
        raise progress.given_up("not one step of an epoch went well, the loss was not finite")
    return VQEpochResult(sums.loss / sums.count, counts)


def validate_vqvae_epoch(model: Any, distance: MultiScaleMel, held_out: np.ndarray, fabric: "Fabric") -> float:
    """Mean multi-scale mel distance over the held-out windows ``[n, C, N]``, all scales."""
    return sum(mel * len(made) for made, mel in _rebuilt(model, distance, held_out, fabric)) / len(held_out)


def judge_windows(model: Any, distance: MultiScaleMel, windows: np.ndarray, fabric: "Fabric") -> Likeness:
    """What spectra, pitch and texture say of the reconstructions of windows ``[n, C, N]``."""
    made, distances = zip(*_rebuilt(model, distance, windows, fabric), strict=True)
    mel = sum(one * len(batch) for one, batch in zip(distances, made, strict=True)) / len(windows)
    if not math.isfinite(mel):
        return judge((), mel)
    pairs = zip((one for batch in made for one in batch), windows, strict=True)
    return judge(((to_channels(one, 1)[0], to_channels(window, 1)[0]) for one, window in pairs), mel)


@torch.no_grad()
def _rebuilt(
    model: Any, distance: MultiScaleMel, windows: np.ndarray, fabric: "Fabric"
) -> Iterator[tuple[np.ndarray, float]]:
    """Batches of reconstructions ``[b, C, N]``, each with its mel distance."""
    model.eval()
    for start in range(0, len(windows), VALIDATION_BATCH):
        audio = torch.from_numpy(windows[start : start + VALIDATION_BATCH]).to(fabric.device)
        made = model(audio).reconstruction
        yield made.cpu().numpy(), float(distance(made, audio))


@torch.no_grad()
def _start_levels(model: Any, windows: TrainingWindows, batch_size: int, fabric: "Fabric") -> None:
    """Begins the voice at the mean spectrum of the recordings."""
    head = model.module.decoder[2]
    if isinstance(head, TonesAndNoise):
        batches = [windows.batch(_START_EPOCH, index, batch_size) for index in range(4)]
        head.start(torch.from_numpy(np.concatenate(batches)).to(fabric.device))


def _start_codebooks(model: Any, windows: TrainingWindows, batch_size: int, fabric: "Fabric") -> None:
    # Eight vectors an entry are ample for a start; the moving averages do the rest.
    config: VQVAEConfig = model.module.config
    count = max(1, -(-8 * config.codebook_size // (WINDOW_POSITIONS * batch_size)))
    model.eval()
    with torch.no_grad():
        latents = torch.cat(
            [
                model.latents(torch.from_numpy(windows.batch(_START_EPOCH, index, batch_size)).to(fabric.device))
                for index in range(count)
            ]
        )
    model.module.quantizer.start(latents, vectors_per_step=WINDOW_POSITIONS * batch_size)


def count_corpus_codes(codec: ConvVQVAE, corpus: Corpus, device: torch.device) -> Tensor:
    """How often the whole corpus uses each codebook entry: ``[Q, K]``."""
    counts = torch.zeros(codec.num_quantizers, codec.codebook_size, dtype=torch.int64)
    for recording in whole_recordings(corpus.recordings):
        codes = encode_blocks(codec, recording.blocks(codec.channels), device)
        counts += count_codes(codes, codec.codebook_size)
    return counts
