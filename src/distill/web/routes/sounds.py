"""Sounds by their references: to play, to look at, a passage of them, to take home; and files that are dropped."""

import os
import re
import unicodedata
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from distill.errors import AudioFileError, OutputError
from distill.files.atomic import make_folder, output_error, written_aside
from distill.files.names import normalised, reserving, stem_from
from distill.formats.files import probe
from distill.formats.suffixes import AudioFormat
from distill.web import places, sound

router = APIRouter(tags=["sounds"])
Reference = Annotated[str, Query(description="A reference, such as piece:12 (places.py).", max_length=2000)]
Below = Annotated[
    str, Query(description="The folders it was in, below what was dropped: drums/kicks.", max_length=2000)
]
_AUDIO: dict[int | str, dict[str, Any]] = {200: {"content": {"audio/*": {}}, "description": "The sound."}}
_UNWRITABLE = frozenset('<>:"/\\|?*')
"""What a name may not hold on Windows."""
_LONGEST_NAME = 200
"""Bytes of a folder's name; disks take 255."""


class Level(BaseModel):
    """How loud a sound is."""

    decibels: float | None
    """RMS of what is not much softer than the rest, dBFS; None for silence."""


class Uploaded(BaseModel):
    """A file that was taken."""

    reference: str
    name: str
    seconds: float


@router.get("/sound/audio", responses=_AUDIO, response_class=FileResponse)
def audio(ref: Reference) -> FileResponse:
    """The sound as a browser can play it, from any place on."""
    path, kind = sound.playable(places.sound(ref))
    return FileResponse(path, media_type=kind, headers={"cache-control": "private, no-cache"})


@router.get("/sound/look")
def look(ref: Reference, mel: bool = True) -> sound.Picture:
    """Waveform and, with ``mel``, spectrogram."""
    return sound.picture(places.sound(ref), with_mel=mel)


@router.get("/sound/passage", responses=_AUDIO, response_class=Response)
def passage(
    ref: Reference,
    begin: Annotated[float, Query(ge=0, le=86_400)] = 0.0,
    seconds: Annotated[float, Query(gt=0, le=60)] = 1.0,
) -> Response:
    """A passage of it, as a WAV file."""
    return Response(sound.passage(places.sound(ref), begin, seconds), media_type="audio/wav")


@router.get("/sound/level")
def level(ref: Reference) -> Level:
    """How loud it is, for comparing two at the same level."""
    found = sound.loudness_db(places.sound(ref))
    return Level(decibels=None if found == float("-inf") else found)


@router.get("/sound/download", responses=_AUDIO, response_class=FileResponse)
def download(ref: Reference, format: AudioFormat = "wav") -> FileResponse:  # noqa: A002
    """The sound as a file of this format; as it is where it has that already."""
    path = places.sound(ref)
    target = path
    if path.suffix.lower() != f".{format}":
        target = sound.converted(path, format)
    return FileResponse(target, filename=f"{path.stem}.{format}", content_disposition_type="attachment")


@router.put("/uploads/sounds/{name}")
async def upload_sound(name: str, request: Request) -> Uploaded:
    """Takes one audio file: a prompt, or a recording to make a passage of anew."""
    path = await take(request, make_folder(places.uploads()), name)
    return Uploaded(reference=f"upload:{path.name}", name=path.name, seconds=await run_in_threadpool(_checked, path))


@router.put("/uploads/recordings/{collection}/{name}")
async def upload_recording(collection: str, name: str, request: Request, below: Below = "") -> Uploaded:
    """Takes one recording into a folder of Distill's own; the import judges it later, like every other."""
    one = places.collection(collection)
    if not one.is_own:
        raise OutputError(
            f"{one.folder} is your own folder; nothing is ever written to it.", "Put the file there yourself."
        )
    folder = Path(one.folder)
    path = await take(request, make_folder(folder.joinpath(*_subfolders(below))), name)
    kept = path.relative_to(folder).as_posix()
    return Uploaded(reference=f"recording:{one.id}/{kept}", name=kept, seconds=0.0)


async def take(request: Request, folder: Path, name: str) -> Path:
    """Writes the body of a request to a free name in the folder, block by block, while others are answered.

    Raises:
        OutputError: if the file system refuses.
    """
    suffix = "".join(re.findall(r"\.\w{1,8}$", name))
    stem = stem_from(name.removesuffix(suffix)) or "sound"
    with reserving(folder / f"{stem}{suffix}") as path:  # removed again if the page goes away in the middle
        try:
            with written_aside(path) as aside, aside.open("wb") as file:
                async for block in request.stream():
                    await run_in_threadpool(file.write, block)
                await run_in_threadpool(_synced, file)
        except OSError as error:
            raise output_error(path, error) from error
    return path


def _subfolders(below: str) -> list[str]:
    """The names of the folders that a file was in, as they can be written anywhere: none of them leads out."""
    return [_folder_name(normalised(part)) for part in below.split("/") if part not in ("", ".", "..")]


def _folder_name(given: str) -> str:
    """The name as it is where every system can write it; else one made from it, which no other folder's name becomes."""
    is_plain = not any(letter in _UNWRITABLE or unicodedata.category(letter)[0] == "C" for letter in given)
    if is_plain and given == given.strip(" .") and len(given.encode()) <= _LONGEST_NAME:
        return given
    return f"{stem_from(given) or 'folder'}-{sha256(given.encode(errors='replace')).hexdigest()[:6]}"


def _synced(file: BinaryIO) -> None:
    """Has it all on the disk: what is synced again, as it gets its name, takes no time then."""
    file.flush()
    os.fsync(file.fileno())


def _checked(path: Path) -> float:
    try:
        return probe(path).seconds
    except AudioFileError:
        path.unlink(missing_ok=True)
        raise
