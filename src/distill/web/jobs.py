"""Jobs: work that outlives the page and the server, each a process of its own with a folder of its own.

    jobs/20261126-171500-123456-train/
        job.json        what was asked: kind, title, lane, the commands to run one after the other
        process.json    the process that runs them (runner.py), told from all others as files/process.py does
        running.json    which command is at work, and its process
        progress.json   how far it is, as the commands themselves tell it
        0.out 0.err     what the first command printed; with --json the result is the one, and its words the other
        stop            somebody asked it to stop
        ended.json      exit codes, when all is over

Whoever asks how a job stands reads this folder; nothing is remembered. Jobs of one lane wait for those that came before them,
so a second training waits in line while new audio can still be made. Starting takes a lock: one comes first.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import filelock

from distill.complaints import last_complaint, warnings_in
from distill.errors import LibraryError, OutputError
from distill.files.atomic import make_folder, mark, write_json
from distill.files.home import home
from distill.files.process import lives, process_of

MOST_KEPT = 200
"""Jobs that are over; older ones are forgotten, but for those that hold the figures of a run."""
_PLACE = "%Y%m%d-%H%M%S-%f"
"""How the folder of a job begins, in UTC; its kind follows."""
_LONGEST_START = timedelta(seconds=10)
_started: list["subprocess.Popen[bytes]"] = []
"""Only so that the system can forget those that have ended; nothing is asked of it."""


@dataclass(frozen=True)
class Job:
    """A job as its folder tells it now."""

    folder: Path
    kind: str
    title: str
    lane: str
    commands: list[list[str]]
    about: dict[str, Any]
    """What it belongs to: a collection, a model, the settings that were asked for."""
    created: str
    seconds: list[float | None]
    """About how long each command takes, as far as it is known."""

    @property
    def id(self) -> str:
        """By which the page names it; later jobs sort behind earlier ones."""
        return self.folder.name

    @property
    def running(self) -> dict[str, Any]:
        """The command at work: ``at`` (its number) and ``process``; empty before the first."""
        return _told(self.folder / "running.json")

    @property
    def is_alive(self) -> bool:
        """Whether the process that runs it lives."""
        return bool(lives(_told(self.folder / "process.json") or None))

    @property
    def state(self) -> str:
        """``waiting``, ``running``, ``stopping``, ``finished``, ``stopped``, ``failed`` or ``interrupted``."""
        ended = _told(self.folder / "ended.json")
        if not ended and not self.is_alive:
            ended = _told(self.folder / "ended.json")  # it may have ended between the two looks
            if not ended:
                return "waiting" if self._is_being_started else "interrupted"
        if ended:
            if ended.get("stopped"):
                return "stopped"
            return "finished" if not any(ended["codes"]) else "failed"
        if self.was_stopped:
            return "stopping"
        return "running" if self.running else "waiting"

    @property
    def _is_being_started(self) -> bool:
        """Whether it is noted, and its process is not yet: for a moment, unless the server died in it."""
        age = abs(datetime.now(UTC) - datetime.fromisoformat(self.created))  # the clock may have been set back since
        return not (self.folder / "process.json").exists() and age < _LONGEST_START

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in ("waiting", "running", "stopping")

    @property
    def was_stopped(self) -> bool:
        """Whether somebody asked it to stop."""
        return (self.folder / "stop").exists()

    @property
    def progress(self) -> dict[str, Any]:
        """``step`` (words), ``share`` (0 to 1), ``detail``; empty where nothing was told."""
        return _told(self.folder / "progress.json")

    @property
    def done_at(self) -> datetime | None:
        """When its trainings and first pieces are to be done, by what was asked for; None where that is not known."""
        at = self.running.get("at")
        if at is None or all(words[0] == "generate" for words in self.commands[at:]):
            return None
        known = [seconds for seconds in self.seconds[at:] if seconds is not None]
        if len(known) < len(self.commands[at:]):
            return None
        since = datetime.fromtimestamp((self.folder / "running.json").stat().st_mtime, UTC)
        return since + timedelta(seconds=sum(known))

    @property
    def results(self) -> list[dict[str, Any]]:
        """What each command that is done printed as JSON."""
        return [_told(self.folder / f"{at}.out") for at in range(len(self.commands))]

    @property
    def wrong(self) -> tuple[str, str]:
        """What went wrong and what to do, in the words of the command that failed; empty if nothing did."""
        if self.state == "interrupted":
            return (
                "It ended without a word: the computer was switched off, or the process was killed.",
                "Start it again; a training can go on where it was saved.",
            )
        if self.state != "failed":
            return ("", "")
        at = len(_told(self.folder / "ended.json")["codes"]) - 1
        words = _words(self.folder / f"{at}.err")
        complaint = last_complaint(words)
        if complaint is None:
            *_, last = words.splitlines() or ["It ended without a word."]
            return (last, "Try again; distill doctor checks this computer.")
        return (complaint.what, complaint.fix)

    @property
    def warnings(self) -> list[str]:
        """What the commands of a job that is finished warned of, a sentence or two each; of others, what went wrong is said."""
        if self.state != "finished":
            return []
        return [said for at in range(len(self.commands)) for said in warnings_in(_words(self.folder / f"{at}.err"))]

    @property
    def words(self) -> str:
        """The last lines that the command at work printed for people."""
        at = int(self.running.get("at", 0))
        return "\n".join(_words(self.folder / f"{at}.err").splitlines()[-12:])


def start(
    kind: str,
    title: str,
    commands: Sequence[Sequence[str | Path]],
    *,
    lane: str,
    about: Mapping[str, Any],
    seconds: Sequence[float | None] = (),
) -> Job:
    """Notes a job and starts the process that runs it as soon as its lane is free.

    Args:
        commands: words after ``distill``, one list a command; each begins when the one before it has ended well.
        seconds: about how long each of them takes, as far as it is known.

    Raises:
        OutputError: if the file system refuses.
    """
    with _lock():
        _tidy()
        now = datetime.now(UTC)
        folder = make_folder(_folder() / f"{_place_in_line(now)}-{kind}")
        told = {
            "kind": kind,
            "title": title,
            "lane": lane,
            "commands": [[str(word) for word in words] for words in commands],
            "about": dict(about),
            "seconds": list(seconds),
            "created": now.isoformat(timespec="milliseconds"),
        }
        write_json(folder / "job.json", told)
        process = subprocess.Popen(
            [sys.executable, "-m", "distill.web.runner", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _started.append(process)
        try:
            write_json(folder / "process.json", process_of(process.pid))
        except OutputError:  # nobody could see it, or stop it; it has not begun its first command yet
            process.kill()
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return job(folder.name)


def jobs() -> list[Job]:
    """All jobs, the newest first."""
    for process in list(_started):
        if process.poll() is not None:
            with contextlib.suppress(ValueError):  # another request was quicker
                _started.remove(process)
    return [one for one in _all() if not (one.folder / "forgotten").exists()]


def job(given: str) -> Job:
    """One job.

    Raises:
        LibraryError: if there is none of that id.
    """
    found = _read(_folder() / given) if re.fullmatch(r"[\w-]+", given) else None
    if found is None:
        raise LibraryError("There is no such job (any more).", "See those there are on the page.")
    return found


def stop(one: Job) -> None:
    """Asks a job to stop, as Ctrl-C does: a training keeps its best weights. A job that waits never begins.

    Raises:
        OutputError: if that cannot be noted; its command at work is stopped all the same.
    """
    try:
        mark(one.folder / "stop", is_set=True)
    finally:
        interrupt(one.running.get("process"))


def forget(one: Job) -> None:
    """Takes a job that is over off the lists; what it made stays, and :func:`recall` puts it back.

    Raises:
        OutputError: if it is not over, or the file system refuses.
    """
    if not one.is_over:
        raise OutputError("This job is not over.", "Stop it first.")
    mark(one.folder / "forgotten", is_set=True)


def recall(one: Job) -> None:
    """Puts a job back that was forgotten.

    Raises:
        OutputError: if the file system refuses.
    """
    mark(one.folder / "forgotten", is_set=False)


def interrupt(process: Mapping[str, Any] | None) -> None:
    """Sends what Ctrl-C sends, if that very process still lives here."""
    if process is not None and lives(process):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(int(process["pid"]), signal.SIGINT)


def first_of_its_lane(folder: Path) -> bool:
    """Whether no job that came before is still waiting or at work in the same lane."""
    own = _read(folder)
    return own is None or not any(
        one.lane == own.lane and not _told(one.folder / "ended.json") and one.is_alive
        for one in _all()
        if one.id < own.id
    )


def _place_in_line(now: datetime) -> str:
    """How the folder of a job of now begins: behind all there are, though the clock was ahead when one of them was named."""
    newest = max((one.id for one in _all()), default="")
    if newest >= f"{now:{_PLACE}}":
        kind_at = newest.rindex("-")
        now = datetime.strptime(newest[:kind_at], _PLACE).replace(tzinfo=UTC) + timedelta(microseconds=1)
    return f"{now:{_PLACE}}"


def _read(folder: Path) -> Job | None:
    told = _told(folder / "job.json")
    try:
        return Job(
            folder=folder,
            kind=told["kind"],
            title=told["title"],
            lane=told["lane"],
            commands=told["commands"],
            about=told["about"],
            created=told["created"],
            seconds=told.get("seconds", []),  # earlier versions noted none
        )
    except KeyError:  # being written, or not ours
        return None


def _told(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):  # not there, or being written
        return {}
    return told if isinstance(told, dict) else {}


def _words(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 20_000))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _folder() -> Path:
    return home() / "jobs"


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    make_folder(_folder())
    try:
        with filelock.FileLock(_folder() / "starting.lock", timeout=10):
            yield
    except filelock.Timeout as error:
        raise OutputError("Another job is just being started and does not come to an end.", "Try again.") from error


def _all() -> list[Job]:
    found = [_read(path) for path in sorted(_folder().glob("*/"), reverse=True)]
    return [one for one in found if one is not None]


def _tidy() -> None:
    """Deletes the oldest jobs that are over; what they made stays, and the figures that were measured last of each run."""
    found = _all()
    measured = [one for one in reversed(found) if one.kind == "measure" and one.state == "finished"]
    figures = {one.about["run"]: one.id for one in measured}.values()
    for old in found[MOST_KEPT:]:
        if old.is_over and old.id not in figures:
            with contextlib.suppress(FileNotFoundError):  # another request clears up too
                shutil.rmtree(old.folder)
