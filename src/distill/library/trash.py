"""The trash: deleted models, each in a folder of its own with a note that says where it was, until it is emptied."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from distill.errors import LibraryError, OutputError
from distill.files.atomic import ensure_writable, make_folder, output_error, written_aside
from distill.files.home import home
from distill.files.names import MODEL_SUFFIX, claimed, new_folder, normalised, searchable
from distill.library.catalogue import Library
from distill.library.moving import move
from distill.library.records import ModelEntry

_NOTE = "was.json"


@dataclass(frozen=True)
class Trashed:
    """One deleted model."""

    file: Path
    """In the trash."""
    was: Path | None
    """Where it was; None if that is no longer known."""
    deleted: str
    """When it was deleted: ISO 8601, UTC."""
    size: int
    """Size of the file in bytes."""
    digest: str
    """SHA-256 of its tensors; empty if that is no longer known."""

    @property
    def name(self) -> str:
        """What the model was called."""
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
    if not entry.path.exists():
        library.forget_model(entry.path)
        return None
    with claimed(entry.path):
        now = datetime.now(UTC)
        digest = ModelEntry.read(entry.path).digest
        folder = new_folder(_trash() / f"{entry.name}-{now:%Y%m%d-%H%M%S}")
        note = {"was": str(entry.path), "deleted": now.isoformat(timespec="seconds"), "digest": digest}
        try:
            with written_aside(folder / _NOTE) as aside:
                aside.write_text(json.dumps(note), encoding="utf-8")
            move(entry.path, folder / entry.path.name)
        except OutputError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    library.forget_model(entry.path)
    return _read(folder / entry.path.name)


def keep_copy(path: Path) -> Trashed:
    """Puts a copy of a model's file into the trash, before something in it is replaced.

    Raises:
        OutputError: if it cannot be written.
    """
    now = datetime.now(UTC)
    folder = new_folder(_trash() / f"{path.stem}-{now:%Y%m%d-%H%M%S}")
    note = {
        "was": str(path.resolve()),
        "deleted": now.isoformat(timespec="seconds"),
        "digest": ModelEntry.read(path).digest,
    }
    try:
        with written_aside(folder / _NOTE) as aside:
            aside.write_text(json.dumps(note), encoding="utf-8")
        with written_aside(folder / path.name) as aside:
            shutil.copyfile(path, aside)
    except OutputError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _read(folder / path.name)


def trashed() -> list[Trashed]:
    """What is in the trash, the latest first."""
    found = [_read(file) for file in _trash().glob(f"*/*{MODEL_SUFFIX}")]
    return sorted(found, key=lambda one: one.deleted, reverse=True)


def restore(library: Library, name: str, out: Path | None = None) -> ModelEntry:
    """Puts a model back to where it was, or into the folder ``out``.

    Args:
        name: its name, a part of it that no other in the trash begins with, or its key.

    Raises:
        LibraryError: if it is not in the trash, or more than one is meant.
        OutputError: if something is at its place, or the folder is gone.
    """
    item = _meant(name, trashed())
    if out is not None:
        target = make_folder(out) / item.file.name
    elif item.was is None or item.was.suffix != MODEL_SUFFIX or not item.was.parent.is_dir():
        place = "where it was is no longer known" if item.was is None else f"the folder {item.was.parent} is gone"
        raise OutputError(f"{item.name} cannot be put back: {place}.", "Name another folder with --out.")
    else:
        target = item.was
    ensure_writable(target.parent)
    ModelEntry.read(item.file)
    with claimed(target):
        move(item.file, target)
    shutil.rmtree(item.file.parent, ignore_errors=True)
    return library.note_model(target)


def empty() -> list[Trashed]:
    """Removes for good what is in the trash.

    Raises:
        OutputError: if the file system refuses.
    """
    gone = trashed()
    for item in gone:
        try:
            shutil.rmtree(item.file.parent)
        except OSError as error:
            raise output_error(item.file, error) from error
    return gone


def _trash() -> Path:
    return home() / "trash"


def _read(file: Path) -> Trashed:
    status = file.stat()
    deleted = datetime.fromtimestamp(file.parent.stat().st_mtime, UTC).isoformat(timespec="seconds")
    was, digest = None, ""
    try:
        note = json.loads((file.parent / _NOTE).read_text(encoding="utf-8"))
        was, deleted, digest = Path(note["was"]), str(note["deleted"]), str(note["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # without its note it is still there to be put somewhere else
    return Trashed(file, was, deleted, status.st_size, digest)


def _meant(name: str, items: Iterable[Trashed]) -> Trashed:
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
            shown = "".join(f"\n    {item.key}   was {item.was}" for item in meant)
            raise LibraryError(
                f"'{name}' could be any of {len(meant)} models in the trash:{shown}", "Give one of these longer names."
            )
    raise LibraryError(
        f"There is no model '{name}' in the trash.", "See what is in it with: distill models list --trash"
    )
