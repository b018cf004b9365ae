"""Training the prior: next-token prediction on codes extracted once from a frozen codec."""

import copy
import functools
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.audio.corpus import Corpus, import_corpus
from distill.audio.split import Passage, split_corpus
from distill.codes.extract import encode_blocks, extract_code_sequences
from distill.codes.layout import flatten_codes
from distill.errors import SettingError, TrainingError
from distill.models.model_file import Model, Source, load_model
from distill.models.prior import CodePrior, PriorConfig
from distill.training.launch import make_fabric
from distill.training.metrics import (
    ExtractionProgress,
    MetricsCallback,
    Notice,
    PriorEpochMetrics,
    PriorStepMetrics,
    PriorTrainingCompleteEvent,
)
from distill.training.schedule import Schedule

if TYPE_CHECKING:
    from lightning_fabric import Fabric

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
MAX_BAD_STEPS = 20
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

    Returns:
        ``prior_model`` (best weights, eval mode), ``prior_config``, ``prior_metadata`` (epochs_trained, final_perplexity,
        best_perplexity, training_date, …), ``sources`` (the recordings as codes) and ``curves``.

    Raises:
        ModelFileError, CorpusError: if one of the two inputs is unusable.
        SettingError: if the config speaks another alphabet than the codec.
        TrainingError: if the loss stays not finite.
    """
    called = time.monotonic()
    fabric = make_fabric(device)
    model_file = load_model(Path(model_path), fabric.device)
    model_file.codec.requires_grad_(False).eval()
    corpus = corpus or import_corpus(Path(dataset_dir))
    if callback is not None and corpus.fingerprint != model_file.header.corpus.fingerprint:
        callback(Notice(_other_corpus(corpus, model_file), is_warning=True))
    config = prior_config or prior_config_for(model_file, corpus)
    _check_alphabet(config, model_file)

    split = split_corpus(corpus, seed=model_file.header.corpus.split_seed)
    extraction = _Extraction(model_file, config, seed, fabric, callback)
    held_out = extraction.sequences(split.held_out, views=1)
    if minutes is not None:
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
    if minutes is not None:  # extraction came out of the same budget
        minutes = max(minutes - (time.monotonic() - called) / 60, 1e-3)
    # An epoch is as much as one view of every recording; which of all the views' sequences it takes is drawn anew each time.
    epoch_sequences = min(len(tokens), max(len(tokens) // views, MIN_STEPS_PER_EPOCH * batch_size))
    schedule = Schedule(-(-epoch_sequences // batch_size), epochs=epochs, minutes=minutes, peak_rate=learning_rate)

    best_perplexity, best_weights = math.inf, copy.deepcopy(model.state_dict())
    train_losses: list[float] = []
    val_losses: list[float] = []
    memorizing, message = False, ""
    cancelled = False
    epoch = 0
    while epoch == 0 or not (schedule.finished or cancelled):
        started = time.monotonic()
        train_loss = train_prior_epoch(
            model, optimizer, tokens, schedule, fabric,
            epoch=epoch, sequences=epoch_sequences, batch_size=batch_size, seed=seed, infill_share=INFILL_SHARE,
            callback=callback, cancel_event=cancel_event,
        )  # fmt: skip
        cancelled = cancel_event is not None and cancel_event.is_set()
        validating = time.monotonic()
        validation = validate_prior_epoch(model, held_out_tokens, batch_size, fabric.device)
        schedule.reserve(1.5 * (time.monotonic() - validating))
        train_losses.append(train_loss)
        val_losses.append(validation.loss)
        if validation.perplexity < best_perplexity:
            best_perplexity, best_weights = validation.perplexity, copy.deepcopy(model.state_dict())
        memorizing, message = check_memorization(validation.perplexity, config.codebook_size, corpus.file_count)
        epoch += 1
        if callback is not None:
            callback(
                PriorEpochMetrics(
                    epoch=epoch,
                    total_epochs=max(epoch, schedule.total_epochs),
                    train_loss=train_loss,
                    val_loss=validation.loss,
                    val_perplexity=validation.perplexity,
                    best_perplexity=best_perplexity,
                    is_memorizing=memorizing,
                    memorization_message=message,
                    epoch_time_s=time.monotonic() - started,
                    learning_rate=schedule.learning_rate,
                    level_losses=validation.level_losses,
                )
            )

    model.load_state_dict(best_weights)
    if callback is not None:
        callback(
            PriorTrainingCompleteEvent(
                final_train_loss=train_losses[-1],
                final_val_loss=val_losses[-1],
                final_perplexity=math.exp(min(val_losses[-1], MAX_LOSS)),
                best_perplexity=best_perplexity,
                epochs_trained=epoch,
                was_memorizing=memorizing,
            )
        )
    return {
        "prior_model": model.module.requires_grad_(False).eval().cpu(),
        "prior_config": config,
        "prior_metadata": {
            "epochs_trained": epoch,
            "final_perplexity": math.exp(min(val_losses[-1], MAX_LOSS)),
            "best_perplexity": best_perplexity,
            "training_date": datetime.now(UTC).isoformat(timespec="seconds"),
            "final_train_loss": train_losses[-1],
            "final_val_loss": val_losses[-1],
            "was_memorizing": int(memorizing),
            "cancelled": int(cancelled),
            "seed": seed,
            "views": views,
            "transpose": transpose,
            "corpus_fingerprint": corpus.fingerprint,
        },
        "sources": sources,
        "curves": {"prior_train_loss": train_losses, "prior_val_loss": val_losses},
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
) -> float:
    """One pass over ``sequences`` (or all) of the token sequences ``[N, T]`` in random order.

    Ended early by the schedule or a cancel.

    In a share of the steps the sequences' second part, from a random position on, is known to the first
    (:meth:`CodePrior.forward`), so that the prior can fill gaps. Gives the mean loss in nats per token.

    Raises:
        TrainingError: after 20 losses in a row, or a whole epoch, that are not finite; the optimizer has seen none of them.
    """
    model.train()
    loss_sum, token_count, bad_steps = 0.0, 0, 0
    config: PriorConfig = model.module.config
    positions = tokens.shape[1] // config.num_quantizers
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(tokens), generator=generator)[:sequences]
    for chosen in order.split(batch_size):
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
        if finite:
            bad_steps = 0
            optimizer.step()
            loss_sum += float(loss.detach()) * targets.numel()
            token_count += targets.numel()
        else:
            bad_steps += 1
            if bad_steps == MAX_BAD_STEPS:
                raise _not_finite(bad_steps, rate)
        schedule.step += 1
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
        if schedule.finished or (cancel_event is not None and cancel_event.is_set()):
            break
    if not token_count:
        raise _not_finite(bad_steps, schedule.learning_rate)
    return loss_sum / token_count


def _not_finite(steps: int, rate: float) -> TrainingError:
    return TrainingError(
        f"The prior's loss was not finite {steps} times in a row.",
        f"Train again with a lower learning rate than {rate:.1e} (--lr).",
    )


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


def prior_config_for(model: Model, corpus: Corpus, **changes: Any) -> PriorConfig:
    """Sizes that follow the corpus; ``changes`` are the person's own wishes."""
    config = model.header.codec
    automatic = PriorConfig.for_corpus(
        corpus.seconds,
        codebook_size=config.codebook_size,
        num_quantizers=config.num_quantizers,
        frame_rate=config.frame_rate,
    )
    return PriorConfig(**(asdict(automatic) | changes))


class _Extraction:
    """Encodes passages with the frozen codec, and keeps count of how fast that goes."""

    def __init__(
        self, model: Model, config: PriorConfig, seed: int, fabric: "Fabric", callback: MetricsCallback | None
    ) -> None:
        self._codec, self._device, self._seed, self._callback = model.codec, fabric.device, seed, callback
        self._positions = config.context // config.num_quantizers
        self.pace = 0.0
        """Seconds of work per second of audio, as measured last."""

    def sequences(self, passages: Sequence[Passage], views: int, transpose: int = 0) -> Tensor:
        """Codes ``[N, S, Q]`` of all passages, each encoded in ``views`` ways."""
        started = time.monotonic()

        def progress(done: int, total: int) -> None:
            if self._callback is not None:
                self._callback(ExtractionProgress(done, total))

        codes = extract_code_sequences(
            self._codec,
            [functools.partial(passage.blocks, self._codec.channels) for passage in passages],
            self._positions,
            views=views,
            transpose=transpose,
            generator=torch.Generator().manual_seed(self._seed),
            device=self._device,
            progress=progress,
        )
        self.pace = (time.monotonic() - started) / (views * sum(passage.seconds for passage in passages))
        return codes

    def sources(self, passages: Sequence[Passage], *, held_out: bool) -> tuple[Source, ...]:
        """The passages as they are, unshifted, for the model file."""
        return tuple(
            Source(
                passage.recording.name,
                passage.start / self._codec.sample_rate,
                held_out,
                encode_blocks(self._codec, passage.blocks(self._codec.channels), self._device),
                passage.recording.group,
            )
            for passage in passages
        )


def _check_alphabet(config: PriorConfig, model: Model) -> None:
    codec = model.header.codec
    if (config.codebook_size, config.num_quantizers) != (codec.codebook_size, codec.num_quantizers):
        raise SettingError(
            f"The prior's config speaks {config.num_quantizers} levels of {config.codebook_size} codes and the codec of "
            f"'{model.header.name}' speaks {codec.num_quantizers} of {codec.codebook_size}.",
            "Leave both to Distill, or set them to the codec's.",
        )


def _other_corpus(corpus: Corpus, model: Model) -> str:
    trained = model.header.corpus
    return (
        f"{corpus.folder} is not the folder the codec was trained on: it holds {corpus.file_count} recordings, "
        f"{corpus.seconds:.0f} s (fingerprint {corpus.fingerprint[:8]}), and the codec heard {trained.file_count} "
        f"recordings, {trained.seconds:.0f} s (fingerprint {trained.fingerprint[:8]}). The prior will learn the new folder "
        "in the codec's alphabet; sounds the codec never heard may come out coarse."
    )


def _parameter_groups(prior: CodePrior) -> list[dict[str, Any]]:
    """Weight decay on matrices only: on biases, norms and embeddings it would only pull small ones to zero."""

    def is_matrix(name: str, parameter: Tensor) -> bool:
        return parameter.ndim >= 2 and not name.startswith("embedding") and not name.endswith("bias")

    named = list(prior.named_parameters())
    matrices = [parameter for name, parameter in named if is_matrix(name, parameter)]
    others = [parameter for name, parameter in named if not is_matrix(name, parameter)]
    return [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
