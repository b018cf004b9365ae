"""Codes as sound: cells, columns, rows and stretches; previews of blends and proposals; codebook entries."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field
from starlette.background import BackgroundTask

from distill.audio.rate import SAMPLE_RATE
from distill.codes import edit
from distill.errors import SettingError
from distill.files.names import stem_from
from distill.formats.suffixes import AudioFormat
from distill.models.config import SMALLEST_HOP
from distill.web import places, sheets
from distill.web.code_bytes import from_bytes, in_bytes, text_of
from distill.web.edits import Cells, Codes, Column, Levels, SheetId, rows_of, where
from distill.web.frames import Message
from distill.web.routes.codes import WarmWorker, of_one_model
from distill.web.sheet_files import Sheet
from distill.web.worker import Worker

router = APIRouter(tags=["codes"])
MOST_PROPOSALS = 8
LONGEST_HEARD_S = 60
_MOST_COLUMNS = LONGEST_HEARD_S * SAMPLE_RATE // SMALLEST_HOP
_AROUND = 256
"""Columns."""
Level = Annotated[int, PathParameter(ge=0, lt=4)]
Code = Annotated[int, PathParameter(ge=0, lt=1024)]
_WAV: dict[int | str, dict[str, Any]] = {200: {"content": {"audio/wav": {}}, "description": "The sound."}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file."}
}


class Instead(BaseModel):
    """Whole columns that are heard in place of what is there: a blend or a proposal before it is taken."""

    first: Column
    codes: Codes


class Hear(BaseModel):
    """What is to be heard of a sheet."""

    first: Column
    stop: Column
    levels: Levels | None = None
    """Only these, as if the others added nothing."""
    held: bool = False
    """The first column as a sound that lasts, instead of a stretch as it sounds there."""
    original: bool = False
    """The codes the sheet began with, instead of those it has now."""
    instead: Instead | None = None
    after: str | None = Field(None, max_length=32)
    """The token that came with the part that ends at ``first``, if it was heard: then this one goes on from it."""
    goes_on: bool = False
    """Whether what follows is going to be asked for; then a token for it comes as the header ``x-goes-on``."""


class Mixing(Cells):
    """Two stretches to be mixed."""

    other: SheetId
    other_first: Column
    weight: float = Field(ge=0, le=1)


class Mix(BaseModel):
    """A mix as the codebooks can say it."""

    codes: str
    """The columns with the mix in them, all levels."""
    off: list[float]
    """How far each column is from the mix that was asked for, as a share of how far the two are apart."""
    snapped: list[int]
    """What each became: 0 as it was, 1 as the other, 2 codes between them."""
    words: str


class Imagining(Cells):
    """Cells to be drawn anew."""

    count: int = Field(3, ge=1, le=MOST_PROPOSALS)
    seed: int = Field(0, ge=0, lt=2**31 - MOST_PROPOSALS)
    temperature: float = Field(1.0, ge=0, le=5)


class Proposal(BaseModel):
    """One way the cells could be."""

    seed: int
    codes: str
    """Columns ``first`` to ``stop``, all levels."""
    words: str


class Book(BaseModel):
    """The codebooks of a model."""

    levels: int
    entries: int
    has_prior: bool
    counts: list[list[int]]
    """How often the recordings use each entry, level by level."""
    colours: list[list[tuple[float, float]]]
    """Two numbers from 0 to 1 an entry; similar sounds have similar ones."""


class Place(BaseModel):
    """Where an entry sounds in the recordings."""

    recording: int
    """By which the model file keeps it."""
    name: str
    first: int
    stop: int
    """Columns of what is kept."""
    seconds: float
    """Where in the recording that is."""
    held_out: bool


class Places(BaseModel):
    """All of them, the longest first; of very many only the first are listed."""

    count: int
    places: list[Place]


@router.post("/codes/sheets/{sheet}/sound", responses=_WAV, response_class=Response)
def hear(sheet: str, asked: Hear, worker: WarmWorker) -> Response:
    """A stretch, some levels of it, or a moment held, as a WAV file of 32-bit samples."""
    one = sheets.sheet(sheet)
    codes = one.original if asked.original else one.codes
    if asked.instead is not None:
        columns = rows_of(asked.instead.codes, one.about.levels, one.about.entries)
        codes = edit.paste(codes, edit.Clip(columns, tuple(range(one.about.levels))), asked.instead.first)
    chosen = edit.select(codes, asked.first, asked.stop, asked.levels)
    if asked.held:
        column = codes[chosen.first : chosen.first + 1]
        return _wav(_ask(worker, one, "held", column, levels=asked.levels))
    if chosen.length * one.about.hop > LONGEST_HEARD_S * one.about.sample_rate:
        raise SettingError(
            f"More than {LONGEST_HEARD_S} s are not played in one piece.",
            "Ask for a part, and then for what follows it.",
        )
    # The worker need not be told of an hour to play a second: what lies further away than this is never heard in it.
    low = max(0, chosen.first - _AROUND)
    words: dict[str, Any] = {"origin": low, "first": chosen.first, "stop": chosen.stop, "levels": asked.levels}
    words |= {"after": asked.after, "goes_on": asked.goes_on}
    said, wav = _ask(worker, one, "stretch", codes[low : chosen.stop + _AROUND], **words)
    return Response(wav, media_type="audio/wav", headers={"x-goes-on": said["token"]} if said["token"] else None)


@router.post("/codes/sheets/{sheet}/blend")
def blend(sheet: str, asked: Mixing, worker: WarmWorker) -> Mix:
    """Mixes two stretches, and says what each column snapped to; nothing is changed yet. Locked cells stay."""
    one, other = sheets.sheet(sheet), sheets.sheet(asked.other)
    of_one_model(one, other)
    chosen = edit.select(one.codes, asked.first, asked.stop, asked.levels)
    # Refused in words here if the other one has no such stretch.
    edit.graft(one.codes, other.codes, chosen, asked.other_first)
    here = one.codes[chosen.first : chosen.stop]
    there = other.codes[asked.other_first : asked.other_first + chosen.length]
    words = {"columns": chosen.length, "weight": asked.weight, "levels": list(chosen.levels)}
    said, body = _ask(worker, one, "blend", np.concatenate([here, there]), **words)
    mixed = edit.keep(here, from_bytes(body, one.about.levels), one.locked[chosen.first : chosen.stop])
    told = f"Blended {100 * asked.weight:.0f} % of {other.about.name} into {where(one, chosen)}"
    stays = one.locked[chosen.cells()].all(axis=1)  # these columns keep their own codes, as far off as they are
    off, snapped = np.where(stays, asked.weight, said["off"]), np.where(stays, 0, said["snapped"])
    told += edit.said_of_locked(chosen, one.locked)
    return Mix(codes=text_of(mixed), off=off.tolist(), snapped=snapped.tolist(), words=told)


@router.post("/codes/sheets/{sheet}/reimagine")
def reimagine(sheet: str, asked: Imagining, worker: WarmWorker) -> list[Proposal]:
    """The prior draws cells anew, several times; locked ones stay, and nothing is changed yet."""
    one = sheets.sheet(sheet)
    chosen = edit.select(one.codes, asked.first, asked.stop, asked.levels)
    free = (chosen.mask(one.codes) & ~one.locked).astype(np.int64)
    # As much to both sides as any prior looks back or ahead over.
    low, high = max(0, chosen.first - 1024), min(len(one.codes), chosen.stop + 1024)
    words = {
        "columns": high - low,
        "first": chosen.first - low,
        "stop": chosen.stop - low,
        "count": asked.count,
        "seed": asked.seed,
        "temperature": asked.temperature,
    }
    said, body = _ask(worker, one, "reimagine", np.concatenate([one.codes[low:high], free[low:high]]), **words)
    drawn = np.split(from_bytes(body, one.about.levels), asked.count)
    told, stay = f"Re-imagined {where(one, chosen)}", edit.said_of_locked(chosen, one.locked)
    return [
        Proposal(seed=seed, codes=text_of(codes), words=f"{told}, seed {seed}{stay}")
        for seed, codes in zip(said["seeds"], drawn, strict=True)
    ]


@router.get("/codes/sheets/{sheet}/file", responses=_FILE, response_class=FileResponse)
def save(sheet: str, worker: WarmWorker, format: Literal["codes", AudioFormat] = "wav") -> FileResponse:  # noqa: A002
    """The whole sound as a file."""
    one = sheets.sheet(sheet)
    folder = Path(tempfile.mkdtemp(prefix="distill-"))
    try:
        stem = stem_from(Path(one.about.name).stem) or "sound"
        path = folder / f"sound.{format}"
        _ask(worker, one, "write", one.codes, samples=one.samples, out=str(path))
    except BaseException:
        shutil.rmtree(folder)
        raise
    return FileResponse(
        path,
        filename=f"{stem}-edited.{format}" if one.history.past else f"{stem}.{format}",
        content_disposition_type="attachment",
        background=BackgroundTask(shutil.rmtree, folder),
    )


@router.get("/codes/models/{model}/book")
def book(model: str, worker: WarmWorker) -> Book:
    """The codebooks: how often each entry is used, and how it is coloured."""
    said, _ = worker.ask("about", model=str(places.model(model).path))
    return Book(**{name: said[name] for name in Book.model_fields})


@router.get("/codes/models/{model}/entries/{level}/{code}/sound", responses=_WAV, response_class=Response)
def entry_sound(model: str, level: Level, code: Code, worker: WarmWorker) -> Response:
    """One entry alone, as a sound that lasts."""
    return _wav(worker.ask("entry", model=str(places.model(model).path), level=level, code=code))


@router.get("/codes/models/{model}/entries/{level}/{code}/places")
def entry_places(model: str, level: Level, code: Code, worker: WarmWorker) -> Places:
    """Where in the recordings it sounds."""
    said, _ = worker.ask("places", model=str(places.model(model).path), level=level, code=code)
    return Places(**said)


@router.get("/codes/models/{model}/recordings/{index}/sound", responses=_WAV, response_class=Response)
def recording_sound(
    model: str,
    index: Annotated[int, PathParameter(ge=0, lt=2**31)],
    first: Annotated[int, Query(ge=0, lt=2**31)],
    stop: Annotated[int, Query(ge=0, lt=2**31)],
    worker: WarmWorker,
) -> Response:
    """A stretch of a recording, from the codes that the model file keeps."""
    if stop - first > _MOST_COLUMNS:
        raise SettingError(f"{stop - first} columns are more than are played at once.", "Ask for a shorter stretch.")
    return _wav(worker.ask("place", model=str(places.model(model).path), index=index, first=first, stop=stop))


def _ask(worker: Worker, one: Sheet, do: str, rows: np.ndarray, **words: Any) -> Message:
    return worker.ask(do, in_bytes(rows), model=str(sheets.model_of(one.about)), codec=one.about.codec, **words)


def _wav(answer: Message) -> Response:
    return Response(answer[1], media_type="audio/wav")
