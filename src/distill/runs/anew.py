"""The command that begins a run again as it was begun, for one that left nothing to go on from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.files.names import command
from distill.library.records import RunRecord

SECOND_MINUTES, SECOND_EPOCHS = "second_stage_minutes", "second_stage_epochs"
"""Noted of a codec's first stage that a second one is to follow; one of the two at least has a value then."""
_USUAL = {
    "num_quantizers": 4,
    "codebook_size": 256,
    "commitment_weight": 0.25,
    "hidden_size": 128,
    "num_layers": 4,
    "num_heads": 4,
    "learning_rate": 0.001,
    "seed": 0,
    "device": "auto",
}
"""What need not be said: a plain run has it too, or chooses it by itself."""
_OPTIONS = {
    "codec": {
        "num_quantizers": "--rvq-levels",
        "codebook_size": "--codebook-size",
        "commitment_weight": "--commitment-weight",
        "channels": "--channels",
        "seed": "--seed",
        "device": "--device",
    },
    "refinement": {"device": "--device"},
    "prior": {
        "hidden_size": "--hidden-size",
        "num_layers": "--layers",
        "num_heads": "--heads",
        "learning_rate": "--lr",
        "seed": "--seed",
        "device": "--device",
    },
}


def begin_again(record: RunRecord) -> str:
    """The command, with the time, quality, sizes, seed and device that were chosen, as far as they were noted."""
    settings, model = record.settings, Path(record.model)
    told = [
        word
        for name, option in _OPTIONS[record.kind].items()
        if settings.get(name) not in (None, _USUAL.get(name))
        for word in (option, _number(settings[name]))
    ]
    words: list[str | Path]
    match record.kind:
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
