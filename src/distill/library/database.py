"""The SQLite file: opened for a moment at a time, by any number of processes at once, and made anew when it is damaged.

Readers never wait for a writer (WAL), writers wait for each other, and a transaction that is going to write says so at its
beginning, because one that turns from reading to writing cannot wait (https://www.sqlite.org/isolation.html).
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import filelock

from distill.atomic import output_error
from distill.errors import LibraryError
from distill.library import schema
from distill.outputs import free_path

BUSY_SECONDS = 60.0
"""How long one waits for another's transaction; each takes milliseconds."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Database:
    """The library's file.

    Args:
        fill: writes everything that can be found elsewhere into a database that has just been made; its second argument
            is the damaged one, if there was one.
        tell: hears, in a sentence, what a person should know.
    """

    def __init__(
        self, path: Path, fill: Callable[[sqlite3.Connection, Path | None], None], tell: Callable[[str], None]
    ) -> None:
        self.path, self._fill, self._tell = path, fill, tell

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read from.

        Raises:
            LibraryError: if the database cannot be used.
        """
        with self._in_words(), closing(self._opened()) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it counts, or none.

        Raises:
            LibraryError: if the database cannot be used.
        """
        with self._in_words(), closing(self._opened()) as connection, _transaction(connection):
            yield connection

    def _opened(self) -> sqlite3.Connection:
        connection = self._sound()
        if connection is None or schema.version(connection) < len(schema.MIGRATIONS):
            if connection is not None:
                connection.close()
            connection = self._prepared()
        if schema.version(connection) > len(schema.MIGRATIONS):
            connection.close()
            raise LibraryError(
                f"The library {self.path} was written by a newer Distill.",
                "Update Distill: pip install -U distill-audio",
            )
        return connection

    def _sound(self) -> sqlite3.Connection | None:
        """The file as it is; None if it is damaged."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            is_sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _DAMAGED:
                connection.close()
                raise
            is_sound = False
        if not is_sound:
            connection.close()
        return connection if is_sound else None

    def _prepared(self) -> sqlite3.Connection:
        """Makes the database, mends it or brings it up to date; one process at a time, the others find it done."""
        with filelock.FileLock(self.path.with_suffix(".lock"), timeout=BUSY_SECONDS):
            connection, damaged = self._sound(), None
            if connection is None:
                damaged = self._set_aside()
                connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
                connection.row_factory = sqlite3.Row
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                with _transaction(connection):
                    is_new = schema.version(connection) == 0
                    schema.migrate(connection)
                    if is_new:
                        self._fill(connection, damaged)
            except BaseException:
                connection.close()
                raise
        if damaged is not None:
            self._tell(
                f"The library was damaged. It lies in {damaged} now, and a new one was made from the models, runs and "
                "generations that could be found."
            )
        return connection

    def _set_aside(self) -> Path:
        aside = free_path(self.path.with_name(f"{self.path.stem}-damaged-{datetime.now(UTC):%Y%m%d-%H%M%S}.db"))
        for ending in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + ending)
            if part.exists():
                part.replace(aside.with_name(aside.name + ending))
        return aside

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            refusal = output_error(self.path, error)
            raise LibraryError(refusal.what, f"{refusal.fix} DISTILL_HOME says where the library is.") from error
        except filelock.Timeout as error:
            raise self._refused("another process is making it") from error
        except sqlite3.Error as error:
            raise self._refused(str(error)) from error

    def _refused(self, reason: str) -> LibraryError:
        return LibraryError(
            f"The library {self.path} cannot be used: {reason}.",
            "Try again. If that does not help, move the file away: a new one is made from the models and runs there are.",
        )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
