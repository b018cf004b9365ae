"""New audio: what is asked for, what was made, and everything to make it again."""

import json
import logging
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from distill.counted import counted
from distill.durations import duration
from distill.errors import LibraryError, MissingPriorError
from distill.files.atomic import mark, write_json
from distill.files.home import home
from distill.files.leftovers import announced_folder, clear_held
from distill.library import GenerationRecord, ModelEntry
from distill.runs.piece_notes import note_what_was_left, verdicts_of
from distill.web import jobs, places
from distill.web.answers import Done
from distill.web.routes.work import JobView, view
from distill.web.settings import Settings, as_asked
from distill.web.zipped import zipped

router = APIRouter(tags=["new audio"])
_SHOWN = 200
_one_at_a_time = threading.Lock()
_told: set[str] = set()
"""What whoever runs the server was warned of already."""


class Asked(BaseModel):
    """New audio to make."""

    model: str
    settings: Settings


class PieceView(BaseModel):
    """A piece of new audio that the library knows."""

    id: int
    name: str
    file: str
    is_there: bool
    made: str
    model: str
    """The name of the model that made it."""
    model_id: str | None
    """None where that model is gone, or has been trained on since."""
    seed: int
    verdict: str
    shares: dict[str, float]
    request: dict[str, Any]
    length: str
    """How long it was to be, in words: its beats and tempo, where it was asked for in these."""
    kept: bool
    """Whether the person marked it, to find it again among many."""


class SecondView(BaseModel):
    """The verdict on one second, and where the passage is that it is most like."""

    verdict: str
    similarity: float | None
    percentile: float | None
    recording: str
    at_seconds: float
    semitones: float
    stretch: float
    is_repeated: bool
    reference: str | None
    """Of that recording; None where the model is gone."""


class PieceDetail(PieceView):
    """A piece with a verdict for every second, and the settings that ask for it once more."""

    settings: Settings
    seconds: list[SecondView] | None
    """None for what an earlier version made."""


class Kept(BaseModel):
    """Whether a piece is among those to be found again."""

    kept: bool


class Preset(BaseModel):
    """Settings under a name."""

    name: str = Field(min_length=1, max_length=60)
    settings: Settings


@router.post("/generate")
def generate(asked: Asked) -> JobView:
    """Makes new audio, or lets it wait in line."""
    entry = places.model(asked.model)
    if not entry.has_prior:
        raise MissingPriorError(f"'{entry.name}' has a codec but no prior yet.", "Go on with its training first.")
    words: list[str | Path] = [
        "generate",
        entry.path,
        *_options(asked.settings),
        "--out",
        places.studio(entry.name),
        "--json",
    ]
    about = {"model": str(entry.path), "settings": asked.settings.model_dump()}
    title = f"{asked.settings.count} × {length_in_words(asked.settings)} with {entry.name}"
    return view(jobs.start("generate", title, [words], lane="making", about=about))


@router.get("/pieces")
def pieces(model: str | None = None, whole: bool = False) -> list[PieceView]:
    """What was made, the newest first; with one model, or with all. Of older ones those that are kept, or the ``whole``."""
    _tidy()
    library = places.library()
    entries = library.models()
    origin = None if model is None else places.model(model).origin
    made = library.generations(origin)
    kept = _kept()
    older = [one for one in made[:-_SHOWN] if whole or one.id in kept]
    shown = [*older, *made[-_SHOWN:]]
    there = library.there(shown)
    return [_piece(one, entries, there) for one in reversed(shown)]


@router.get("/kept", response_class=StreamingResponse, responses={200: {"content": {"application/zip": {}}}})
def save_kept(model: str | None = None) -> StreamingResponse:
    """All pieces that are kept, of one model or of all, as one archive; those whose files are gone are left out."""
    entry = None if model is None else places.model(model)
    kept = _kept()
    library = places.library()
    there = kept & library.there(library.generations(None if entry is None else entry.origin))
    paths = [Path(library.generation(number).file) for number in sorted(there)]
    if not paths:
        raise LibraryError("No piece is kept.", "Press Keep on those that you want.")
    name = quote(f"{'all' if entry is None else entry.name}-kept.zip")
    headers = {"content-disposition": f"attachment; filename*=utf-8''{name}"}
    return StreamingResponse(zipped(paths), media_type="application/zip", headers=headers)


@router.get("/pieces/{piece}")
def one_piece(piece: int) -> PieceDetail:
    """One piece, second by second."""
    library = places.library()
    one = library.generation(piece)
    shown = _piece(one, library.models(), library.there([one]))
    found = verdicts_of(piece)
    seconds = None if found is None else [_second(second, shown.model_id) for second in found]
    settings = as_asked(one.request, one.seed, places.reference_of(one.request.get("given")))
    return PieceDetail(**shown.model_dump(), settings=settings, seconds=seconds)


@router.post("/pieces/{piece}/again")
def again(piece: int) -> JobView:
    """Makes the identical file again, from model, seed and settings."""
    one = places.library().generation(piece)
    out = places.studio(Path(one.model or "sound").stem)
    words: list[str | Path] = ["regenerate", str(piece), "--out", out, "--json"]
    return view(jobs.start("regenerate", f"Making piece {piece} again", [words], lane="making", about={"piece": piece}))


@router.put("/pieces/{piece}/kept")
def keep(piece: int, wanted: Kept) -> Done:
    """Marks a piece as one to be found again, or takes the mark away; its file stays where it is either way."""
    places.library().generation(piece)  # refuses one that is not known
    mark(_marks() / str(piece), is_set=wanted.kept)
    return Done()


@router.get("/presets")
def presets() -> list[Preset]:
    """Settings that were kept under a name."""
    return _presets()


@router.put("/presets")
def keep_preset(preset: Preset) -> Done:
    """Keeps settings under a name, in place of those it had."""
    with _one_at_a_time:
        _write([one for one in _presets() if one.name != preset.name] + [preset])
    return Done()


@router.delete("/presets/{name}")
def forget_preset(name: str) -> Done:
    """Forgets settings."""
    with _one_at_a_time:
        there = _presets()
        if all(one.name != name for one in there):
            raise LibraryError(f"There is no preset '{name}'.", "It may have been deleted in another tab.")
        _write([one for one in there if one.name != name])
    return Done()


def length_in_words(wanted: Settings) -> str:
    """How long a piece is to be, in words."""
    if wanted.kind == "infill":
        replaced = wanted.end - wanted.begin
        return f"{f'{replaced:.3g} s' if replaced < 59.95 else duration(replaced)} replaced"
    if wanted.kind == "loop" and wanted.beats is not None and wanted.bpm is not None:
        return f"{counted(wanted.beats, 'beat')} at {wanted.bpm:g} BPM"
    return f"{duration(wanted.seconds)}{' of loop' if wanted.kind == 'loop' else ''}"


def _options(wanted: Settings) -> list[str | Path]:
    words: list[str | Path] = ["--count", str(wanted.count)]
    # What would have no effect is refused by the command, so it is only given where it has one.
    if wanted.voice != "codec" or wanted.top_p is None or wanted.max_similarity is None:
        words += ["--originality", f"{wanted.originality:g}"]
    words += ["--temperature", ",".join(f"{value:g}" for value in wanted.temperature)]
    words += ["--top-k", str(wanted.top_k)] if wanted.top_k else []
    words += ["--variety", f"{wanted.variety:g}", "--format", wanted.format, "--voice", wanted.voice]
    for option, value in (("top-p", wanted.top_p), ("max-similarity", wanted.max_similarity), ("seed", wanted.seed)):
        words += [] if value is None else [f"--{option}", f"{value:g}" if isinstance(value, float) else str(value)]
    if wanted.kind == "infill":
        return [
            *words,
            "--infill",
            places.sound(wanted.given),
            "--from",
            str(wanted.begin),
            "--to",
            str(wanted.end),
        ]
    if wanted.kind == "loop" and wanted.beats is not None and wanted.bpm is not None:
        return [*words, "--loop", "--beats", str(wanted.beats), "--bpm", f"{wanted.bpm:g}"]
    words += ["--seconds", f"{wanted.seconds:g}"]
    if wanted.kind == "loop":
        return [*words, "--loop"]
    return [*words, "--prompt", places.sound(wanted.given)] if wanted.given else words


def _tidy() -> None:
    """Clears up after processes that were killed, as every command does: whoever has the page open starts none."""
    clear_held()
    if any(announced_folder().glob("*.json")):
        note_what_was_left(_warn_once)


def _warn_once(words: str) -> None:
    """Tells whoever runs the server; the page asks again and again."""
    if words not in _told:
        _told.add(words)
        logging.getLogger("distill").warning(words)


def _piece(one: GenerationRecord, entries: list[ModelEntry], there: set[int]) -> PieceView:
    path = Path(one.file)
    entry = next((entry for entry in entries if entry.is_there and entry.digest == one.digest), None)
    return PieceView(
        id=one.id or 0,
        name=path.stem,
        file=one.file,
        is_there=one.id in there,
        made=one.made,
        model=entry.name if entry is not None else Path(one.model or "gone").stem,
        model_id=None if entry is None else places.model_id(entry),
        seed=one.seed,
        verdict=one.verdict,
        shares=one.shares,
        request=one.request,
        length=length_in_words(as_asked(one.request, one.seed)).removesuffix(" of loop"),
        kept=(_marks() / str(one.id)).exists(),
    )


def _marks() -> Path:
    """Where every piece that is kept has an empty file, called by its number."""
    return home() / "kept"


def _kept() -> set[int]:
    """The pieces with a mark."""
    return {int(one.name) for one in _marks().glob("*") if one.name.isdecimal()}


def _second(told: dict[str, Any], model: str | None) -> SecondView:
    name = str(told.get("recording", ""))
    reference = f"learned:{model}/{name}" if name and model is not None else None
    return SecondView(
        **{key: value for key, value in told.items() if key in SecondView.model_fields}, reference=reference
    )


def _presets() -> list[Preset]:
    """Those that are kept; what cannot be read is said, or the next one saved would replace it."""
    place = home() / "presets.json"
    try:
        return [Preset(**one) for one in json.loads(place.read_bytes())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise LibraryError(f"The presets in {place} cannot be read.", "Mend the file, or move it away.") from error


def _write(kept: list[Preset]) -> None:
    in_order = sorted(kept, key=lambda one: one.name.casefold())
    write_json(home() / "presets.json", [one.model_dump() for one in in_order])
