"""``distill train FOLDER``: the codec."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli import options
from distill.cli.console import place, print_json, settings_table, stop_on_interrupt
from distill.cli.training_view import TrainingView
from distill.outputs import command

DEFAULT_MINUTES = 5.0


def train(
    folder: options.FolderArgument,
    minutes: Annotated[
        float | None,
        typer.Option(help="How long to train; 5 if neither this nor --epochs is given.", show_default=False),
    ] = None,
    epochs: options.EpochsOption = None,
    name: options.NameOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the model file.")] = Path(),
    rvq_levels: Annotated[int | None, typer.Option(help="Quantizer levels, 2 to 4.", show_default="auto")] = None,
    codebook_size: Annotated[int | None, typer.Option(help="Codes a level, 16 to 1024.", show_default="auto")] = None,
    commitment_weight: Annotated[
        float | None, typer.Option(help="Weight of the commitment loss, 0 to 10.", show_default="auto")
    ] = None,
    channels: options.ChannelsOption = "auto",
    device: options.DeviceOption = options.Device.AUTO,
    seed: options.SeedOption = 0,
    as_json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Train the codec on FOLDER and write NAME.distill."""
    from distill import pipeline
    from distill.audio.corpus import import_corpus
    from distill.outputs import claimed, new_model_path, new_run_folder
    from distill.settings import codec_config, codec_settings, model_health, run_settings

    chosen = {
        key: value
        for key, value in {
            "num_quantizers": rvq_levels,
            "codebook_size": codebook_size,
            "commitment_weight": commitment_weight,
        }.items()
        if value is not None
    }
    wanted_channels = options.channels(channels)
    settings = run_settings(epochs, minutes, device, DEFAULT_MINUTES)
    with (
        TrainingView() as view,
        stop_on_interrupt(view.is_training) as cancel,
        claimed(new_model_path(out, name, folder)) as model_path,
    ):
        corpus = import_corpus(folder, channels=wanted_channels, progress=view.counting("Reading"))
        marked = {*chosen, *({"channels"} if wanted_channels else ())}
        settings_table({**settings, **codec_settings(codec_config(corpus, chosen), marked)})
        events = new_run_folder(model_path.stem) / "events.jsonl"
        model = pipeline.train_codec(
            folder, model_path, events, config_changes=chosen, epochs=epochs,
            minutes=DEFAULT_MINUTES if epochs is None and minutes is None else minutes,
            seed=seed, device=device, corpus=corpus, callback=view, cancel_event=cancel,
        )  # fmt: skip
    if as_json:
        print_json(
            {
                "model": model_path.resolve(),
                "events": events,
                **model.header.codec_training,
                "bitrate": model.header.codec.bitrate,
                "levels": model_health(model),
            }
        )
        return
    place("Model", model_path)
    place("Next", command("distill", "train-prior", model_path, folder))
