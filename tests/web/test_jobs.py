"""Jobs outlive whoever started them, wait for each other, stop as Ctrl-C stops, and tell how they ended."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import small_distill
from distill.errors import OutputError
from distill.files.atomic import write_json
from distill.files.home import home
from distill.files.process import lives, process_of
from distill.web import jobs, runner

WAIT_S = 60.0


def until(found: Callable[[], Any]) -> Any:
    """What comes of waiting; a job is a process and takes its time."""
    ends = time.monotonic() + WAIT_S
    while time.monotonic() < ends:
        if told := found():
            return told
        time.sleep(0.05)
    pytest.fail("It did not happen.")


def over(job: jobs.Job) -> str:
    return str(until(lambda: jobs.job(job.id).is_over and jobs.job(job.id).state))


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of ``distill``: a program that says hello, waits, or fails, within a moment."""
    fake = tmp_path / "fake" / "distill" / "cli"
    fake.mkdir(parents=True)
    (fake / "app.py").write_text(
        """
import json, os, sys, time
word = sys.argv[1]
if word == "wait":
    print("waiting", file=sys.stderr, flush=True)
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        print(json.dumps({"kept": True}))
        sys.exit(0)
if word == "home":
    print(json.dumps({"home": os.path.abspath(os.environ["DISTILL_HOME"])}))
    sys.exit(0)
if word == "warn":
    print("✓ Begun\\n! The seam may be heard.\\nA note.\\n! So it is.", file=sys.stderr)
if word == "fail":
    print("! a warning\\n✗ The folder is empty.\\n  Put recordings in it.", file=sys.stderr)
    sys.exit(2)
with open(os.environ["DISTILL_PROGRESS"], "w") as told:
    json.dump({"step": "Greeting", "share": 0.5, "detail": "x"}, told)
print(json.dumps({"said": sys.argv[2], "at": time.time()}))
"""
    )
    script = small_distill.python_with(f"{sys.executable} {fake}/app.py", tmp_path)
    monkeypatch.setattr(sys, "executable", str(script))


def start(*words: str, lane: str = "one", then: list[str] | None = None) -> jobs.Job:
    return jobs.start("test", "A test", [list(words), *([then] if then else [])], lane=lane, about={"of": "a test"})


def test_when_a_training_is_to_be_over(tmp_path: Path) -> None:
    """Of all its stages and its first pieces, and not only of the one that is at work."""
    takes: list[float | None] = [180.0, 90.0, 14.0]
    commands = [["train"], ["train-prior"], ["generate"]]
    job = jobs.Job(tmp_path, "train", "A training", "training", commands, {}, "", takes)
    assert job.done_at is None
    for at, seconds in enumerate((284, 104)):
        (tmp_path / "running.json").write_text(json.dumps({"at": at}))
        os.utime(tmp_path / "running.json", (1000, 1000))
        assert job.done_at == datetime.fromtimestamp(1000 + seconds, UTC)
    takes[1] = None
    assert job.done_at is None, "to the end that was planned, which the job does not know"
    takes.clear()
    assert job.done_at is None, "as an earlier version noted it"


@pytest.mark.usefixtures("quick")
def test_a_job_runs_and_its_result_is_on_disk() -> None:
    job = start("say", "hello")
    assert over(job) == "finished"
    told = jobs.job(job.id)
    assert told.results[0]["said"] == "hello"
    assert told.progress["step"] == "Greeting"
    assert told.about == {"of": "a test"}
    assert told.wrong == ("", "")


@pytest.mark.usefixtures("quick")
def test_a_job_has_the_home_of_whoever_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against models and pieces in the job's own folder, which is deleted later: a DISTILL_HOME that does not begin at
    the root was taken from there, as each command is run in that folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISTILL_HOME", "mine")
    assert jobs.job(until_over(start("home"))).results == [{"home": str(tmp_path / "mine")}]


@pytest.mark.usefixtures("quick")
def test_commands_follow_each_other_until_one_fails() -> None:
    assert [one.get("said") for one in jobs.job(until_over(start("say", "a", then=["say", "b"]))).results] == ["a", "b"]
    failed = jobs.job(until_over(start("fail", then=["say", "never"])))
    assert failed.state == "failed"
    assert failed.wrong == ("The folder is empty.", "Put recordings in it.")
    assert failed.results[1] == {}


def until_over(job: jobs.Job) -> str:
    over(job)
    return job.id


@pytest.mark.usefixtures("quick")
def test_a_second_job_waits_in_line_and_another_lane_does_not() -> None:
    first = start("wait", lane="training")
    until(lambda: jobs.job(first.id).state == "running")
    second, beside = start("say", "second", lane="training"), start("say", "beside", lane="making")
    assert over(beside) == "finished"
    assert jobs.job(second.id).state == "waiting"
    jobs.stop(jobs.job(first.id))
    assert over(first) == "stopped"
    assert over(second) == "finished"


@pytest.mark.usefixtures("quick")
def test_a_clock_that_was_put_back_lets_nobody_jump_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against two trainings at once, after the first was started while the clock was ahead."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Ahead":
            return super().now(tz) + timedelta(days=1)

    with monkeypatch.context() as clock:
        clock.setattr(jobs, "datetime", Ahead)
        first = start("wait")
    second, third = start("wait"), start("wait")
    assert sorted([third.id, second.id, first.id]) == [first.id, second.id, third.id]
    assert [jobs.first_of_its_lane(one.folder) for one in (first, second, third)] == [True, False, False]
    for one in (third, second, first):
        jobs.stop(one)
        over(one)


@pytest.mark.usefixtures("quick")
def test_stopping_is_what_ctrl_c_does_and_nothing_follows() -> None:
    """Guards against a kill, after which a training would have nothing to keep."""
    job = start("wait", then=["say", "never"])
    until(lambda: "waiting" in jobs.job(job.id).words)
    jobs.stop(jobs.job(job.id))
    assert over(job) == "stopped"
    assert jobs.job(job.id).results == [{"kept": True}, {}]


def test_what_cannot_be_asked_to_stop_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against "a fault in Distill" where the disk is full."""
    folder = home() / "jobs" / "a"
    folder.mkdir(parents=True)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "touch", full)
    with pytest.raises(OutputError, match="the disk is full"):
        jobs.stop(jobs.Job(folder, "train", "", "training", [], {}, "", []))


@pytest.mark.usefixtures("quick")
def test_what_waits_can_be_stopped_and_never_begins() -> None:
    first = start("wait")
    until(lambda: jobs.job(first.id).state == "running")
    second = start("say", "never")
    jobs.stop(jobs.job(second.id))
    assert over(second) == "stopped"
    assert jobs.job(second.id).running == {}
    jobs.stop(jobs.job(first.id))
    over(first)


@pytest.mark.usefixtures("quick")
def test_a_job_outlives_the_server_and_a_new_one_knows_it(tmp_path: Path) -> None:
    """Guards against work that dies with the page: another process starts it and is killed."""
    code = "from distill.web import jobs; print(jobs.start('t', 't', [['wait']], lane='l', about={}).id)"
    program = f"import sys; sys.executable = {sys.executable!r}\n{code}"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    job = told.stdout.strip()
    until(lambda: "waiting" in jobs.job(job).words)
    assert jobs.job(job).state == "running"
    jobs.stop(jobs.job(job))
    assert over(jobs.job(job)) == "stopped"


@pytest.mark.usefixtures("quick")
def test_a_runner_that_was_killed_is_told_from_one_that_works() -> None:
    job = start("wait")
    running = until(lambda: jobs.job(job.id).running)
    runner = json.loads((job.folder / "process.json").read_bytes())["pid"]
    os.kill(runner, signal.SIGKILL)
    assert over(job) == "interrupted"
    assert "killed" in jobs.job(job.id).wrong[0]
    os.kill(running["process"]["pid"], signal.SIGKILL)


def test_of_what_is_over_nobody_asks_whether_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a job in line that asks the system for the process of every training there ever was, four times a second:
    on macOS each question is a process of its own."""
    for number in range(3):
        folder = home() / "jobs" / f"20260101-00000{number}-000000-t"
        told = {
            "kind": "t",
            "title": "t",
            "lane": "l",
            "commands": [],
            "about": {},
            "created": "2026-01-01T00:00:00+00:00",
        }
        write_json(folder / "job.json", told)
        if number < 2:
            write_json(folder / "process.json", process_of(os.getpid()))
            write_json(folder / "ended.json", {"codes": [0], "stopped": False})
    monkeypatch.setattr(jobs, "lives", lambda process: pytest.fail("it was asked"))
    assert jobs.first_of_its_lane(folder)


@pytest.mark.usefixtures("quick", "hears_ctrl_c")
@pytest.mark.parametrize("is_full", [{"running.json"}, {"running.json", "ended.json"}])
def test_a_command_ends_with_the_job_that_cannot_be_noted(monkeypatch: pytest.MonkeyPatch, is_full: set[str]) -> None:
    """Guards against a training that goes on though nothing can stop it: on a full disk its runner died, and with it the only
    one who knew its process."""
    folder = home() / "jobs" / "20260101-000000-000000-t"
    told = {"kind": "t", "title": "t", "lane": "l", "commands": [["wait"], ["say", "never"]], "about": {}}
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({**told, "created": "2026-01-01T00:00:00+00:00"}))
    begun: list[dict[str, Any]] = []

    def full(path: Path, told: Any) -> None:
        begun.extend([told["process"]] if "process" in told else [])
        if path.name in is_full:
            raise OutputError(f"{path} cannot be written: the disk is full.", "Free some space.")
        write_json(path, told)

    monkeypatch.setattr("distill.web.runner.write_json", full)
    with pytest.raises(OutputError, match="full") if "ended.json" in is_full else nullcontext():
        runner.run(folder)
    assert [lives(one) for one in begun] == [False]
    why = f"{folder / 'running.json'} cannot be written: the disk is full."
    assert "ended.json" in is_full or jobs.job(folder.name).wrong == (why, "Free some space.")


@pytest.mark.usefixtures("quick")
def test_a_progress_that_somebody_reads_does_not_keep_the_next_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a job that fails between two commands because the page was just reading how far the first one came,
    and Windows then lets nobody remove that."""
    folder = home() / "jobs" / "20260101-000000-000000-t"
    told = {"kind": "t", "title": "t", "lane": "l", "commands": [["say", "one"], ["say", "two"]], "about": {}}
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({**told, "created": "2026-01-01T00:00:00+00:00"}))
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == "progress.json":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    runner.run(folder)
    assert jobs.job(folder.name).state == "finished"


@pytest.mark.usefixtures("quick")
def test_a_job_that_cannot_be_noted_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against work that nobody can stop, nor see, as the process that does it is not known."""
    begun = []

    def full(path: Path, told: Any) -> None:
        if path.name == "process.json":
            begun.append(told)
            raise OutputError(f"{path} cannot be written: the disk is full.", "Free some space.")
        write_json(path, told)

    monkeypatch.setattr(jobs, "write_json", full)
    with pytest.raises(OutputError, match="full"):
        start("say", "never")
    assert jobs.jobs() == []
    until(lambda: not lives(begun[0]))


@pytest.mark.usefixtures("quick")
def test_where_nothing_can_be_noted_a_job_is_stopped_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a training that goes on, on a disk on which it cannot be noted that it was stopped."""

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    job = start("wait")
    until(lambda: "waiting" in jobs.job(job.id).words)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Path, "touch", full)
        with pytest.raises(OutputError, match="the disk is full"):
            jobs.stop(jobs.job(job.id))
    over(job)
    assert jobs.job(job.id).results == [{"kept": True}]


def test_a_job_that_is_just_being_started_is_not_over(tmp_path: Path) -> None:
    """Guards against a page that asks between the note and the process, is told "interrupted", and asks no more."""
    now = datetime.now(UTC)
    noted = jobs.Job(tmp_path, "train", "A training", "training", [["train"]], {}, now.isoformat(), [])
    assert noted.state == "waiting"
    assert dataclasses.replace(noted, created=(now - timedelta(minutes=1)).isoformat()).state == "interrupted"
    ahead = (now + timedelta(days=1)).isoformat()
    assert dataclasses.replace(noted, created=ahead).state == "interrupted", "the clock was set back since"


def test_a_job_whose_end_cannot_be_read_was_interrupted(tmp_path: Path) -> None:
    """Guards against a page that is not drawn at all, as the end of one job was cut off by a full disk."""
    (tmp_path / "ended.json").write_bytes(b"")
    job = jobs.Job(tmp_path, "train", "A training", "training", [["train"]], {}, "2026-01-01T00:00:00+00:00", [])
    assert job.state == "interrupted"


def test_old_jobs_are_forgotten_with_all_that_lies_in_their_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a folder that something made there, for which no job could be started any more."""
    monkeypatch.setattr(jobs, "MOST_KEPT", 0)
    told = {"kind": "t", "title": "t", "lane": "l", "commands": [], "about": {}, "created": "2026-01-01T00:00:00+00:00"}
    old = home() / "jobs" / "20260101-000000-000000-t"
    (old / "folder").mkdir(parents=True)
    (old / "job.json").write_text(json.dumps(told))
    jobs._tidy()
    assert not old.exists()


@pytest.mark.usefixtures("quick")
def test_a_job_is_taken_off_the_lists_once_it_is_over(client: Any) -> None:
    job = start("wait", lane="training")
    until(lambda: jobs.job(job.id).words)
    refused = client.delete(f"/api/jobs/{job.id}")
    assert refused.json() == {"what": "This job is not over.", "fix": "Stop it first."}
    assert job.folder.is_dir()
    jobs.stop(job)
    assert over(job) == "stopped"
    assert client.delete(f"/api/jobs/{job.id}").status_code == 200
    assert job.id not in [one.id for one in jobs.jobs()]
    assert client.post(f"/api/jobs/{job.id}/recall").status_code == 200
    assert job.id in [one.id for one in jobs.jobs()]
    assert client.delete("/api/jobs/none").status_code == 404


def test_two_requests_may_see_at_once_that_a_runner_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[Any] = []

    class Ended:
        def poll(self) -> int:
            ended.clear()  # the other request was quicker
            return 0

    ended.append(Ended())
    monkeypatch.setattr(jobs, "_started", ended)
    assert jobs.jobs() == []


@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_process_number_that_was_given_away_is_not_interrupted(
    start_process: Callable[..., "subprocess.Popen[str]"],
) -> None:
    """Guards against Ctrl-C for a stranger, whom the system gave the number of a process that has ended."""
    bystander = start_process([sys.executable, "-c", "import time; time.sleep(30)"], stderr=subprocess.DEVNULL)
    process = process_of(bystander.pid)
    jobs.interrupt(process | {"began": "another time"})
    with pytest.raises(subprocess.TimeoutExpired):
        bystander.wait(0.5)
    jobs.interrupt(process)
    bystander.wait(10)


@pytest.mark.parametrize("name", ["%2e%2e", "..%2fruns", "none", "a%00b", "a/b"])
def test_no_name_leads_to_another_folder(client: Any, name: str) -> None:
    assert client.get(f"/api/jobs/{name}").status_code == 404


def test_reading_a_folder_is_a_job_with_the_real_command(client: Any, small_corpus: Path) -> None:
    one = client.post("/api/collections", json={"folder": str(small_corpus)}).json()
    job = client.post(f"/api/collections/{one['id']}/check").json()
    assert over(jobs.job(job["id"])) == "finished", jobs.job(job["id"]).wrong
    detail = client.get(f"/api/collections/{one['id']}").json()
    assert detail["report"]["usable"] == 6
    assert {file["verdict"] for file in detail["report"]["files"]} == {"used"}
    client.put(f"/api/collections/{one['id']}/left-out", json={"names": ["take-0.wav"]})
    assert client.get(f"/api/collections/{one['id']}").json()["report"] is None


def test_a_reading_that_is_out_of_date_makes_room_for_the_next(client: Any, small_corpus: Path) -> None:
    """Guards against a line of readings, one for each recording left out, and against waiting for one that was stopped."""
    one = client.post("/api/collections", json={"folder": str(small_corpus)}).json()["id"]
    left = f"/api/collections/{one}/left-out"
    first = client.post(f"/api/collections/{one}/check").json()["id"]
    client.post(left, json={"name": "take-0.wav", "is_out": True})
    second = client.post(f"/api/collections/{one}/check").json()["id"]
    assert jobs.job(first).state in ("stopping", "stopped")
    client.post(left, json={"name": "take-0.wav", "is_out": False})
    assert client.get(f"/api/collections/{one}").json()["job"] is None
    third = client.post(f"/api/collections/{one}/check").json()["id"]
    assert over(jobs.job(third)) == "finished"
    assert jobs.job(second).state == "stopped"
    assert client.get(f"/api/collections/{one}").json()["report"]["usable"] == 6


@pytest.mark.usefixtures("quick")
def test_what_a_command_warned_of_is_kept_with_its_job() -> None:
    """Guards against a loop whose seam may be heard, of which the page says only that it is here."""
    job = jobs.start("generate", "Making", [["warn", "a"], ["warn", "b"]], lane="making", about={})
    assert over(job) == "finished"
    assert jobs.job(job.id).warnings == ["The seam may be heard.", "So it is."] * 2
    failed = jobs.start("generate", "Making", [["fail"]], lane="making", about={})
    assert over(failed) == "failed"
    assert jobs.job(failed.id).warnings == []
