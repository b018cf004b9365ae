"""The events that training reports: one dataclass per kind, one stream for every consumer.

The command line, the report and any program that passes a callback read the same events. ``EventLog`` also
writes them as JSON lines, one event a line, so that a run can be followed or drawn again after it has ended.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from distill.models.health import LevelHealth


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
    """Share of the run that is done, 0 to 1, by the time budget or by the epochs, whichever ends the run."""
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
    """A message if a level uses less than 30 % of its codebook; empty otherwise."""
    epoch_time_s: float
    learning_rate: float
    heard: Mapping[str, float] = field(default_factory=dict)
    """Mel distance, pitch and texture of held-out windows, by name (``Likeness.figures``); empty in older events."""
    is_held_out: bool = True
    """Whether validation used held-out windows; False if there was too little audio, and training windows were used."""


@dataclass(frozen=True)
class VQTrainingCompleteEvent:
    """The end of codec training."""

    final_train_loss: float
    final_val_loss: float
    best_val_loss: float
    epochs_trained: int
    cancelled: bool
    levels: tuple[LevelHealth, ...]
    is_held_out: bool = True
    """As in :class:`VQEpochMetrics`."""


@dataclass(frozen=True)
class RefinementStepMetrics:
    """One step of the codec's second stage. Losses are not yet weighted."""

    epoch: int
    step: int
    total_steps: int
    mel_loss: float
    """Multi-scale mel distance."""
    feature_loss: float
    """Distance between the discriminators' features of recording and reconstruction."""
    adversarial_loss: float
    """0 if the discriminators take every reconstruction for a recording."""
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
    heard: Mapping[str, float] = field(default_factory=dict)
    """As in :class:`VQEpochMetrics`, with the decoder that would be kept now."""
    is_held_out: bool = True
    """As in :class:`VQEpochMetrics`."""


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
    is_held_out: bool = True
    """As in :class:`VQEpochMetrics`."""


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
    """Perplexity of the weights that would be kept now: the last that were as good as the best (``overfitting.py``)."""
    is_memorizing: bool
    memorization_message: str
    epoch_time_s: float
    learning_rate: float
    level_losses: tuple[float, ...] = ()
    """Validation loss of each quantizer level, nats per token."""
    best_epoch: int = 0
    """The epoch whose weights would be kept now; 0 in events of earlier versions."""
    is_overfitting: bool = False
    """Whether the held-out loss has risen since that epoch while the training loss fell."""
    overfitting_message: str = ""
    """A message about it; empty if not."""
    is_held_out: bool = True
    """As in :class:`VQEpochMetrics`."""


@dataclass(frozen=True)
class PriorTrainingCompleteEvent:
    """The end of prior training."""

    final_train_loss: float
    final_val_loss: float
    final_perplexity: float
    best_perplexity: float
    epochs_trained: int
    was_memorizing: bool
    """Whether the weights that are given back seem to recite: their perplexity is ``best_perplexity``."""
    stopped_early: bool = False
    """Whether training stopped early because the held-out loss no longer improved."""
    is_held_out: bool = True
    """As in :class:`VQEpochMetrics`."""


@dataclass(frozen=True)
class PriorChosenEvent:
    """Of several epochs with about the lowest held-out loss, the one whose new audio came nearest to the recordings."""

    epoch: int
    val_perplexity: float
    text: str
    """Between which, and by how much, in a sentence."""


@dataclass(frozen=True)
class Notice:
    """A message to the user."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class RolledBack:
    """Training went wrong and continues from its last good state at half the learning rate."""

    step: int
    """The step that went wrong, counted from 0; the data is not rewound."""
    good_step: int
    """The step whose weights and optimizer state were restored."""
    reason: str
    peak_learning_rate: float
    """The halved peak learning rate."""

    @property
    def text(self) -> str:
        """The whole event as a sentence."""
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
    | PriorChosenEvent
    | Notice
    | RolledBack
)
MetricsCallback = Callable[[TrainingEvent], None]


def checked(figure: str, is_held_out: bool) -> str:
    """The name of a validation figure: ``held-out distance``, or ``distance, trained on`` if nothing was held out."""
    return f"held-out {figure}" if is_held_out else f"{figure}, trained on"
