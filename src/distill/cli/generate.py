"""``distill generate MODEL``: new audio."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli import options
from distill.cli.console import good, place, print_json
from distill.cli.training_view import TrainingView


def generate(
    model: options.ModelArgument,
    seconds: options.SecondsOption = 10.0,
    count: Annotated[int, typer.Option(help="How many pieces, 1 to 64.")] = 1,
    temperature: Annotated[
        float, typer.Option(help="Under 1 safer, over 1 wilder, 0 always the likeliest code.")
    ] = 1.0,
    top_k: Annotated[int, typer.Option(help="Draw from the k likeliest codes only; 0 is all.")] = 0,
    top_p: Annotated[
        float, typer.Option(help="Draw from the fewest codes that hold this share of the probability.")
    ] = 0.95,
    seed: options.SeedOption = 0,
    audio_format: Annotated[
        options.AudioFormat, typer.Option("--format", help="File format.")
    ] = options.AudioFormat.WAV,
    bit_depth: options.BitDepthOption = 24,
    out: Annotated[Path, typer.Option(help="Folder for the audio.")] = Path(),
    device: options.DeviceOption = options.Device.AUTO,
    as_json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Make new audio with MODEL. No file that is there already is touched."""
    import time

    from distill import pipeline
    from distill.generation import Sampling
    from distill.models.model_file import load_model
    from distill.training.launch import choose_device

    sampling = Sampling(temperature, top_k, top_p)
    loaded = load_model(model, choose_device(device))
    started = time.monotonic()
    with TrainingView() as view:
        pieces = pipeline.make_audio(
            loaded, out, seconds=seconds, count=count, sampling=sampling, seed=seed, audio_format=audio_format,
            bit_depth=bit_depth, progress=view.counting("Composing"),
        )  # fmt: skip
    taken = time.monotonic() - started
    if as_json:
        print_json(
            {
                "audio": [piece.path.resolve() for piece in pieces],
                "seeds": [piece.generation.seed for piece in pieces],
                "seconds": seconds,
                "seconds_taken": round(taken, 2),
                "real_time_factor": round(count * seconds / taken, 2),
            }
        )
        return
    for piece in pieces:
        place("New audio", piece.path, f"seed {piece.generation.seed}")
    good(f"{count * seconds:.1f} s of audio in {taken:.1f} s")
