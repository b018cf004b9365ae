"""What a report shows, gathered by whoever ran the training.

C channels, N samples, Q quantizers, K codebook entries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distill.originality.verdict import Originality
from distill.recordings.verdicts import FileReport
from distill.training.metrics import TrainingEvent


@dataclass(frozen=True)
class Reconstruction:
    """One recording beside what the codec makes of it."""

    name: str
    original: npt.NDArray[np.float32]
    """[C, N] at 48 kHz."""
    decoded: npt.NDArray[np.float32]
    """[C, N'] at 48 kHz; N' may differ from N by a hop."""
    mel_distance: float
    """Multi-scale mel distance between the two; 0 is identical. NaN where it was not measured."""


@dataclass(frozen=True)
class QuotedPlace:
    """A grain of a recording in a piece, and where its original place is heard."""

    at: float
    """In the piece, in seconds."""
    seconds: float
    words: str
    """Which recording, and where in it."""
    begin: float
    """In the piece's ``places``, in seconds."""


@dataclass(frozen=True)
class NewAudio:
    """One generated piece."""

    name: str
    path: Path | None
    """Where the whole piece is kept, if it was written."""
    audio: npt.NDArray[np.float32]
    """[C, N] at 48 kHz: the piece, or its beginning."""
    seed: int
    settings: str
    """How it was sampled, in words."""
    originality: Originality | None = None
    """Where its sounds came from, second by second; None where nobody looked."""
    summary: str = ""
    """The same in a line."""
    grains: Sequence[QuotedPlace] = ()
    """What it is made of, in the recordings' voice."""
    places: npt.NDArray[np.float32] | None = None
    """The original places of all grains, one after another: [C, N] at 48 kHz."""
    whole_seconds: float | None = None
    """How long the piece is; as long as ``audio`` if not given."""


@dataclass(frozen=True)
class RunReport:
    """Everything on the page. A part that is empty leaves its section out."""

    title: str
    settings: Mapping[str, tuple[str, str]]
    """Name to (value, "auto" or "set")."""
    files: Sequence[FileReport]
    split: str
    """One sentence about what is held out."""
    held_out: frozenset[str]
    """Names of the recordings held out."""
    events: Sequence[TrainingEvent]
    code_counts: npt.NDArray[np.integer]
    """[Q, K]: how often each codebook entry is used in the corpus."""
    level_names: Sequence[str]
    bitrate: float
    """Bit/s of the codes, before any entropy coding."""
    memorization_threshold: float | None
    """Validation perplexity below which the memorisation alarm sounds."""
    reconstructions: Sequence[Reconstruction]
    new_audio: Sequence[NewAudio]
    facts: Mapping[str, str]
    """Further rows: device, time taken, versions."""
