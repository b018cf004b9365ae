"""The library's file: of any age, used by many at once, and damaged."""

import errno
import json
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distill.errors import LibraryError, OutputError
from distill.files.home import home
from distill.library import GenerationRecord, Library, RunRecord, database, schema

FIRST = (Path(__file__).parent / "first_schema.sql").read_text(encoding="utf-8")


def in_first_schema(path: Path) -> None:
    """A library of the first Distill that had one, with a run and a piece."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST)
        connection.execute(
            "INSERT INTO runs VALUES ('prior', '/m/a.distill', 'o', '/r', '/e.jsonl', '2026', NULL, 'unfinished', '', "
            """'{"seed": 1}', '{}', '{"val_loss": [2.0, 1.5]}')"""
        )
        connection.execute(
            "INSERT INTO generations VALUES (7, '2026', NULL, 'd', 'o', '/a.wav', 's', 5, 'silent', '{}', '{\"count\": 1}')"
        )
        connection.commit()


def shape(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        return [(name, connection.execute(f"PRAGMA table_info({name})").fetchall()) for (name,) in tables]


def test_the_first_schema_is_brought_up_to_date_with_all_that_is_in_it(library: Library, tmp_path: Path) -> None:
    """Guards against a step that was changed after it had been released, and against one that loses rows."""
    in_first_schema(home() / "library.db")
    (run,) = library.runs()
    assert (run.settings, run.curves, run.outcome) == ({"seed": 1}, {"val_loss": [2.0, 1.5]}, "unfinished")
    (piece,) = library.generations()
    assert (piece.id, piece.seed, piece.request) == (7, 5, {"count": 1})
    fresh = tmp_path / "fresh.db"
    database.Database(fresh, lambda *_: None, pytest.fail).read(schema.version)
    assert shape(home() / "library.db") == shape(fresh)


def test_of_two_pieces_of_one_file_in_an_old_library_the_later_one_has_it(library: Library, tmp_path: Path) -> None:
    """Guards against a step that forgets which piece was put at its place last: all that were noted before would be alike."""
    path, file = home() / "library.db", tmp_path / "b.wav"
    in_first_schema(path)
    file.touch()
    with closing(sqlite3.connect(path)) as connection:
        for number in (8, 9):
            connection.execute(
                f"INSERT INTO generations VALUES ({number}, '2026', NULL, 'd', 'o', ?, 's', 5, '', '{{}}', '{{}}')",
                (str(file),),
            )
        connection.commit()
    assert library.there(library.generations()) == {9}


def test_a_step_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """Guards against a database that is half old and half new after a crash."""
    path = tmp_path / "library.db"
    in_first_schema(path)
    before = shape(path)
    steps = ("ALTER TABLE runs ADD COLUMN mood TEXT", "DELETE FROM generations", "INSERT INTO nowhere VALUES (1)")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="nowhere"), database._transaction(connection):
            schema.migrate(connection, (*schema.MIGRATIONS, steps))
        assert schema.version(connection) == 1
        assert connection.execute("SELECT count(*) FROM generations").fetchone() == (1,)
    assert shape(path) == before
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with database._transaction(connection):
            schema.migrate(connection, (*schema.MIGRATIONS, steps[:1]))
        assert schema.version(connection) == len(schema.MIGRATIONS) + 1
    assert shape(path) != before


def test_a_library_of_a_newer_distill_is_left_alone(library: Library, piece: Callable[..., GenerationRecord]) -> None:
    library.add_generations([piece()])
    with closing(sqlite3.connect(home() / "library.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = (home() / "library.db").read_bytes()
    for use in (library.models, lambda: library.add_generations([piece()])):
        with pytest.raises(LibraryError, match="newer Distill"):
            use()
    assert (home() / "library.db").read_bytes() == before


def garbage(content: bytes) -> bytes:
    return bytes(range(256)) * 64


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def holed(content: bytes) -> bytes:
    """As a bad disk leaves it: the pages behind the first are noise."""
    return content[:4096] + bytes(7 * number % 251 for number in range(len(content) - 4096))


def garbled_json(content: bytes) -> bytes:
    """Nothing that SQLite itself would notice."""
    assert b'{"kind": "audio"' in content
    return content.replace(b'{"kind": "audio"', b'{"kind" ? "audio"')


@pytest.mark.parametrize("damage", [garbage, cut, holed, garbled_json])
def test_a_damaged_library_is_set_aside_and_made_anew(
    damage: Callable[[bytes], bytes],
    library: Library,
    told: list[str],
    run: Callable[..., RunRecord],
    piece: Callable[..., GenerationRecord],
) -> None:
    """Guards against a person who loses what was noted in months to one bad sector."""
    for number in range(3):
        library.save_run(run(number))
        library.save_run(run(number, outcome="finished", curves={"val_loss": [3.0, 2.5]}))
    noted = library.add_generations([piece(seed) for seed in range(20)])
    before = library.runs()
    path = home() / "library.db"
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)

    assert library.generations() == noted
    assert library.runs() == before
    (aside,) = home().glob("library-damaged-*.db")
    assert aside.read_bytes() == damaged
    assert len(told) == 1
    assert str(aside) in told[0]
    assert library.add_generations([piece()])[0].id == 21
    assert len(told) == 1


def test_damage_that_several_readers_notice_at_once_is_set_aside_once(tmp_path: Path) -> None:
    """Guards against a library that is made anew for each reader in turn, and set aside as damaged when it was just mended."""
    path, told, meeting = tmp_path / "library.db", list[str](), threading.Barrier(3)

    def read(connection: sqlite3.Connection) -> str:
        if connection.execute("SELECT count(*) FROM runs WHERE curves = '{'").fetchone()[0]:
            meeting.wait(20)
            raise ValueError("it makes no sense")
        return "sound"

    one = database.Database(path, lambda *_: None, told.append)
    with closing(sqlite3.connect(path)) as connection:
        assert one.read(read) == "sound"
        connection.execute("INSERT INTO runs VALUES ('codec', '', '', '', '', '2026', NULL, '', '', '{}', '{}', '{')")
        connection.commit()
    with ThreadPoolExecutor(3) as readers:
        assert list(readers.map(lambda _: one.read(read), range(3))) == ["sound"] * 3
    assert len(list(tmp_path.glob("library-damaged-*.db"))) == 1
    assert len(told) == 1


def test_what_cannot_be_read_is_told_and_the_rest_is_kept(
    library: Library, told: list[str], run: Callable[..., RunRecord], piece: Callable[..., GenerationRecord]
) -> None:
    library.save_run(run(0))
    library.save_run(run(1))
    library.add_generations([piece(0), piece(1)])
    run(0).record.write_text("{")
    with (home() / "generations.jsonl").open("a") as lines:
        lines.write('{"seed": "none"}\n')
    (home() / "library.db").unlink()
    assert [one.settings["seed"] for one in library.runs()] == [1]
    assert [one.seed for one in library.generations()] == [0, 1]
    (words,) = told
    assert str(run(0).record) in words
    assert "line 3" in words


def test_a_model_on_a_disk_that_is_gone_is_left_out_and_told(
    library: Library,
    told: list[str],
    piece: Callable[..., GenerationRecord],
    tmp_path: Path,
    unreachable: Callable[[Path, int], None],
) -> None:
    """Guards against a library that cannot be used at all, "cannot be written", as one of its models may not be looked at."""
    far, gone = tmp_path / "far.distill", tmp_path / "gone.distill"
    library.add_generations([piece(0, model=str(far)), piece(1, model=str(gone))])
    (home() / "library.db").unlink()
    unreachable(far, errno.EACCES)
    assert [one.seed for one in library.generations()] == [0, 1]
    assert told == [f"Left out of the library, as they cannot be read: {far}."]


def test_a_home_that_is_reached_by_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., RunRecord]
) -> None:
    """Guards against runs that are noted in the database alone, because their folder looks like somebody else's."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "home"))
    library = Library(pytest.fail)
    one = run(0)
    one = replace(one, events=str(Path(one.events).resolve()))
    library.save_run(one)
    (home() / "library.db").unlink()
    assert library.runs() == [one]


def test_a_run_elsewhere_leaves_nothing_beside_its_events(
    library: Library, run: Callable[..., RunRecord], tmp_path: Path
) -> None:
    """Guards against files in a folder that the person named for something else."""
    library.save_run(run(0, events=str(tmp_path / "events.jsonl")))
    assert len(library.runs()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_line_cut_short_by_a_crash_takes_no_other_with_it(
    library: Library, told: list[str], piece: Callable[..., GenerationRecord]
) -> None:
    library.add_generations([piece(0)])
    with (home() / "generations.jsonl").open("a") as lines:
        lines.write('{"made": "20')
    library.add_generations([piece(1)])
    (home() / "library.db").unlink()
    assert [one.seed for one in library.generations()] == [0, 1]
    assert "line 2" in told[0]


def test_it_is_refused_in_words_while_another_holds_it(piece: Callable[..., GenerationRecord]) -> None:
    library = Library(pytest.fail, busy_seconds=0.05)
    library.add_generations([piece()])
    with closing(sqlite3.connect(home() / "library.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(library.generations()) == 1  # reading goes on
        with pytest.raises(LibraryError, match="is writing to it") as refused:
            library.add_generations([piece()])
        assert "locked" not in str(refused.value)
    assert len((home() / "generations.jsonl").read_text().splitlines()) == 1


WORK = textwrap.dedent("""
    import json, sys
    from distill.files.home import home
    from distill.library import GenerationRecord, Library, RunRecord

    def tell(text):
        raise SystemExit(text)

    role, who, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
    library = Library(tell)
    for number in range(times):
        if role == "train":
            events = home() / "runs" / f"{who}-{number}" / "events.jsonl"
            run = RunRecord("codec", f"/{who}.distill", "/r", str(events), f"2026-{number}", {"number": number})
            library.save_run(run)
            library.save_run(RunRecord(**{**run.__dict__, "outcome": "finished"}))
        elif role == "make":
            made = library.add_generations(
                [GenerationRecord("2026", None, "d", "o", f"/{who}-{number}-{k}", "s", k, "v", {}, {}) for k in range(2)]
            )
            assert made[1].id == made[0].id + 1
        else:
            library.models()
            seen = [piece.file for piece in library.generations()]
            assert len(seen) % 2 == 0, "half of somebody's transaction"
    print("done")
""")


def test_many_processes_at_once_on_a_library_that_is_not_there_yet(
    library: Library, start_process: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """Guards against 'database is locked', against two that make the library, and against numbers given twice.

    Training, generating and reading begin together, two processes each.
    """
    times = 12
    calls = [
        [sys.executable, "-c", WORK, role, f"{role}{k}", str(times)] for role in ("train", "make", "read") for k in "ab"
    ]
    workers = [start_process(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for call in calls]
    for worker in workers:
        out, err = worker.communicate(timeout=600)
        assert (worker.returncode, out, err) == (0, "done\n", "")
    runs, pieces = library.runs(), library.generations()
    assert len(runs) == 2 * times
    assert {run.outcome for run in runs} == {"finished"}
    assert [piece.id for piece in pieces] == list(range(1, 4 * times + 1))
    journal = (home() / "generations.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in journal] == [piece.id for piece in pieces]
    assert not list(home().glob("library-damaged*"))


def test_a_library_on_a_disk_that_is_read_only_is_called_so(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against "unable to open database file. Try again.", which is all that SQLite says of it."""

    def read_only(folder: Path) -> None:
        raise OutputError(f"{folder} cannot be written: the disk is read-only.", "Choose another folder.")

    def refused(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    library.generations()
    monkeypatch.setattr("distill.library.database.ensure_writable", read_only)
    monkeypatch.setattr("sqlite3.connect", refused)
    with pytest.raises(LibraryError, match="read-only") as told:
        library.generations()
    assert "DISTILL_HOME" in told.value.fix


def test_a_library_on_a_read_only_disk_is_read(
    library: Library, run: Callable[..., RunRecord], library_refused: Callable[[bool], None]
) -> None:
    """Guards against a backup that cannot even be listed: SQLite needs to make files beside what it reads."""
    library.save_run(run(1))
    library_refused(False)
    with pytest.raises(LibraryError):
        library.runs()
    library_refused(True)
    assert [one.model for one in library.runs()] == [run(1).model]
    with pytest.raises(LibraryError, match="read-only"):
        library.save_run(run(2))


@pytest.mark.parametrize("number", [3, 2**63, -(2**63) - 1])
def test_a_number_that_no_piece_has(library: Library, number: int) -> None:
    """Guards against a fault of ours where the page is asked for a piece by a number of more than SQLite's 64 bits."""
    with pytest.raises(LibraryError, match=f"no piece {number}"):
        library.generation(number)
