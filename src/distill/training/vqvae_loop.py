"""Training the codec: windows of audio in, the weights that reconstruct the recordings best out."""

import copy
import math
import time
from collections.abc import Iterator, Sequence
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
from distill.audio.split import Passage, Split, split_corpus, whole_recordings
from distill.audio.windows import TrainingWindows, validation_windows
from distill.codes.extract import encode_blocks
from distill.errors import TrainingError
from distill.models.base import base_path, start_from_base
from distill.models.health import LevelHealth, level_health, utilisation_warning
from distill.models.quantizer import count_codes
from distill.models.tones import TonesAndNoise
from distill.models.vqvae import ConvVQVAE, VQVAEConfig
from distill.sizes import codec_config_for
from distill.training.checkpoint import Checkpoint, StateFile
from distill.training.codec_loss import CodecLoss
from distill.training.launch import make_fabric
from distill.training.metrics import (
    MetricsCallback,
    Notice,
    VQEpochMetrics,
    VQStepMetrics,
    VQTrainingCompleteEvent,
    ignore,
)
from distill.training.plan import CodecPlan as CodecPlan
from distill.training.progress import State, gradients, set_learning_rate
from distill.training.schedule import Schedule

if TYPE_CHECKING:
    from lightning_fabric import Fabric

VALIDATION_BATCH = 4
_START_EPOCH = 1 << 30
"""An epoch number no run reaches: its windows place the codebooks before training."""


@dataclass
class VQTrainingResult:
    """The codec with its best weights, frozen, and what training it brought to light."""

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
    """Held-out distance of the weights that were kept."""
    curves: dict[str, list[float]]
    """``train_loss`` and ``val_loss`` of every epoch."""
    is_from_base: bool
    """Whether training started from the base codec."""
    seconds_taken: float
    """Training time in seconds, that of earlier runs it was resumed from included."""
    cancelled: bool


@dataclass(frozen=True)
class VQEpochResult:
    """What one epoch of training gives."""

    loss: float
    """Mean over the steps, commitment included."""
    code_counts: Tensor
    """How often each codebook entry was used: ``[Q, K]``."""


@dataclass(frozen=True)
class CodecData:
    """What the codec trains on and what it is validated on; the same for the same split, config and plan."""

    windows: TrainingWindows
    held_out: np.ndarray
    """Windows of held-out passages ``[n, C, N]``."""
    trained_on: np.ndarray
    """Windows of passages that are trained on ``[n, C, N]``."""
    steps_per_epoch: int
    """An epoch is one pass over the seconds of the corpus, or the plan's least steps."""

    @classmethod
    def of(cls, split: Split, config: VQVAEConfig, plan: CodecPlan) -> "CodecData":
        """Lays out the windows."""

        def validated(passages: Sequence[Passage]) -> np.ndarray:
            samples = plan.validation_positions * config.hop
            return validation_windows(passages, samples, config.channels, plan.validation_windows)

        samples = plan.window_positions * config.hop
        windows = TrainingWindows(split.train, samples, config.channels, plan.seed, plan.silenced)
        steps = max(-(-windows.windows_per_epoch // plan.batch_size), plan.least_steps)
        return cls(windows, validated(split.held_out), validated(split.train), steps)


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
    """Trains a codec on a folder of recordings and gives it back with its best weights, in eval mode.

    Args:
        dataset_dir: folder of recordings, or the corpus imported from one.
        config: sizes; its ``channels`` must be the corpus's. Sizes that follow the corpus if not given.
        callback: gets every event.
        cancel_event: when set, training stops after the current step and the best weights so far are kept.
        plan: the run's settings; the default ones if not given. A run that goes on needs the plan it was begun with, but for
            its end.
        split: of the corpus into what is trained on and what is held out; drawn by the plan's seed if not given.
        state_file: where the state is kept, and what to go on from.

    Raises:
        CorpusError: if the folder holds nothing usable.
        StateFileError: if the state to go on from belongs to other recordings.
        TrainingError: if training goes wrong again and again before the first epoch is done.
    """
    plan, file, tell = plan or CodecPlan(), state_file or StateFile(), callback or ignore
    corpus = dataset_dir if isinstance(dataset_dir, Corpus) else import_corpus(Path(dataset_dir))
    config = config or codec_config_for(corpus)
    split = split or split_corpus(corpus, seed=plan.seed, rule=plan.split_rule)
    if file.resumed is None:
        tell(Notice(split.explanation))
        for sentence in corpus.left_out:
            tell(Notice(sentence))
        for warning in corpus.warnings:
            tell(Notice(warning, is_warning=True))

    torch.manual_seed(plan.seed)
    fabric = make_fabric(plan.device)
    codec = ConvVQVAE(config)
    base = None if plan.from_scratch else base_path(config)
    if base is not None and file.resumed is None:
        start_from_base(codec, base)
    optimizer = torch.optim.AdamW(
        codec.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
    )
    model, optimizer = fabric.setup(codec, optimizer)
    model.mark_forward_method("latents")
    model.mark_forward_method("forward_with_tones")
    criterion = CodecLoss(config.sample_rate, plan.scales_per_step).to(fabric.device)
    codec.quantizer.expect(plan.window_positions * plan.batch_size)
    data = CodecData.of(split, config, plan)
    if base is None and file.resumed is None:
        _start_levels(codec, data.windows, plan, fabric)
    schedule = Schedule.of(plan, data.steps_per_epoch)
    state = State({"weights": model}, {"optimizer": optimizer}, schedule, plan.good_every)
    belongs_to = {"folder of recordings": corpus.fingerprint}
    if file.resumed is not None:
        state.restore(file.resumed, belongs_to)
    checkpoint = Checkpoint(file, plan.STATE_KIND, state, {**belongs_to, "config": asdict(config)}, plan, tell)

    cancelled = False
    while state.epoch == 0 or not (schedule.finished or cancelled):
        started = time.monotonic()
        try:
            trained = train_vqvae_epoch(state, data, plan, criterion, fabric, tell, cancel_event, checkpoint)
        except TrainingError as error:
            if state.epoch == 0:
                raise
            tell(Notice(f"{error.what} The best weights so far are kept.", is_warning=True))
            break
        cancelled = not schedule.finished and cancel_event is not None and cancel_event.is_set()
        if cancelled:  # in the middle of an epoch: what follows is for whoever takes the weights as they are
            checkpoint.save()
        if not codec.quantizer.started:  # the first epoch ended early: what is kept must have codes
            _start_codebooks(model, data.windows, plan, fabric)

        # Evaluate.
        validating = time.monotonic()
        val_loss, score = _heard(model, criterion.mel, data, fabric)
        if not math.isfinite(score):
            state.roll_back("the held-out distance was not finite", tell)
            val_loss, score = _heard(model, criterion.mel, data, fabric)
        schedule.reserve(1.5 * (time.monotonic() - validating))
        if score < state.best_score:
            state.best_score, state.best_loss = score, val_loss
            state.best_weights = copy.deepcopy(model.state_dict())
        levels = level_health(trained.code_counts)
        state.record(train_loss=trained.loss, val_loss=val_loss)
        state.end_epoch()
        tell(
            VQEpochMetrics(
                epoch=state.epoch,
                total_epochs=max(state.epoch, schedule.total_epochs),
                train_loss=trained.loss,
                val_loss=val_loss,
                best_val_loss=state.best_loss,
                levels=levels,
                warning=utilisation_warning(levels),
                epoch_time_s=time.monotonic() - started,
                learning_rate=schedule.learning_rate,
            )
        )
    if not cancelled:
        state.finished = True
        state.mark_good()
        checkpoint.save()

    model.load_state_dict(state.best_weights)
    codec.requires_grad_(False).eval()
    code_counts = count_corpus_codes(codec, corpus, fabric.device)
    levels = level_health(code_counts)
    tell(
        VQTrainingCompleteEvent(
            final_train_loss=state.curves["train_loss"][-1],
            final_val_loss=state.curves["val_loss"][-1],
            best_val_loss=state.best_loss,
            epochs_trained=state.epoch,
            cancelled=cancelled,
            levels=levels,
        )
    )
    return VQTrainingResult(
        codec=codec.cpu(),
        config=config,
        plan=plan,
        corpus=corpus,
        split=split,
        code_counts=code_counts,
        levels=levels,
        is_from_base=base is not None,
        epochs_trained=state.epoch,
        best_val_loss=state.best_loss,
        curves=state.curves,
        seconds_taken=schedule.elapsed_s,
        cancelled=cancelled,
    )


def train_vqvae_epoch(
    state: State,
    data: CodecData,
    plan: CodecPlan,
    criterion: CodecLoss,
    fabric: "Fabric",
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
    checkpoint: Checkpoint | None = None,
) -> VQEpochResult:
    """One epoch, ended early by the schedule or a cancel; what the state has already done of it is not done again.

    A step that goes wrong (a loss that is not finite or explodes, a codebook that collapses) never reaches the optimizer:
    training goes back to its last good state, halves the learning rate, and goes on with the next batch.

    Raises:
        TrainingError: if that does not help, time after time.
    """
    model, schedule, sums = state.model, state.schedule, state.sums
    config: VQVAEConfig = model.module.config
    counts = sums.tensors.setdefault(
        "code_counts", torch.zeros(config.num_quantizers, config.codebook_size, dtype=torch.int64)
    )
    model.train()
    while sums.step < data.steps_per_epoch:
        started = time.monotonic()
        audio = torch.from_numpy(data.windows.batch(state.epoch, sums.step, plan.batch_size)).to(fabric.device)
        if not model.module.quantizer.started and schedule.step >= plan.continuous_steps:
            _start_codebooks(model, data.windows, plan, fabric)
            model.train()
            state.watch.forget()  # the loss means something else from here on
        metrics, trouble = train_step(state, audio, plan, criterion, fabric)
        if trouble:
            state.roll_back(trouble, callback)
        else:
            sums.add({"loss": metrics["train_loss"]})
        schedule.step += 1
        sums.step += 1
        if state.watch.is_good:
            state.mark_good()
        if callback is not None:
            callback(
                VQStepMetrics(
                    epoch=state.epoch + 1,
                    step=schedule.step,
                    total_steps=max(schedule.step, schedule.total_steps),
                    **metrics,
                    step_time_s=time.monotonic() - started,
                    audio_seconds=audio.shape[0] * audio.shape[-1] / config.sample_rate,
                    progress=schedule.progress,
                    remaining_s=schedule.remaining_s,
                )
            )
        if checkpoint is not None:
            checkpoint.save_if_due()
        if schedule.finished or (cancel_event is not None and cancel_event.is_set()):
            break
    if not sums.count:
        raise state.given_up("not one step of an epoch went well, the loss was not finite")
    return VQEpochResult(sums.means()["loss"], counts)


def train_step(
    state: State, audio: Tensor, plan: CodecPlan, criterion: CodecLoss, fabric: "Fabric"
) -> tuple[dict[str, float], str]:
    """One optimisation step on a batch ``[B, C, N]``.

    Returns:
        Losses and learning rate by the names they have in :class:`VQStepMetrics`, and what went wrong, in words. Empty words
        mean that all went well; otherwise the optimizer has not stepped.
    """
    model, config = state.model, state.model.module.config
    draw = np.random.default_rng((plan.seed, state.epoch, state.sums.step, 1 << 20))
    rate = state.schedule.learning_rate
    set_learning_rate(state.optimizer, rate)

    is_quantizing = model.module.quantizer.started
    output, tones = model.forward_with_tones(audio, is_quantizing)
    parts = criterion(model.module, output.reconstruction, tones, audio, draw)
    loss = torch.stack(list(parts.values())).sum() + config.commitment_weight * output.commitment_loss

    finite = gradients(loss, model, state.optimizer, fabric)
    used = count_codes(output.indices, config.codebook_size).cpu() if is_quantizing else None
    trouble = state.watch.trouble(float(loss.detach()), finite, used)
    if not trouble:
        state.optimizer.step()
        if used is not None:
            state.sums.tensors["code_counts"] += used
    losses = {
        "train_loss": loss,
        "reconstruction_loss": parts["reconstruction"],
        "commitment_loss": output.commitment_loss,
    }
    return {**{name: float(value.detach()) for name, value in losses.items()}, "learning_rate": rate}, trouble


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


def _heard(model: Any, distance: MultiScaleMel, data: CodecData, fabric: "Fabric") -> tuple[float, float]:
    """The held-out mel distance, and the score by which the best weights are chosen: spectra, pitch and texture together.

    The codec will stand for all recordings, so the weights to keep are the best for those that were trained on and for those
    that were not; a few held-out seconds alone chose weights from long before the end (docs/codec.md).
    """
    unknown, known = (judge_windows(model, distance, one, fabric) for one in (data.held_out, data.trained_on))
    return unknown.mel, (unknown.score + known.score) / 2


def _start_levels(codec: ConvVQVAE, windows: TrainingWindows, plan: CodecPlan, fabric: "Fabric") -> None:
    """Begins the voice at the mean spectrum of the recordings."""
    head = codec.decoder[2]
    if isinstance(head, TonesAndNoise):
        batches = [windows.batch(_START_EPOCH, index, plan.batch_size) for index in range(4)]
        head.start(torch.from_numpy(np.concatenate(batches)).to(fabric.device))


def _start_codebooks(model: Any, windows: TrainingWindows, plan: CodecPlan, fabric: "Fabric") -> None:
    # Eight vectors an entry are ample for a start; the moving averages do the rest.
    config: VQVAEConfig = model.module.config
    vectors = plan.window_positions * plan.batch_size
    batches = (
        torch.from_numpy(windows.batch(_START_EPOCH, index, plan.batch_size)).to(fabric.device)
        for index in range(max(1, -(-8 * config.codebook_size // vectors)))
    )
    model.eval()
    with torch.no_grad():
        latents = torch.cat([model.latents(batch) for batch in batches])
    model.module.quantizer.start(latents, vectors_per_step=vectors)


def count_corpus_codes(codec: ConvVQVAE, corpus: Corpus, device: torch.device) -> Tensor:
    """How often the whole corpus uses each codebook entry: ``[Q, K]``."""
    counts = torch.zeros(codec.num_quantizers, codec.codebook_size, dtype=torch.int64)
    for recording in whole_recordings(corpus.recordings):
        codes = encode_blocks(codec, recording.blocks(codec.channels), device)
        counts += count_codes(codes, codec.codebook_size)
    return counts
