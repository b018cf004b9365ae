"""The settings of a run, fixed before it begins: one plan for each of the three loops. Imports no PyTorch.

A plan is frozen, checked field by field when it is made, and saved as JSON in the state. So a saved state explains itself, and
a run is resumed without giving any setting again.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import TypeAdapter, ValidationError

from distill import given
from distill.errors import SettingError, StateFileError
from distill.recordings.split import SPLIT_RULE
from distill.training.arithmetic import Precision

Count = Annotated[int, Ge(1)]
Share = Annotated[float, Ge(0), Le(1)]
Weight = Annotated[float, Ge(0)]
Rate = Annotated[float, Gt(0), Le(100.0)]
_SIGNS = {Ge: ("at least", "ge"), Gt: ("above", "gt"), Le: ("at most", "le"), Lt: ("below", "lt")}


@dataclass(frozen=True)
class StageEnd:
    """When a stage ends that is planned before its own plan is made; with both, whichever comes first."""

    epochs: int | None
    minutes: float | None


MAY_CHANGE = frozenset(
    {"epochs", "minutes", "device", "precision", "save_every_s", "first_save_s", "batch_size", "views"}
)
"""In what the plan of a run that goes on may differ from the one that it began with. A batch is one rank's, and there may be
more ranks or fewer; views are as many as were encoded, whatever was planned."""


@dataclass(frozen=True)
class Plan:
    """The settings of one run of a training loop.

    Raises:
        SettingError: if a value is out of its field's range.
    """

    STATE_KIND: ClassVar[str]
    """The kind of the loop's saved states."""
    DEFAULT_EPOCHS: ClassVar[int]
    """The length of a run when neither epochs nor minutes are given."""

    epochs: Count | None = None
    """Epochs after which the run ends, counted from its beginning, also if it was resumed."""
    minutes: Annotated[float, Gt(0), Lt(math.inf)] | None = None
    """Minutes after which the run ends, counted in the same way; with epochs too, whichever comes first."""
    batch_size: Count = 1
    learning_rate: Rate = 1e-3
    """Peak learning rate, reached after the warm-up."""
    seed: Annotated[int, Ge(0), Lt(1 << 63)] = 0
    """Every random choice of the run derives from it."""
    split_rule: Annotated[int, Ge(SPLIT_RULE), Le(SPLIT_RULE)] = SPLIT_RULE
    """The rule by which the recordings are split (``distill.recordings.split``): what was begun by another cannot go on."""
    device: str = "auto"
    """The device to compute on: ``auto``, ``cpu``, ``mps`` or ``cuda``."""
    precision: Precision = "32"
    """Precision of the forward pass: ``bf16`` is faster where the device computes in it, ``16`` does the same on GPUs
    without bf16, and Apple's do neither; weights, optimizer and losses stay in 32 bits. ``auto``: what is measured to be faster
    (``distill.training.device.automatic_precision``)."""
    least_steps: Count = 100
    """Minimum number of steps in an epoch: on a tiny corpus, validation would otherwise take most of the time."""
    save_every_s: Annotated[float, Ge(0)] = 60.0
    """Seconds between two saved states."""
    first_save_s: Annotated[float, Ge(0)] = 10.0
    """Seconds until the first saved state."""

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():
            value = getattr(self, name)
            try:
                kept = _adapter(hint).validate_python(given.plain(value), strict=True)
            except ValidationError as error:
                what = name.replace("_", " ")
                raise SettingError(
                    f"Training with {what} {value!r} is not possible.", _range(type(self), name)
                ) from error
            object.__setattr__(self, name, kept)

    @property
    def end(self) -> tuple[int | None, float | None]:
        """Epochs and minutes after which the run ends, the default epochs where neither is given."""
        return (
            (self.DEFAULT_EPOCHS, None) if self.epochs is None and self.minutes is None else (self.epochs, self.minutes)
        )

    def seed_of(self, number: int, rank: int = 0, ranks: int = 1) -> int:
        """A seed for one epoch or step of the run, and for each rank one of its own; the prime keeps runs of neighbouring seeds
        apart. A generator takes no seed of more than 64 bits."""
        return ((self.seed * 1_000_003 + number) * ranks + rank) % (1 << 64)

    def values(self) -> dict[str, Any]:
        """All fields as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The plan with these :meth:`values`; fields that an earlier version did not have get their defaults.

        Raises:
            StateFileError: if it has fields that this version does not know, or values out of range.
        """
        try:
            return cls(**values)
        except (TypeError, SettingError) as error:
            raise StateFileError(
                "The plan of the saved training does not fit this version of Distill or was changed.",
                "Train that stage again from its beginning.",
            ) from error


@dataclass(frozen=True)
class WindowedPlan(Plan):
    """What both stages of the codec are planned with, which learn from windows of the recordings."""

    window_positions: Count = 12
    """Code positions of a training window, a quarter of a second at the default rate: many short windows teach more than a few
    long ones, but learning pitch needs some length (docs/codec.md)."""
    silenced: Share = 1 / 16
    """Share of the windows that begin or end in digital silence, so that every codec learns silence."""
    scales_per_step: Annotated[int, Ge(1), Le(7)] = 2
    """How many of the mel distance's seven window lengths each step uses."""
    validation_windows: Count = 8
    """Maximum number of windows to validate on, from the held-out and from the training recordings each."""
    validation_positions: Count = 94
    """Code positions of such a window."""


@dataclass(frozen=True)
class CodecPlan(WindowedPlan):
    """The settings of one run of the codec's first stage."""

    STATE_KIND: ClassVar[str] = "codec"
    DEFAULT_EPOCHS: ClassVar[int] = 100
    batch_size: Count = 16
    learning_rate: Rate = 3e-3
    continuous_steps: Annotated[int, Ge(0)] = 30
    """Steps before quantisation begins, so that k-means places the codebooks among latents that already mean something."""
    least_steps: Count = 300
    """Minimum number of steps in an epoch: with fewer, validation would take more than a twentieth of the time."""
    from_scratch: bool = False
    """Whether to start from random weights even if a base codec fits."""
    good_every: Count = 25
    """Steps in a row without trouble after which the state is kept as one to go back to."""


@dataclass(frozen=True)
class RefinementPlan(WindowedPlan):
    """The settings of one run of the codec's second stage."""

    STATE_KIND: ClassVar[str] = "codec refinement"
    DEFAULT_EPOCHS: ClassVar[int] = 100
    batch_size: Count = 4
    learning_rate: Rate = 2e-4
    least_steps: Count = 50
    discriminator_learning_rate: Rate = 1e-3
    """Peak learning rate of the discriminator. One as slow as the decoder gives no useful gradient for hundreds of steps
    (measured: docs/codec.md)."""
    discriminator_width: Count = 16
    """Channels of the discriminator's layers."""
    discriminator_first_steps: Annotated[int, Ge(0)] = 100
    """Steps at the beginning in which only the discriminator trains: an untrained one would mislead the decoder."""
    discriminator_first_share: Share = 0.1
    """Those steps take at most this share of the stage, however short it is."""
    mel_weight: Weight = 15.0
    """Weight of the mel distance in the decoder's loss."""
    feature_weight: Weight = 2.0
    """Weight of the distance between the discriminator's features."""
    adversarial_weight: Weight = 1.0
    """Weight of the adversarial loss."""
    window_positions: Count = 47
    """About a second at the default rate."""
    validation_windows: Count = 16
    """From the held-out recordings."""
    average_decay: Share = 0.999
    """Decay of the moving average of the decoder's weights, per step."""
    worst_mel: Annotated[float, Ge(0)] = 1.5
    """The stage is discarded if the held-out mel distance ends above this many times its first value, whatever other measures
    say."""
    max_bad_steps: Count = 20
    """The stage fails after so many losses in a row that are not finite; a single such step is skipped."""


@dataclass(frozen=True)
class PriorPlan(Plan):
    """The settings of one run of the prior."""

    STATE_KIND: ClassVar[str] = "prior"
    DEFAULT_EPOCHS: ClassVar[int] = 50
    batch_size: Count = 8
    learning_rate: Rate = 1e-3
    least_steps: Count = 50
    infill_share: Share = 0.25
    """Share of the steps that teach infilling: predicting codes that lead to a known continuation."""
    views: Count = 24
    """Number of views (augmented versions, ``codes/views.py``) in which each recording is encoded before training begins; fewer
    if encoding would take more than ``extraction_share`` of the minutes."""
    fresh_share: Share = 1 / 12
    """Share of each epoch's positions that are encoded in new views while training goes on, which takes about a seventh of the
    time."""
    transpose: Annotated[float, Ge(0), Le(12)] = 2.0
    """Three of four views are transposed by up to so many semitones, up or down."""
    extraction_share: Annotated[float, Gt(0), Le(1)] = 0.1
    """Maximum share of the minutes that encoding may take before training begins."""
    from_scratch: bool = False
    """Whether to start from the codec's codebooks alone even if a base prior fits."""
    patience: Annotated[float, Gt(0), Le(1)] = 0.3
    """Early stopping: the share of the run for which the held-out loss may stay worse than its best; 1 never stops early."""
    good_every: Count = 25
    """Steps in a row without trouble after which the state is kept as one to go back to."""


def _hints(kind: type[Plan]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


@functools.cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _range(kind: type[Plan], name: str) -> str:
    hint = _hints(kind)[name]
    if get_origin(hint) is Literal:
        return f"Choose one of {', '.join(map(repr, get_args(hint)))}."
    number = next((choice for choice in (hint, *get_args(hint)) if hasattr(choice, "__metadata__")), None)
    if number is None:
        return f"Give a value of its type, {hint.__name__}."
    words = [f"{_SIGNS[type(limit)][0]} {getattr(limit, _SIGNS[type(limit)][1]):g}" for limit in number.__metadata__]
    return f"Give a {'whole number' if int in get_args(number) else 'number'} {' and '.join(words)}."
