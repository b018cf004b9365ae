"""A folder as Hugging Face lays models out: weights in safetensors, sizes in JSON, a model card. Nothing is sent."""

import dataclasses
import itertools
import json
from pathlib import Path

import torch

from distill.counted import counted
from distill.durations import duration
from distill.export.folder import folder_aside
from distill.export.outcome import NO_PRIOR, Outcome, codes_to_try, decibels
from distill.files.names import command
from distill.library.moving import leaves_sound
from distill.models.config import BASE_CREDITS
from distill.models.header import SECOND_RUN, Header
from distill.models.model_file import Model, load_model, save_model

WEIGHTS = "model.safetensors"
HOLDS_RECORDINGS = (
    "The folder holds your recordings as codes; whoever has it can decode and hear them. "
    "Think of that before you publish it."
)

_FOR_DISTILL = frozenset({"run", SECOND_RUN, "seed", "corpus_fingerprint"})
"""What of a training's record says nothing to a reader of the card."""


def export_hub(model: Model, folder: Path) -> Outcome:
    """Writes a folder with ``model.safetensors``, ``config.json`` and ``README.md``.

    The first is the ``.distill`` file, without the recordings' own sound if that holds any.

    Raises:
        OutputError: if the folder is taken, or the file system refuses.
    """
    codes = codes_to_try(model)[None]
    with folder_aside(folder) as aside:
        save_model(aside / WEIGHTS, dataclasses.replace(model, sounds=()))
        again = load_model(aside / WEIGHTS)
        with torch.inference_mode():
            null_db = decibels(again.codec.decode(codes), model.codec.decode(codes))
        (aside / "config.json").write_text(_config(again.header), encoding="utf-8")
        (aside / "README.md").write_text(_card(again), encoding="utf-8")
    return Outcome(
        folder,
        null_db,
        facts=(
            ("to use it", command("distill", "info", folder / WEIGHTS)),
            ("licence", "not chosen yet: see the first lines of README.md"),
        ),
        remarks=(
            HOLDS_RECORDINGS if model.prior is not None else NO_PRIOR,
            *([leaves_sound(model.path or model.header.name)] if model.sounds else []),
        ),
    )


def _config(header: Header) -> str:
    fields = header.model_dump(mode="json", include={"codec", "prior", "major", "minor", "distill_version"})
    return json.dumps({"model_type": "distill", **fields}, indent=2) + "\n"


def _card(model: Model) -> str:
    header, config = model.header, model.header.codec
    prior = (
        "no prior" if header.prior is None else f"a prior of {header.prior.num_layers} layers, {_millions(model.prior)}"
    )
    base = (
        f"It started from {BASE_CREDITS}"
        if header.is_from_base
        else "It started from random weights and learned from these recordings alone."
    )
    recordings = (
        "The file holds the recordings as codes, with their names, because new audio is compared with them. **Whoever has the "
        "file can decode and hear them.**"
        if model.sources
        else "The file holds no recordings."
    )
    use = (
        "distill generate model.safetensors --seconds 20 --out new"
        if header.prior is not None
        else "distill reconstruct model.safetensors RECORDINGS --out reconstructions"
    )
    return f"""---
# Choose a licence before you publish: https://huggingface.co/docs/hub/repositories-licenses
license: other
license_name: not-chosen-yet
library_name: distill
pipeline_tag: audio-to-audio
tags:
- audio
- music
- neural-audio-codec
- distill
---

# {_plain(header.name)}

A {"mono" if config.channels == 1 else "stereo"} neural audio codec at {config.sample_rate / 1000:g} kHz and
{config.bitrate / 1000:.2g} kbit/s ({_millions(model.codec)}), and {prior}, made by
Distill {_plain(header.distill_version)} on {_plain(header.created[:10])}.

## Use

It needs Distill, which is not on PyPI; say here where you have it from.

```sh
{use}
```

## Whose sound it is

It was trained on {counted(header.corpus.file_count, "recording")}, {duration(header.corpus.seconds)}. {recordings}

**Licence.** Distill claims nothing on models trained with it. Whether this one may be published, and under which licence,
depends on who has the rights in the recordings: choose one only if they are yours, or their licences allow it; name them here.

{base}

## Figures

{_figures(header)}

Distances are multi-scale mel distances (0 is the same), perplexities are of the next code, {_of_what(header)}.
"""


def _of_what(header: Header) -> str:
    """Of which recordings the figures are: what is trained on later, on other recordings, has a split of its own."""
    known = [header.is_codec_held_out, *([header.is_prior_held_out] if header.prior is not None else [])]
    if all(known):
        return "both of recordings held out"
    if not any(known):
        return "both of what was trained on, as nothing was held out"
    codec, prior = ("what was held out" if one else "what was trained on" for one in known)
    return f"the former of {codec}, the latter of {prior}"


def _figures(header: Header) -> str:
    """A row a figure, a column a training: both have figures of the same name."""
    trainings = {"codec": header.codec_training}
    if header.prior_training is not None:
        trainings["prior"] = header.prior_training
    names = [name for name in dict.fromkeys(itertools.chain(*trainings.values())) if name not in _FOR_DISTILL]
    rows = [
        ("figure", *trainings),
        ("---", *("---" for _ in trainings)),
        *(
            (_plain(name.replace("_", " ")), *(_cell(one.get(name, "")) for one in trainings.values()))
            for name in names
        ),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(value: float | int | str) -> str:
    return _plain(f"{value:.4g}" if isinstance(value, float) else str(value))


def _plain(text: str) -> str:
    """Text in which nothing is Markdown or ends a line."""
    return "".join(f"\\{one}" if one in "\\`*_[]<>|#" else one if one.isprintable() else " " for one in text)


def _millions(module: torch.nn.Module | None) -> str:
    count = 0 if module is None else sum(parameter.numel() for parameter in module.parameters())
    return f"{count / 1e6:.1f} million weights"
