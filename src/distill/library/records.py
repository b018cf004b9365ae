"""What the library stores about a model, a run and a generation, and how each is read from a file."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from distill.files.home import as_found, as_noted

if TYPE_CHECKING:
    from distill.models.header import Header

R = TypeVar("R", "RunRecord", "GenerationRecord")

ENDED_AT_ONCE = "Ended at once, as Ctrl-C asked."
"""Why a run was interrupted that a person ended without waiting for its last step."""

BY_CORPUS = "by_corpus"
"""Noted of a stage: the names of the sizes that are what the recordings suggest, so that nobody need say them."""


@dataclass(frozen=True)
class ModelEntry:
    """A model file as it was when it was last looked at."""

    path: Path
    """Absolute, without links."""
    digest: str
    """SHA-256 of all its tensors."""
    origin: str
    """The same for all files that come from one training of a codec, whatever they are called and have learned since."""
    created: str
    """When the codec was trained: ISO 8601, UTC."""
    file_count: int
    """How many recordings it learned from."""
    seconds: float
    """How long these recordings are together."""
    codec_distance: float | None
    """Held-out mel distance; None where the file does not say."""
    perplexity: float | None
    """Held-out perplexity of the prior; None without one."""
    has_prior: bool
    recordings: tuple[str, ...]
    """Names of the recordings; empty until there is a prior."""
    size: int
    """Size of the file in bytes."""
    modified: int
    """When the file was last changed, in nanoseconds since 1970."""
    is_there: bool = True
    """Whether the file is still where it was."""

    @property
    def name(self) -> str:
        """What it is called: the file's name without its ending."""
        return self.path.stem

    @classmethod
    def read(cls, path: Path) -> "ModelEntry":
        """Reads a model file's header.

        Raises:
            ModelFileError: if it is missing, damaged, foreign or from a newer version.
        """
        from distill.files.regular import absolute
        from distill.models.header import read_header

        path = absolute(path)
        header = read_header(path)
        status = path.stat()
        return cls(
            path=path,
            digest=header.digest or "",
            origin=origin_of(header),
            created=header.created,
            file_count=header.corpus.file_count,
            seconds=header.corpus.seconds,
            codec_distance=header.codec_distance,
            perplexity=header.perplexity,
            has_prior=header.has_prior,
            recordings=tuple(dict.fromkeys(source.name for source in header.sources)),
            size=status.st_size,
            modified=status.st_mtime_ns,
        )


def origin_of(header: "Header") -> str:
    """Identifies the training of a codec: later stages, a prior and a new name leave these fields unchanged."""
    codec = header.codec_training
    said = [header.created, header.corpus.fingerprint, codec.get("seed"), codec.get("best_val_loss")]
    return sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True)
class RunRecord:
    """One training, from its beginning on."""

    kind: str
    """``codec``, ``refinement`` or ``prior``."""
    model: str
    """The model file's path at that time."""
    folder: str
    """The folder of recordings."""
    events: str
    """The JSON-lines file with its events."""
    started: str
    """When it began: ISO 8601, UTC, to the microsecond."""
    settings: dict[str, Any]
    origin: str | None = None
    """The model's origin; None until the file is written."""
    ended: str | None = None
    outcome: str = "unfinished"
    """``unfinished`` (still running, or the machine went down), ``finished``, ``stopped`` (the best weights are kept),
    ``interrupted`` or ``failed``."""
    message: str = ""
    """What went wrong."""
    figures: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    """One value per epoch."""
    process: dict[str, Any] | None = None
    """The process that trains: ``host``, ``pid`` and ``began`` (``files/process.py``). Only in the run's folder, not in the
    database."""

    @property
    def record(self) -> Path:
        """Where the run's folder keeps this record, in case the database is lost."""
        return Path(self.events).with_name(f"{self.kind}-{''.join(filter(str.isdigit, self.started))}.json")


@dataclass(frozen=True)
class GenerationRecord:
    """One piece of new audio, and everything needed to make it again."""

    made: str
    """When it was made: ISO 8601, UTC."""
    model: str | None
    """The model file's path at that time."""
    digest: str
    """SHA-256 of the model's tensors."""
    origin: str
    """The model's origin."""
    file: str
    """Where the audio was written."""
    sound: str
    """SHA-256 of its samples."""
    seed: int
    verdict: str
    """Where it came from, in words."""
    shares: dict[str, float]
    """How much of it is original, close and copy, 0 to 1."""
    request: dict[str, Any]
    """What was asked for, and what identifies all that it was made from."""
    id: int | None = None

    def is_by(self, header: "Header") -> bool:
        """Whether the model with this header made it, as far as is known: notes of earlier versions hold no digest of what had
        been measured."""
        measures = header.measures_digest
        return self.digest == header.digest and self.request.get("measures_digest", measures) == measures


def stored(fields: Any) -> Any:
    """What a record holds, as it is stored: paths in Distill's own folder begin there, as that folder may be moved."""
    return _each_text(fields, as_noted)


def recovered(fields: Any, own: Path | None = None) -> Any:
    """The same as it was before :func:`stored`, by where Distill's own folder is now (``own``, as :func:`as_found` has it)."""
    return _each_text(fields, lambda text: as_found(text, own))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {name: _each_text(one, change) for name, one in value.items()}
    return change(str(value)) if isinstance(value, str | Path) else value


def to_json(record: RunRecord | GenerationRecord) -> str:
    """One line."""
    return json.dumps(stored(asdict(record)), default=str)


def from_json(kind: type[R], text: str | bytes) -> R:
    """Reads what :func:`to_json` wrote.

    Raises:
        ValueError: if it is something else.
    """
    from pydantic import TypeAdapter

    record = TypeAdapter(kind).validate_json(text)
    return replace(record, **recovered(asdict(record)))
