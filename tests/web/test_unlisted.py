"""Runs that are taken off the page's list."""

import os
import time
from typing import Any

from distill.files.home import home
from distill.files.process import this_process
from distill.library import Library, RunRecord
from distill.runs.events import EventLog
from distill.training import metrics as m


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
