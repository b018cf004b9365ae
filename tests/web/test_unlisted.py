"""What the page's list of trainings holds, and what is taken off it."""

import json
import os
import time
from typing import Any

import pytest

from distill.files.home import home
from distill.files.process import this_process
from distill.library import Library, RunRecord
from distill.runs.events import EventLog
from distill.training import metrics as m
from distill.web.routes import runs


def _run(name: str, outcome: str) -> str:
    log = home() / "runs" / name / "prior.jsonl"
    with EventLog(log) as tell:
        tell(m.PriorStepMetrics(1, 7, 90, 1.2, 0.001, 0.1, 64, 0.25, 60.0))
    begun = ("prior", str(home() / f"{name}.distill"), "/none", str(log), "2026-01-01T12:00:00.000000+00:00")
    Library(lambda _: None).save_run(RunRecord(*begun, {}, outcome=outcome, process=this_process()))
    return name


def _listed(client: Any) -> list[str]:
    return [one["name"] for one in client.get("/api/runs").json()["runs"]]


def test_a_run_that_failed_leaves_the_list_until_it_is_put_back_or_goes_on(client: Any) -> None:
    name = _run("takes", "failed")
    assert client.delete(f"/api/runs/{name}").status_code == 200
    assert _listed(client) == []
    assert client.get(f"/api/runs/{name}").status_code == 200
    client.post(f"/api/runs/{name}/recall")
    assert _listed(client) == [name]
    client.delete(f"/api/runs/{name}")
    later = time.time() + 1
    os.utime(home() / "runs" / name / "prior.jsonl", (later, later))
    assert _listed(client) == [name]


def test_what_is_at_work_stays_on_the_list(client: Any) -> None:
    name = _run("takes", "unfinished")
    answer = client.delete(f"/api/runs/{name}")
    assert not answer.is_success
    assert "Stop it first" in answer.text
    assert _listed(client) == [name]


def test_what_is_off_the_list_takes_no_place_on_it(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a list that is empty once the newest are taken off it, and against one that ends without a word."""
    monkeypatch.setattr(runs, "_SHOWN", 2)
    names = [_run(f"take-{number}", "failed") for number in range(5)]
    for at, name in enumerate(names):
        for path in (home() / "runs" / name).iterdir():
            os.utime(path, (at + 1, at + 1))
    for name in names[3:]:
        client.delete(f"/api/runs/{name}")
    assert _listed(client) == [names[2], names[1]]
    assert client.get("/api/runs").json()["are_all"] is False
    client.delete(f"/api/runs/{names[0]}")
    assert _listed(client) == [names[2], names[1]]
    assert client.get("/api/runs").json()["are_all"] is True


def test_a_job_leaves_the_list_with_its_run(client: Any) -> None:
    """Guards against one that failed coming back as a job when its run, which failed, is taken off the list."""
    name = _run("takes", "failed")
    job = home() / "jobs" / "20260101-120000-000000-train"
    job.mkdir(parents=True)
    told = {"kind": "train", "title": "", "lane": "training", "commands": [["run"]], "about": {"run": name}}
    (job / "job.json").write_text(json.dumps({**told, "created": "2026-01-01T12:00:00.000+00:00"}))
    (job / "ended.json").write_text(json.dumps({"codes": [2]}))
    client.delete(f"/api/runs/{name}")
    told = client.get("/api/runs").json()
    assert (told["runs"], told["jobs"]) == ([], [])


def test_the_next_in_line_is_told_however_many_wait(client: Any) -> None:
    """Guards against the newest of a long line only: the one at work, and what comes next, are the oldest."""
    for number in range(60):
        job = home() / "jobs" / f"20260101-120000-{number:06}-train"
        job.mkdir(parents=True)
        told = {"kind": "train", "title": f"{number}", "lane": "training", "commands": [["run"]], "about": {}}
        (job / "job.json").write_text(json.dumps({**told, "created": "2026-01-01T12:00:00.000+00:00"}))
        (job / "process.json").write_text(json.dumps(this_process()))
    expected = [f"{number}" for number in reversed(range(60))]
    assert [one["title"] for one in client.get("/api/runs").json()["jobs"]] == expected
    for active in ("true", "false"):
        asked = client.get("/api/jobs", params={"lane": "training", "active": active})
        assert [one["title"] for one in asked.json()] == expected
