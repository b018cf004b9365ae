"""Jobs: running, queued, or finished."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from distill.web import jobs
from distill.web.answers import Done
from distill.web.page_words import for_page

router = APIRouter(tags=["jobs"])
_SHOWN = 50


class Progress(BaseModel):
    """How far the command at work is."""

    step: str = ""
    share: float = 0.0
    detail: str = ""


class JobView(BaseModel):
    """A job as it stands."""

    id: str
    kind: str
    title: str
    lane: str
    state: str
    """``waiting``, ``running``, ``stopping``, ``finished``, ``stopped``, ``failed`` or ``interrupted``."""
    created: str
    about: dict[str, Any]
    progress: Progress
    what: str = ""
    """What went wrong, in the words of ``errors.py``."""
    fix: str = ""
    warnings: list[str] = []
    """What should be known of something that was made; a training tells it in its events."""


class JobDetail(JobView):
    """A job with what it printed."""

    words: str
    results: list[dict[str, Any]]
    """What each command printed as JSON; empty objects for those that have not ended."""


def view(one: jobs.Job) -> JobView:
    """What the page sees of a job."""
    return JobView(**_fields(one))


def _fields(one: jobs.Job) -> dict[str, Any]:
    what, fix = one.wrong
    progress = one.progress
    return {
        **vars(one),
        "id": one.id,
        "state": one.state,
        "progress": Progress(**progress) if progress.keys() >= {"step", "share", "detail"} else Progress(),
        "what": for_page(what),
        "fix": for_page(fix),
        "warnings": [for_page(words) for words in one.warnings] if one.lane == "making" else [],
    }


@router.get("/jobs")
def all_jobs(lane: str | None = None, active: bool = False) -> list[JobView]:
    """The jobs there are, the newest first; of one lane, or only those that are not over. Of others only the newest."""
    found = [one for one in jobs.jobs() if lane is None or one.lane == lane]
    # The next in line is the oldest of those that wait.
    return [view(one) for at, one in enumerate(found) if not one.is_over or (at < _SHOWN and not active)]


@router.get("/jobs/{job}")
def one_job(job: str) -> JobDetail:
    """One job, with its results."""
    one = jobs.job(job)
    return JobDetail(**_fields(one), words=one.words, results=one.results)


@router.delete("/jobs/{job}")
def forget_job(job: str) -> Done:
    """Takes a job that is over off the lists; what it made stays."""
    jobs.forget(jobs.job(job))
    return Done()


@router.post("/jobs/{job}/recall")
def recall_job(job: str) -> Done:
    """Puts a job back on the lists."""
    jobs.recall(jobs.job(job))
    return Done()


@router.post("/jobs/{job}/stop")
def stop_job(job: str) -> Done:
    """Stops a job as Ctrl-C does: a training keeps its best weights; one that waits in line never begins."""
    jobs.stop(jobs.job(job))
    return Done()
