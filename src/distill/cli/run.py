"""``distill run FOLDER``: from recordings to new audio in one go."""

from pathlib import Path
from typing import Annotated, Any

import typer

from distill.cli import options
from distill.cli.console import TrainingView, duration, note, print_json, settings_table, stop_on_interrupt


def run(
    folder: options.FolderArgument,
    minutes: Annotated[float, typer.Option(help="How long it may take in all.")] = 8.0,
    seconds: options.SecondsOption = 10.0,
    count: Annotated[int, typer.Option(help="How many new pieces.")] = 3,
    out: Annotated[
        Path,
        typer.Option(help="Where model, audio and report go.", show_default="FOLDER's name + -distilled"),
    ] = Path(),
    name: Annotated[str | None, typer.Option(help="Name of the model.", show_default="the folder's")] = None,
    channels: options.ChannelsOption = "auto",
    device: options.DeviceOption = options.Device.AUTO,
    seed: options.SeedOption = 0,
    as_json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Learn FOLDER's sound and make new audio in it: codec, prior, audio and report in one go."""
    if out == Path():
        out = Path(f"{folder.resolve().name or 'recordings'}-distilled")
    result = run_pipeline(
        folder, out, name=name, minutes=minutes, seconds=seconds, count=count,
        channels=options.channels(channels), device=device, seed=seed,
    )  # fmt: skip
    show_result(result, as_json)


def run_pipeline(folder: Path, out: Path, **settings: Any) -> Any:
    """Walks the pipeline with a live view; gives its ``RunResult``."""
    from distill import pipeline

    with stop_on_interrupt() as cancel, TrainingView() as view:
        return pipeline.run(
            folder,
            out,
            **settings,
            callback=view,
            progress=view.progress,
            on_settings=settings_table,
            cancel_event=cancel,
        )


def show_result(result: Any, as_json: bool) -> None:
    """Where everything lies, and what to do next."""
    if as_json:
        print_json(
            {
                "model": result.model_path.resolve(),
                "audio": [piece.path.resolve() for piece in result.pieces],
                "seeds": [piece.generation.seed for piece in result.pieces],
                "report": result.report_path and result.report_path.resolve(),
                "seconds_taken": round(result.seconds_taken, 1),
                "cancelled": result.cancelled,
            }
        )
        return
    note("")
    if result.cancelled:
        note(f"Stopped after {duration(result.seconds_taken)}. What was learnt so far is kept in {result.model_path}.")
        note(f"Go on with: {result.next_command}")
        return
    note(f"Done in {duration(result.seconds_taken)}.")
    note("New audio:")
    for piece in result.pieces:
        note(f"  {piece.path}")
    note(f"Model:   {result.model_path}")
    note(f"Report:  {result.report_path}   (open it in a browser)")
    note(f"More:    {result.next_command}")
