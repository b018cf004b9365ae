"""The reports beside a model."""

from glob import escape
from pathlib import Path

from distill.files.regular import is_there
from distill.library import ModelEntry
from distill.web import places


def reports_of(entry: ModelEntry) -> list[Path]:
    """Those beside a model that are called as it is, or as it was when it was trained, unless another one is called so now."""
    folder = entry.path.parent
    trained = (Path(run.model) for run in places.library().runs(entry.origin))
    former = {path.stem for path in trained if path.parent == folder and not is_there(path)}
    return sorted(page for stem in former | {entry.path.stem} for page in folder.glob(f"{escape(stem)}-*.html"))
