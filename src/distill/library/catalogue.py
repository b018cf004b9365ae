"""What the library holds, and how models, runs and generations are added to it."""

import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from distill.errors import LibraryError, ModelFileError
from distill.files.atomic import append_line, mark, written_aside
from distill.files.home import as_found, as_noted, home
from distill.files.regular import absolute, is_file, is_there
from distill.library.database import BUSY_SECONDS, Database
from distill.library.rebuilding import Found, find_everything
from distill.library.records import GenerationRecord, ModelEntry, RunRecord, recovered, stored, to_json

R = TypeVar("R")

JOURNAL = "generations.jsonl"
"""Beside the database: every generation, one a line; one that was renamed has a further line."""
DELETED = "deleted"
"""Beside the database: an empty file for every piece that was deleted, named by its number, so that none comes back when the
database is rebuilt."""

_LARGEST = 2**63 - 1
"""Numbers of more than 64 bits SQLite does not take."""
_NEXT_PLACED = "SELECT COALESCE(MAX(placed), 0) + 1 FROM generations"


class Library:
    """The library in Distill's own folder.

    Every method raises LibraryError if the database cannot be used.

    Args:
        tell: called with a sentence that a person should read, such as that a damaged library was made anew.
        busy_seconds: how long to wait for another process's transaction.
    """

    def __init__(self, tell: Callable[[str], None], busy_seconds: float = BUSY_SECONDS) -> None:
        self._tell = tell
        self._database = Database(home() / "library.db", self._fill, tell, busy_seconds)

    # Models

    def models(self) -> list[ModelEntry]:
        """All models, the newest first. Files that have changed are read again; those that are gone are marked."""
        entries = map(self._seen, self._database.read(_all(_model, "SELECT * FROM models")))
        return sorted(entries, key=lambda entry: (entry.created, entry.name), reverse=True)

    def note_model(self, path: Path) -> ModelEntry:
        """Adds a model file to the library, or reads it again. The same model goes off the list where it was and is gone from.

        Raises:
            ModelFileError: if it is not a model file.
        """
        entry = ModelEntry.read(path)
        alike = _all(_model, "SELECT * FROM models WHERE digest = ? AND origin = ?", entry.digest, entry.origin)

        def note(connection: sqlite3.Connection) -> None:
            _insert_model(connection, entry)
            for one in alike(connection):
                if one.name == entry.name and not is_there(one.path):
                    _delete_model(connection, one.path)

        self._database.write(note)
        return entry

    def look_at_model(self, path: Path) -> ModelEntry:
        """The same for whoever only reads: a library on a disk that is only read is no obstacle.

        Raises:
            ModelFileError: if it is not a model file.
        """
        try:
            return self.note_model(path)
        except LibraryError:
            if self._database.can_be_written():
                raise
            return ModelEntry.read(path)

    def forget_model(self, path: Path) -> None:
        """Removes a file from the list; its runs and generations are kept."""
        self._database.write(lambda connection: _delete_model(connection, path))

    # Runs

    def save_run(self, run: RunRecord) -> None:
        """Notes a run, or how it ended, in its own folder and in the database.

        Raises:
            OutputError: if its folder cannot be written to.
        """
        if run.record.parent.parent == absolute(home() / "runs"):
            with written_aside(run.record) as aside:
                aside.write_text(to_json(run), encoding="utf-8")
        self._database.write(lambda connection: _insert_run(connection, run))

    def runs(self, origin: str | None = None) -> list[RunRecord]:
        """The runs of one model, or of all, the oldest first."""
        return self._database.read(
            _all(_run, "SELECT * FROM runs WHERE ?1 IS NULL OR origin = ?1 ORDER BY started", origin)
        )

    # Generations

    def add_generations(self, generations: list[GenerationRecord]) -> list[GenerationRecord]:
        """Notes new audio, and gives each piece its number."""

        def note(connection: sqlite3.Connection) -> list[GenerationRecord]:
            numbered = [replace(one, id=_insert_generation(connection, one)) for one in generations]
            _note_in_journal(numbered)
            return numbered

        return self._database.write(note)

    def generation(self, number: int) -> GenerationRecord:
        """One piece by its number.

        Raises:
            LibraryError: if there is no such piece.
        """
        known = _all(_generation, "SELECT * FROM generations WHERE id = ?", number)
        found = self._database.read(known) if abs(number) <= _LARGEST else []
        if not found:
            raise LibraryError(
                f"There is no piece {number} in the library.", "See the numbers with: distill pieces list"
            )
        return found[0]

    def generations(self, origin: str | None = None) -> list[GenerationRecord]:
        """The pieces made with one model, or with all, the oldest first; without those that were deleted."""
        every = "SELECT * FROM generations WHERE ?1 IS NULL OR origin = ?1 ORDER BY id"
        gone = {one.name for one in (home() / DELETED).glob("*")}
        return [one for one in self._database.read(_all(_generation, every, origin)) if str(one.id) not in gone]

    def there(self, generations: Iterable[GenerationRecord]) -> set[int]:
        """The numbers of those whose files are there.

        A piece that was lost or deleted leaves its name to another. Of those of one name, the file is that of the piece that
        was put there last: noted, renamed or restored.
        """
        query = "SELECT file, id FROM (SELECT file, id, MAX(placed) FROM generations GROUP BY file)"
        own = absolute(home())
        last = self._database.read(lambda rows: {as_found(file, own): number for file, number in rows.execute(query)})
        return {one.id for one in generations if one.id and last.get(one.file) == one.id and is_file(Path(one.file))}

    def forget_generation(self, number: int) -> None:
        """Removes a piece from the list; :meth:`generation` still knows how it was made.

        Raises:
            OutputError: if that cannot be noted.
        """
        mark(home() / DELETED / str(number), is_set=True)

    def recall_generation(self, number: int, file: Path) -> None:
        """Puts a piece on the list again, which is at ``file`` now.

        Raises:
            LibraryError: if there is no such piece.
            OutputError: if that cannot be noted.
        """
        self.move_generation(number, file)
        mark(home() / DELETED / str(number), is_set=False)

    def move_generation(self, number: int, file: Path) -> GenerationRecord:
        """Notes that a piece's file is ``file`` now, and no other piece's, also for a database that is rebuilt.

        Raises:
            LibraryError: if there is no such piece.
        """
        moved = replace(self.generation(number), file=_text(absolute(file)))

        def note(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"UPDATE generations SET file = ?, placed = ({_NEXT_PLACED}) WHERE id = ?",
                (as_noted(moved.file), number),
            )
            _note_in_journal([moved])

        self._database.write(note)
        return moved

    def _seen(self, entry: ModelEntry) -> ModelEntry:
        """The entry, brought up to date with its file."""
        try:
            status = entry.path.stat()
        except OSError:
            return replace(entry, is_there=False)
        if (status.st_size, status.st_mtime_ns) == (entry.size, entry.modified):
            return entry
        try:
            return self.look_at_model(entry.path)
        except ModelFileError as error:
            self._tell(f"{error.what} {error.fix}")
            return replace(entry, is_there=False)

    def _fill(self, connection: sqlite3.Connection, damaged: Path | None) -> None:
        found: Found = find_everything(home() / JOURNAL, damaged, self._tell)
        for entry in found.models:
            _insert_model(connection, entry)
        for run in found.runs:
            _insert_run(connection, run)
        for generation in found.generations:
            _insert_generation(connection, generation)


def _note_in_journal(generations: list[GenerationRecord]) -> None:
    """Adds a line for each piece, of which the last counts. Within a transaction, so that no two processes write at once."""
    for one in generations:
        append_line(home() / JOURNAL, to_json(one))


def _insert_model(connection: sqlite3.Connection, entry: ModelEntry) -> None:
    fields = asdict(entry)
    del fields["is_there"]
    where = as_noted(_text(entry.path))
    _insert(connection, "models", fields | {"path": where, "recordings": json.dumps(entry.recordings)})


def _delete_model(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("DELETE FROM models WHERE path = ?", (as_noted(_text(path)),))


def _insert_run(connection: sqlite3.Connection, run: RunRecord) -> None:
    fields = stored(asdict(run))
    del fields["process"]
    encoded = {name: json.dumps(fields[name], default=str) for name in ("settings", "figures", "curves")}
    paths = {name: _text(fields[name]) for name in ("model", "folder", "events")}
    _insert(connection, "runs", fields | encoded | paths)


def _insert_generation(connection: sqlite3.Connection, generation: GenerationRecord) -> int | None:
    fields = stored(asdict(generation))
    encoded = {name: json.dumps(fields[name], default=str) for name in ("shares", "request")}
    (placed,) = connection.execute(_NEXT_PLACED).fetchone()
    return _insert(connection, "generations", fields | encoded | {"file": _text(fields["file"]), "placed": placed})


def _all(
    decode: Callable[[sqlite3.Row, Path], R], statement: str, *values: str | int | None
) -> Callable[[sqlite3.Connection], list[R]]:
    own = absolute(home())
    return lambda connection: [decode(row, own) for row in connection.execute(statement, values)]


def _insert(connection: sqlite3.Connection, table: str, fields: dict[str, Any]) -> int | None:
    """The number of the row, which takes the place of one with the same key."""
    names, marks = ", ".join(fields), ", ".join("?" * len(fields))
    # Text from elsewhere, such as names of recordings, may not be valid Unicode; only paths must be kept exactly.
    values = [value.encode(errors="replace").decode() if isinstance(value, str) else value for value in fields.values()]
    return connection.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", values).lastrowid


def _model(row: sqlite3.Row, own: Path) -> ModelEntry:
    fields = _decoded(row, own, "recordings")
    return ModelEntry(
        **fields
        | {
            "path": Path(fields["path"]),
            "recordings": tuple(fields["recordings"]),
            "has_prior": bool(fields["has_prior"]),
        }
    )


def _run(row: sqlite3.Row, own: Path) -> RunRecord:
    return RunRecord(**_decoded(row, own, "settings", "figures", "curves"))


def _generation(row: sqlite3.Row, own: Path) -> GenerationRecord:
    fields = _decoded(row, own, "shares", "request")
    del fields["placed"]
    return GenerationRecord(**fields)


def _decoded(row: sqlite3.Row, own: Path, *names: str) -> dict[str, Any]:
    fields = dict(row)
    decoded: dict[str, Any] = recovered(fields | {name: json.loads(fields[name]) for name in names}, own)
    return decoded


def _text(path: Path | str) -> str:
    """The path as text that can be stored.

    Raises:
        LibraryError: if its name is not text (on Linux, any bytes can be a name).
    """
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LibraryError(
            f"{text.encode(errors='replace').decode()} cannot be noted in the library: its name is not valid text.",
            "Rename it.",
        ) from error
    return text
