"""Rebuilding a lost database from the run folders, the journal of generations, and the model files these mention."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from distill.errors import ModelFileError
from distill.files.home import as_found, home
from distill.files.names import MODEL_SUFFIX, run_folders
from distill.library.records import GenerationRecord, ModelEntry, RunRecord, from_json


@dataclass(frozen=True)
class Found:
    """Everything that was found."""

    models: list[ModelEntry]
    runs: list[RunRecord]
    generations: list[GenerationRecord]


def find_everything(journal: Path, damaged: Path | None, tell: Callable[[str], None]) -> Found:
    """Reads what is left; what cannot be read is reported and left where it is."""
    unreadable: list[str] = []
    runs = []
    for record in sorted(path for folder in run_folders() for path in folder.glob("[!.]*-*.json")):
        try:
            runs.append(from_json(RunRecord, record.read_bytes()))
        except (ValueError, OSError):
            unreadable.append(str(record))
    generations = []
    for number, line in enumerate(journal.read_bytes().splitlines() if journal.exists() else (), 1):
        try:
            generations.append(from_json(GenerationRecord, line))
        except ValueError:
            unreadable.append(f"{journal}, line {number}")
    paths = {Path(run.model) for run in runs} | {Path(one.model) for one in generations if one.model}
    paths |= set((home() / "models").glob(f"*{MODEL_SUFFIX}")) | _paths_in(damaged)
    models = []
    for path in sorted(paths):
        try:
            if path.suffix == MODEL_SUFFIX and S_ISREG(path.stat().st_mode):
                models.append(ModelEntry.read(path))
        except (FileNotFoundError, NotADirectoryError):  # moved or deleted
            continue
        except (ModelFileError, OSError, ValueError):  # the last where a damaged database names what can be no path
            unreadable.append(str(path))
    if unreadable:
        tell(
            f"Left out of the library, as they cannot be read: {', '.join(unreadable[:5])}{' …' * (len(unreadable) > 5)}."
        )
    return Found(models, runs, generations)


def _paths_in(damaged: Path | None) -> set[Path]:
    """The models that a damaged database still names, as far as it can be read."""
    paths: set[Path] = set()
    if damaged is None:
        return paths
    try:
        with closing(sqlite3.connect(damaged)) as connection:
            for (path,) in connection.execute("SELECT path FROM models"):
                paths.add(Path(as_found(path)))
    except (sqlite3.DatabaseError, TypeError, AttributeError):
        pass  # as far as it can be read
    return paths
