"""Trainings, read from their folders, wherever they were started: follow and stop them."""

import dataclasses
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from distill.errors import LibraryError, ModelFileError
from distill.files.names import run_folders
from distill.files.process import lives
from distill.library import RunRecord
from distill.models.header import read_header
from distill.models.health import LEVEL_NAMES
from distill.runs.events import events_file
from distill.runs.renamed import found_model
from distill.runs.status import RunStatus, StageStatus, changed, look
from distill.training.overfitting import memorization_threshold
from distill.web import jobs, places
from distill.web.answers import Done
from distill.web.log import Followed, follow
from distill.web.page_words import event_for_page, for_page
from distill.web.reports import reports_of
from distill.web.routes.work import JobView, view
from distill.web.unlisted import is_unlisted, relist, unlist

router = APIRouter(tags=["training"])
_SHOWN = 40
_STEPS = {"waiting": "Queued", "stopping": "Stopping"}
_looks: dict[Path, RunStatus] = {}
"""What was read of each run, so that the next look reads only what is new; it is not needed, only quicker."""


class RunView(BaseModel):
    """Where a run stands."""

    name: str
    model: str
    """The name of its model."""
    state: str
    """``running``, ``finished``, ``stopped``, ``interrupted``, ``failed`` or ``unknown``."""
    stage: str
    """``codec``, ``refinement`` or ``prior``; empty before the first."""
    progress: float
    """Of this stage, 0 to 1."""
    remaining_s: float | None
    done_at: str | None
    """When all stages are to be over, where it was begun here with minutes for all of them: ISO 8601, UTC."""
    started: str
    changed: str
    warning: str
    message: str
    job: str | None
    """The job that runs it, or will, where it was begun here and is not over."""
    job_step: str
    """What that job does now, in words: it may wait in line, or make the first pieces after the training."""
    job_share: float
    """How much of that is done, 0 to 1."""


class TrainingJob(JobView):
    """A training that was asked for here."""

    run: str | None
    """Its run, once there is one."""


class Trainings(BaseModel):
    """All there is to see of trainings."""

    runs: list[RunView]
    are_all: bool
    """Whether there are no earlier ones on the list."""
    jobs: list[TrainingJob]
    """Those that are at work, wait in line, or failed before there was a run."""


class StageView(BaseModel):
    """A stage of a run."""

    name: str
    progress: float
    remaining_s: float | None
    is_complete: bool
    step: int
    epoch: int
    extracted: tuple[int, int] | None
    settings: dict[str, Any]
    figures: dict[str, Any]
    outcome: str


class RunDetail(RunView):
    """A run with all that is drawn of it, but for its events."""

    folder: str
    """The recordings."""
    stages: list[StageView]
    can_stop: bool
    can_go_on: bool
    level_names: list[str]
    memorization_threshold: float | None
    """The held-out perplexity below which the prior is said to recite."""
    model_id: str | None
    """The model in the library, once its file is there."""
    has_prior: bool
    pages: list[str]
    """Reports that lie beside the model."""


class Now(BaseModel):
    """What is at work, for the head of the page."""

    title: str
    share: float
    remaining_s: float | None
    run: str | None
    waiting: int
    """Jobs that wait in line."""


@router.get("/now")
def now() -> Now | None:
    """What is at work now, in a line; nothing if nothing is."""
    active = [job for job in jobs.jobs() if not job.is_over]
    waiting = sum(job.state == "waiting" for job in active)
    for status in (look_at(folder) for folder in run_folders()[:5]):
        if status.state == "running":
            run = _run_view(status, active)
            title = {"codec": "Codec", "refinement": "Second stage", "prior": "Prior"}.get(run.stage, "Training")
            return Now(
                title=f"{title} of {run.model}",
                share=run.progress,
                remaining_s=run.remaining_s,
                run=run.name,
                waiting=waiting,
            )
    for job in active:
        if job.state != "waiting":
            step, share = str(job.progress.get("step", "")), float(job.progress.get("share", 0.0))
            title = f"{job.title}: {step[0].lower()}{step[1:]}" if step and job.kind == "train" else job.title
            return Now(title=title, share=share, remaining_s=None, run=None, waiting=waiting)
    return None


@router.get("/runs")
def all_runs() -> Trainings:
    """The newest runs, wherever they were begun, and the trainings that were asked for here and have none yet."""
    active = [
        job
        for job in jobs.jobs()
        if job.lane == "training" and (not job.is_over or job.state in ("failed", "interrupted"))
    ]
    listed = (look_at(folder) for folder in run_folders() if not is_unlisted(folder))
    views = [_run_view(status, active) for status in islice((one for one in listed if one.record), _SHOWN)]
    begun = places.library().runs() if active else []
    pending = [TrainingJob(**view(job).model_dump(), run=_run_of(job, begun)) for job in active]
    return Trainings(
        runs=views,
        are_all=next(listed, None) is None,
        jobs=[job for job in pending if job.run is None or job.state == "waiting"],
    )


@router.get("/runs/{run}")
def one_run(run: str) -> RunDetail:
    """One run."""
    status = look_at(places.run_folder(run))
    active = [job for job in jobs.jobs() if not job.is_over]
    record, records = status.record, {one.kind: one for one in status.records}
    model = None if record is None else found_model(record)
    entry = next((entry for entry in places.library().models() if entry.path == model and entry.is_there), None)
    levels = int(records["codec"].settings.get("num_quantizers", 4)) if "codec" in records else 4
    threshold = None
    if model is not None:
        with suppress(ModelFileError):  # being replaced; the next look has it
            threshold = memorization_threshold(read_header(model).corpus.file_count)
    is_running = status.state == "running"
    return RunDetail(
        **_run_view(status, active).model_dump(exclude={"model"}),
        model="" if record is None else (model or Path(record.model)).stem,
        folder="" if record is None else record.folder,
        stages=[_stage_view(stage, records.get(stage.name)) for stage in status.stages],
        can_stop=is_running and record is not None and bool(lives(record.process)),
        can_go_on=not is_running and status.has_state,
        level_names=list(LEVEL_NAMES.get(levels, ())),
        memorization_threshold=threshold,
        model_id=None if entry is None else places.model_id(entry),
        has_prior=entry is not None and entry.has_prior,
        pages=[] if entry is None else [path.name for path in reports_of(entry)],
    )


@router.get("/runs/{run}/events")
def events(
    run: str,
    stage: Literal["codec", "refinement", "prior"],
    after: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    check: Annotated[str, Query(max_length=40)] = "",
) -> Followed:
    """What the log of a stage says beyond a place in it."""
    told = follow(events_file(places.run_folder(run), stage), after, check)
    return dataclasses.replace(told, events=[event_for_page(event) for event in told.events])


@router.delete("/runs/{run}")
def unlist_run(run: str) -> Done:
    """Takes a run that is not at work off the list; all it wrote stays."""
    folder = places.run_folder(run)
    unlist(folder, is_running=look_at(folder).state == "running")
    return Done()


@router.post("/runs/{run}/recall")
def relist_run(run: str) -> Done:
    """Puts a run back on the list."""
    relist(places.run_folder(run))
    return Done()


@router.post("/runs/{run}/stop")
def stop_run(run: str) -> Done:
    """Stops a run as Ctrl-C does, wherever it was begun: the best weights so far become the model."""
    status = look_at(places.run_folder(run))
    if status.record is None or status.state != "running":
        raise LibraryError("This run is not at work.", "Look again; it may just have ended.")
    for job in jobs.jobs():
        if not job.is_over and job.running.get("process") == status.record.process:
            jobs.stop(job)
            return Done()
    jobs.interrupt(status.record.process)
    return Done()


def look_at(folder: Path) -> RunStatus:
    """Where the run in this folder stands; a later look reads only what is new."""
    if len(_looks) > 2 * _SHOWN:  # those of runs that are long past, or gone
        for one in list(_looks)[:_SHOWN]:
            _looks.pop(one, None)
    _looks[folder] = look(folder, _looks.get(folder))
    return _looks[folder]


def _run_view(status: RunStatus, active: list[jobs.Job]) -> RunView:
    record, stage = status.record, status.stage
    is_running = status.state == "running"
    left = stage.remaining_s if stage is not None and is_running else None
    own = (job for job in active if record is not None and _runs_it(job, job.running.get("process"), record))
    job = next((job for job in own if not job.is_over), None)
    ends = None if job is None else job.done_at
    return RunView(
        name=status.run_folder.name,
        model="" if record is None else Path(record.model).stem,
        state=status.state,
        stage=stage.name if stage is not None else record.kind if record is not None else "",
        progress=stage.progress if stage is not None else 0.0,
        remaining_s=left,
        done_at=None if ends is None else ends.isoformat(timespec="seconds"),
        started=min((one.started for one in status.records), default=""),
        changed=changed(status.run_folder).isoformat(timespec="seconds"),
        warning="" if stage is None else for_page(stage.warning),
        message=for_page(status.message),
        job=None if job is None else job.id,
        job_step="" if job is None else _STEPS.get(job.state) or str(job.progress.get("step", "")),
        job_share=0.0 if job is None else float(job.progress.get("share", 0.0)),
    )


def _run_of(job: jobs.Job, records: list[RunRecord]) -> str | None:
    process = job.running.get("process")
    return next((Path(one.events).parent.name for one in records if _runs_it(job, process, one)), None)


def _runs_it(job: jobs.Job, process: dict[str, Any] | None, record: RunRecord) -> bool:
    """Whether a job, of which this ``process`` is at work, runs this training, or is to go on with it; an earlier model of the
    same name is another one."""
    if job.lane != "training":
        return False
    is_later = job.about.get("model") == record.model and record.started >= job.created
    is_resumed = job.about.get("run") == Path(record.events).parent.name
    is_same = record.process is not None and process == record.process
    return is_same or is_later or is_resumed


def _stage_view(stage: StageStatus, record: RunRecord | None) -> StageView:
    return StageView(
        **vars(stage),
        settings={} if record is None else record.settings,
        figures={} if record is None else record.figures,
        outcome="" if record is None else record.outcome,
    )
