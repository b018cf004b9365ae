"""Which model is meant: by its path, its name, or the beginning of its name."""

from collections.abc import Sequence
from pathlib import Path

from distill.errors import LibraryError, ModelFileError
from distill.files.beside import sound_of_sidecar
from distill.files.home import expanded, home
from distill.files.names import MODEL_SUFFIX, advice_on_missing, command, normalised, searchable
from distill.files.regular import absolute, is_file, is_there
from distill.library.catalogue import Library
from distill.library.meant import could_be_any
from distill.library.records import GenerationRecord, ModelEntry
from distill.library.trash import trashed
from distill.models.header import read_header


def path_of(library: Library, given: Path) -> Path:
    """The file meant by a path, which always wins, or by a name or its beginning.

    Raises:
        LibraryError: if no model is meant, or more than one.
    """
    if is_file(given) or str(given) != given.name:
        return given
    name = str(given).removesuffix(MODEL_SUFFIX)
    if is_there(given) and chosen(name, library.models()) is None:
        return given  # a folder, of which the loader says what is wrong with it
    entry = find(library, str(given))
    if not entry.is_there:
        raise LibraryError(
            f"The model '{entry.name}' was in {entry.path.parent} and is gone from there.",
            "If it was moved: distill models import ITS-FILE --in-place",
        )
    return entry.path


def find(library: Library, name: str) -> ModelEntry:
    """The model of that name, or the only one whose name begins so, whether its file is there or not.

    Raises:
        LibraryError: if there is none, or more than one.
    """
    given, name = name, name.removesuffix(MODEL_SUFFIX)
    entry = chosen(name, library.models())
    if entry is not None:
        return entry
    for item in trashed():
        if normalised(item.name) == normalised(name):
            raise LibraryError(
                f"There is no model '{name}' in the library; one is in the trash.",
                f"Put it back with: {command('distill', 'models', 'restore', item.key)}",
            )
    fix = "See all models with: distill models list. Or give the path of a .distill file, made by distill train."
    raise LibraryError(
        f"There is no model '{name}' in the library.",
        fix if not name else advice_on_missing(Path(given), fix, "Give the name or the path of one model."),
    )


def matching(library: Library, words: Sequence[str]) -> list[ModelEntry]:
    """The models whose name, folder, date or recordings contain every word, the newest first: all of them without a word."""
    if not words:
        return library.models()
    folders: dict[str | None, str] = {}
    for run in library.runs():
        folders[run.origin] = f"{folders.get(run.origin, '')}\n{run.folder}"

    def text(entry: ModelEntry) -> str:
        parts = (str(entry.path), entry.created, folders.get(entry.origin, ""), *entry.recordings)
        return searchable("\n".join(parts))

    wanted = [searchable(word) for word in words]
    return [entry for entry in library.models() if all(word in text(entry) for word in wanted)]


def find_piece(library: Library, given: str) -> GenerationRecord:
    """The piece of that number, that file, or that file name with its ending or without.

    Raises:
        LibraryError: if there is none, or more than one of that name.
        SettingError: if it begins with the name of a user that there is not.
    """
    if given.isdecimal() and len(given) < 12:
        return library.generation(int(given))
    path = normalised(str(absolute(expanded(Path(given))))) if Path(given).name != given else None
    found = [one for one in library.generations() if _is_called(Path(one.file), given, path)]
    if len(found) == 1:
        return found[0]
    if found:
        files = [f"{one.id}   {one.file}" for one in found]
        raise could_be_any(given, "pieces", files, "Give its number, or its file with the folder.")
    for item in trashed("piece"):
        if normalised(given) in (normalised(item.name), normalised(item.file.name)) and item.piece is not None:
            raise LibraryError(
                f"There is no piece '{given}' in the library; one is in the trash, which was number {item.piece}.",
                f"Put it back with: {command('distill', 'pieces', 'restore', item.key)}",
            )
    if (sound := sound_of_sidecar(expanded(Path(given)))) is not None:
        raise LibraryError(f"{given} describes a piece, and is not one itself.", f"Give the piece: {sound}")
    fix = "See the numbers with: distill pieces list"
    raise LibraryError(
        f"There is no piece '{given}' in the library.", advice_on_missing(Path(given or "."), fix, "Give one piece.")
    )


def _is_called(file: Path, given: str, path: str | None) -> bool:
    if path is not None:
        return normalised(str(file)) == path
    return normalised(given) in (normalised(file.stem), normalised(file.name))


def chosen(name: str, entries: list[ModelEntry]) -> ModelEntry | None:
    """The entry of that name, or the only one whose name begins so; those whose files are gone stand back. Of copies of one
    model, the one in Distill's own folder is taken, else the newest.

    Raises:
        LibraryError: if there is more than one.
    """
    for is_meant in (
        lambda entry: normalised(entry.name) == normalised(name),
        lambda entry: bool(name) and searchable(entry.name).startswith(searchable(name)),
    ):
        meant = [entry for entry in entries if is_meant(entry)]
        meant = [entry for entry in meant if entry.is_there] or meant
        if len(meant) == 1:
            return meant[0]
        if meant:
            twins = len({normalised(entry.name) for entry in meant}) == 1
            if twins and _are_one_model(meant):
                own = absolute(home() / "models")
                return max(meant, key=lambda entry: (entry.path.parent == own, entry.modified))
            rename = "Give the path, or another name to one of them: distill models rename PATH NEW-NAME"
            fix = rename if twins else "Give more of the name, or the path."
            if not any(entry.is_there for entry in meant):
                fix = (
                    "These files are gone. If it was moved: distill models import ITS-FILE --in-place. "
                    "If it is no longer wanted: distill models delete PATH"
                )
            files = [f"{entry.name}   {entry.path}" for entry in meant]
            raise could_be_any(name, "models", files, fix)
    return None


def _are_one_model(entries: Sequence[ModelEntry]) -> bool:
    """Whether all files are copies of one model, with the sound of its recordings or without it."""
    try:
        headers = [read_header(entry.path) for entry in entries]
    except ModelFileError:  # gone or damaged in this moment: then the person has to say which is meant
        return False
    said = {header.model_dump_json(exclude={"major", "minor", "name", "digest", "sounds"}) for header in headers}
    # The digest is of the sound too, so with it only the rest can be compared: what was trained and measured, and when.
    return len(said) == 1 and len({header.digest for header in headers if not header.sounds}) <= 1
