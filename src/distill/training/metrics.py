"""What training reports while it runs: one dataclass per kind of event, one stream for everybody.

The command line, the report and any program that passes a callback read the same events. ``EventLog`` also
writes them as JSON lines, one event a line, so that a run can be followed or drawn again after it has ended.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from distill.errors import OutputError
from distill.files.atomic import make_folder, output_error


@dataclass(frozen=True)
class LevelHealth:
    """How well one quantizer level uses its codebook.

    ``utilisation`` is the share of entries used at least once, ``perplexity`` the effective number of entries
    (exp of the entropy of their use, in nats), ``dead`` the number of entries never used.
    """

    level: int
    utilisation: float
    perplexity: float
    dead: int


@dataclass(frozen=True)
class VQStepMetrics:
    """One optimisation step of the codec."""

    epoch: int
    step: int
    total_steps: int
    train_loss: float
    reconstruction_loss: float
    commitment_loss: float
    learning_rate: float
    step_time_s: float
    audio_seconds: float
    """Seconds of audio in this step's batch."""
    progress: float
    """Share of the run that is done, 0 to 1: of the time budget or of the epochs, whichever ends the run."""
    remaining_s: float


@dataclass(frozen=True)
class VQEpochMetrics:
    """One epoch of the codec. Losses are means over windows; distances are multi-scale mel distances."""

    epoch: int
    total_epochs: int
    train_loss: float
    val_loss: float
    best_val_loss: float
    levels: tuple[LevelHealth, ...]
    warning: str
    """Plain words when a level uses less than 30 % of its codebook; empty otherwise."""
    epoch_time_s: float
    learning_rate: float


@dataclass(frozen=True)
class VQTrainingCompleteEvent:
    """The end of codec training."""

    final_train_loss: float
    final_val_loss: float
    best_val_loss: float
    epochs_trained: int
    cancelled: bool
    levels: tuple[LevelHealth, ...]


@dataclass(frozen=True)
class RefinementStepMetrics:
    """One step of the codec's second stage. Losses are not yet weighted."""

    epoch: int
    step: int
    total_steps: int
    mel_loss: float
    """Multi-scale mel distance."""
    feature_loss: float
    """Distance between what the discriminators' layers see in recording and reconstruction."""
    adversarial_loss: float
    """0 where the discriminators take every reconstruction for a recording."""
    discriminator_loss: float
    learning_rate: float
    step_time_s: float
    audio_seconds: float
    progress: float
    """Share of the stage that is done, 0 to 1."""
    remaining_s: float


@dataclass(frozen=True)
class RefinementEpochMetrics:
    """One epoch of the codec's second stage. Losses are means over its steps."""

    epoch: int
    total_epochs: int
    mel_loss: float
    feature_loss: float
    adversarial_loss: float
    discriminator_loss: float
    val_mel: float
    """Multi-scale mel distance of held-out windows with the decoder that would be kept now."""
    mel_before: float
    """The same with the first stage's decoder."""
    epoch_time_s: float
    learning_rate: float


@dataclass(frozen=True)
class RefinementCompleteEvent:
    """The end of the codec's second stage."""

    mel_before: float
    mel_after: float
    is_kept: bool
    """Whether the refined decoder takes the first stage's place."""
    epochs_trained: int
    steps: int
    cancelled: bool
    """Whether it stopped early; then it can be resumed and the first stage's decoder is still in place."""


@dataclass(frozen=True)
class PriorStepMetrics:
    """One optimisation step of the prior. Losses are nats per token."""

    epoch: int
    step: int
    total_steps: int
    train_loss: float
    learning_rate: float
    step_time_s: float
    tokens: int = 0
    """Predicted tokens in this step's batch."""
    progress: float = 0.0
    """Share of the run that is done, 0 to 1."""
    remaining_s: float = 0.0


@dataclass(frozen=True)
class PriorEpochMetrics:
    """One epoch of the prior. Losses are nats per token; perplexity is exp(min(val_loss, 20))."""

    epoch: int
    total_epochs: int
    train_loss: float
    val_loss: float
    val_perplexity: float
    best_perplexity: float
    is_memorizing: bool
    memorization_message: str
    epoch_time_s: float
    learning_rate: float
    level_losses: tuple[float, ...] = ()
    """Validation loss of each quantizer level, nats per token."""


@dataclass(frozen=True)
class PriorTrainingCompleteEvent:
    """The end of prior training."""

    final_train_loss: float
    final_val_loss: float
    final_perplexity: float
    best_perplexity: float
    epochs_trained: int
    was_memorizing: bool


@dataclass(frozen=True)
class Notice:
    """Something the person should know, in plain words."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class RolledBack:
    """Training went wrong, and goes on from the last good state with half the learning rate."""

    step: int
    """Where it went wrong; the data goes on from here."""
    good_step: int
    """Where the weights and the optimizer were taken that it went back to."""
    reason: str
    peak_learning_rate: float
    """From here on."""

    @property
    def text(self) -> str:
        """The same in a sentence."""
        return (
            f"Step {self.step + 1} went wrong: {self.reason}. Training went back to its last good state "
            f"(step {self.good_step}) and goes on at half the learning rate."
        )


@dataclass(frozen=True)
class ExtractionProgress:
    """Encoding the recordings with the frozen codec, once, before the prior trains."""

    done: int
    total: int


TrainingEvent = (
    VQStepMetrics
    | VQEpochMetrics
    | VQTrainingCompleteEvent
    | RefinementStepMetrics
    | RefinementEpochMetrics
    | RefinementCompleteEvent
    | ExtractionProgress
    | PriorStepMetrics
    | PriorEpochMetrics
    | PriorTrainingCompleteEvent
    | Notice
    | RolledBack
)
MetricsCallback = Callable[[TrainingEvent], None]

_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        VQStepMetrics,
        VQEpochMetrics,
        VQTrainingCompleteEvent,
        RefinementStepMetrics,
        RefinementEpochMetrics,
        RefinementCompleteEvent,
        ExtractionProgress,
        PriorStepMetrics,
        PriorEpochMetrics,
        PriorTrainingCompleteEvent,
        Notice,
        RolledBack,
    )
}


class EventLog:
    """Appends events to a JSON-lines file, each written at once: ``{"event": "VQStepMetrics", ...}``.

    What a full disk refuses waits in memory until there is room again; ``refused`` says so.

    Args:
        keep: where a run goes on, how much of the file counts: what was reported after the state was saved will be reported
            again. Everything counts if not given.
    """

    def __init__(self, path: Path, keep: int | None = None) -> None:
        make_folder(path.parent)
        try:
            self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
            whole = self._file.read()[:keep]
            self._file.truncate(whole.rfind(b"\n") + 1)  # a crash may have cut the last line short
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise output_error(path, error) from error
        self._path, self._waiting = path, b""
        self.refused: OutputError | None = None

    def __call__(self, event: TrainingEvent) -> None:
        line = {"event": type(event).__name__, **dataclasses.asdict(event)}
        self._waiting += json.dumps(line).encode() + b"\n"
        try:
            while self._waiting:
                self._waiting = self._waiting[self._file.write(self._waiting) :]
            self.refused = None
        except OSError as error:
            self.refused = output_error(self._path, error)

    @property
    def position(self) -> int:
        """Bytes of all events so far."""
        return self._file.tell() + len(self._waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def read_events(path: Path) -> Iterator[TrainingEvent]:
    """The events of a JSON-lines file, in order. A last line cut short by a crash is left out."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return
            fields = json.loads(line)
            kind = _KINDS[fields.pop("event")]
            if "levels" in fields:
                fields["levels"] = tuple(LevelHealth(**level) for level in fields["levels"])
            if "level_losses" in fields:
                fields["level_losses"] = tuple(fields["level_losses"])
            yield kind(**fields)
