"""Sounds as codes, to be edited: what can be opened, what is open, every edit, undo and redo."""

import secrets
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from distill.codes import edit
from distill.codes.history import Step
from distill.errors import LibraryError, SettingError
from distill.files.atomic import make_folder
from distill.files.names import MODEL_SUFFIX
from distill.library import ModelEntry
from distill.models.header import read_header
from distill.models.health import LEVEL_NAMES
from distill.web import closed_sheets, places, sheets
from distill.web.answers import Done
from distill.web.code_bytes import from_bytes, text_of
from distill.web.edits import Edit, Graft, edited, where
from distill.web.routes.sounds import take
from distill.web.sheet_files import About, Sheet
from distill.web.worker import Worker

router = APIRouter(tags=["codes"])
_TOLD = 50
"""Steps that are named to the page."""


def _worker(request: Request) -> Worker:
    worker: Worker = request.app.state.worker
    return worker


WarmWorker = Annotated[Worker, Depends(_worker)]
"""The process that has PyTorch."""
Seen = Annotated[
    int | None, Query(description="The version that is looked at: what was changed since then is not changed blindly.")
]


class Choice(BaseModel):
    """A recording that the model file keeps as codes."""

    index: int
    name: str
    begin: float
    """Where in the recording it begins, in seconds."""
    seconds: float
    held_out: bool


class SheetLine(BaseModel):
    """A sound that is open."""

    id: str
    name: str
    model: str
    """Its name."""
    model_id: str | None
    """None where its file is not at its place."""
    seconds: float
    """Of what it was opened from."""
    made: str


class ClosedLine(SheetLine):
    """A sound that was closed."""

    until: str
    """Until when it can be opened again: ISO 8601, UTC."""


class SheetView(SheetLine):
    """A sound as codes."""

    rows: str
    """As ``Codes``: each row is a column in time, the codes of its levels and then 1 for each that is locked."""
    original: str
    """As ``Codes``: those it began with."""
    levels: int
    level_names: list[str]
    entries: int
    """Of each level's codebook."""
    codec: str
    """By which codes of the same codec are known."""
    version: int
    """Grows by one with every change."""
    hop: int
    sample_rate: int
    past: list[str]
    """What was done lately, in words, the last step last; all of it can be undone."""
    future: list[str]
    """What was undone, the next to be redone last."""


class Change(BaseModel):
    """A step from one state of a sheet to the next: at ``first``, ``removed`` rows are replaced by ``rows``."""

    sheet: str
    version: int
    """After it; where that is not one more than before, there were others, from another tab."""
    first: int
    removed: int
    rows: str
    """As in :class:`SheetView`."""
    words: str
    past: list[str]
    future: list[str]


class Changes(BaseModel):
    """What an edit changed; nothing where there was nothing to undo, and two sheets where two were swapped."""

    changes: list[Change]


class Opening(BaseModel):
    """What is to be opened: a recording that the model keeps, or any sound by its reference."""

    model: str = Field(max_length=40)
    recording: int | None = Field(None, ge=0)
    sound: str | None = Field(None, max_length=2000)
    name: str = Field("", max_length=200)
    anew: bool = False
    """Also where it is open and nothing was done to it yet: to lie beside itself."""


class Name(BaseModel):
    """Another name."""

    name: str = Field(min_length=1, max_length=120)


@router.get("/codes/models/{model}/recordings")
def recordings(model: str) -> list[Choice]:
    """What a model keeps of its recordings as codes; nothing before it has a prior."""
    header = read_header(places.model(model).path)
    rate = header.codec.frame_rate
    return [
        Choice(index=index, name=one.name, begin=one.start_seconds, seconds=one.positions / rate, held_out=one.held_out)
        for index, one in enumerate(header.sources)
    ]


@router.get("/codes/sheets")
def all_sheets() -> list[SheetLine]:
    """What is open, the newest first."""
    models = _models()
    return [_line(about, models) for about in sheets.sheets()]


@router.get("/codes/closed")
def closed() -> list[ClosedLine]:
    """What was closed and can be opened again, the last one first."""
    models = _models()
    return [
        ClosedLine(**_line(one.about, models).model_dump(), until=one.until.isoformat(timespec="seconds"))
        for one in closed_sheets.closed()
    ]


@router.post("/codes/sheets")
def open_sheet(opening: Opening, worker: WarmWorker) -> SheetView:
    """Opens a sound as codes."""
    entry = places.model(opening.model)
    if opening.recording is not None:
        asked: dict[str, Any] = {"do": "recording", "index": opening.recording}
        given = {one.index: one.name for one in recordings(opening.model)}.get(opening.recording, "")
    elif opening.sound is not None:
        path = places.sound(opening.sound)
        asked, given = {"do": "encode", "audio": str(path)}, path.name
    else:
        raise SettingError("Nothing was chosen to be opened.", "Choose a recording, a piece or a file.")
    return _opened(worker, entry, opening.name or given, asked, opening.anew)


@router.put("/uploads/codes/{model}/{name}")
async def open_file(model: str, name: str, request: Request, worker: WarmWorker, anew: bool = False) -> SheetView:
    """Takes an audio file or a ``.codes`` file and opens it, ``anew`` as in :class:`Opening`."""
    entry = places.model(model)
    path = await take(request, make_folder(places.uploads()), name)
    return await run_in_threadpool(_dropped, worker, entry, name, path, anew)


@router.get("/codes/sheets/{sheet}")
def one_sheet(sheet: str) -> SheetView:
    """A sound as it is now."""
    return _view(sheets.sheet(sheet))


@router.delete("/codes/sheets/{sheet}")
def close_sheet(sheet: str) -> Done:
    """Takes a sound off the list; for ``CLOSED_DAYS`` it can be opened again."""
    closed_sheets.close(sheet)
    return Done()


@router.post("/codes/sheets/{sheet}/reopen")
def reopen_sheet(sheet: str) -> SheetView:
    """Brings back a sound that was closed, with all that was done to it."""
    return _view(closed_sheets.reopen(sheet))


@router.post("/codes/sheets/{sheet}/name")
def rename_sheet(sheet: str, new: Name) -> SheetView:
    """Gives it another name."""
    return _view(sheets.rename(sheets.sheet(sheet), new.name))


@router.post("/codes/sheets/{sheet}/edits")
def change(sheet: str, asked: Edit, version: Seen = None) -> Changes:
    """Changes a sound; locked cells stay as they are."""
    one = sheets.sheet(sheet, version)
    if isinstance(asked, Graft):
        return _across(one, asked)
    words, codes, locked = edited(one, asked)
    return Changes(changes=[_change(*sheets.do(words, codes, locked, based_on=one))])


@router.post("/codes/sheets/{sheet}/undo")
def undo(sheet: str, version: Seen = None) -> Changes:
    """Takes the last step back; a swap in both sounds, if the other has not gone on since."""
    return Changes(changes=[_change(*moved) for moved in sheets.back_or_forth(sheet, "undo", version)])


@router.post("/codes/sheets/{sheet}/redo")
def redo(sheet: str, version: Seen = None) -> Changes:
    """Takes the last undo back."""
    return Changes(changes=[_change(*moved) for moved in sheets.back_or_forth(sheet, "redo", version)])


def of_one_model(one: Sheet, other: Sheet) -> None:
    """Refuses two sheets whose codes mean different sounds.

    Raises:
        SettingError: if they are of different models.
    """
    if one.about.codec != other.about.codec:
        raise SettingError(
            f"'{one.about.name}' and '{other.about.name}' are codes of different models.",
            "Open both with the same one.",
        )


def _across(one: Sheet, asked: Graft) -> Changes:
    other = sheets.sheet(asked.other, asked.other_version)
    of_one_model(one, other)
    chosen = edit.select(one.codes, asked.first, asked.stop, asked.levels)
    there = where(one, chosen)
    if asked.do == "graft":
        grafted = edit.keep(one.codes, edit.graft(one.codes, other.codes, chosen, asked.other_first), one.locked)
        words = f"Took {there} from {other.about.name}{edit.said_of_locked(chosen, one.locked)}"
        return Changes(changes=[_change(*sheets.do(words, grafted, one.locked, based_on=one))])
    if one.about.id == other.about.id:
        raise SettingError("A sound cannot be swapped with itself.", "Open another one beside it.")
    mine, yours = edit.swap(one.codes, other.codes, chosen, asked.other_first, one.locked, other.locked)
    pair = secrets.token_hex(6)
    said, replied = f"Swapped {there} with {other.about.name}", f"Swapped with {there} of {one.about.name}"
    with sheets.turn:  # both or none: half a swap would lose what was taken out of the other
        for known in (one, other):
            sheets.sheet(known.about.id, known.version)
        first = sheets.do(said, mine, one.locked, based_on=one, pair=pair, other=other.about.id)
        second = sheets.do(replied, yours, other.locked, based_on=other, pair=pair, other=one.about.id)
    return Changes(changes=[_change(*first), _change(*second)])


def _dropped(worker: Worker, entry: ModelEntry, name: str, path: Path, anew: bool) -> SheetView:
    """A file that was dropped, open; it is not needed any more then."""
    try:
        return _opened(worker, entry, name, {"do": "encode", "audio": str(path)}, anew)
    finally:
        path.unlink(missing_ok=True)


def _opened(worker: Worker, entry: ModelEntry, name: str, asked: dict[str, Any], anew: bool) -> SheetView:
    about_model, _ = worker.ask("about", model=str(entry.path))
    said, body = worker.ask(model=str(entry.path), **asked)
    codes = from_bytes(body, about_model["levels"])
    if not len(codes):
        raise LibraryError(f"There is nothing in {name}.", "Choose another one.")
    if not anew and (open_already := sheets.untouched(name, about_model["codec"], codes)) is not None:
        return _view(open_already)
    return _view(sheets.open_sheet(name, entry.path, entry.origin, about_model, codes, said["samples"]))


def _models() -> dict[tuple[str, str], str]:
    """How the page names the model of a path and an origin or, with an empty path, one of that origin, wherever it is."""
    entries = [entry for entry in places.library().models() if entry.is_there]
    anywhere = {("", entry.origin): places.model_id(entry) for entry in reversed(entries)}
    return anywhere | {(str(entry.path), entry.origin): places.model_id(entry) for entry in entries}


def _line(about: About, models: dict[tuple[str, str], str]) -> SheetLine:
    model_id = models.get((about.model, about.origin)) or models.get(("", about.origin))
    seconds = about.samples / about.sample_rate
    name = about.model.replace("\\", "/").rpartition("/")[2].removesuffix(MODEL_SUFFIX)
    return SheetLine(id=about.id, name=about.name, model=name, model_id=model_id, seconds=seconds, made=about.made)


def _view(one: Sheet) -> SheetView:
    about = one.about
    return SheetView(
        **vars(_line(about, _models())),
        rows=text_of(one.history.grid),
        original=text_of(one.original),
        levels=about.levels,
        level_names=list(LEVEL_NAMES[about.levels]),
        entries=about.entries,
        codec=about.codec,
        version=one.version,
        hop=about.hop,
        sample_rate=about.sample_rate,
        past=_words(one.history.past),
        future=_words(one.history.future),
    )


def _words(steps: tuple[Step, ...]) -> list[str]:
    return [step.words for step in steps[-_TOLD:]]


def _change(one: Sheet, step: Step) -> Change:
    return Change(
        sheet=one.about.id,
        version=one.version,
        first=step.first,
        removed=len(step.before),
        rows=text_of(step.after),
        words=step.words,
        past=_words(one.history.past),
        future=_words(one.history.future),
    )
