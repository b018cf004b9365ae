"""Makes a piece again, from its record in the library to the identical file."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from distill.errors import AudioFileError, LibraryError, ModelFileError, SettingError
from distill.files.names import command
from distill.files.regular import is_file, is_folder
from distill.formats.files import file_digest
from distill.library import GenerationRecord, Library
from distill.library.trash import trashed
from distill.making.choice import Choice
from distill.making.drawing import Progress
from distill.making.pieces import Piece, make_again
from distill.making.request import Request
from distill.models.header import read_header
from distill.models.model_file import Model, load_model
from distill.runs.journal import Noting
from distill.runs.piece_notes import sound_digest
from distill.training.metrics import MetricsCallback
from distill.training.notices import ignore


@dataclass(frozen=True)
class Regenerated:
    """A piece that was made again."""

    piece: Piece
    is_identical: bool
    """Whether every sample is as it was the first time."""


def regenerate(
    library: Library,
    generation: GenerationRecord,
    out: Path,
    device: torch.device | str,
    *,
    given: Path | None = None,
    recordings: Path | None = None,
    progress: Progress | None = None,
    callback: MetricsCallback = ignore,
) -> Regenerated:
    """Makes a piece again with the same model, seed and settings, and writes it to ``out`` under the same name, if it is free.

    Where the piece was deleted or its file is gone, it is on the list again, with the new file.

    Args:
        given: where its prompt or recording is now, if it was moved.
        recordings: where the recordings it is made of are now, if they were moved.

    Raises:
        LibraryError: if another version of Distill noted the piece, in a way that this one does not understand.
        ModelFileError: if the model is gone or has changed.
        AudioFileError: if the prompt is gone or has changed.
        SettingError: if ``given`` or ``recordings`` names something that the piece was not made from.
    """
    model = _same_model(library, generation, device)
    try:
        request = Request.of_note(generation.request)
        first, count = int(generation.request["first_seed"]), int(generation.request["count"])
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise LibraryError(
            f"The library's entry for piece {generation.id} cannot be read.",
            "Another version of Distill wrote it; make new audio with: distill generate MODEL",
        ) from error
    request = request.rendered_by(request.voice.choice)  # earlier versions noted what had been hoped for
    if given is not None and request.given is None:
        raise SettingError(f"Piece {generation.id} was made from no prompt and no recording.", "Leave out --given.")
    if recordings is not None and request.voice.choice == Choice.CODEC:
        raise SettingError(
            f"Piece {generation.id} is in the codec's voice, so it needs no recordings.", "Leave out --recordings."
        )
    if request.given is not None:
        request = dataclasses.replace(request, given=_same_file(generation, given or request.given))
    noted = request.voice.recordings
    if recordings is None and noted is not None and is_folder(noted):
        recordings = noted
    request = dataclasses.replace(request, voice=dataclasses.replace(request.voice, recordings=recordings))
    name = Path(generation.file).stem
    piece = make_again(model, out, request, range(first, first + count), generation.seed, name, progress, callback)
    listed = [one for one in library.generations(generation.origin) if one.id == generation.id]
    if generation.id is not None and not library.there(listed):
        number = generation.id
        Noting(callback).note(lambda own: own.recall_generation(number, piece.path))
    return Regenerated(piece, sound_digest(piece.path) == generation.sound)


def _same_model(library: Library, generation: GenerationRecord, device: torch.device | str) -> Model:
    """The model that made the piece, wherever its file is now."""
    entries = library.models()
    for entry in (entry for entry in entries if entry.is_there and entry.digest == generation.digest):
        if generation.is_by(read_header(entry.path)):
            return load_model(entry.path, device)
    there = Path(generation.model) if generation.model is not None else None
    for item in trashed():
        if item.digest == generation.digest and generation.is_by(read_header(item.file)):
            raise ModelFileError(
                f"The model that made piece {generation.id} is in the trash.",
                f"Put it back with: {command('distill', 'models', 'restore', item.key)}",
            )
    if there is not None and is_file(there):
        raise ModelFileError(
            f"{there} has been trained further or replaced since it made piece {generation.id}, and would sound different now "
            f"(its fingerprint was {generation.digest[:12]}).",
            "If you have a copy of the file as it was: distill models import COPY --in-place",
        )
    raise ModelFileError(
        f"The model that made piece {generation.id} is gone{'' if there is None else f': it was {there}'}.",
        "If it was moved: distill models import ITS-FILE --in-place",
    )


def _same_file(generation: GenerationRecord, path: Path) -> Path:
    """The prompt, or the recording a passage was made anew in, as it was."""
    if not is_file(path):
        raise AudioFileError(
            f"{path}, which piece {generation.id} was made from, is gone.",
            "If it was moved, say where: --given FILE",
        )
    if file_digest(path) != generation.request.get("given_digest"):
        raise AudioFileError(
            f"{path} is no longer the file that piece {generation.id} was made from.",
            "If you have a copy of the original file, say where: --given FILE",
        )
    return path
