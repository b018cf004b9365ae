"""``distill evaluate MODEL FOLDER``: how faithful the codec is."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from distill.cli import options
from distill.cli.console import console, levels_table, note, place, print_json, table, visible
from distill.cli.outputs import a_folder
from distill.cli.training_view import TrainingView
from distill.files.regular import absolute

if TYPE_CHECKING:
    from distill.evaluation.measure import Evaluation


def evaluate(
    context: typer.Context,
    model: options.ModelArgument,
    folder: options.FolderArgument,
    out: Annotated[Path, typer.Option(help="Folder for the page to listen to.", callback=a_folder)] = Path(),
    opus: Annotated[bool, typer.Option(help="Compare with Opus at 6, 12 and 24 kbit/s, if it is installed.")] = True,
    page: Annotated[bool, typer.Option(help="Write a page to listen to, or only say the figures.")] = True,
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Measure how close MODEL's codec comes to the recordings in FOLDER, and write a page to listen to."""
    if not page:
        options.refuse_idle(context, "--no-page writes nothing.", "out")
    from distill.evaluation import measure
    from distill.files.atomic import ensure_writable
    from distill.files.names import reserving, stem_of_model
    from distill.models.health import named_levels
    from distill.models.model_file import load_model
    from distill.recordings.corpus import import_corpus
    from distill.report import write_evaluation_report
    from distill.report.gather import evaluation_report
    from distill.training.device import choose_device

    model = options.model_file(model)
    loaded = load_model(model, choose_device(device))
    with TrainingView() as view:
        if page:
            ensure_writable(out)
        corpus = import_corpus(folder, channels=loaded.codec.channels)
        split = measure.own_split(loaded, corpus)
        evaluation = measure.evaluate(loaded, corpus, split, with_opus=opus, progress=view.counting("Listening"))
        written = None
        if page:
            with reserving(out / f"{stem_of_model(loaded.header.name)}-evaluation.html") as written:
                write_evaluation_report(written, evaluation_report(loaded, corpus, split, evaluation))
    levels = named_levels(evaluation.levels)
    if as_json:
        print_json(
            {
                **dataclasses.asdict(evaluation),
                "levels": levels,
                "mel": evaluation.mean("mel"),
                "mel_trained": evaluation.mean("mel", held_out=False) if evaluation.is_own_corpus else None,
                "mel_held_out": evaluation.mean("mel", held_out=True),
                "stft": evaluation.mean("stft"),
                "page": None if written is None else absolute(written),
            }
        )
        return
    console.print(_table(evaluation))
    note()
    table(evaluation.summary())
    note()
    note("Codebook use over these recordings", "bold")
    levels_table(levels)
    for sentence in evaluation.left_out:
        note(sentence)
    if evaluation.opus_note:
        note(evaluation.opus_note, "dim")
    if written is not None:
        note()
        place("Listen", written, "open it in a browser")


def _table(evaluation: "Evaluation") -> Table:
    rows = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    rows.add_column("recording", overflow="fold")
    for heading in ("seconds", "mel", "kept", "movement", "STFT"):
        rows.add_column(heading, justify="right", no_wrap=True)
    rows.add_column("", no_wrap=True)
    for score in evaluation.scores:
        aside = "held out" if score.is_held_out else ""
        kept = "–" if math.isnan(score.kept) else f"{score.kept:.2f}"
        movement = "–" if math.isnan(score.movement) else f"{score.movement:.1f}"
        cells = (f"{score.seconds:.1f}", f"{score.mel:.3f}", kept, movement, f"{score.stft:.3f}", aside)
        rows.add_row(Text(visible(score.name)), *cells)
    return rows
