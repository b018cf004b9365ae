"""Moving model files into the library, out of it, and models and pieces to another name. Nothing is ever overwritten."""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from distill.errors import LibraryError, OutputError
from distill.files.atomic import ensure_writable, make_folder, output_error, sync_folder, written_aside
from distill.files.home import home
from distill.files.names import (
    MODEL_SUFFIX,
    claimed,
    command,
    free_path,
    given_name,
    normalised,
    reserving_exactly,
    searchable,
)
from distill.files.regular import absolute, open_regular
from distill.files.tensors import read_table, rewrite
from distill.formats.retitled import retitle
from distill.library.beside import companions
from distill.library.catalogue import Library
from distill.library.records import GenerationRecord, ModelEntry
from distill.models.header import KEY, checked_header, errors_in_words, read_header

TITLE_STAYS = "A title that the file has from elsewhere, if any, stays as it is."


def leaves_sound(model: str | Path) -> str:
    """What to say where a model that holds its recordings' own sound is given away without it.

    Args:
        model: its name or its file, as it can be typed.
    """
    again = command("distill", "models", "export", model, "--with-recordings")
    return (
        f"The recordings' own sound, which this model was given with it, is left out. To give it away too, use: {again}"
    )


def add(library: Library, source: Path, *, in_place: bool, is_checked: bool = False) -> ModelEntry:
    """Adds a model to the library: as a copy in Distill's own folder, or the file where it is.

    The whole file is checked, which takes PyTorch, unless it ``is_checked``. A model that is there already is not copied again.

    Raises:
        ModelFileError: if it is not a usable model file.
        OutputError: if the copy cannot be written.
    """
    if is_checked:
        header = read_header(source)
    else:
        from distill.models.model_file import load_model

        header = load_model(source).header
    own = home() / "models"
    if not in_place and not absolute(source).is_relative_to(absolute(own)):
        kept = [entry for entry in library.models() if entry.is_there and entry.path.parent == absolute(own)]
        for entry in kept:
            is_alike = entry.digest == header.digest and normalised(entry.name) == normalised(source.stem)
            if is_alike and read_header(entry.path).measures_digest == header.measures_digest:
                return entry
        source = _copied(source, free_path(make_folder(own) / f"{source.stem}{MODEL_SUFFIX}"))
    return library.note_model(source)


def export(entry: ModelEntry, out: Path) -> Path:
    """Copies a model's file to a folder, under a free name, or to the very path that ends in ``.distill``; then the copy calls
    itself by that name.

    The recordings' own sound, which it holds if it was given away with it, is left out.

    Raises:
        ModelFileError: if the file is damaged.
        OutputError: if that path is taken or cannot be written.
    """
    target, header = export_target(entry, out), read_header(entry.path)
    sounds = [f"sounds.{number}" for number in range(len(header.sounds))]
    changes: dict[str, object] = {"name": target.stem} if target == out else {}
    if not sounds and changes.get("name", header.name) == header.name:
        return _copied(entry.path, target)
    with reserving_exactly(target):
        _rewritten(entry.path, target, without=sounds, sounds=[], **changes)
    return target


def is_model_named(out: Path) -> bool:
    """Whether a path to export to is that of the file itself, and not of a folder."""
    return out.suffix.lower() == MODEL_SUFFIX


def export_target(entry: ModelEntry, out: Path) -> Path:
    """Where a model goes that is exported to a folder, or to a path; the folder is made.

    Raises:
        OutputError: if it cannot be made.
    """
    target = out if is_model_named(out) else free_path(out / entry.path.name)
    make_folder(target.parent)
    return target


def rename(library: Library, entry: ModelEntry, name: str) -> ModelEntry:
    """Gives a model another name: its file, beside the old one's place, and what it calls itself. What it learned stays.

    Raises:
        ModelFileError: if the file is damaged; then it is where it was.
        OutputError: if the name is not valid or taken, or another process is writing there.
    """
    target = entry.path.with_name(given_name(name, MODEL_SUFFIX, "model") + MODEL_SUFFIX)
    if target == entry.path:
        return entry
    if target.name != entry.path.name and _is_same(entry.path, target):
        with claimed(entry.path), ExitStack() as undo:  # in other capitals, on a disk that does not tell them apart
            move(entry.path, target)
            undo.callback(move, target, entry.path)
            _rewritten(target, target, name=target.stem)
            undo.pop_all()
    else:
        ensure_writable(target.parent)
        _refuse_taken(target)
        with claimed(entry.path), claimed(target), reserving_exactly(target):
            _rewritten(entry.path, target, name=target.stem)
            _unlink(entry.path)
    library.forget_model(entry.path)
    return library.note_model(target)


def _rewritten(model: Path, target: Path, without: Collection[str] = (), **changes: object) -> None:
    """Writes a model that says other things of itself, ``without`` some of its tensors."""
    with errors_in_words(model), open_regular(model) as file, written_aside(target, model) as aside:
        table = read_table(file, KEY)
        header = checked_header(model, table)

        def about(digest: str) -> str:  # with what a newer version may say besides
            return json.dumps({**table.fields, **changes, "digest": digest})

        with aside.open("wb") as out:
            rewrite(file, table, KEY, about, header.digest or "", out, without)


def rename_piece(
    library: Library, piece: GenerationRecord, name: str, tell: Callable[[str], None] = lambda words: None
) -> GenerationRecord:
    """Gives a piece another name: its file, in the folder where it is, its title, and what lies beside it and is about it.

    A title that is not the old name is somebody's own, and stays.

    Args:
        tell: gets a sentence where the title stays.

    Raises:
        LibraryError: if its file is gone.
        OutputError: if the name is not valid or taken, or the file system refuses; then all is as it was.
    """
    path = Path(piece.file)
    if piece.id not in library.there([piece]):
        raise LibraryError(
            f"The file of '{path.stem}' is gone from {path.parent}, so it cannot be renamed.",
            "Put it back, or make the piece again.",
        )
    target = path.with_name(given_name(name, path.suffix, "piece") + path.suffix)
    if target == path:
        return piece
    if target.stem.isdecimal():
        raise OutputError(
            f"'{target.stem}' cannot be the name of a piece: a number would mean another piece.",
            f"Choose a name with a letter in it, such as take-{target.stem}.",
        )
    others = [_Beside.of(other, target, text) for other, text in companions(path, target.name)]
    for was, new in ((path, target), *((one.was, one.new) for one in others)):
        if not _is_same(was, new):
            _refuse_taken(new)
    with ExitStack() as undo:
        move(path, target)
        undo.callback(move, target, path)
        for one in others:
            one.put(undo)
        if retitle(target, path.stem, target.stem):
            undo.callback(retitle, target, target.stem, path.stem)
        else:
            tell(TITLE_STAYS)
        moved = library.move_generation(piece.id or 0, target)
        undo.pop_all()
    for one in others:
        one.finish()
    return moved


class _Beside(NamedTuple):
    """A file beside a piece that gets another name with it. Until all is done, its text stays as it was."""

    was: Path
    new: Path
    text: str
    """What it is to hold."""
    is_same: bool
    """Whether both names are of one file, on a disk that does not tell capitals apart."""

    @classmethod
    def of(cls, was: Path, target: Path, text: str) -> "_Beside":
        """That of a piece that is to be called ``target``."""
        new = target.with_suffix(was.suffix)
        return cls(was, new, text, _is_same(was, new))

    def put(self, undo: ExitStack) -> None:
        """Puts it under its new name."""
        if self.is_same:
            move(self.was, self.new)
            undo.callback(move, self.new, self.was)
            return
        with reserving_exactly(self.new), written_aside(self.new, self.was) as aside:
            aside.write_text(self.text, encoding="utf-8")
        undo.callback(self.new.unlink)

    def finish(self) -> None:
        """What cannot be undone: the old text goes."""
        if self.is_same:
            with written_aside(self.new) as aside:
                aside.write_text(self.text, encoding="utf-8")
        else:
            _unlink(self.was)


def _refuse_taken(path: Path) -> None:
    if os.path.lexists(path):
        raise OutputError(f"In {path.parent} there is a file {path.name} already.", "Choose another name.")


def _is_same(path: Path, other: Path) -> bool:
    """Whether both are one file under one name, but for capitals or how letters are composed, as a disk may not tell apart."""
    try:
        return searchable(path.name) == searchable(other.name) and path.samefile(other)
    except OSError:
        return False


def move(source: Path, target: Path) -> None:
    """Moves a file to a free name, to another disk too.

    Raises:
        OutputError: if the name is taken or the file system refuses; then the file is where it was.
    """
    if _is_same(source, target):
        _recase(source, target)
        return
    with reserving_exactly(target):
        try:
            source.replace(target)
            sync_folder(target.parent)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise output_error(target, error) from error
        with written_aside(target, source) as aside:
            shutil.copyfile(source, aside)
        _unlink(source)


def _recase(source: Path, target: Path) -> None:
    """Gives a file the same name in other capitals.

    Most disks that do not tell them apart do so at once. On one that sees nothing to do it goes by way of a third name, under
    which a process that is killed in between would leave it.
    """
    between = source.with_name(f".distill-{secrets.token_hex(4)}.part{source.suffix}")
    try:
        source.replace(target)
        names = {path.name for path in target.parent.iterdir()}
        if target.name not in names:
            source.replace(between)
            try:
                between.replace(target)
            except OSError:
                between.replace(source)
                raise
        elif source.name in names:  # both were links to one file, as a disk that tells them apart may have
            source.unlink()
        sync_folder(target.parent)
    except OSError as error:
        raise output_error(target, error) from error


def _copied(source: Path, target: Path) -> Path:
    with reserving_exactly(target), written_aside(target, source) as aside:
        shutil.copyfile(source, aside)
    return target


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise output_error(path, error) from error
