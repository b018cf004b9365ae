"""Where the model of a training is now: a run names it by the path at which it was written."""

from collections.abc import Callable
from pathlib import Path

from distill.errors import LibraryError, ModelFileError
from distill.library import Library
from distill.library.records import RunRecord
from distill.models.header import read_header
from distill.runs.copies import run_of


def model_of(record: RunRecord, tell: Callable[[str], None] = lambda words: None) -> Path:
    """Where the model of a training is: where it was written or, if it was renamed since, where the library has it.

    Args:
        tell: gets a sentence where the library cannot be asked, or what it has to say.
    """
    written = Path(record.model)
    if record.origin is None or written.exists():
        return written
    try:
        models = Library(tell).models()
    except LibraryError as error:
        tell(f"{error.what} So a model that was renamed is not found. {error.fix}")
        return written
    alike = (entry.path for entry in models if entry.origin == record.origin and entry.is_there)
    return next((path for path in alike if _came_of(record, path)), written)


def _came_of(record: RunRecord, model: Path) -> bool:
    """Whether a model names the run of that training; others have the codec in common with it, as those of a sweep do."""
    try:
        return run_of(read_header(model), record.kind) == Path(record.events).parent.name
    except ModelFileError:  # being replaced, or damaged: whoever opens it will be told
        return False
