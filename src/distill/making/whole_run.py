"""What is decided before a whole run (``pipeline.py``), and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.making.pieces import Piece
from distill.making.voices import VoiceSettings
from distill.training.plan import Precision

DEFAULT_MINUTES = 8.0


@dataclass(frozen=True)
class RunPlan:
    """Everything that is decided before a whole run."""

    name: str | None = None
    """Of the model; the folder's name if not given."""
    minutes: float | None = None
    """That it may take in all; ``DEFAULT_MINUTES`` if not given."""
    seconds: float = 10.0
    """Of each new piece."""
    count: int = 3
    """How many new pieces."""
    channels: int | None = None
    """1 or 2; as many as the recordings have if not given."""
    config_changes: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the codec's config that the person chose."""
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    """Of the arithmetic while training; ``auto`` is the fastest that is as good on this device."""
    from_scratch: bool = False
    """Whether codec and prior are trained without the base models."""
    voice: VoiceSettings = field(default_factory=VoiceSettings)
    """Which voice renders the codes; by default the one measured to be nearer to the recordings."""

    @property
    def of_training(self) -> dict[str, Any]:
        """What the plans of codec and prior have in common."""
        return {
            "seed": self.seed,
            "device": self.device,
            "precision": self.precision,
            "from_scratch": self.from_scratch,
        }


@dataclass(frozen=True)
class RunResult:
    """The outcome of a whole run."""

    model_path: Path
    pieces: tuple[Piece, ...]
    report_path: Path | None
    seconds_taken: float
    cancelled: bool
    next_command: str
    resume_command: str = ""
    """The command that goes on after a stop; empty if there is nothing to go on with."""
