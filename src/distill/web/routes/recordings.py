"""Folders of recordings: named or dropped, judged by the same import as everywhere, and what of them is left out."""

import os
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from distill.errors import CorpusError, SettingError
from distill.files.home import expanded
from distill.files.names import new_folder, stem_from
from distill.files.regular import is_folder
from distill.recordings.demo import write_demo_corpus
from distill.recordings.folder import audio_files
from distill.web import jobs, places
from distill.web.answers import Done
from distill.web.routes.work import JobView, view
from distill.web.selections import training_folder

router = APIRouter(tags=["recordings"])
_MOST_OFFERED = 30


class CollectionView(BaseModel):
    """A folder of recordings."""

    id: str
    name: str
    folder: str
    is_own: bool
    """Whether it lies in Distill's own folder, so that files can be added on the page."""
    left_out: list[str]
    is_there: bool
    files: int
    """Audio files in it, usable or not."""


class Report(BaseModel):
    """What the import says of a folder (``distill check --json``)."""

    files: list[dict[str, Any]]
    usable: int
    seconds: float
    channels: int
    warnings: list[str]
    together: list[str] = Field(default=[])
    """Which recordings have to do with each other, and what that means for what is held out; earlier versions did not say."""
    split: dict[str, Any]
    why: str
    settings: dict[str, Any]


class CollectionDetail(CollectionView):
    """A folder with its import report."""

    stamp: str
    """Changes whenever a file in it does, or what is left out; empty where the folder cannot be read."""
    report: Report | None
    """None before it was read, and after something in it has changed."""
    job: JobView | None
    """The reading that is going on, or that failed."""


class Named(BaseModel):
    """A folder to add."""

    folder: str = Field(max_length=4000)


class NewFolder(BaseModel):
    """A folder of Distill's own, for files that are dropped on the page."""

    name: str = Field(max_length=100)


class LeftOut(BaseModel):
    """Names of recordings, as the report has them."""

    names: list[str] = Field(max_length=10_000)


class OneLeftOut(BaseModel):
    """A recording to leave out, or to take back."""

    name: str = Field(max_length=4000)
    is_out: bool


class Folders(BaseModel):
    """Folders that begin as what was typed."""

    folders: list[str]


@router.get("/collections")
def all_collections() -> list[CollectionView]:
    """The folders of recordings that were named."""
    return [_view(one) for one in places.collections()]


@router.post("/collections")
def add(named: Named) -> CollectionView:
    """Adds a folder by its path. Nothing is copied, and nothing is ever written to it."""
    return _view(places.add_collection(places.path_named(named.folder)))


@router.post("/collections/demo")
def add_demo() -> CollectionView:
    """Makes the demo corpus, 21 short recordings, in Distill's own folder."""
    folder = places.own_recordings() / "demo"
    if not is_folder(folder) or not audio_files(folder)[0]:
        write_demo_corpus(folder, seed=0)
    return _view(places.add_collection(folder, is_own=True))


@router.post("/collections/new")
def add_own(new: NewFolder) -> CollectionView:
    """Makes an empty folder in Distill's own, for files that are dropped on the page."""
    folder = new_folder(places.own_recordings() / (stem_from(new.name) or "recordings"))
    return _view(places.add_collection(folder, is_own=True))


@router.get("/folders")
def complete(text: str = "") -> Folders:
    """Completes the path of a folder that is being typed. Only names of folders are told, and only to this page."""
    try:
        given = expanded(Path(text or "~"))
    except SettingError:  # no such user, or not yet: the name is still being typed
        return Folders(folders=[])
    if not given.is_absolute() or "\0" in text:
        return Folders(folders=[])
    above, start = (given, "") if not text or text.endswith(("/", os.sep)) else (given.parent, given.name)
    try:
        below = sorted(path for path in above.iterdir() if path.name.casefold().startswith(start.casefold()))
        found = [
            str(path) for path in below if (start.startswith(".") or not path.name.startswith(".")) and is_folder(path)
        ]
    except OSError:  # not there, or not for this person
        return Folders(folders=[])
    return Folders(folders=found[:_MOST_OFFERED])


@router.get("/collections/{collection}")
def one_collection(collection: str) -> CollectionDetail:
    """A folder with its import report, as far as it was read."""
    one = places.collection(collection)
    stamp = one.stamp
    last = _last_check(one, stamp)
    report = None
    if last is not None and last.state == "finished":
        told = last.results[0]
        report = Report(**{name: told[name] for name in Report.model_fields if name in told})
    job = None if last is None or last.state == "finished" else view(last)
    return CollectionDetail(**_view(one).model_dump(), stamp=stamp, report=report, job=job)


@router.post("/collections/{collection}/check")
def check(collection: str) -> JobView:
    """Reads the folder and judges every file, unless that is being done. A reading of what has changed since is stopped."""
    one = places.collection(collection)
    stamp = one.stamp
    last = _last_check(one, stamp)
    if last is not None and not last.is_over:
        return view(last)
    if not is_folder(Path(one.folder)):
        raise CorpusError(f"The folder {one.folder} is gone.", "Put it back, or take it off the list.")
    words: list[str | Path] = ["check", training_folder(one), "--json"]
    for before in jobs.jobs():
        if before.kind == "check" and before.about.get("collection") == one.id and not before.is_over:
            jobs.stop(before)
    about = {"collection": one.id, "stamp": stamp}
    return view(jobs.start("check", f"Reading {one.name}", [words], lane=f"reading {one.id}", about=about))


@router.put("/collections/{collection}/left-out")
def leave_out(collection: str, left: LeftOut) -> CollectionView:
    """Leaves out exactly these recordings, from the next reading and training on."""
    return _view(places.leave_out(places.collection(collection), left.names))


@router.post("/collections/{collection}/left-out")
def leave_one_out(collection: str, one: OneLeftOut) -> CollectionView:
    """Leaves out one recording more, or takes it back, from the next reading and training on."""
    return _view(places.leave_one_out(collection, one.name, is_out=one.is_out))


@router.delete("/collections/{collection}")
def forget(collection: str) -> Done:
    """Takes a folder off the list. The folder itself stays as it is."""
    places.forget_collection(places.collection(collection))
    return Done()


def _view(one: places.Collection) -> CollectionView:
    folder = Path(one.folder)
    return CollectionView(**vars(one), name=one.name, is_there=is_folder(folder), files=places.count_files(folder))


def _last_check(one: places.Collection, stamp: str) -> jobs.Job | None:
    """The newest reading of the folder as it is now, but for those that were stopped."""
    wanted = {"collection": one.id, "stamp": stamp}
    for job in jobs.jobs():
        if job.kind == "check" and job.about == wanted and job.state not in ("stopping", "stopped"):
            return job
    return None
