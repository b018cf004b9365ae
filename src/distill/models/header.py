"""What a model file says of itself: its JSON header, checked field by field. Needs no PyTorch to be read."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from distill.audio.rate import SAMPLE_RATE
from distill.durations import duration
from distill.errors import ModelFileError
from distill.files.installing import UPDATE
from distill.files.names import MODEL_SUFFIX, advice_on_missing
from distill.files.regular import broken_link, open_regular
from distill.files.tensors import Digest, Table, UnusableError, read_table
from distill.models.config import PriorConfig, VQVAEConfig

FORMAT_VERSION = (1, 3)
BANDS = 24
"""Mel bands of the map from codebook vectors to levels (``making/beat.py``)."""
SECOND_RUN = "refinement_run"
"""In the record of a codec's training: the run that its second stage was trained in."""
UNMEASURED = "unmeasured"
"""In what a header says of a prior's training: 1 where it ended before the measures that were to follow were made. In
what it says of a codec's: 1 where they were made before the second stage, which ended before they were made anew."""
ASSUMED = "assumed"
"""In what a header says of the voices: 1 where the nearer one follows from how short the training was, not from figures."""
BEAT_STRENGTH = 2.0
"""Strength of the beat in new audio where there was no time to measure it (``making/strength.py``)."""
_LARGEST_IN_MAP = 1e5
KEY = "distill"
"""The name in the file's table under which the header stands."""
_LONGEST_SECONDS = 1e9  # 30 years
MOST_SOUND_SECONDS = 3 * 3600.0
"""Sound of all recordings in one file: decoded, three hours of stereo take 4 GB."""

Words = Annotated[str, Field(max_length=1000)]
Whole = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
Decibels = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]
Figures = Annotated[dict[Words, float | Whole | Words], Field(max_length=1000)]


class CorpusRecord(BaseModel):
    """The corpus a model was trained on, known by its fingerprint."""

    model_config = ConfigDict(frozen=True)

    fingerprint: Digest
    file_count: Annotated[int, Field(ge=1, le=10**9)]
    seconds: Annotated[float, Field(gt=0, le=_LONGEST_SECONDS)]
    split_seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
    split_rule: Annotated[int, Field(ge=1, le=5)] = 1
    """The rule by which the split was drawn (``distill.recordings.split``); files that do not say theirs have the first."""


class SourceRecord(BaseModel):
    """What the header says of one stretch of the recordings."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]
    """The recording's name, for people to read; never used as a path."""
    start_seconds: Annotated[float, Field(ge=0, le=_LONGEST_SECONDS)]
    """Where in the recording the stretch begins, in seconds."""
    positions: Annotated[int, Field(ge=1, le=1 << 32)]
    held_out: bool
    take: Annotated[int, Field(ge=-1, le=10**9)] = -1
    sha256: Digest | None = None
    """SHA-256 of the recording's file; the first model files had none."""
    gain: Annotated[float, Field(gt=0, le=1)] = 1.0
    """What brought the recording down to full scale."""
    mix: Literal["mean", "left", "right", "difference"] = "mean"
    """How one channel was made of two (``distill.audio.mixing``)."""
    tolls: Annotated[
        tuple[Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)], ...], Field(max_length=65_536)
    ] = ()
    """What grains of equal parts of it cost, so that none is used too often (``making/tolls.py``); they cost nothing where
    there are none."""


class SoundRecord(BaseModel):
    """What the header says of the sound of a recording that is in the file (``models/sound.py``)."""

    model_config = ConfigDict(frozen=True)

    sha256: Digest
    """Of the recording's file, by which sources name it."""
    channels: Annotated[int, Field(ge=1, le=2)]
    samples: Annotated[int, Field(ge=1, le=int(MOST_SOUND_SECONDS * SAMPLE_RATE))]
    """At 48 kHz."""
    bytes: Annotated[int, Field(ge=1, le=1 << 40)]
    """Of FLAC."""


class Header(BaseModel):
    """Everything a model file says about itself."""

    # A curve may hold a loss that was not finite; written as null, it could not be read again.
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    format: Literal["distill"] = "distill"
    major: Annotated[int, Field(ge=1, le=FORMAT_VERSION[0])] = FORMAT_VERSION[0]
    minor: Annotated[int, Field(ge=0, le=10**6)] = FORMAT_VERSION[1]
    name: Annotated[str, Field(max_length=255, pattern=r"^[^/\\:\x00-\x1f]+$")]
    """New audio is named after it, so a name that is a path could lead out of the folder that was asked for."""
    codec: VQVAEConfig
    codec_training: Figures
    corpus: CorpusRecord
    prior: PriorConfig | None = None
    prior_training: Figures | None = None
    sources: Annotated[tuple[SourceRecord, ...], Field(max_length=100_000)] = ()
    """The recordings that are stored as codes; written by :func:`distill.models.model_file.save_model`."""
    sounds: Annotated[tuple[SoundRecord, ...], Field(max_length=100_000)] = ()
    """The recordings whose sound is in the file; only in one that was exported with them."""
    curves: dict[str, list[float]] = Field(default_factory=dict)
    voices: Figures = Field(default_factory=dict)
    """How near to the recordings each voice was measured to be (``making/nearness.py``); empty where it was not."""
    bands: Annotated[list[list[float]], Field(max_length=1024)] = Field(default_factory=list)
    """The map from a position's codebook vectors to how loud its bands are (``making/beat.py``); files of earlier versions have
    none, and new audio of theirs is drawn without a beat."""
    beat_strength: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = BEAT_STRENGTH
    """How strongly new audio is held to the beat (``making/strength.py``)."""
    heard_before: Annotated[int, Field(ge=0, le=1000)] = 0
    """Positions of a long recording that are the context in which a piece begins (``making/openings.py``)."""
    loudness: tuple[Decibels, Decibels, Decibels] | None = None
    """The recordings' softest, usual and loudest second in decibels, which new audio keeps to (``making/loudness.py``). Files
    of earlier versions have none, and their new audio may stray."""
    loudness_lean: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] = 0.0
    """Nats for each decibel by which louder codes are made likelier throughout, or softer ones where it is negative, so that
    new audio is on the whole as loud as the recordings (``making/lean.py``)."""
    balance: Annotated[
        tuple[Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)], ...], Field(max_length=65_536)
    ] = ()
    """Nats by which each code of the first level is likelier, so that new audio is like each recording for as much of the
    time as it is long (``making/balance.py``); none where nothing is corrected."""
    created: Words
    distill_version: Words
    torch_version: Words
    digest: Digest | None = None
    """SHA-256 of the tensor bytes; written by :func:`distill.models.model_file.save_model`."""

    @property
    def measures_digest(self) -> str:
        """SHA-256 of what was measured for new audio: new audio is the same where this and ``digest`` are."""
        tolls = [record.tolls for record in self.sources]
        beat, level = (self.bands, self.beat_strength, self.heard_before), (self.loudness, self.loudness_lean)
        return sha256(json.dumps([beat, level, self.balance, self.voices.get("join_cost"), tolls]).encode()).hexdigest()

    @property
    def has_prior(self) -> bool:
        return self.prior is not None

    @property
    def codec_distance(self) -> float | None:
        """Mel distance of the codec as it is, on what was held out; None where the file does not say."""
        training = self.codec_training
        return known(training.get("refinement_mel_after" if training.get("refinement_kept") else "best_val_loss"))

    @property
    def perplexity(self) -> float | None:
        """Of the prior's weights, on what was held out; None without a prior, or where the file does not say."""
        training = self.prior_training or {}
        return known(training.get("kept_perplexity", training.get("best_perplexity")))

    @property
    def is_codec_from_base(self) -> bool:
        """Whether the codec's training started from the base codec."""
        return self.codec_training.get("from_base") == 1

    @property
    def is_prior_from_base(self) -> bool:
        """Whether the prior's training started from the base prior."""
        return (self.prior_training or {}).get("from_base") == 1

    @property
    def is_codec_held_out(self) -> bool:
        """Whether the codec's distance is of what was held out. Of too little sound nothing can be; it is of all then."""
        return self._is_held_out(self.codec_training)

    @property
    def is_prior_held_out(self) -> bool:
        """The same of the prior's perplexity."""
        return self._is_held_out(self.prior_training or {})

    def _is_held_out(self, training: Figures) -> bool:
        # Files of earlier versions do not say; what they hold of their recordings does.
        held_out = training.get("held_out")
        return held_out == 1 if held_out is not None else not self.sources or any(one.held_out for one in self.sources)

    @property
    def is_from_base(self) -> bool:
        """Whether anything in the model started from what comes with Distill."""
        return self.is_codec_from_base or self.is_prior_from_base

    @property
    def nearer_voice(self) -> str:
        """``recordings`` or ``codec``: the one measured, or after a short training assumed, to be nearer to the recordings.

        The codec's where neither is known, as in files of earlier versions.
        """
        return "recordings" if self.voices.get("nearer") == "recordings" else "codec"

    @property
    def is_voice_measured(self) -> bool:
        """Whether the nearer voice was found by comparing both."""
        return bool(self.voices) and not self.voices.get(ASSUMED)


def known(figure: object) -> float | None:
    """A measured figure. A file from another program may hold text in its place, or nothing: then it is unknown."""
    return float(figure) if isinstance(figure, int | float) and math.isfinite(figure) else None


def new_header(name: str, codec: VQVAEConfig, corpus: CorpusRecord, **fields: Any) -> Header:
    """A header with today's date and the versions at work."""
    return Header(
        name=name,
        codec=codec,
        corpus=corpus,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        distill_version=version("distill-audio"),
        torch_version=version("torch"),
        **fields,
    )


def read_header(path: Path) -> Header:
    """What a model file says of itself, without reading a tensor.

    Raises:
        ModelFileError: as :func:`distill.models.model_file.load_model`, but for the checks of tensor bytes.
    """
    with errors_in_words(path), open_regular(path) as file:
        return checked_header(path, read_table(file, KEY))


def checked_header(path: Path, table: Table) -> Header:
    """What the table of a model file says, checked field by field.

    Raises:
        ModelFileError: if a newer version wrote it, or its codec's decoder is of another kind.
        UnusableError: if it holds values that are not possible.
    """
    major, minor = table.fields.get("major"), table.fields.get("minor")
    if is_version(major) and is_version(minor) and major > FORMAT_VERSION[0]:
        raise ModelFileError(
            f"{path} was written by a newer Distill (format {major}.{minor}; this one reads up to "
            f"{FORMAT_VERSION[0]}.x).",
            UPDATE,
        )
    codec = table.fields.get("codec")
    if isinstance(codec, dict) and codec.get("voice") != VQVAEConfig.voice:
        raise ModelFileError(
            f"{path} holds a codec whose decoder is of another kind, which this version of Distill does not read.",
            "Train it again from its recordings with distill train.",
        )
    return possible_header(table.about)


def possible_header(text: str) -> Header:
    """A header from its JSON, checked field by field, when a file is read and before one is written.

    Raises:
        UnusableError: if it holds values that are not possible.
    """
    try:
        header = Header.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise UnusableError("its header holds values that are not possible") from error
    if header.prior is not None and (
        header.prior.codebook_size != header.codec.codebook_size
        or header.prior.num_quantizers != header.codec.num_quantizers
    ):
        raise UnusableError("its prior's codebooks are not of the number and size of its codec's")
    if header.prior is not None and all(record.held_out for record in header.sources):
        raise UnusableError("it has a prior but none of the recordings that the prior was trained on")
    if header.bands and not _is_map(header.bands, header.codec.vector_size + 1):
        raise UnusableError("the map to its bands is not one of finite numbers from its codebook's vectors")
    if header.balance and len(header.balance) != header.codec.codebook_size:
        raise UnusableError("its balance is not one number for each code of its codec's first level")
    digests = [record.sha256 for record in header.sounds]
    if len(set(digests)) < len(digests) or not set(digests) <= {record.sha256 for record in header.sources}:
        raise UnusableError("it holds the sound of recordings that it did not learn from, or of one twice")
    if any(record.channels != header.codec.channels for record in header.sounds):
        raise UnusableError("it holds the sound of recordings in other channels than its codec's")
    if sum(record.samples for record in header.sounds) > MOST_SOUND_SECONDS * SAMPLE_RATE:
        raise UnusableError(f"it holds more than {duration(MOST_SOUND_SECONDS)} of sound")
    return header


@contextmanager
def errors_in_words(path: Path) -> Iterator[None]:
    """Turns what goes wrong while a model file is read into a ModelFileError."""
    try:
        yield
    except OSError as error:
        if broken := broken_link(path):
            raise ModelFileError(*broken) from error
        fix = "Give the path of a .distill file made by distill train."
        if isinstance(error, FileNotFoundError):
            fix = advice_on_missing(path, fix, "Give the path of one .distill file.")
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.", fix) from error
    except UnusableError as error:
        fix = "Use another copy of it, or train it again with distill train."
        if path.suffix.lower() != MODEL_SUFFIX:  # it never was one, as it seems
            fix = f"Give a {MODEL_SUFFIX} file, made by distill train; distill models list shows yours"
        raise ModelFileError(f"{path} is not a usable model file: {error}.", fix) from error


def _is_map(rows: list[list[float]], count: int) -> bool:
    return len(rows) == count and all(
        len(row) == BANDS and all(abs(value) <= _LARGEST_IN_MAP for value in row) for row in rows
    )


def is_version(number: Any) -> TypeGuard[int]:
    """Whether it can be the number of a format; anything else would stand in a message as a stranger wrote it."""
    return type(number) is int and 0 <= number < 10_000
