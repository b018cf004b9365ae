"""The SQLite file: opened briefly each time, by any number of processes at once, and made anew when it is damaged.

Readers never wait for a writer (WAL), writers wait for each other, and a transaction that is going to write says so at its
beginning, because one that turns from reading to writing cannot wait (https://www.sqlite.org/isolation.html).
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from distill.errors import LibraryError, OutputError
from distill.files.atomic import ensure_writable, output_error
from distill.files.home import make_folders
from distill.files.installing import UPDATE
from distill.files.names import free_path
from distill.library import schema

T = TypeVar("T")

BUSY_SECONDS = 60.0
"""Each transaction takes milliseconds."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
"""The last one means that the tables are not as they should be, as the statements themselves never change."""


class Database:
    """The library's file.

    Args:
        fill: writes everything that can be found elsewhere into a database that has just been made; its second argument
            is the damaged one, if there was one.
        tell: called with a sentence that a person should read.
        busy_seconds: how long to wait for another process's transaction.
    """

    def __init__(
        self,
        path: Path,
        fill: Callable[[sqlite3.Connection, Path | None], None],
        tell: Callable[[str], None],
        busy_seconds: float = BUSY_SECONDS,
    ) -> None:
        self.path, self._fill, self._tell, self._busy_seconds = path, fill, tell, busy_seconds

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What ``work`` reads. If it cannot make sense of what it finds, the database is made anew and read again.

        Raises:
            LibraryError: if the database cannot be used.
        """
        try:
            return self._tried(work, sqlite3.DatabaseError, ValueError, TypeError)
        except LibraryError as error:
            if not self.path.is_file() or not isinstance(error.__cause__, sqlite3.Error) or self.can_be_written():
                raise
        with self._in_words(), TemporaryDirectory(prefix="distill-") as folder:
            return self._read_copy(Path(folder), work)

    def can_be_written(self) -> bool:
        """Whether anything can be written where the database is."""
        try:
            ensure_writable(self.path.parent)
        except OutputError:
            return False
        return True

    def _read_copy(self, folder: Path, work: Callable[[sqlite3.Connection], T]) -> T:
        """What ``work`` reads in a copy: beside a database on a read-only disk SQLite cannot make the files that it needs."""
        for ending in ("", "-wal"):
            part = self.path.with_name(self.path.name + ending)
            if part.exists():
                shutil.copyfile(part, folder / part.name)
        copy = Database(folder / self.path.name, self._fill, self._tell)
        with closing(copy._opened()) as connection:
            return work(connection)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does ``work`` in one transaction: all of it counts, or none.

        Raises:
            LibraryError: if the database cannot be used.
        """

        def whole(connection: sqlite3.Connection) -> T:
            with _transaction(connection):
                return work(connection)

        return self._tried(whole, sqlite3.DatabaseError)

    def _tried(self, work: Callable[[sqlite3.Connection], T], *mendable: type[Exception]) -> T:
        with self._in_words():
            file = self._file()  # before it is opened: at any time another process may have made it anew
            try:
                with closing(self._opened()) as connection:
                    return work(connection)
            except mendable as error:
                if isinstance(error, sqlite3.Error) and not _is_damage(error):
                    raise
                with closing(self._prepared(damaged_file=file)) as connection:
                    return work(connection)

    def _file(self) -> int | None:
        """What tells the file from one that is made anew in its place; None where there is none."""
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return None

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
                UPDATE,
            )
        return connection

    def _sound(self) -> sqlite3.Connection | None:
        """The file as it is; None if it is damaged."""
        make_folders(self.path.parent)
        connection = self._connected()
        try:
            is_sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if isinstance(error, sqlite3.DatabaseError) and not _is_damage(error):
                connection.close()
                raise
            is_sound = False
        if not is_sound:
            connection.close()
        return connection if is_sound else None

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self._busy_seconds, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection

    def _prepared(self, damaged_file: int | None = None) -> sqlite3.Connection:
        """Makes the database, mends it or brings it up to date; one process at a time, the others find it done.

        Args:
            damaged_file: the one of which no sense could be made.
        """
        with self._lock():
            connection, damaged = self._sound(), None
            is_damaged = damaged_file is not None and self._file() == damaged_file
            if connection is not None and is_damaged:
                connection.close()
            if connection is None or is_damaged:
                damaged = self._set_aside()
                connection = self._connected()
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
                f"The library was damaged. It is in {damaged} now, and a new one was made from the models, trainings and "
                "pieces that could be found."
            )
        return connection

    @contextmanager
    def _lock(self) -> Iterator[None]:
        import filelock

        lock = filelock.FileLock(self.path.with_suffix(".lock"), timeout=self._busy_seconds)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise self._refused("another process is making it") from error
        try:
            yield
        finally:
            lock.release()

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
            raise self._unwritable(output_error(self.path, error)) from error
        except sqlite3.Error as error:
            try:
                ensure_writable(self.path.parent)  # SQLite says no more than that it cannot open it
            except OutputError as refusal:
                raise self._unwritable(refusal) from error
            is_busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            raise self._refused("another process is writing to it" if is_busy else str(error)) from error

    @staticmethod
    def _unwritable(refusal: OutputError) -> LibraryError:
        return LibraryError(refusal.what, f"{refusal.fix} DISTILL_HOME says where the library is.")

    def _refused(self, reason: str) -> LibraryError:
        return LibraryError(
            f"The library {self.path} cannot be used: {reason}.",
            "Try again. If that does not help, move the file away: a new one is made from the models, trainings and pieces "
            "there are.",
        )


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python's own word for text that is garbled
        return isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in _DAMAGED


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
