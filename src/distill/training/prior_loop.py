"""Training the prior: next-token prediction on codes extracted once from a frozen codec."""

import copy
import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.audio.corpus import Corpus, import_corpus
from distill.audio.split import split_corpus
from distill.codes.layout import flatten_codes
from distill.errors import TrainingError
from distill.models.model_file import load_model
from distill.models.prior import CodePrior, PriorConfig
from distill.sizes import prior_config_for
from distill.training.checkpoint import SAVE_EVERY_S, Checkpoint
from distill.training.launch import make_fabric
from distill.training.metrics import (
    MetricsCallback,
    Notice,
    PriorEpochMetrics,
    PriorStepMetrics,
    PriorTrainingCompleteEvent,
)
from distill.training.prior_data import Extraction, check_alphabet, other_corpus
from distill.training.progress import EpochSums, Progress
from distill.training.schedule import Schedule
from distill.training.state import TrainingState

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STATE_KIND = "prior"
LEARNING_RATE = 2e-3
BATCH_SIZE = 8
INFILL_SHARE = 0.25
"""Of the steps, how many teach the prior to lead to something that is known beforehand."""
VIEWS = 24
TRANSPOSE = 1
EXTRACTION_SHARE = 0.2
"""Of a time budget, the most that encoding may take: fewer views are encoded if need be."""
DEFAULT_EPOCHS = 50
MIN_STEPS_PER_EPOCH = 50
MAX_LOSS = 20.0
"""exp of more would say nothing: validation perplexity is exp(min(loss, 20))."""

MEMORIZATION_THRESHOLDS = ((20, 2.0), (100, 3.0), (math.inf, 5.0))
"""(files up to, validation perplexity below which the prior is said to recite)."""


@dataclass(frozen=True)
class PriorValidation:
    """Cross-entropy on held-out sequences in nats per token: over all tokens, and of each level alone."""

    loss: float
    level_losses: tuple[float, ...]

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, MAX_LOSS))


def train_prior(
    model_path: Path | str,
    dataset_dir: Path | str,
    prior_config: PriorConfig | None = None,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
    *,
    corpus: Corpus | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    batch_size: int = BATCH_SIZE,
    learning_rate: float = LEARNING_RATE,
    views: int = VIEWS,
    transpose: int = TRANSPOSE,
    seed: int = 0,
    device: str = "auto",
    state_path: Path | None = None,
    resumed: TrainingState | None = None,
    about: Callable[[], Mapping[str, Any]] = dict,
    save_every_s: float = SAVE_EVERY_S,
) -> dict[str, Any]:
    """Trains a prior over the codes of a model file's frozen codec. The file itself is not changed.

    Args:
        model_path: ``.distill`` file with the codec.
        dataset_dir: the folder of recordings the codec was trained on.
        prior_config: sizes; sizes that follow the corpus if not given.
        callback: gets every event.
        cancel_event: when set, training stops after the current step and the best weights so far are kept.
        corpus: the folder as already imported, to spare importing it again.
        epochs, minutes: the end of the run; 50 epochs if neither is given. The minutes count from the call.
        views: in how many ways every recording is encoded, shifted by less than a hop and transposed; fewer if they would take
            over a fifth of the minutes.
        transpose: semitones up to which views are transposed.
        state_path: written every ``save_every_s`` seconds, first after ten, and when training ends or is cancelled.
        resumed: a state to go on from, with the other arguments as they were; ``epochs`` and ``minutes`` count from the very
            beginning, and the codes, which are extracted again, must be the same ones (that time is not counted twice). On a
            CPU, a run that lasts for epochs then ends with the same weights, bit for bit, as if it had never stopped.
        about: what the caller wants to find in the state beside the loop's own.

    Returns:
        ``prior_model`` (best weights, eval mode), ``prior_config``, ``prior_metadata`` (epochs_trained, final_perplexity,
        best_perplexity, training_date, …), ``sources`` (the recordings as codes) and ``curves``.

    Raises:
        ModelFileError, CorpusError: if one of the two inputs is unusable.
        SettingError: if the config speaks another alphabet than the codec.
        StateFileError: if ``resumed`` belongs to another codec or other recordings.
        TrainingError: if training goes wrong again and again before the first epoch is done.
    """
    called = time.monotonic()
    fabric = make_fabric(device)
    model_file = load_model(Path(model_path), fabric.device)
    model_file.codec.requires_grad_(False).eval()
    corpus = corpus or import_corpus(Path(dataset_dir))
    if callback is not None:
        for warning in corpus.warnings:
            callback(Notice(warning, is_warning=True))
        if corpus.fingerprint != model_file.header.corpus.fingerprint:
            callback(Notice(other_corpus(corpus, model_file), is_warning=True))
    config = prior_config or prior_config_for(model_file, corpus)
    check_alphabet(config, model_file)

    split = split_corpus(corpus, seed=model_file.header.corpus.split_seed)
    extraction = Extraction(model_file, config, seed, fabric, callback)
    held_out = extraction.sequences(split.held_out, views=1)
    if resumed is not None:
        views = resumed.value("views", int)
    elif minutes is not None:
        seconds_a_view = extraction.pace * sum(passage.seconds for passage in split.train)
        views = max(1, min(views, int(EXTRACTION_SHARE * minutes * 60 / max(seconds_a_view, 1e-6))))
    codes = extraction.sequences(split.train, views, transpose)
    # With split kind "none" both are the same passages; they were all trained on.
    kept_aside = split.held_out if split.kind != "none" else ()
    sources = (*extraction.sources(split.train, held_out=False), *extraction.sources(kept_aside, held_out=True))
    tokens, held_out_tokens = flatten_codes(codes), flatten_codes(held_out)
    # A tiny corpus is gone through several times an epoch, or validation would take most of the time.
    tokens = tokens.repeat(max(1, MIN_STEPS_PER_EPOCH * batch_size // len(tokens)), 1)

    torch.manual_seed(seed)
    prior = CodePrior(config)
    prior.start_from_codebooks(model_file.codec.quantizer.codebooks.cpu())
    optimizer = torch.optim.AdamW(_parameter_groups(prior), lr=learning_rate, betas=(0.9, 0.95), fused=True)
    model, optimizer = fabric.setup(prior, optimizer)
    if epochs is None and minutes is None:
        epochs = DEFAULT_EPOCHS
    # An epoch is as much as one view of every recording; which of all the views' sequences it takes is drawn anew each time.
    epoch_sequences = min(len(tokens), max(len(tokens) // views, MIN_STEPS_PER_EPOCH * batch_size))
    # Extraction comes out of the same budget; what is extracted again after a stop does not.
    extraction_s = time.monotonic() - called if resumed is None else resumed.value("extraction_s", float)
    schedule = Schedule(
        -(-epoch_sequences // batch_size),
        epochs=epochs,
        minutes=None if minutes is None else max(minutes - extraction_s / 60, 1e-3),
        peak_rate=learning_rate,
    )

    progress = Progress(model, optimizer, schedule)
    belongs_to = {
        "codec": model_file.alphabet,
        "folder of recordings": corpus.fingerprint,
        "set of codes": hashlib.sha256(tokens.numpy().data).hexdigest(),
    }
    if resumed is not None:
        progress.restore(resumed, belongs_to)
        if callback is not None:
            again = time.monotonic() - called
            callback(
                Notice(f"The recordings were encoded again to go on: {again:.0f} s, which do not count as training.")
            )
    finished = False

    def state() -> TrainingState:
        plan = {"epochs": epochs, "minutes": minutes, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed,
                "transpose": transpose}  # fmt: skip
        values = {"config": asdict(config), "plan": plan, "finished": finished, "about": dict(about()), "views": views,
                  "extraction_s": extraction_s}  # fmt: skip
        return progress.state(belongs_to | values)

    checkpoint = Checkpoint(state_path, STATE_KIND, state, callback, every_s=save_every_s)
    memorizing, message, cancelled = False, "", False
    if progress.val_losses:
        last = math.exp(min(progress.val_losses[-1], MAX_LOSS))
        memorizing, message = check_memorization(last, config.codebook_size, corpus.file_count)
    while progress.epoch == 0 or not (schedule.finished or cancelled):
        started = time.monotonic()
        try:
            train_loss = train_prior_epoch(
                model, optimizer, tokens, schedule, fabric,
                epoch=progress.epoch, sequences=epoch_sequences, batch_size=batch_size, seed=seed, infill_share=INFILL_SHARE,
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
        validating = time.monotonic()
        validation = validate_prior_epoch(model, held_out_tokens, batch_size, fabric.device)
        if not math.isfinite(validation.loss):
            progress.roll_back("the held-out loss was not finite", callback)
            validation = validate_prior_epoch(model, held_out_tokens, batch_size, fabric.device)
        schedule.reserve(1.5 * (time.monotonic() - validating))
        progress.train_losses.append(train_loss)
        progress.val_losses.append(validation.loss)
        if validation.perplexity < progress.best_score:
            progress.best_score, progress.best_loss = validation.perplexity, validation.loss
            progress.best_weights = copy.deepcopy(model.state_dict())
        memorizing, message = check_memorization(validation.perplexity, config.codebook_size, corpus.file_count)
        progress.epoch, progress.sums = progress.epoch + 1, EpochSums()
        if callback is not None:
            callback(
                PriorEpochMetrics(
                    epoch=progress.epoch,
                    total_epochs=max(progress.epoch, schedule.total_epochs),
                    train_loss=train_loss,
                    val_loss=validation.loss,
                    val_perplexity=validation.perplexity,
                    best_perplexity=progress.best_score,
                    is_memorizing=memorizing,
                    memorization_message=message,
                    epoch_time_s=time.monotonic() - started,
                    learning_rate=schedule.learning_rate,
                    level_losses=validation.level_losses,
                )
            )
    if not cancelled:
        finished = True
        progress.mark_good()
        checkpoint.save()

    model.load_state_dict(progress.best_weights)
    if callback is not None:
        callback(
            PriorTrainingCompleteEvent(
                final_train_loss=progress.train_losses[-1],
                final_val_loss=progress.val_losses[-1],
                final_perplexity=math.exp(min(progress.val_losses[-1], MAX_LOSS)),
                best_perplexity=progress.best_score,
                epochs_trained=progress.epoch,
                was_memorizing=memorizing,
            )
        )
    return {
        "prior_model": model.module.requires_grad_(False).eval().cpu(),
        "prior_config": config,
        "prior_metadata": {
            "epochs_trained": progress.epoch,
            "final_perplexity": math.exp(min(progress.val_losses[-1], MAX_LOSS)),
            "best_perplexity": progress.best_score,
            "training_date": datetime.now(UTC).isoformat(timespec="seconds"),
            "final_train_loss": progress.train_losses[-1],
            "final_val_loss": progress.val_losses[-1],
            "was_memorizing": int(memorizing),
            "cancelled": int(cancelled),
            "seed": seed,
            "views": views,
            "transpose": transpose,
            "corpus_fingerprint": corpus.fingerprint,
        },
        "sources": sources,
        "curves": {"prior_train_loss": progress.train_losses, "prior_val_loss": progress.val_losses},
    }


def train_prior_epoch(
    model: Any,
    optimizer: torch.optim.Optimizer,
    tokens: Tensor,
    schedule: Schedule,
    fabric: "Fabric",
    *,
    epoch: int,
    batch_size: int,
    seed: int,
    sequences: int | None = None,
    infill_share: float = 0.0,
    callback: MetricsCallback | None = None,
    cancel_event: Event | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> float:
    """One pass over ``sequences`` (or all) of the token sequences ``[N, T]`` in random order.

    Ended early by the schedule or a cancel; what ``progress`` has already done of it is not done again. A step that goes
    wrong (a loss that is not finite or explodes) never reaches the optimizer: training goes back to its last good state,
    halves the learning rate, and goes on with the next batch.

    In a share of the steps the sequences' second part, from a random position on, is known to the first
    (:meth:`CodePrior.forward`), so that the prior can fill gaps. Gives the mean loss in nats per token.

    Raises:
        TrainingError: if that does not help, time after time.
    """
    model.train()
    progress = progress or Progress(model, optimizer, schedule)
    sums = progress.sums
    config: PriorConfig = model.module.config
    positions = tokens.shape[1] // config.num_quantizers
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(tokens), generator=generator)[:sequences]
    if sums.step:
        generator.set_state(sums.tensors["generator"])
    for chosen in order.split(batch_size)[sums.step :]:
        started = time.monotonic()
        batch = tokens[chosen].to(fabric.device)
        inputs, targets = batch[:, :-1], batch[:, 1:]
        rate = schedule.learning_rate
        for group in optimizer.param_groups:
            group["lr"] = rate

        known_from = None
        if positions > 1 and float(torch.rand(1, generator=generator)) < infill_share:
            known_from = int(torch.randint(1, positions, (1,), generator=generator))
        logits = model(inputs, known_from=known_from)  # [B, T - 1, K]
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        finite = bool(torch.isfinite(loss))
        if finite:
            fabric.backward(loss)
            norm = fabric.clip_gradients(model, optimizer, max_norm=1.0, error_if_nonfinite=False)
            finite = norm is None or bool(torch.isfinite(norm))
        trouble = progress.watch.trouble(float(loss.detach()), finite)
        if trouble:
            progress.roll_back(trouble, callback)
        else:
            optimizer.step()
            sums.loss += float(loss.detach()) * targets.numel()
            sums.count += targets.numel()
        schedule.step += 1
        sums.step, sums.tensors["generator"] = sums.step + 1, generator.get_state()
        if progress.watch.is_good:
            progress.mark_good()
        if callback is not None:
            callback(
                PriorStepMetrics(
                    epoch=epoch + 1,
                    step=schedule.step,
                    total_steps=max(schedule.step, schedule.total_steps),
                    train_loss=float(loss.detach()),
                    learning_rate=rate,
                    step_time_s=time.monotonic() - started,
                    tokens=targets.numel(),
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
    return sums.loss / sums.count


@torch.no_grad()
def validate_prior_epoch(
    model: Any, tokens: Tensor, batch_size: int = BATCH_SIZE, device: torch.device | str = "cpu"
) -> PriorValidation:
    """Cross-entropy on held-out sequences ``[N, T]``: summed over all predicted tokens, divided once by their number.

    A mean of batch means would weigh the last, smaller batch too much.
    """
    model.eval()
    config: PriorConfig = getattr(model, "module", model).config
    levels = torch.arange(1, tokens.shape[1]) % config.num_quantizers  # of the targets
    sums = torch.zeros(config.num_quantizers, dtype=torch.float64)
    for batch in tokens.split(batch_size):
        inputs, targets = batch[:, :-1].to(device), batch[:, 1:].to(device)
        logits = model(inputs)
        losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
        sums.index_add_(0, levels, losses.sum(dim=0).cpu().double())
    counts = torch.bincount(levels, minlength=config.num_quantizers) * len(tokens)
    return PriorValidation(
        loss=float(sums.sum() / counts.sum()), level_losses=tuple((sums / counts.clamp(min=1)).tolist())
    )


def memorization_threshold(dataset_file_count: int) -> float:
    """The validation perplexity below which a prior on that many files is said to recite."""
    return next(threshold for limit, threshold in MEMORIZATION_THRESHOLDS if dataset_file_count <= limit)


def check_memorization(val_perplexity: float, codebook_size: int, dataset_file_count: int) -> tuple[bool, str]:
    """Warns when validation perplexity is below 2.0 (up to 20 files), 3.0 (up to 100) or 5.0 (more).

    Returns:
        Whether the prior seems to recite, and plain words about it (empty when it does not).
    """
    threshold = memorization_threshold(dataset_file_count)
    if val_perplexity >= threshold:
        return False, ""
    return True, (
        f"The prior hesitates between only {val_perplexity:.2f} of {codebook_size} codes at each step (under "
        f"{threshold:.1f}, with {dataset_file_count} files): it may be reciting your recordings instead of composing. "
        "You can stop now (Ctrl-C) and keep the best weights so far, or let it go on; more recordings, "
        "a smaller --hidden-size or fewer epochs help."
    )


def _parameter_groups(prior: CodePrior) -> list[dict[str, Any]]:
    """Weight decay on matrices only: on biases, norms and embeddings it would only pull small ones to zero."""

    def is_matrix(name: str, parameter: Tensor) -> bool:
        return parameter.ndim >= 2 and not name.startswith("embedding") and not name.endswith("bias")

    named = list(prior.named_parameters())
    matrices = [parameter for name, parameter in named if is_matrix(name, parameter)]
    others = [parameter for name, parameter in named if not is_matrix(name, parameter)]
    return [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
