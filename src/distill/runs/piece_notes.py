"""Notes in the library about new audio, each piece as soon as it is written.

A process may be killed between the moment at which a file appears and that at which it is noted. So what is to be noted is
announced before, in Distill's own folder, and the next command does what the killed process could not.
"""

import contextlib
import dataclasses
import json
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import soundfile

from distill.audio.rate import SAMPLE_RATE
from distill.errors import DistillError, OutputError
from distill.files.atomic import write_json
from distill.files.home import home
from distill.files.leftovers import announced_folder
from distill.files.process import lives, this_process
from distill.files.regular import absolute, native
from distill.library import GenerationRecord, Library
from distill.library.records import origin_of
from distill.originality.verdict import Second
from distill.runs.journal import Noting
from distill.training.metrics import MetricsCallback

if TYPE_CHECKING:
    from distill.models.model_file import Model


@dataclass(frozen=True)
class NewPiece:
    """What to note about one piece of new audio."""

    file: Path
    seed: int
    verdict: str
    """Where it came from, in words."""
    shares: dict[str, float]
    """How much of it is original, close and copy, 0 to 1."""
    request: dict[str, Any]
    """What was asked for, as JSON values."""
    seconds: Sequence[Second] = ()
    """The verdict on every second, and the passage it is like."""


VERDICTS = "verdicts"
"""Beside the database: what was found of every second of a piece, a file a piece, named by its number."""


class PieceNotes:
    """Notes new audio and the model that made it, each piece as soon as it is written, so that a killed process loses none.

    A model that was never written to a file is not noted, nor is its audio, since that could not be made again.
    """

    def __init__(self, model: "Model", callback: MetricsCallback | None) -> None:
        self._model, self._noting = model, Noting(callback)
        self._waiting: list[NewPiece] = []
        self._announced: list[Path] = []
        self.numbers: list[int | None] = []
        """The number that each piece is known by; None where it was not noted."""

    def announce(self, piece: NewPiece, beside: Sequence[Path]) -> None:
        """Says what is about to be written, for who finds it should this process be killed.

        Args:
            beside: files that belong to it, which are there already.
        """
        if (record := self._record(piece)) is None:
            return
        place = announced_folder() / f"{secrets.token_hex(8)}.json"
        told = {
            "record": dataclasses.asdict(record),
            "seconds": [_finite(second) for second in piece.seconds],
            "beside": [str(absolute(path)) for path in beside],
            "process": this_process(),
        }
        # Where the disk is full or read-only, `_noted` says that nothing can be noted.
        with contextlib.suppress(OutputError):
            write_json(place, told)
            self._announced.append(place)

    def add(self, piece: NewPiece) -> None:
        """Notes a piece that is on disk."""
        self._waiting.append(piece)
        self.catch_up()

    def catch_up(self) -> None:
        """Notes what an interruption kept from being noted; nothing is announced any more."""
        while self._waiting:
            number = self._noted(self._waiting[0])
            del self._waiting[0]
            self.numbers.append(number)
        while self._announced:
            with contextlib.suppress(OSError):  # the disk is only read by now: the next command finds that it is noted
                self._announced[-1].unlink(missing_ok=True)
            del self._announced[-1]

    def _record(self, piece: NewPiece) -> GenerationRecord | None:
        """All but the digest of its samples; None where it cannot be noted."""
        path, digest = self._model.path, self._model.header.digest
        if path is None or digest is None:
            return None
        return GenerationRecord(
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            model=str(absolute(path)),
            digest=digest,
            origin=origin_of(self._model.header),
            file=str(absolute(piece.file)),
            sound="",
            seed=piece.seed,
            verdict=piece.verdict,
            shares=piece.shares,
            request=piece.request | {"measures_digest": self._model.header.measures_digest},
        )

    def _noted(self, piece: NewPiece) -> int | None:
        record = self._record(piece)
        if record is None or record.model is None:
            return None
        number, model = None, Path(record.model)

        def note(library: Library) -> None:
            nonlocal number
            library.note_model(model)
            number = _note(library, record, [_finite(second) for second in piece.seconds])

        self._noting.note(note)
        return number


def _note(library: Library, record: GenerationRecord, seconds: Sequence[dict[str, Any]]) -> int | None:
    record = dataclasses.replace(record, sound=sound_digest(Path(record.file)))
    number = library.add_generations([record])[0].id
    write_json(home() / VERDICTS / f"{number}.json", seconds)
    return number


def note_what_was_left(tell: Callable[[str], None]) -> None:
    """Notes the pieces that were whole when their process was killed; of one that was not, what lies beside it goes.

    Args:
        tell: gets what the library warns of, and why a piece cannot be noted now; the next command tries again.
    """
    lock = filelock.FileLock(home() / "announced.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:  # another process does so at this moment: each piece is noted once
        return
    except OSError as error:
        tell(f"What killed processes left is not noted in the library. {error}")
        return
    try:
        _note_what_was_left(tell)
    finally:
        lock.release()


def _note_what_was_left(tell: Callable[[str], None]) -> None:
    for place in announced_folder().glob("*.json"):
        try:
            told = json.loads(place.read_bytes())
            left = GenerationRecord(**told["record"]), told["seconds"], [Path(path) for path in told["beside"]]
            is_alive = lives(told["process"])
        except FileNotFoundError:  # another process was quicker
            continue
        except (ValueError, KeyError, TypeError, AttributeError):
            tell(f"{place} should say which piece was being written and is damaged. It is removed; no audio is.")
            place.unlink(missing_ok=True)
            continue
        if is_alive is not False:
            continue
        try:
            _settle(*left, tell)
            place.unlink(missing_ok=True)
        except (DistillError, OSError) as error:
            tell(f"{left[0].file} is not noted in the library. {error}")


def _settle(
    record: GenerationRecord, seconds: Sequence[dict[str, Any]], beside: Sequence[Path], tell: Callable[[str], None]
) -> None:
    file = Path(record.file)
    if not file.exists() or not file.stat().st_size:  # a name that was only held
        for path in beside:
            path.unlink(missing_ok=True)
        return
    library = Library(tell)
    if any(one.file == record.file and one.made >= record.made for one in library.generations()):
        return  # it was killed after that
    try:
        _note(library, record, seconds)
    except soundfile.SoundFileError:
        tell(f"{file} is not the piece that was being written there any more, and is not noted in the library.")


def verdicts_of(number: int) -> list[dict[str, Any]] | None:
    """What was found of every second of a piece (the fields of ``Second``; None for what is not a number); None if unknown."""
    try:
        told = json.loads((home() / VERDICTS / f"{number}.json").read_bytes())
    except (OSError, ValueError):  # made by an earlier version, or elsewhere
        return None
    return told if isinstance(told, list) else None


def _finite(second: Second) -> dict[str, Any]:
    fields = dataclasses.asdict(second)
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in fields.items()
    }


def sound_digest(path: Path) -> str:
    """SHA-256 of the samples in an audio file that Distill wrote, independent of its tags.

    Samples of 24 bits fit float32 exactly.
    """
    digest = sha256()
    with soundfile.SoundFile(native(path)) as file:
        for block in file.blocks(blocksize=SAMPLE_RATE, dtype="float32", always_2d=True):
            digest.update(block.tobytes())
    return digest.hexdigest()
