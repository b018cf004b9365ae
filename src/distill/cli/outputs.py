"""Where results go: a folder that is named like a file is refused, and what was finished before an error is named."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.cli.console import place
from distill.errors import DistillError, InputError, SettingError
from distill.files.names import CODES_SUFFIX, MODEL_SUFFIX, SOUND_SUFFIXES
from distill.files.regular import is_folder

_OF_FILES = frozenset(
    {*SOUND_SUFFIXES, ".aif", ".aiff", ".m4a", ".opus", CODES_SUFFIX, ".html", ".rpp", ".onnx", ".ts"}
)


def a_folder(given: Path | None) -> Path | None:
    """What was given as ``--out`` to a command that puts several files there.

    Raises:
        SettingError: if it is not there and its name is that of one file.
    """
    if given is None or is_folder(given):
        return given
    ending = given.suffix.lower()
    if ending == MODEL_SUFFIX:
        raise SettingError(
            f"--out {given} is named like a model, and a folder is needed.",
            "Give the folder with --out. Where a new model is made, --name gives its name.",
        )
    if ending in _OF_FILES:
        raise SettingError(
            f"--out {given} is named like a file, and a folder is needed.",
            "Give a folder: the files in it are named for you.",
        )
    return given


@contextmanager
def refusing(option: str) -> Iterator[None]:
    """What is refused in the block is said of an option, by its name.

    Raises:
        InputError: of the same kind.
    """
    try:
        yield
    except InputError as error:
        raise type(error)(f"{option}: {error.what}", error.fix, error.among) from error


def check_pieces(seconds: float, count: int) -> None:
    """Refuses new audio of a length, or in a number, that cannot be made.

    Raises:
        SettingError: if one of them is out of range.
    """
    from distill.making.sampling import check_count, check_request

    with refusing("--count"):
        check_count(count)
    with refusing("--seconds"):
        check_request(seconds, count)


def can_be_written(out: Path) -> None:
    """Refuses a folder that cannot be written to, before anything is loaded.

    Raises:
        OutputError: if it cannot.
    """
    from distill.files.atomic import ensure_writable

    with refusing("--out"):
        ensure_writable(out)


def new_sounds(out: Path) -> Callable[[], list[Path]]:
    """What gives the sounds in a folder that are not there yet."""

    def sounds() -> set[Path]:
        return {path for ending in SOUND_SUFFIXES for path in out.glob(f"*{ending}")}

    before = sounds()
    return lambda: sorted(sounds() - before)


@contextmanager
def naming_what_is_kept(finished: Callable[[], Iterable[Path]]) -> Iterator[None]:
    """After a Ctrl-C or an error in the block, which files were finished in it: they stay, and nobody would hear of them."""
    try:
        yield
    except (KeyboardInterrupt, DistillError, OSError):
        for path in finished():
            place("Kept", path)
        raise
