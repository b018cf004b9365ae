"""The trash: deleted models and pieces, each in a folder of its own with a note that says where it was, until it is emptied."""

import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from distill.errors import LibraryError, OutputError
from distill.files.atomic import ensure_writable, make_folder, output_error, write_json, written_aside
from distill.files.home import as_found, as_noted, home
from distill.files.names import MODEL_SUFFIX, SOUND_SUFFIXES, claimed, free_path, new_folder, normalised, searchable
from distill.files.regular import absolute, is_folder, is_there
from distill.library.beside import companions
from distill.library.catalogue import Library
from distill.library.meant import could_be_any
from distill.library.moving import move
from distill.library.records import GenerationRecord, ModelEntry

_NOTE = "was.json"
Kind = Literal["model", "piece"]
KINDS: tuple[Kind, ...] = ("model", "piece")
_SUFFIXES: dict[Kind, tuple[str, ...]] = {"model": (MODEL_SUFFIX,), "piece": SOUND_SUFFIXES}
"""Nothing else is ever put back: a trash that somebody prepared must not write a start-up file."""


@dataclass(frozen=True)
class Trashed:
    """One deleted model, or one piece."""

    file: Path
    """In the trash."""
    was: Path | None
    """Where it was; None if that is no longer known."""
    deleted: str
    """When it was deleted: ISO 8601, UTC."""
    size: int
    """Size of the file in bytes."""
    digest: str
    """SHA-256 of a model's tensors; empty if that is no longer known."""
    piece: int | None = None
    """The number of a piece."""

    @property
    def beside(self) -> list[str]:
        """What lay beside a piece, is about it and is in the trash with it, by name."""
        return [] if self.kind == "model" else [other.name for other, _ in companions(self.file, self.file.name)]

    @property
    def kind(self) -> Kind:
        """What it is, by its file."""
        return "model" if self.file.suffix == MODEL_SUFFIX else "piece"

    @property
    def name(self) -> str:
        """What it was called."""
        return self.file.stem

    @property
    def key(self) -> str:
        """What distinguishes it from others of the same name."""
        return self.file.parent.name


def delete(library: Library, entry: ModelEntry) -> Trashed | None:
    """Moves a model's file into the trash. A model whose file is gone is only removed from the list: then None.

    Raises:
        ModelFileError: if the file is no longer a model.
        OutputError: if a training is writing it, or it cannot be moved.
    """
    if not is_there(entry.path):
        library.forget_model(entry.path)
        return None
    with claimed(entry.path):
        item = _put(entry.path, move, digest=ModelEntry.read(entry.path).digest)
    library.forget_model(entry.path)
    return item


def delete_piece(library: Library, piece: GenerationRecord) -> Trashed | None:
    """Moves a piece's file into the trash, with what lies beside it and is about it. A piece whose file is gone is only removed
    from the list: then None.

    How it was made stays known, so that it can still be made again.

    Raises:
        OutputError: if one of these cannot be moved; then all are where they were.
    """
    number, path = piece.id or 0, Path(piece.file)
    item = _put(path, _move_all, piece=number) if number in library.there([piece]) else None
    library.forget_generation(number)
    return item


def keep_copy(path: Path) -> Trashed:
    """Puts a copy of a model's file into the trash, before something in it is replaced.

    Raises:
        OutputError: if it cannot be written.
    """

    def copy(source: Path, target: Path) -> None:
        with written_aside(target, source) as aside:
            shutil.copyfile(source, aside)

    return _put(absolute(path), copy, digest=ModelEntry.read(path).digest)


def trashed(kind: Kind = "model") -> list[Trashed]:
    """The models in the trash, or the pieces, the latest first."""
    found = []
    for file in (file for suffix in _SUFFIXES[kind] for file in _trash().glob(f"*/*{suffix}")):
        with suppress(FileNotFoundError):  # another window has just put it back, or emptied the trash
            found.append(_read(file))
    return sorted(found, key=lambda one: one.deleted, reverse=True)


def restore(library: Library, name: str, out: Path | None = None) -> ModelEntry:
    """Puts a model back to where it was, or into the folder ``out``.

    Args:
        name: its name, a part of it that no other in the trash begins with, or its key.

    Raises:
        LibraryError: if it is not in the trash, or more than one is meant.
        OutputError: if something is at its place, or the folder is gone.
    """
    item = _meant(name, trashed(), "model")
    target = _target(item, out)
    ModelEntry.read(item.file)
    with claimed(target):
        move(item.file, target)
    shutil.rmtree(item.file.parent, ignore_errors=True)
    return library.note_model(target)


def restore_piece(library: Library, name: str, out: Path | None = None) -> tuple[Trashed, Path]:
    """Puts a piece back to where it was, or into the folder ``out``, with what lay beside it, and on the list again; gives what
    it was, and its file.

    Args:
        name: its name, a part of it that no other in the trash begins with, or its key.

    Raises:
        LibraryError: if it is not in the trash, or more than one is meant.
        OutputError: if something is at its place, or the folder is gone.
    """
    item = _meant(name, trashed("piece"), "piece")
    target = _target(item, out)
    _move_all(item.file, target)
    shutil.rmtree(item.file.parent, ignore_errors=True)
    if item.piece is not None:
        library.recall_generation(item.piece, target)
    return item, target


def empty(kind: Kind = "model") -> list[Trashed]:
    """Removes for good the models that are in the trash, or the pieces.

    Raises:
        OutputError: if the file system refuses.
    """
    gone = trashed(kind)
    for item in gone:
        try:
            shutil.rmtree(item.file.parent)
        except OSError as error:
            raise output_error(item.file, error) from error
    return gone


def _move_all(piece: Path, target: Path) -> None:
    """Moves a piece and its companions, or nothing. In the trash none of them takes the place of the note."""
    others = [other for other, _ in companions(piece, piece.name)]
    with ExitStack() as undo:
        for one in (piece, *others):
            place = target if one == piece else target.with_name(one.name)
            if place.name == _NOTE and place.parent.parent == _trash():
                place = free_path(place)
            move(one, place)
            undo.callback(move, place, one)
        undo.pop_all()


def _trash() -> Path:
    return home() / "trash"


def _put(path: Path, take: Callable[[Path, Path], None], **known: str | int) -> Trashed:
    """Has a file taken into a new folder of the trash, beside a note of where it was and what else is known."""
    now = datetime.now(UTC)
    folder = new_folder(_trash() / f"{path.stem}-{now:%Y%m%d-%H%M%S}")
    note = {"was": as_noted(str(path)), "deleted": now.isoformat(timespec="seconds"), **known}
    try:
        write_json(folder / _NOTE, note)
        take(path, folder / path.name)
    except OutputError:
        with suppress(OSError):  # what could not be put back where it was stays in the trash
            (folder / _NOTE).unlink(missing_ok=True)
            folder.rmdir()
        raise
    return _read(folder / path.name)


def _target(item: Trashed, out: Path | None) -> Path:
    """Where it goes back to, in a folder that can be written to."""
    if out is not None:
        target = make_folder(out) / item.file.name
    elif item.was is None or item.was.suffix != item.file.suffix or not is_folder(item.was.parent):
        place = "where it was is no longer known" if item.was is None else f"the folder {item.was.parent} is gone"
        raise OutputError(f"{item.name} cannot be put back: {place}.", "Name another folder with --out.")
    else:
        target = item.was
    ensure_writable(target.parent)
    return target


def _read(file: Path) -> Trashed:
    status = file.stat()
    deleted = datetime.fromtimestamp(file.parent.stat().st_mtime, UTC).isoformat(timespec="seconds")
    was, digest, piece = None, "", None
    try:
        note = json.loads((file.parent / _NOTE).read_text(encoding="utf-8"))
        was, deleted, digest = Path(as_found(note["was"])), str(note["deleted"]), str(note.get("digest", ""))
        piece = note["piece"] if isinstance(note.get("piece"), int) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # without its note it is still there to be put somewhere else
    return Trashed(file, was, deleted, status.st_size, digest, piece)


def _meant(name: str, items: Iterable[Trashed], kind: Kind) -> Trashed:
    name = name.removesuffix(MODEL_SUFFIX)
    items = list(items)
    for meant in (
        [item for item in items if item.key == name],
        [item for item in items if normalised(item.name) == normalised(name)],
        [item for item in items if name and searchable(item.name).startswith(searchable(name))],
    ):
        if len(meant) == 1:
            return meant[0]
        if meant:
            keys = [f"{item.key}   was {item.was}" for item in meant]
            raise could_be_any(name, f"{kind}s in the trash", keys, "Give one of these longer names.")
    raise LibraryError(
        f"There is no {kind} '{name}' in the trash.", f"See what is in it with: distill {kind}s list --trash"
    )
