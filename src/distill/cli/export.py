"""``distill export``: a model for other people's tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from distill.cli import options
from distill.cli.console import good, note, place, print_json, table, warn
from distill.cli.outputs import a_folder
from distill.files.regular import absolute

if TYPE_CHECKING:
    from distill.export.outcome import Outcome


_NAMES = {"nn~": "{}.ts", "onnx": "{}-onnx", "hub": "{}-hub", "web": "{}-web"}
LOUD_DB = -80.0
"""A difference above this, in dB below the sound, is worth a warning."""


def export(
    model: options.ModelArgument,
    format: Annotated[  # noqa: A002
        Literal["nn~", "onnx", "hub", "web"],
        typer.Option(
            help="nn~: TorchScript for Max and Pure Data. onnx: encoder, decoder, prior. hub: a folder for Hugging Face. "
            "web: a page that composes and plays, for any static host.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PLACE",
            help="The new folder; for nn~ the folder of the new file, or a path that ends in .ts.",
            show_default="MODEL's name + .ts, -onnx, …",
        ),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Export MODEL for Max and Pure Data, ONNX, Hugging Face or the browser, and compare it with Distill's own decoding."""
    from distill.export.folder import refuse_if_taken
    from distill.export.hub import export_hub
    from distill.export.nn_tilde import SUFFIX, export_nn_tilde
    from distill.export.onnx_files import export_onnx
    from distill.export.web import export_web
    from distill.files.atomic import ensure_writable
    from distill.files.names import claimed, free_path
    from distill.models.model_file import load_model

    exporters = {"nn~": export_nn_tilde, "onnx": export_onnx, "hub": export_hub, "web": export_web}
    model = options.model_file(model)
    loaded = load_model(model)
    name = Path(_NAMES[format].format(model.stem))
    target = free_path(name) if out is None else out
    if format == "nn~" and target.suffix != SUFFIX:
        target = free_path(target / name)
    refuse_if_taken(target)
    if format != "nn~":
        a_folder(target)
    ensure_writable(target.parent)
    with claimed(target):
        outcome = exporters[format](loaded, target)
    if as_json:
        print_json(
            {
                "format": format,
                "path": absolute(outcome.path),
                "null_test_db": outcome.null_db,
                "equal_codes": outcome.equal_codes,
                "prior_null_test_db": outcome.prior_db,
                **{name.replace(" ", "_"): value for name, value in outcome.facts},
                "remarks": outcome.remarks,
            }
        )
        return
    good(f"{loaded.header.name} for {format}")
    _show(outcome)


def _show(outcome: "Outcome") -> None:
    from distill.export.outcome import in_words

    place("Written", outcome.path)
    rows = [("null test, decoder", in_words(outcome.null_db))]
    if outcome.equal_codes is not None:
        rows.append(("codes equal", f"{100 * outcome.equal_codes:.2f} %"))
    if outcome.prior_db is not None:
        rows.append(("null test, prior", in_words(outcome.prior_db)))
    table([*rows, *outcome.facts])
    if outcome.null_db > LOUD_DB:
        warn(
            f"The export differs from Distill's own decoder by {in_words(outcome.null_db)}; {LOUD_DB:.0f} dB is expected. "
            "Rounding alone can do that where two neighbouring frequencies are equally loud; listen to both."
        )
    for remark in outcome.remarks:
        note(remark)
