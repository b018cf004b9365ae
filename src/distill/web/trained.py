"""What came of a training: its model, wherever that is by now, and the reports beside a model."""

from glob import escape
from pathlib import Path

from distill.errors import ModelFileError
from distill.library import ModelEntry, RunRecord
from distill.models.header import read_header
from distill.runs.copies import run_of
from distill.web import places


def model_of(record: RunRecord) -> Path:
    """Where the model of a training is: where it was written or, if it was renamed since, where the library has it."""
    written = Path(record.model)
    if record.origin is None or written.exists():
        return written
    alike = (entry.path for entry in places.library().models() if entry.origin == record.origin and entry.is_there)
    return next((path for path in alike if _came_of(record, path)), written)


def _came_of(record: RunRecord, model: Path) -> bool:
    """Whether a model names the run of that training; others have the codec in common with it, as those of a sweep do."""
    try:
        return run_of(read_header(model), record.kind) == Path(record.events).parent.name
    except ModelFileError:  # being replaced, or damaged: whoever opens it will be told
        return False


def reports_of(entry: ModelEntry) -> list[Path]:
    """Those beside a model that are called as it is, or as it was when it was trained, unless another one is called so now."""
    folder = entry.path.parent
    trained = (Path(run.model) for run in places.library().runs(entry.origin))
    former = {path.stem for path in trained if path.parent == folder and not path.exists()}
    return sorted(page for stem in former | {entry.path.stem} for page in folder.glob(f"{escape(stem)}-*.html"))
