"""The library: models with what they learned from, how well, and what was made with them; the trash of both; reports."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.types import Message, Receive, Scope, Send

from distill.errors import LibraryError, ModelFileError
from distill.files.atomic import make_folder
from distill.files.home import home
from distill.files.names import MODEL_SUFFIX
from distill.files.regular import absolute
from distill.library import ModelEntry, moving, trash
from distill.library.naming import matching
from distill.models.config import BASE_CREDITS
from distill.models.header import read_header
from distill.models.health import LEVEL_NAMES
from distill.web import jobs, places
from distill.web.reports import reports_of
from distill.web.routes.sounds import take
from distill.web.routes.work import JobView, view
from distill.web.worker import Worker

router = APIRouter(tags=["library"])
_WAITS_S = 24 * 3600.0
"""So long a copy waits to be taken."""


class ModelView(BaseModel):
    """A model in the library."""

    id: str
    name: str
    file: str
    created: str
    file_count: int
    seconds: float
    codec_distance: float | None
    perplexity: float | None
    has_prior: bool
    size: int
    """Bytes."""
    is_there: bool
    pieces: int
    """How many were made with it."""


class Training(BaseModel):
    """A training of a model."""

    kind: str
    started: str
    outcome: str
    message: str
    folder: str
    run: str
    settings: dict[str, Any]


class ModelDetail(ModelView):
    """A model with its history."""

    recordings: list[str]
    runs: list[Training]
    reports: list[str]
    """Pages that lie beside it."""
    base: str
    """What its codec started from, and to whom that is owed."""
    level_names: list[str]
    codebook_size: int
    bitrate: float
    """Bit/s."""
    sound_size: int
    """Bytes of its recordings' own sound, where it was given away with that; exported alone it leaves that out."""
    voice: str
    """Which voice was measured to be nearer to the recordings."""


class Trashed(BaseModel):
    """A model or a piece in the trash."""

    key: str
    kind: Literal["model", "piece"]
    name: str
    was: str | None
    deleted: str
    size: int


class Restored(BaseModel):
    """What came back from the trash."""

    kind: Literal["model", "piece"]
    name: str


class NewName(BaseModel):
    """What a model or a piece is to be called."""

    name: str = Field(min_length=1, max_length=100)


class Renamed(BaseModel):
    """What it is called now."""

    name: str
    remark: str = ""
    """What is not as it might be thought to be; empty, or a sentence."""


@router.get("/models")
def models(search: Annotated[str, Query(max_length=200)] = "") -> list[ModelView]:
    """The models whose name, folder, date or recordings contain every word, the newest first."""
    library = places.library()
    made: dict[str, int] = {}
    for one in library.generations():
        made[one.origin] = made.get(one.origin, 0) + 1
    return [_view(entry, made.get(entry.origin, 0)) for entry in matching(library, search.split())]


@router.get("/models/{model}")
def one_model(model: str) -> ModelDetail:
    """One model, with its trainings."""
    library = places.library()
    entry = places.model(model)
    header = read_header(entry.path)
    levels = header.codec.num_quantizers
    return ModelDetail(
        **_view(entry, len(library.generations(entry.origin))).model_dump(),
        recordings=list(entry.recordings),
        runs=[Training(**vars(run), run=Path(run.events).parent.name) for run in library.runs(entry.origin)],
        reports=[path.name for path in reports_of(entry)],
        base=BASE_CREDITS if header.is_from_base else "Random weights: it learned from these recordings alone.",
        level_names=list(LEVEL_NAMES.get(levels, ())),
        codebook_size=header.codec.codebook_size,
        bitrate=header.codec.bitrate,
        sound_size=sum(sound.bytes for sound in header.sounds),
        voice=header.nearer_voice,
    )


@router.post("/models/{model}/rename")
def rename(model: str, new: NewName) -> ModelView:
    """Gives a model another name; the page knows it by another id from then on."""
    library = places.library()
    entry = moving.rename(library, places.model(model), new.name)
    return _view(entry, len(library.generations(entry.origin)))


@router.delete("/models/{model}")
def delete(model: str) -> Trashed | None:
    """Moves a model into the trash; one whose file is gone is only taken off the list."""
    item = trash.delete(places.library(), places.listed(model))
    return None if item is None else _trashed(item)


@router.delete("/pieces/{piece}")
def delete_piece(piece: int) -> Trashed | None:
    """Moves a piece into the trash; one whose file is gone is only taken off the list."""
    library = places.library()
    item = trash.delete_piece(library, library.generation(piece))
    return None if item is None else _trashed(item)


@router.post("/pieces/{piece}/rename")
def rename_piece(piece: int, new: NewName) -> Renamed:
    """Gives a piece another name: its file where it is, and what lies beside it."""
    library = places.library()
    said: list[str] = []
    moved = moving.rename_piece(library, library.generation(piece), new.name, said.append)
    return Renamed(name=Path(moved.file).stem, remark=" ".join(said))


@router.get("/trash")
def in_trash() -> list[Trashed]:
    """The models and pieces that can be restored, the latest first."""
    found = [*trash.trashed("model"), *trash.trashed("piece")]
    return [_trashed(item) for item in sorted(found, key=lambda one: one.deleted, reverse=True)]


@router.delete("/trash")
def empty_trash() -> list[Trashed]:
    """Removes for good what is in the trash; gives what it was."""
    return [_trashed(item) for kind in trash.KINDS for item in trash.empty(kind)]


@router.post("/trash/{key}/restore")
def restore(key: str) -> Restored:
    """Brings a deleted model or piece back to where it was. Nothing is overwritten."""
    library = places.library()
    item = next((item for kind in trash.KINDS for item in trash.trashed(kind) if item.key == key), None)
    if item is None:
        raise LibraryError("This is not in the trash (any more).", "Look again; it may have been restored.")
    if item.kind == "model":
        return Restored(kind="model", name=trash.restore(library, key).name)
    return Restored(kind="piece", name=trash.restore_piece(library, key)[1].stem)


@router.get(
    "/models/{model}/file", response_class=FileResponse, responses={200: {"content": {"application/octet-stream": {}}}}
)
def export(model: str) -> FileResponse:
    """The model's file, without the recordings' own sound. It holds them as codes, which can be decoded."""
    entry = places.model(model)
    if read_header(entry.path).sounds:
        return _Once(moving.export(entry, _gifts()), entry.path.name)
    return FileResponse(entry.path, filename=entry.path.name, content_disposition_type="attachment")


@router.post("/models/{model}/gift")
def gift(model: str) -> JobView:
    """Writes a copy of a model with the sound of its recordings in it; whoever has that file has the recordings."""
    entry = places.model(model)
    words: list[str | Path] = ["models", "export", entry.path, "--with-recordings", "--out", _gifts(), "--json"]
    title = f"{entry.name} with its recordings"
    return view(jobs.start("gift", title, [words], lane="library", about={}))


class _Once(FileResponse):
    """A copy under its model's name, deleted once all of it was sent; not after a part of it, or a download that broke off."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path, filename=name, content_disposition_type="attachment")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = Path(self.path)
        left = path.stat().st_size

        async def counted(message: Message) -> None:
            nonlocal left
            await send(message)
            left -= len(message.get("body", b""))

        await super().__call__(scope, receive, counted)
        if left == 0:
            path.unlink(missing_ok=True)


@router.get("/gifts/{job}", response_class=FileResponse, responses={200: {"content": {"application/octet-stream": {}}}})
def take_gift(job: str) -> FileResponse:
    """The copy that a job wrote; it is deleted once all of it was sent."""
    results = jobs.job(job).results
    path = Path(str(results[0].get("model", ""))) if results else Path()
    if path.parent != absolute(_gifts()) or not path.is_file():
        raise LibraryError("This copy was taken already, or is not written yet.", "Export the model again.")
    return _Once(path, Path(str(results[0].get("was", path))).name)


@router.put("/uploads/models/{name}")
async def import_model(name: str, request: Request) -> ModelView:
    """Takes a model file: the process that has PyTorch checks the whole of it, and it is added to the library."""
    if not name.endswith(MODEL_SUFFIX):
        raise ModelFileError(f"{name} is not a model file.", f"Choose a file that ends in {MODEL_SUFFIX}.")
    path = await take(request, make_folder(places.uploads()), name)
    return await anyio.to_thread.run_sync(partial(_imported, request.app.state.worker, path))


def _imported(worker: Worker, path: Path) -> ModelView:
    try:
        read_header(path)  # what is none of ours is told at once
        worker.ask("about", model=str(path))  # it reads and checks all of the file
        library = places.library()
        entry = moving.add(library, path, in_place=False, is_checked=True)
    finally:
        path.unlink(missing_ok=True)
    return _view(entry, len(library.generations(entry.origin)))


@router.get("/reports/{model}/{page}", response_class=FileResponse, responses={200: {"content": {"text/html": {}}}})
def report(model: str, page: str) -> FileResponse:
    """A report that lies beside a model: a page that holds everything it shows."""
    for path in reports_of(places.model(model)):
        if path.name == page:
            return FileResponse(path, media_type="text/html")
    raise LibraryError("There is no such report (any more).", "See those there are in Library.")


def _gifts() -> Path:
    """Where copies wait to be taken; those that nobody came for go."""
    folder = home() / "gifts"
    for old in folder.glob(f"*{MODEL_SUFFIX}"):
        if time.time() - old.stat().st_mtime > _WAITS_S:
            old.unlink(missing_ok=True)
    return folder


def _view(entry: ModelEntry, pieces: int) -> ModelView:
    return ModelView(**vars(entry), id=places.model_id(entry), name=entry.name, file=str(entry.path), pieces=pieces)


def _trashed(item: trash.Trashed) -> Trashed:
    was = None if item.was is None else str(item.was)
    return Trashed(key=item.key, kind=item.kind, name=item.name, was=was, deleted=item.deleted, size=item.size)
