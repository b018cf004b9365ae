"""Where results go: free names, and one writer at a time for each file."""

import os
import platform
import re
import shlex
import subprocess
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from stat import S_ISDIR

from distill.errors import OutputError
from distill.files.atomic import discard, ensure_writable, make_folder, output_error, written_aside
from distill.files.home import home
from distill.files.leftovers import clear_held, noted_as_held
from distill.files.regular import absolute, digest_of_place, is_folder, is_there

MODEL_SUFFIX = ".distill"
CODES_SUFFIX = ".codes"
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
"""Of what Distill writes sound as."""
_QUOTES = "'\"‘’“”"
_LONGEST_STEM = 40
_LONGEST_NAME = 100
"""Letters that a person may give a name; twice as many bytes, as a disk takes 255 and something comes behind it."""
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
)
_JOINERS = "\u200c\u200d"
_CLOCKS_DIFFER_S = 60.0
"""A disk on another computer goes by that one's clock."""


def new_model_path(out: Path, name: str | None, folder: Path) -> Path:
    """Where a new model goes: the person's name for it as it is, or the folder's name, numbered if it is taken.

    Raises:
        OutputError: if the person's name is taken or not a valid file name, or the folder cannot be written to.
    """
    ensure_writable(out)
    if name is None:
        return free_path(out / f"{stem_from(absolute(folder).name) or 'model'}{MODEL_SUFFIX}")
    stem = given_name(name, MODEL_SUFFIX, "model")
    path = out / f"{stem}{MODEL_SUFFIX}"
    if is_there(path):
        raise OutputError(f"{path} already exists.", "Choose another --name or --out, or move it away.")
    return path


def given_name(name: str, suffix: str, kind: str) -> str:
    """The name that a person gives to a file that ends in ``suffix``, without that ending.

    Args:
        kind: what it is, for people: a model, a piece.

    Raises:
        OutputError: if it is not a valid file name.
    """
    stem = normalised(name).removesuffix(suffix).strip(" ")
    if not stem.strip(". ") or not stem.isprintable() or set(stem) & _NOT_IN_NAMES:
        raise OutputError(
            f"'{name}' cannot be the name of a {kind}.",
            'Choose a name without any of / \\ : * ? " < > |, which not every disk takes, such as mine.',
        )
    if stem.partition(".")[0].strip(" ").upper() in _DEVICES:
        raise OutputError(
            f"'{name}' cannot be the name of a {kind}: Windows keeps it for a device.",
            f"Choose another, such as my-{stem}.",
        )
    if len(stem) > _LONGEST_NAME or len(stem.encode()) > 2 * _LONGEST_NAME:
        raise OutputError(
            f"The name '{name[:20]}…' is too long for a {kind}.",
            f"Choose one of at most {_LONGEST_NAME} letters, or {2 * _LONGEST_NAME // 3} in a script of three bytes a letter.",
        )
    return stem


def stem_of_model(name: str) -> str:
    """How files are named after a model, which may be a stranger's: its name if a person may give it, else one made from it."""
    with suppress(OutputError):  # that it is none is nothing a person has to mend
        if not name.startswith("."):
            return given_name(name, MODEL_SUFFIX, "model")
    return stem_from(name) or "model"


def normalised(text: str) -> str:
    """The text composed (NFC): macOS writes names apart, letters and accents, and both are the same name."""
    return unicodedata.normalize("NFC", text)


def searchable(text: str) -> str:
    """What two spellings of the same word have in common: composed, and without the difference of capitals."""
    return normalised(normalised(text).casefold())


def readable(name: str) -> str:
    """A name as text: bytes in it that are no letters (as old disks have them) are written out as \\xff."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def stem_from(text: str) -> str:
    """A file name made from a text: letters, marks and digits of every script stay, all else becomes a hyphen; may be empty."""
    kept = "".join(
        letter if unicodedata.category(letter)[0] in "LMN" or letter in "._-" else "" if letter in _JOINERS else "-"
        for letter in normalised(text)
    )
    whole = re.sub("-+", "-", kept).strip("-.")
    stem = whole[:_LONGEST_STEM]
    while len(stem.encode()) > 2 * _LONGEST_STEM:
        stem = stem[:-1]
    while len(stem) < len(whole) and unicodedata.category(whole[len(stem)])[0] == "M":
        stem = stem[:-1]  # a mark belongs to the letter before it
    return stem.strip("-.")


_PATTERN = "To use everything in a folder, give the folder."


def advice_on_missing(path: Path, otherwise: str = "Check its name and place.", pattern: str = _PATTERN) -> str:
    """What to do about a path that leads nowhere, by how it is written: with its quotes, or never expanded by a shell.

    Args:
        pattern: what to do where it is a pattern, which within quotes stands for itself.
    """
    text = str(path)
    if text[0] in _QUOTES and text[-1] in _QUOTES:
        return "The quotes are taken as part of the name: leave them out."
    if text.startswith("~"):
        return "Within quotes ~ does not stand for your home folder: leave the quotes out, or write the whole path."
    if any(sign in text for sign in "*?"):  # brackets too are in patterns, but more often in names
        return f"Nothing matches that pattern, and within quotes a pattern is taken literally. {pattern}"
    return otherwise


def free_path(path: Path) -> Path:
    """``path``, or the first of ``path-2``, ``path-3``, … that does not exist yet; a link that leads nowhere exists."""
    candidate, number = path, 2
    while os.path.lexists(candidate):
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    return candidate


@contextmanager
def reserving(path: Path) -> Iterator[Path]:
    """``path``, or the first of ``path-2``, ``path-3``, … that is free, held with an empty file while its content is made.

    So two that write into one folder at once keep both files. The empty file is removed if the block fails, and by the next
    that reserves anything if the process is killed.

    Raises:
        OutputError: if the file system refuses.
    """
    make_folder(path.parent)
    clear_held()
    while not _took(candidate := free_path(path)):
        continue  # another writer was quicker
    with _holding(candidate):
        yield candidate


@contextmanager
def reserving_exactly(path: Path) -> Iterator[None]:
    """The same of that very name, so that a file that another program writes at the same moment is not overwritten either.

    Raises:
        OutputError: if the name is taken, or the file system refuses.
    """
    clear_held()
    if not _took(path):
        raise OutputError(f"{path} already exists.", "Choose another --out, or move it away.")
    with _holding(path):
        yield


def _took(path: Path) -> bool:
    """Takes a name with an empty file, and says whether it did: not where there is a file of that name."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError as error:
        raise output_error(path, error) from error
    return True


@contextmanager
def _holding(path: Path) -> Iterator[None]:
    """Notes whose the empty file is; removes it if the block, which is to replace it, fails."""
    try:
        with noted_as_held(path):
            yield
    except BaseException:
        discard(path)
        raise


@contextmanager
def output_file(wanted: Path | None, default: Path, *sources: Path, endings: Sequence[str]) -> Iterator[Path]:
    """The one file a person asked for, or a free name like ``default``, held while its content is made (:func:`reserving`).

    Raises:
        OutputError: if it has none of the endings, is a folder, would replace one of the files it is made from, or its folder
            cannot be written to.
    """
    if wanted is None:
        with reserving(default) as path:
            yield path
        return
    if is_folder(wanted):
        raise OutputError(f"{wanted} is a folder; a file is needed.", f"Give a file in it: {wanted / default.name}")
    if absolute(wanted) in {absolute(source) for source in sources}:
        raise OutputError(
            f"{wanted} is one of the files that are read, and would be overwritten.", "Choose another --out."
        )
    if wanted.suffix.lower() not in endings:
        has = f"ends in {wanted.suffix}" if wanted.suffix else "has no ending"
        known = f"{', '.join(endings[:-1])} or {endings[-1]}" if len(endings) > 1 else endings[0]
        raise OutputError(f"{wanted} {has}, so the format to write is not known.", f"Give a name that ends in {known}.")
    ensure_writable(wanted.parent)
    yield wanted


def reconstruction_paths(out: Path, recordings: Mapping[str, Path]) -> dict[str, Path]:
    """Where the WAV file of each recording goes: ``out/<same name>.wav``, with the old suffix in it where two would meet.

    Args:
        recordings: name below the folder to the file itself.

    Raises:
        OutputError: if a recording itself would be overwritten.
    """
    short = {name: (out / name).with_suffix(".wav") for name in recordings}
    taken = Counter(short.values())
    paths = {name: path if taken[path] == 1 else out / f"{name}.wav" for name, path in short.items()}
    sources = {absolute(source) for source in recordings.values()}
    for path in paths.values():
        if absolute(path) in sources:
            raise OutputError(f"{path} is one of your recordings and would be overwritten.", "Choose another --out.")
    return paths


def command(*words: str | Path) -> str:
    """A command as it can be typed, with quotes where a name needs them; a file called ``-x`` is no option."""
    texts = [f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)


@contextmanager
def claimed(path: Path) -> Iterator[Path]:
    """Holds the name of a model, or of an output folder, for as long as the block lasts, so that two never write the same.

    Raises:
        OutputError: if another run holds it.
    """
    with _locked(path, f"Another run is writing {path} right now", "Wait until it ends, then try again."):
        yield path


@contextmanager
def sole_writer(run_folder: Path) -> Iterator[None]:
    """Holds a run's folder, so that one process at a time trains there: states, events and codes have one writer.

    Raises:
        OutputError: if another process trains there.
    """
    words = f"The run {run_folder.name} is being trained right now"
    with _locked(run_folder, words, "Wait until it ends, or stop it where it runs (Ctrl-C); then resume it."):
        _put_before_now(run_folders())
        yield


@contextmanager
def _locked(path: Path, words: str, fix: str) -> Iterator[None]:
    """A lock on a path: a file in Distill's own folder, released when the process ends, however it ends."""
    import filelock  # a twentieth of a second that only who writes pays for

    place = _own_folder("locks") / digest_of_place(path)[:32]
    lock, holder = filelock.FileLock(place.with_suffix(".lock"), timeout=0), place.with_suffix(".txt")
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise OutputError(f"{words}{_holder(holder)}.", fix) from error
    try:
        with written_aside(holder) as aside:
            aside.write_text(
                f"process {os.getpid()} on {platform.node()}, since {datetime.now():%H:%M}", encoding="utf-8"
            )
        yield
    finally:
        lock.release()


def _holder(file: Path) -> str:
    """Who holds a lock, in brackets; nothing where it is not known."""
    try:
        return f" ({file.read_text(encoding='utf-8')})"
    except (OSError, UnicodeDecodeError):  # it has the lock, and has not said so yet
        return ""


def new_run_folder(name: str) -> Path:
    """A fresh folder for a run's events, in Distill's own folder.

    Raises:
        OutputError: if the file system refuses.
    """
    return new_folder(_own_folder("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}")


def new_folder(wanted: Path) -> Path:
    """A folder that nobody else has: ``wanted``, or the first of ``wanted-2``, ``wanted-3``, … that is free.

    Raises:
        OutputError: if the file system refuses.
    """
    make_folder(wanted.parent)
    while True:
        folder = free_path(wanted)
        try:
            folder.mkdir()
        except FileExistsError:  # another process was quicker
            continue
        except OSError as error:
            raise output_error(folder, error) from error
        return folder


def run_folders() -> list[Path]:
    """The folders of all runs so far, the newest first; one that is deleted at this moment is left out."""
    found = []
    for folder in (home() / "runs").glob("*/"):
        with suppress(FileNotFoundError):
            found.append((last_written(folder), folder))
    return [folder for _, folder in sorted(found, key=lambda one: one[0], reverse=True)]


def _put_before_now(runs: list[Path]) -> None:
    """Dates runs of the future back to this moment, in the order they have: the clock was ahead when they were written, and
    they would be the newest for ever. What is trained from now on is newer."""
    now = time.time()
    for place, folder in enumerate(runs, 1):
        for path in (*folder.glob("*"), folder):
            # Another's file, or gone by now: it keeps its date, and only the order of lists is off.
            with suppress(OSError):
                state = path.stat()
                if state.st_mtime > now + _CLOCKS_DIFFER_S:
                    os.utime(path, (state.st_atime, now - place / 1000))


def last_written(folder: Path) -> float:
    """When the newest file in a folder was written, in seconds since 1970; of one without files, when it was made.

    Raises:
        FileNotFoundError: if the folder is not there.
    """
    latest = 0.0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # written aside and renamed by now
            state = path.stat()
            latest = max(latest, 0.0 if S_ISDIR(state.st_mode) else state.st_mtime)
    # The folder's own time would tell as well when a file was taken out of it.
    return latest or folder.stat().st_mtime


def _own_folder(name: str) -> Path:
    folder = home() / name
    try:
        ensure_writable(folder)
        return make_folder(folder)
    except OutputError as error:
        raise OutputError(error.what, f"{error.fix} DISTILL_HOME says where Distill keeps its own files.") from error
