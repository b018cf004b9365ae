"""``distill demo``: the whole way on recordings that Distill synthesises itself."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli import options
from distill.cli.console import note, place
from distill.cli.outputs import a_folder
from distill.cli.run import run_pipeline, show_result
from distill.errors import OutputError
from distill.files.names import MODEL_SUFFIX


def demo(
    minutes: Annotated[float, typer.Option(help="Time for everything, in minutes.")] = 3.0,
    out: Annotated[
        Path, typer.Option(help="Folder for the recordings, the model, the audio and the report.", callback=a_folder)
    ] = Path("distill-demo"),
    device: options.DeviceOption = "auto",
    seed: options.SeedOption = 0,
    as_json: options.JsonOption = False,
) -> None:
    """Synthesise a small demo corpus (plucked strings, bells, drums, drones), learn its sound and make new audio in it."""
    from distill.recordings.demo import write_demo_corpus
    from distill.settings import check_length

    check_length(None, minutes)
    model = out / f"demo{MODEL_SUFFIX}"
    if model.exists():
        raise OutputError(f"{model} already exists.", "Choose another --out, or move it away.")
    recordings = out / "recordings"
    made = write_demo_corpus(recordings, seed=0)
    from distill.run_plan import RunPlan  # with PyTorch, which takes seconds

    note(f"Made {len(made)} recordings in {recordings}")
    result = run_pipeline(recordings, out, RunPlan(name=model.stem, minutes=minutes, seed=seed, device=device))
    show_result(result, as_json)
    if not as_json:
        note()
        note("The same with your own recordings:")
        place("Next", "distill run FOLDER")
