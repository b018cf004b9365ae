"""How faithful a run's codec is: figures of pitch, texture and distance, and reconstructions to hear beside the originals."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from distill.errors import CorpusError, LibraryError
from distill.files.names import reconstruction_paths
from distill.recordings.folder import audio_files, name_below
from distill.runs.renamed import found_model
from distill.runs.status import records_of
from distill.training import listening
from distill.web import jobs, places
from distill.web.figures import FIGURES, Figure, known
from distill.web.routes.work import JobView, view

router = APIRouter(tags=["training"])


class Row(BaseModel):
    """One figure, with its unit."""

    name: str
    value: str
    words: str


class Measured(BaseModel):
    """What was measured of a run's codec; no rows if nothing was."""

    rows: list[Row]
    measured: str
    """When."""
    job: str | None
    """The measuring that is going on."""


class Heard(BaseModel):
    """A reconstruction beside its original, as references."""

    name: str
    reference: str
    original: str


class Moment(BaseModel):
    """A passage as the codec gave it back at some step."""

    stage: str
    """``codec`` or ``refinement``."""
    step: int
    reference: str


class Passage(BaseModel):
    """A passage, held out where anything was, and how it came back so far."""

    name: str
    seconds: float
    original: str
    moments: list[Moment]
    is_held_out: bool


class Learning(BaseModel):
    """What can be heard of a run while it trains, and how its figures are said."""

    passages: list[Passage]
    figures: tuple[Figure, ...]
    """Of the events' ``heard``."""


@router.get("/runs/{run}/learning")
def learning(run: str) -> Learning:
    """The passages as they came back at each state that was saved."""
    folder = places.run_folder(run)

    def reference(path: Path) -> str:
        return f"run:{run}/{path.relative_to(folder).as_posix()}"

    passages = [
        Passage(
            name=one.name,
            seconds=one.seconds,
            original=reference(one.original),
            moments=[Moment(stage=at.stage, step=at.step, reference=reference(at.file)) for at in one.moments],
            is_held_out=one.is_held_out,
        )
        for one in listening.heard(folder)
    ]
    return Learning(passages=passages, figures=FIGURES)


@router.post("/runs/{run}/measure")
def measure(run: str) -> JobView:
    """Measures the codec of a run on its recordings, unless that is being done, and writes its reconstructions into the
    run's folder."""
    folder = places.run_folder(run)
    if going_on := _going_on(run):
        return view(going_on)
    records = records_of(folder)
    model = found_model(records[-1]) if records else None
    if model is None:
        raise LibraryError(
            "The model of this run is not there.", "Wait until its codec is trained, or restore it from the trash."
        )
    recordings = records[-1].folder
    for earlier in ("reconstructions", "evaluation"):  # of another state of the codec; pages that nothing shows
        shutil.rmtree(folder / earlier, ignore_errors=True)
    commands: list[list[str | Path]] = [
        ["reconstruct", model, recordings, "--out", folder / "reconstructions", "--json"],
        ["evaluate", model, recordings, "--no-opus", "--no-page", "--json"],
    ]
    return view(jobs.start("measure", f"Measuring {model.stem}", commands, lane="making", about={"run": run}))


@router.get("/runs/{run}/measured")
def measured(run: str) -> Measured:
    """The newest figures of a run's codec."""
    places.run_folder(run)
    going_on = _going_on(run)
    job = None if going_on is None else going_on.id
    for one in _measurings(run):
        if one.state == "finished":
            return Measured(rows=_rows(one.results[1]), measured=one.created, job=job)
    return Measured(rows=[], measured="", job=job)


@router.get("/runs/{run}/heard")
def heard(run: str) -> list[Heard]:
    """The reconstructions that are there, each beside its original."""
    folder = places.run_folder(run)
    records = records_of(folder)
    if not records:
        return []
    out, recordings, path = folder / "reconstructions", Path(records[-1].folder), found_model(records[-1])
    model = next((entry for entry in places.library().models() if entry.path == path), None)
    if model is None or not out.is_dir():
        return []
    try:
        named = {name_below(path, recordings): path for path in audio_files(recordings)[0]}
    except (CorpusError, OSError):  # the folder is gone
        return []
    return [
        Heard(
            name=name,
            reference=f"run:{run}/reconstructions/{path.relative_to(out).as_posix()}",
            original=f"learned:{places.model_id(model)}/{name}",
        )
        for name, path in reconstruction_paths(out, named).items()
        if path.is_file()
    ]


def _measurings(run: str) -> list[jobs.Job]:
    return [job for job in jobs.jobs() if job.kind == "measure" and job.about.get("run") == run]


def _going_on(run: str) -> jobs.Job | None:
    return next((job for job in _measurings(run) if not job.is_over), None)


def _rows(told: Mapping[str, Any]) -> list[Row]:
    rows = []
    for part, called in (("mel_held_out", "mel distance, held out"), ("mel", "mel distance")):
        if isinstance(value := told.get(part), float) and math.isfinite(value):
            rows.append(
                Row(name=called, value=f"{value:.2f}", words="Distance of spectra; 0 is identical, lower is closer.")
            )
            break
    judged = told.get("judged", {})
    # Where nothing was held out, its figures are there, but none is known.
    figures = known(judged.get("held_out", {})) or known(judged.get("all", {}))
    return rows + [Row(name=one.name, value=one.said(value), words=one.words) for one, value in figures]
