"""Starting and resuming trainings from the page: each is a job (``jobs.py``) made of the command line's commands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from distill.errors import LibraryError, OutputError, SettingError
from distill.files.names import MODEL_SUFFIX, normalised, stem_from
from distill.library import RunRecord
from distill.recordings.corpus import ensure_usable
from distill.runs.renamed import found_model
from distill.runs.status import has_prior
from distill.settings import check_length
from distill.training import budget
from distill.web import jobs, places
from distill.web.routes.runs import look_at
from distill.web.routes.work import JobView, view
from distill.web.selections import training_folder

router = APIRouter(tags=["training"])
_Command = tuple[list[str | Path], float | None]
"""Words after ``distill``, and about how many seconds they take, where that is known."""
_NOTED = ("device", "seed", "from_scratch")
"""What a run notes of its stages that holds for those that follow, too."""


class TrainRequest(BaseModel):
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


class Takes(BaseModel):
    """About how long a training takes, with its first pieces."""

    seconds: float


class GoOn(BaseModel):
    """How much further; without minutes, to the end that was planned."""

    minutes: float | None = Field(None, gt=0, le=100_000)


@router.get("/train/takes")
def takes(
    minutes: Annotated[float, Query(gt=0, le=100_000)],
    quality: Literal["standard", "high"] = "standard",
    seconds: Annotated[float, Query(ge=0.5, le=600)] = 10.0,
    count: Annotated[int, Query(ge=1, le=64)] = 3,
    corpus_seconds: Annotated[float, Query(ge=0, le=1e9)] = 0.0,
) -> Takes:
    """How long such a training takes from its start to its last piece."""
    if quality == "high":  # its pieces are made by a command of their own, after the minutes
        return Takes(seconds=60 * minutes + budget.making_seconds(seconds, count, corpus_seconds))
    return Takes(seconds=budget.whole_seconds(minutes, seconds, count, corpus_seconds))


@router.post("/train")
def train(wanted: TrainRequest) -> JobView:
    """Begins a training, or lets it wait in line: codec, prior and first pieces within the minutes."""
    one = places.collection(wanted.collection)
    check_length(None, wanted.minutes)
    folder = training_folder(one)
    ensure_usable(folder)
    name = _free_name(wanted.name, one.name)
    model = places.studio(name) / f"{name}{MODEL_SUFFIX}"
    about = {"collection": one.id, "model": str(model), "wanted": wanted.model_dump()}
    return _begun(f"Training {name}", _commands(wanted, folder, model), about)


def _begun(title: str, commands: Sequence[_Command], about: dict[str, Any]) -> JobView:
    words, seconds = zip(*commands, strict=True)
    return view(jobs.start("train", title, words, lane="training", about=about, seconds=seconds))


def _commands(wanted: TrainRequest, folder: Path, model: Path) -> list[_Command]:
    """The words after ``distill``: one command for all, or with high quality, which ``distill run`` has not, one a stage."""
    codec: list[str | Path] = ["--name", model.stem, "--out", model.parent, *_training(wanted)]
    codec += ["--channels", wanted.channels]
    codec += ["--rvq-levels", str(wanted.levels)] if wanted.levels else []
    codec += ["--codebook-size", str(wanted.codebook_size)] if wanted.codebook_size else []
    if wanted.quality == "standard":
        takes = budget.whole_seconds(wanted.minutes, wanted.seconds, wanted.count, corpus_seconds=0)
        return [(["run", folder, "--minutes", f"{wanted.minutes:g}", *codec, *_pieces(wanted), "--json"], takes)]
    prior_minutes = budget.HIGH_PRIOR_SHARE * wanted.minutes
    codec_minutes = wanted.minutes - prior_minutes
    return [
        (
            ["train", folder, "--quality", "high", "--minutes", f"{codec_minutes:g}", *codec, "--json"],
            60 * codec_minutes,
        ),
        _prior(wanted, folder, model, prior_minutes),
        _first(wanted, model, model.parent),
    ]


def _prior(wanted: TrainRequest, folder: Path | str, model: Path, minutes: float) -> _Command:
    return ["train-prior", model, folder, "--minutes", f"{minutes:g}", *_training(wanted), "--json"], 60 * minutes


def _first(wanted: TrainRequest, model: Path, out: Path) -> _Command:
    takes = budget.making_seconds(wanted.seconds, wanted.count, corpus_seconds=0)
    return ["generate", model, *_pieces(wanted), *_drawing(wanted), "--out", out, "--json"], takes


def _pieces(wanted: TrainRequest) -> list[str]:
    return ["--seconds", f"{wanted.seconds:g}", "--count", str(wanted.count)]


def _training(wanted: TrainRequest) -> list[str]:
    return [*_drawing(wanted), *(["--from-scratch"] if wanted.from_scratch else [])]


def _drawing(wanted: TrainRequest) -> list[str]:
    return ["--device", wanted.device, "--seed", str(wanted.seed)]


@router.post("/runs/{run}/resume")
def resume(run: str, further: GoOn) -> JobView:
    """Goes on with a run that was stopped, or trains a finished one further; what was to follow, follows."""
    status = look_at(places.run_folder(run))
    record = status.record
    if record is None:
        raise LibraryError("Nothing is known of this run that could go on.", "Train the model again.")
    if status.state == "running":
        raise LibraryError("This run is at work.", "Stop it first.")
    found = found_model(record)
    if not status.has_state:
        raise OutputError("The state of this run is not kept any more.", "Train the model again.")
    model, target = found or Path(record.model), found or status.run_folder
    asked = _asked(status.records)
    added = [] if further.minutes is None else ["--minutes", f"{further.minutes:g}"]
    verb = "train-prior" if record.kind == "prior" else "train"
    takes = None if further.minutes is None else 60 * further.minutes  # to the end that was planned is not known
    commands: list[_Command] = [([verb, "--resume", target, *added, "--device", asked.device, "--json"], takes)]
    # A second stage leaves the codes as they were, so the prior of its model stays.
    is_all_there = record.kind == "refinement" and found is not None and has_prior(found)
    if record.kind != "prior" and not is_all_there:
        minutes = further.minutes or float(record.settings.get("minutes") or budget.CODEC_MINUTES)
        commands.append(_prior(asked, record.folder, model, minutes * budget.LATER_PRIOR_SHARE))
    commands.append(_first(asked, model, places.studio(model.stem)))
    about = {"model": str(model), "run": run}
    return _begun(f"Going on with {model.stem}", commands, about)


def _asked(records: Sequence[RunRecord]) -> TrainRequest:
    """What was asked for of a run: what its stages note of it, the first of them first, and the rest where that was here."""
    models, began = {one.model for one in records}, min(one.started for one in records)
    # The newest before the run began: an earlier or later model of the same name is another one.
    before = (job.about for job in jobs.jobs() if job.created <= began and job.about.get("model") in models)
    wanted: dict[str, Any] = next((about["wanted"] for about in before if "wanted" in about), {})
    noted = {name: value for one in reversed(records) for name, value in one.settings.items() if name in _NOTED}
    return TrainRequest.model_construct(**wanted | noted)


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
