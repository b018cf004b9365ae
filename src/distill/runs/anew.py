"""The command that begins a run again as it was begun, for one that left nothing to go on from."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.files.names import command
from distill.library.records import BY_CORPUS, RunRecord
from distill.models.config import PriorConfig, VQVAEConfig
from distill.sizes import OPTIONS
from distill.training.plan import CodecPlan, Plan, PriorPlan, RefinementPlan


def _defaults(kind: type[VQVAEConfig] | type[PriorConfig] | type[Plan]) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(kind)}


SECOND_MINUTES, SECOND_EPOCHS = "second_stage_minutes", "second_stage_epochs"
"""Noted of a codec's first stage that a second one is to follow; one of the two at least has a value then."""
WHOLE_RUN = "whole_run"
"""Noted of a codec that ``distill run`` trains: the run's minutes, and its other options where they are not the usual ones."""
_HOW = ("device", "devices", "nodes", "strategy")
_CHOSEN = {
    "codec": (
        *("num_quantizers", "codebook_size", "commitment_weight", "channels", "seed", "from_scratch"),
        *_HOW,
        "precision",
    ),
    "refinement": _HOW,  # its precision is that of the first stage
    "prior": (
        *("hidden_size", "num_layers", "num_heads", "learning_rate", "patience", "seed", "from_scratch"),
        *_HOW,
        "precision",
    ),
}
"""By the kind of a stage: what its command can be told beside its end."""
_COMMAND = {"precision": "auto", "devices": 1, "nodes": 1, "strategy": "auto"}
"""Where the commands take something else than the plans in Python, or what no plan has."""
_USUAL = {
    "codec": {**_defaults(VQVAEConfig), **_defaults(CodecPlan), **_COMMAND},
    "refinement": {**_defaults(RefinementPlan), **_COMMAND},
    "prior": {**_defaults(PriorConfig), **_defaults(PriorPlan), **_COMMAND},
}
_OPTIONS = {**OPTIONS, "learning_rate": "lr", "from_scratch": "from-scratch"}
_AS_RECORDED = frozenset({"channels"})
"""What is said even where it is usual, as it follows from the recordings where it is not."""


def begin_again(record: RunRecord) -> str:
    """The command, with all that was chosen, as far as it was noted."""
    settings, model = record.settings, Path(record.model)
    usual = _USUAL[record.kind]
    suggested = settings.get(BY_CORPUS, ())
    told = [
        word
        for name in _CHOSEN[record.kind]
        if settings.get(name) is not None and name not in suggested
        if name in _AS_RECORDED or settings[name] != usual[name]
        for word in (f"--{_OPTIONS.get(name, name)}", *([] if settings[name] is True else [_number(settings[name])]))
    ]
    words: list[str | Path]
    match record.kind:
        case "codec" if (run := settings.get(WHOLE_RUN)) is not None:
            words = ["run", record.folder, "--name", model.stem, "--out", model.parent]
            told += [word for name, value in run.items() for word in (f"--{name}", _number(value))]
        case "codec":
            words = ["train", record.folder, "--name", model.stem, "--out", model.parent, *_end_of_codec(settings)]
        case "refinement":
            words = ["train", "--resume", model, "--quality", "high", *_end(settings)]
        case _:
            words = ["train-prior", model, record.folder, *_end(settings)]
    return command("distill", *words, *told)


def _end_of_codec(settings: Mapping[str, Any]) -> list[str]:
    second = settings.get(SECOND_MINUTES)
    if second is None and settings.get(SECOND_EPOCHS) is None:
        return _end(settings)
    whole = None if second is None else (settings.get("minutes") or 0.0) + second
    return ["--quality", "high", *_end({**settings, "minutes": whole})]


def _end(settings: Mapping[str, Any]) -> list[str]:
    words = []
    if settings.get("epochs") is not None:
        words += ["--epochs", str(settings["epochs"])]
    if settings.get("minutes") is not None:
        words += ["--minutes", _number(round(settings["minutes"], 2))]
    return words


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
