"""What the page may name: folders of recordings, models, pieces, and any sound by a reference.

    recording:COLLECTION/NAME     a file of a folder that the person named
    learned:MODEL/NAME            a recording that a model learned from, wherever it is now (learned.py)
    piece:NUMBER                  new audio that the library knows
    run:RUN/NAME                  a sound in the folder of a run
    upload:NAME                   a file that was dropped on the page

A path never comes from the page: names are looked up below folders that the person named, and none leads out of them.
"""

import json
import os
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from distill.errors import CorpusError, LibraryError
from distill.files.atomic import write_json
from distill.files.home import as_found, as_noted, expanded, home
from distill.files.names import advice_on_missing, free_path, stem_from
from distill.files.regular import absolute, is_file, is_folder, is_link
from distill.formats.suffixes import AUDIO_SUFFIXES, FILM_SUFFIXES, MORE_SUFFIXES
from distill.library import Library, ModelEntry
from distill.library.moving import move
from distill.recordings.folder import audio_files, is_sound, name_below
from distill.runs.events import STAGES
from distill.web.learned import gone, sound_of_learned

_MOST_FOLDERS = 500
_SOUNDING = AUDIO_SUFFIXES | MORE_SUFFIXES | FILM_SUFFIXES
_one_at_a_time = threading.Lock()
T = TypeVar("T")


@dataclass(frozen=True)
class Collection:
    """A folder of recordings that the person named, and which of them are left out."""

    id: str
    folder: str
    left_out: list[str] = field(default_factory=list)
    """Names below the folder, with slashes."""
    is_own: bool = False
    """Whether it lies in Distill's own folder, so that files can be added to it."""

    @property
    def name(self) -> str:
        """What it is called."""
        return Path(self.folder).name or self.folder

    @property
    def stamp(self) -> str:
        """Changes whenever a file in the folder does, or what is left out."""
        return stamp_of(Path(self.folder), self.left_out)


def library() -> Library:
    """The library; what it has to tell is in its answers."""
    return Library(lambda _: None)


def collections() -> list[Collection]:
    """All folders that the person named, by name, but for those whose notes are damaged (:func:`damaged`)."""
    return sorted(_all()[0], key=lambda one: (one.name.casefold(), one.id))


def damaged() -> list[LibraryError]:
    """What to say of notes of folders that cannot be read; they are kept as they are."""
    return _all()[1]


def collection(given: str) -> Collection:
    """One of them.

    Raises:
        LibraryError: if there is none of that id, or its note is damaged.
    """
    note = next((path for path in _notes().glob("*.json") if path.stem == given), None)
    found = None if note is None else _read(note)
    if found is None:
        raise LibraryError("This folder of recordings is not known here.", "Name it again in Recordings.")
    return found


def add_collection(folder: Path, *, is_own: bool = False) -> Collection:
    """Notes a folder that the person named.

    Args:
        is_own: whether it lies in Distill's own folder; what lies in ``own_recordings`` always does.

    Raises:
        CorpusError: if there is no such folder.
        SettingError: if it begins with the name of a user that there is not.
    """
    folder = expanded(folder)
    if not folder.is_absolute():
        raise CorpusError(f"{folder} does not say where it begins.", "Give the whole path, from / or ~ on.")
    if is_file(folder):
        raise CorpusError(f"{folder} is a file.", f"Name the folder that it is in: {folder.parent}")
    if not is_folder(folder):
        raise CorpusError(f"There is no folder {folder}.", advice_on_missing(folder))
    folder = absolute(folder)
    if folder == folder.parent:
        raise CorpusError(f"{folder} is a whole disk.", "Name a folder of recordings on it.")
    key = f"{stem_from(folder.name) or 'folder'}-{sha256(str(folder).encode(errors='replace')).hexdigest()[:6]}"
    is_own = is_own or folder.parent == absolute(own_recordings())  # also when it was off the list for a while
    note = _notes() / f"{key}.json"
    try:
        there = _read(note)
    except LibraryError:  # the folder is named anew; what was noted stays, under another name
        move(note, free_path(note.with_suffix(".damaged")))
        there = None
    return there if there is not None else _write(Collection(key, str(folder), is_own=is_own))


def path_named(text: str) -> Path:
    """The path that somebody wrote or pasted: Windows copies one in quotes, file managers on Linux as an address."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    if text.startswith("file://"):
        with suppress(ValueError):  # brackets where an address names a computer: it is none
            return Path(url2pathname(urlsplit(text).path))
    return Path(text)


def leave_out(one: Collection, names: Iterable[str]) -> Collection:
    """The collection with exactly these recordings left out."""
    return _write(Collection(one.id, one.folder, sorted(set(names)), one.is_own))


def leave_one_out(given: str, name: str, *, is_out: bool) -> Collection:
    """The collection with one more recording left out, or taken back; the others stay as they are by now."""
    with _one_at_a_time:
        one = collection(given)
        return leave_out(one, {*one.left_out, name} if is_out else {*one.left_out} - {name})


def forget_collection(one: Collection) -> None:
    """Takes a folder off the list; the folder itself is not touched."""
    (_notes() / f"{one.id}.json").unlink(missing_ok=True)


def count_files(folder: Path) -> int:
    """How many files in a folder are audio, by name or by content as where it is read, and as far as can be said quickly;
    links to folders are followed as they are there."""
    found, seen = 0, {absolute(folder)}
    for at, (place, folders, names) in enumerate(os.walk(folder, followlinks=True)):
        found += sum(_sounds(Path(place, name)) for name in names if name[0] != ".")
        if at >= _MOST_FOLDERS:
            break
        entered = []
        for name in folders:
            way = Path(place, name)
            target = absolute(way)
            is_above = is_link(way) and any(one.is_relative_to(target) for one in seen)
            if name[0] != "." and target not in seen and not is_above:
                seen.add(target)
                entered.append(name)
        folders[:] = entered
    return found


def _sounds(path: Path) -> bool:
    if path.suffix.lower() in _SOUNDING:
        return True
    try:
        told = path.stat()
    except OSError:  # a link to nothing, or gone meanwhile: it is not counted
        return False
    return _sounds_inside(path, told.st_size, told.st_mtime_ns)


@lru_cache(maxsize=20_000)
def _sounds_inside(path: Path, _size: int, _modified: int) -> bool:
    """By content; a list that is asked for every few seconds opens each file once."""
    return is_sound(path)


def stamp_of(folder: Path, left_out: list[str]) -> str:
    """A digest of the names, sizes and dates of the sounds in a folder; empty where it cannot be read."""
    try:
        told = [(name_below(path, folder), *_size_and_date(path)) for path in audio_files(folder)[0]]
    except (CorpusError, OSError):
        return ""
    return sha256(json.dumps([told, left_out]).encode()).hexdigest()


def _size_and_date(path: Path) -> tuple[int, int]:
    try:
        told = path.stat()
    except OSError:  # a link to nothing, or gone meanwhile: no reason to see nothing of the others
        return 0, 0
    return told.st_size, told.st_mtime_ns


def model_id(entry: ModelEntry) -> str:
    """By which the page names a model."""
    return sha256(os.fsencode(entry.path)).hexdigest()[:12]


def model(given: str) -> ModelEntry:
    """The model of that id.

    Raises:
        LibraryError: if there is none, or its file is gone.
    """
    entry = listed(given)
    if not entry.is_there:
        raise LibraryError(
            f"The file of '{entry.name}' is gone from {entry.path.parent}.", "Move it back, or import it again."
        )
    return entry


def listed(given: str) -> ModelEntry:
    """The same, be its file gone.

    Raises:
        LibraryError: if there is none.
    """
    for entry in library().models():
        if model_id(entry) == given:
            return entry
    raise LibraryError(
        "There is no such model in the library.", "Choose another one; it may have been renamed or deleted."
    )


def run_folder(name: str) -> Path:
    """The folder of a run.

    Raises:
        LibraryError: if there is none of that name.
    """
    folder = home() / "runs" / name
    if not name or name in (".", "..") or set(name) & set("/\\") or not is_folder(folder):
        raise LibraryError("There is no such run.", "See those there are in Train.")
    return folder


def sound(reference: str) -> Path:
    """The file that a reference means.

    Raises:
        LibraryError: if there is no such thing.
        AudioFileError: if its file is gone.
    """
    kind, _, rest = reference.partition(":")
    finds: dict[str, Callable[[str], list[Path]]] = {
        "recording": _recording,
        "learned": _learned,
        "piece": _piece,
        "run": _in_run,
        "upload": lambda name: [_below(uploads(), name)],
    }
    if kind not in finds:
        raise LibraryError(f"'{reference[:60]}' names no sound.", "Choose one on the page.")
    found = finds[kind](rest)
    for path in found:
        if is_file(path):
            return path
    raise gone((rest.partition("/")[2] or rest)[:200])


def reference_of(path: str | None) -> str:
    """A reference of a file that was dropped, is in a folder on the page, or was made; empty where there is none."""
    if path is None:
        return ""
    file = Path(path)
    if absolute(file.parent) == absolute(uploads()) and is_file(file):
        return f"upload:{file.name}"
    for one in collections():
        if file.is_relative_to(one.folder) and is_file(file):
            return f"recording:{one.id}/{file.relative_to(one.folder).as_posix()}"
    made = [piece for piece in library().generations() if piece.file == path]
    return next((f"piece:{number}" for number in library().there(made)), "")


def uploads() -> Path:
    """Where prompts and other single files go that were dropped on the page."""
    return home() / "uploads"


def own_recordings() -> Path:
    """Where folders of recordings go that were dropped on the page."""
    return home() / "recordings"


def studio(name: str) -> Path:
    """Where a new model, its pieces and its report go."""
    return home() / "studio" / (stem_from(name) or "sound")


def _recording(rest: str) -> list[Path]:
    one, _, name = rest.partition("/")
    return [_below(Path(collection(one).folder), name)]


def _learned(rest: str) -> list[Path]:
    one, _, name = rest.partition("/")
    entry = model(one)
    trained_on = list(dict.fromkeys(run.folder for run in reversed(library().runs(entry.origin))))
    folders = [Path(folder) for folder in dict.fromkeys([*trained_on, *(known.folder for known in collections())])]
    _below(Path(), name)  # refuses what leads out
    return [sound_of_learned(entry.path, name, folders, len(trained_on))]


def _piece(number: str) -> list[Path]:
    if not number.isdecimal() or len(number) >= 12:
        return []
    one = library().generation(int(number))
    return [Path(one.file)] if library().there([one]) else []  # its name may have gone to another piece


def _in_run(rest: str) -> list[Path]:
    run, _, name = rest.partition("/")
    folder = run_folder(run)
    path = _below(folder, name)
    return [path] if path.suffix not in {f".{ending}" for ending in (*STAGES, "json", "jsonl", "state")} else []


def _below(folder: Path, name: str) -> Path:
    """A file by its name below a folder, never outside of it (links in it were put there by the person).

    Raises:
        LibraryError: for a name that leads out.
    """
    parts = PurePosixPath(name).parts
    if (
        not parts
        or name.startswith("/")
        or ".." in parts
        or "\\" in name
        or "\0" in name
        or re.match("[A-Za-z]:", name)
    ):
        raise LibraryError(f"'{name[:100]}' is not the name of a sound.", "Choose one on the page.")
    return folder.joinpath(*parts)


def _notes() -> Path:
    return home() / "collections"


def _all() -> tuple[list[Collection], list[LibraryError]]:
    """What was noted of folders, and what to say of the notes that cannot be read."""
    return readable(_read, sorted(_notes().glob("*.json")))


def readable(read: Callable[[Path], T | None], paths: Iterable[Path]) -> tuple[list[T], list[LibraryError]]:
    """What ``read`` makes of those that are there, and what to say of those that cannot be read."""
    found: list[T] = []
    wrong: list[LibraryError] = []
    for path in paths:
        try:
            one = read(path)
        except LibraryError as error:
            wrong.append(error)
        else:
            found += [] if one is None else [one]
    return found, wrong


def _read(path: Path) -> Collection | None:
    """The note of a folder; None where there is none.

    Raises:
        LibraryError: if it cannot be read.
    """
    try:
        told = json.loads(path.read_bytes())
        return Collection(
            path.stem, as_found(str(told["folder"])), [str(name) for name in told["left_out"]], bool(told["is_own"])
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LibraryError(
            f"What was noted of a folder of recordings cannot be read: {path}. The recordings are unharmed.",
            "Add the folder again; the damaged file is kept.",
        ) from error


def _write(one: Collection) -> Collection:
    write_json(_notes() / f"{one.id}.json", asdict(one) | {"folder": as_noted(one.folder)})
    return one
