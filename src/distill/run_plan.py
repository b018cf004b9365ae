"""What a whole run is asked for, and what comes of it (``pipeline.run``)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from distill.making.drawing import Sampling
from distill.making.pieces import Piece
from distill.making.request import Request
from distill.making.voices import VoiceSettings
from distill.training.arithmetic import Precision
from distill.training.plan import CodecPlan, PriorPlan

_Plan = TypeVar("_Plan", CodecPlan, PriorPlan)


@dataclass(frozen=True)
class RunPlan:
    """Everything that is decided before a whole run."""

    name: str | None = None
    """Of the model; the folder's name if not given."""
    minutes: float | None = None
    """That it may take in all; ``training.budget.RUN_MINUTES`` if not given."""
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

    def of_stage(self, kind: type[_Plan], minutes: float) -> _Plan:
        """The plan of codec or prior, which has so many of the run's minutes."""
        return kind(
            minutes=minutes,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            from_scratch=self.from_scratch,
        )

    @property
    def chosen_sizes(self) -> set[str]:
        """Fields of the codec's config that the person chose, the channels included."""
        return {*self.config_changes, *({"channels"} if self.channels else ())}

    @property
    def request(self) -> Request:
        """What is asked of the model, once it is trained."""
        return Request("audio", Sampling(), seconds=self.seconds, voice=self.voice)

    @property
    def of_pieces(self) -> dict[str, Any]:
        """What is asked of the new pieces, by the names of the options; without what is usual."""
        asked, usual = (
            {"seconds": one.seconds, "count": one.count, "voice": one.voice.choice.value} for one in (self, RunPlan())
        )
        return {name: value for name, value in asked.items() if value != usual[name]}


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
