"""Trainings: begun here or in a terminal, followed, stopped and gone on with, all by what their folders say."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from distill.audio.corpus import ensure_usable
from distill.errors import LibraryError, ModelFileError, OutputError, SettingError
from distill.files.names import MODEL_SUFFIX, normalised, run_folders, stem_from
from distill.library import RunRecord
from distill.models.header import read_header
from distill.models.health import LEVEL_NAMES
from distill.runs.events import STAGES, events_file
from distill.runs.process import lives
from distill.runs.status import RunStatus, changed, look
from distill.settings import check_length
from distill.training.overfitting import memorization_threshold
from distill.web import jobs, places
from distill.web.answers import Done
from distill.web.follow import follow
from distill.web.page_words import event_for_page, for_page
from distill.web.routes.work import JobView, view

router = APIRouter(tags=["training"])
_SHOWN = 40
_PRIOR_SHARE = 0.5
"""Of the codec's minutes, what a prior gets that was never begun."""
_STEPS = {"waiting": "Waits in line", "stopping": "Stopping"}
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
    ends_at: str | None
    """When this stage ends, as far as can be known: ISO 8601, UTC."""
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


class Events(BaseModel):
    """What a log says beyond a place in it (``follow.py``)."""

    events: list[dict[str, Any]]
    after: int
    check: str
    is_new: bool


class Wanted(BaseModel):
    """A training to begin."""

    collection: str
    minutes: float = Field(gt=0, le=100_000)
    name: str = Field("", max_length=100)
    """Without one, the folder's."""
    quality: Literal["standard", "high"] = "standard"
    levels: int | None = Field(None, ge=2, le=4)
    codebook_size: int | None = Field(None, ge=16, le=1024)
    channels: Literal["auto", "1", "2"] = "auto"
    device: Literal["auto", "cpu", "mps", "cuda"] = "auto"
    seed: int = Field(0, ge=0, lt=2**31)
    from_scratch: bool = False
    seconds: float = Field(10.0, ge=0.5, le=600)
    count: int = Field(3, ge=1, le=64)


class GoOn(BaseModel):
    """How much further; without minutes, to the end that was planned."""

    minutes: float | None = Field(None, gt=0, le=100_000)


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
    for status in (_look(folder) for folder in run_folders()[:5]):
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


@router.post("/train")
def train(wanted: Wanted) -> JobView:
    """Begins a training, or lets it wait in line: codec, prior and first pieces within the minutes."""
    one = places.collection(wanted.collection)
    check_length(None, wanted.minutes)
    folder = places.training_folder(one)
    ensure_usable(folder)
    name = _free_name(wanted.name, one.name)
    out = places.studio(name)
    common = ["--device", wanted.device]
    learning = [*common, *(["--from-scratch"] if wanted.from_scratch else [])]
    codec: list[str | Path] = ["--name", name, "--out", out, "--seed", str(wanted.seed), "--channels", wanted.channels]
    codec += learning
    codec += ["--rvq-levels", str(wanted.levels)] if wanted.levels else []
    codec += ["--codebook-size", str(wanted.codebook_size)] if wanted.codebook_size else []
    pieces = ["--seconds", f"{wanted.seconds:g}", "--count", str(wanted.count)]
    model = out / f"{name}{MODEL_SUFFIX}"
    if wanted.quality == "standard":
        commands = [["run", folder, "--minutes", f"{wanted.minutes:g}", *codec, *pieces, "--json"]]
    else:
        prior = wanted.minutes / 5
        commands = [
            ["train", folder, "--quality", "high", "--minutes", f"{wanted.minutes - prior:g}", *codec, "--json"],
            ["train-prior", model, folder, "--minutes", f"{prior:g}", *learning, "--json"],
            ["generate", model, *pieces, "--out", out, *common, "--json"],
        ]
    about = {"collection": one.id, "model": str(model), "wanted": wanted.model_dump()}
    return view(jobs.start("train", f"Training {name}", commands, lane="training", about=about))


@router.get("/runs")
def all_runs() -> Trainings:
    """The newest runs, wherever they were begun, and the trainings that were asked for here and have none yet."""
    active = [
        job
        for job in jobs.jobs()
        if job.lane == "training" and (not job.is_over or job.state in ("failed", "interrupted"))
    ]
    statuses = [_look(folder) for folder in run_folders()[:_SHOWN]]
    views = [_run_view(status, active) for status in statuses if status.record is not None]
    pending = [TrainingJob(**view(job).model_dump(), run=_run_of(job, statuses)) for job in active]
    return Trainings(runs=views, jobs=[job for job in pending if job.run is None or job.state == "waiting"][:10])


@router.get("/runs/{run}")
def one_run(run: str) -> RunDetail:
    """One run."""
    status = _look(places.run_folder(run))
    active = [job for job in jobs.jobs() if not job.is_over]
    record, records = status.record, {one.kind: one for one in status.records}
    model = None if record is None else Path(record.model)
    entry = next((entry for entry in places.library().models() if entry.path == model and entry.is_there), None)
    levels = int(records["codec"].settings.get("num_quantizers", 4)) if "codec" in records else 4
    threshold = None
    if model is not None and model.exists():
        try:
            threshold = memorization_threshold(read_header(model).corpus.file_count)
        except ModelFileError:  # being replaced; the next look has it
            threshold = None
    is_running = status.state == "running"
    return RunDetail(
        **_run_view(status, active).model_dump(),
        folder="" if record is None else record.folder,
        stages=[
            _stage_view(status, name, records) for name in STAGES if any(name == one.name for one in status.stages)
        ],
        can_stop=is_running and record is not None and bool(lives(record.process)),
        can_go_on=not is_running and record is not None and (status.run_folder / f"{record.kind}.state").exists(),
        level_names=list(LEVEL_NAMES.get(levels, ())),
        memorization_threshold=threshold,
        model_id=None if entry is None else places.model_id(entry),
        has_prior=entry is not None and entry.has_prior,
        pages=[] if model is None else sorted(path.name for path in model.parent.glob(f"{model.stem}-*.html")),
    )


@router.get("/runs/{run}/events")
def events(
    run: str,
    stage: Literal["codec", "refinement", "prior"],
    after: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    check: Annotated[str, Query(max_length=40)] = "",
) -> Events:
    """What the log of a stage says beyond a place in it."""
    told = dataclasses.asdict(follow(events_file(places.run_folder(run), stage), after, check))
    return Events(**{**told, "events": [event_for_page(event) for event in told["events"]]})


@router.post("/runs/{run}/stop")
def stop_run(run: str) -> Done:
    """Stops a run as Ctrl-C does, wherever it was begun: the best weights so far become the model."""
    status = _look(places.run_folder(run))
    if status.record is None or status.state != "running":
        raise LibraryError("This run is not at work.", "Look again; it may just have ended.")
    for job in jobs.jobs():
        if not job.is_over and job.running.get("process") == status.record.process:
            jobs.stop(job)
            return Done()
    jobs.interrupt(status.record.process)
    return Done()


@router.post("/runs/{run}/resume")
def resume(run: str, further: GoOn) -> JobView:
    """Goes on with a run that was stopped, or trains a finished one further; what was to follow, follows."""
    status = _look(places.run_folder(run))
    record = status.record
    if record is None:
        raise LibraryError("Nothing is known of this run that could go on.", "Train the model anew.")
    if status.state == "running":
        raise LibraryError("This run is at work.", "Stop it first.")
    model = Path(record.model)
    if not (status.run_folder / f"{record.kind}.state").exists():
        raise OutputError("The state of this run is not kept any more.", "Train the model anew.")
    target = model if model.exists() else status.run_folder
    minutes = [] if further.minutes is None else ["--minutes", f"{further.minutes:g}"]
    verb = "train-prior" if record.kind == "prior" else "train"
    commands: list[list[str | Path]] = [[verb, "--resume", target, *minutes, "--json"]]
    if record.kind != "prior":
        planned = (further.minutes or float(record.settings.get("minutes") or 5.0)) * _PRIOR_SHARE
        commands.append(["train-prior", model, record.folder, "--minutes", f"{planned:g}", "--json"])
    commands.append(["generate", model, *_first_pieces(str(model)), "--out", places.studio(model.stem), "--json"])
    about = {"model": str(model), "run": run}
    return view(jobs.start("train", f"Going on with {model.stem}", commands, lane="training", about=about))


def _first_pieces(model: str) -> list[str]:
    """What was to be made after the training, as it was asked for here; three pieces otherwise."""
    for job in jobs.jobs():
        wanted = job.about.get("wanted", {})
        if job.about.get("model") == model and {"seconds", "count"} <= wanted.keys():
            return ["--seconds", f"{wanted['seconds']:g}", "--count", str(wanted["count"])]
    return ["--count", "3"]


def _look(folder: Path) -> RunStatus:
    if len(_looks) > 2 * _SHOWN:  # those of runs that are long past, or gone
        for one in list(_looks)[:_SHOWN]:
            _looks.pop(one, None)
    _looks[folder] = look(folder, _looks.get(folder))
    return _looks[folder]


def _run_view(status: RunStatus, active: list[jobs.Job]) -> RunView:
    record, stage = status.record, status.stage
    is_running = status.state == "running"
    left = stage.remaining_s if stage is not None and is_running else None
    job = next((job for job in active if record is not None and not job.is_over and _runs_it(job, record)), None)
    ends = None if job is None else job.done_at
    return RunView(
        name=status.run_folder.name,
        model="" if record is None else Path(record.model).stem,
        state=status.state,
        stage=stage.name if stage is not None else record.kind if record is not None else "",
        progress=stage.progress if stage is not None else 0.0,
        remaining_s=left,
        ends_at=None if left is None else (datetime.now(UTC) + timedelta(seconds=left)).isoformat(timespec="seconds"),
        done_at=None if ends is None else ends.isoformat(timespec="seconds"),
        started=min((one.started for one in status.records), default=""),
        changed=changed(status.run_folder).isoformat(timespec="seconds"),
        warning="" if stage is None else for_page(stage.warning),
        message=for_page(status.message),
        job=None if job is None else job.id,
        job_step="" if job is None else _STEPS.get(job.state) or str(job.progress.get("step", "")),
        job_share=0.0 if job is None else float(job.progress.get("share", 0.0)),
    )


def _run_of(job: jobs.Job, statuses: list[RunStatus]) -> str | None:
    runs = (status for status in statuses if status.record is not None and _runs_it(job, status.record))
    return next((status.run_folder.name for status in runs), None)


def _runs_it(job: jobs.Job, record: RunRecord) -> bool:
    """Whether a job runs this training, or is to go on with it; an earlier model of the same name is another one."""
    if job.lane != "training":
        return False
    is_later = job.about.get("model") == record.model and record.started >= job.created
    is_resumed = job.about.get("run") == Path(record.events).parent.name
    is_same = record.process is not None and job.running.get("process") == record.process
    return is_same or is_later or is_resumed


def _stage_view(status: RunStatus, name: str, records: dict[str, RunRecord]) -> StageView:
    stage, record = next(one for one in status.stages if one.name == name), records.get(name)
    return StageView(
        name=name,
        progress=stage.progress,
        remaining_s=stage.remaining_s,
        is_complete=stage.is_complete,
        step=stage.step,
        epoch=stage.epoch,
        extracted=stage.extracted,
        settings={} if record is None else record.settings,
        figures={} if record is None else record.figures,
        outcome="" if record is None else record.outcome,
    )


def _free_name(asked: str, otherwise: str) -> str:
    """The name a new model gets.

    Raises:
        OutputError: if the person asked for one that is taken.
        SettingError: if it is none.
    """
    taken = {normalised(entry.name) for entry in places.library().models() if entry.is_there}
    # A training that waits or has not written its model yet holds its name, too.
    taken |= {normalised(Path(str(job.about.get("model", ""))).stem) for job in jobs.jobs() if not job.is_over}

    def is_free(name: str) -> bool:
        return normalised(name) not in taken and not (places.studio(name) / f"{name}{MODEL_SUFFIX}").exists()

    if asked.strip():
        name = stem_from(asked.strip())
        if not name:
            raise SettingError(f"'{asked}' cannot be the name of a model.", "Use letters and digits.")
        if not is_free(name):
            raise OutputError(
                f"There is a model called '{name}' already, or a training that will write one.", "Choose another name."
            )
        return name
    stem = stem_from(otherwise) or "sound"
    number, name = 1, stem
    while not is_free(name):
        number += 1
        name = f"{stem}-{number}"
    return name
