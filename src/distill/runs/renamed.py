"""Where the model of a training is now: a run names it by the path at which it was written.

There it may have been renamed since, or deleted, and another one written under its name.
"""

from collections.abc import Callable
from pathlib import Path

from distill.errors import LibraryError, ModelFileError
from distill.files.regular import is_file
from distill.library import Library
from distill.library.records import RunRecord, origin_of
from distill.models.header import Header, read_header
from distill.runs.copies import run_of


def model_of(record: RunRecord, tell: Callable[[str], None] = lambda words: None) -> Path:
    """Where the model of a training is or, where there is none of it, where it was written or is to be.

    Args:
        tell: gets a sentence where the library cannot be asked, or what it has to say.
    """
    return found_model(record, tell) or Path(record.model)


def found_model(record: RunRecord, tell: Callable[[str], None] = lambda words: None) -> Path | None:
    """The model of a training: where it was written or, if it was renamed since, where the library has it. None where it is
    not written yet, or gone, also if another one has its name.

    Args:
        tell: gets a sentence where the library cannot be asked, or what it has to say.
    """
    written = Path(record.model)
    if is_file(written) and _is_of(record, written):
        return written
    if record.origin is None:
        return None
    try:
        models = Library(tell).models()
    except LibraryError as error:
        tell(f"{error.what} So a model that was renamed is not found. {error.fix}")
        return None
    alike = (entry.path for entry in models if entry.origin == record.origin and entry.is_there)
    return next((path for path in alike if _came_of(record, path)), None)


def _is_of(record: RunRecord, written: Path) -> bool:
    """Whether the file at the place of a training's model is that model."""
    try:
        header = read_header(written)
    except ModelFileError:  # being replaced, or damaged: whoever opens it will be told
        return True
    return origin_of(header) == record.origin or _names(record, header)


def _came_of(record: RunRecord, model: Path) -> bool:
    """Whether a model names the run of that training; others have the codec in common with it, as those of a sweep do."""
    try:
        return _names(record, read_header(model))
    except ModelFileError:  # being replaced, or damaged
        return False


def _names(record: RunRecord, header: Header) -> bool:
    return run_of(header, record.kind) == Path(record.events).parent.name
