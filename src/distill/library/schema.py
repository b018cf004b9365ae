"""The tables, and the steps that bring a database of any age to the newest schema, all or none."""

import sqlite3
from collections.abc import Sequence

from distill.files.home import as_noted

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE models (
            path TEXT PRIMARY KEY,        -- absolute
            digest TEXT NOT NULL,         -- SHA-256 of all tensors in the file
            origin TEXT NOT NULL,         -- the same for all files that come from one training of a codec
            created TEXT NOT NULL,
            file_count INTEGER NOT NULL,  -- recordings
            seconds REAL NOT NULL,        -- of recordings
            codec_distance REAL,
            perplexity REAL,
            has_prior INTEGER NOT NULL,
            recordings TEXT NOT NULL,     -- JSON: their names
            size INTEGER NOT NULL,        -- of the file, bytes
            modified INTEGER NOT NULL     -- the file's, nanoseconds: a file that changed is read again
        )""",
        """CREATE TABLE runs (
            kind TEXT NOT NULL,           -- codec, refinement or prior
            model TEXT NOT NULL,          -- path at that time
            origin TEXT,                  -- of the model; NULL until a codec is written for the first time
            folder TEXT NOT NULL,         -- of the recordings
            events TEXT NOT NULL,
            started TEXT NOT NULL,
            ended TEXT,
            outcome TEXT NOT NULL,        -- unfinished, finished, stopped, interrupted or failed
            message TEXT NOT NULL,        -- what went wrong
            settings TEXT NOT NULL,       -- JSON
            figures TEXT NOT NULL,        -- JSON
            curves TEXT NOT NULL,         -- JSON
            PRIMARY KEY (events, kind, started)
        )""",
        "CREATE INDEX runs_of_a_model ON runs (origin)",
        """CREATE TABLE generations (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            made TEXT NOT NULL,
            model TEXT,                   -- path at that time, if it had one
            digest TEXT NOT NULL,         -- of the model
            origin TEXT NOT NULL,
            file TEXT NOT NULL,
            sound TEXT NOT NULL,          -- SHA-256 of the samples in that file
            seed INTEGER NOT NULL,
            verdict TEXT NOT NULL,        -- where it came from, in words
            shares TEXT NOT NULL,         -- JSON: of seconds that are original, close, copy
            request TEXT NOT NULL         -- JSON: what was asked for
        )""",
        "CREATE INDEX generations_of_a_model ON generations (origin)",
    ),
    (
        # Grows with every piece that is noted, renamed or restored: of those of one file, the highest has it.
        "ALTER TABLE generations ADD COLUMN placed INTEGER NOT NULL DEFAULT 0",
        "UPDATE generations SET placed = id",
        "CREATE INDEX generations_as_placed ON generations (placed)",
    ),
    (
        # Paths in Distill's own folder begin there from now on, so that the folder can be moved.
        "UPDATE models SET path = as_noted(path)",
        "UPDATE runs SET model = as_noted(model), folder = as_noted(folder), events = as_noted(events)",
        "UPDATE generations SET file = as_noted(file)",
        "UPDATE generations SET model = as_noted(model) WHERE model IS NOT NULL",
    ),
)
"""Each step is a list of statements. A step that was released is never changed; the next change is a new step."""


def version(connection: sqlite3.Connection) -> int:
    """How many steps this database has been through."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, steps: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Takes the missing ones of the steps. The caller has opened a transaction, so all of them count or none."""
    connection.create_function("as_noted", 1, as_noted)
    for number, statements in enumerate(steps[version(connection) :], version(connection) + 1):
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
