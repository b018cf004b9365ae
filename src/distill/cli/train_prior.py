"""``distill train-prior MODEL DATASET_DIR``: the prior, bundled into the model file."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli import options
from distill.cli.console import place, print_json, settings_table, stop_on_interrupt
from distill.cli.training_view import TrainingView
from distill.outputs import command

DEFAULT_MINUTES = 3.0


def train_prior(
    model: options.ModelArgument,
    dataset_dir: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET_DIR", help="The folder of recordings the codec was trained on.", show_default=False
        ),
    ],
    epochs: options.EpochsOption = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="How long to train; 3 if neither this nor --epochs is given.", show_default=False),
    ] = None,
    hidden_size: Annotated[int | None, typer.Option(help="Width of the transformer.", show_default="auto")] = None,
    layers: Annotated[int | None, typer.Option(help="Depth of the transformer.", show_default="auto")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads.", show_default="auto")] = None,
    lr: Annotated[float, typer.Option(help="Peak learning rate, 0.000001 to 0.1.")] = 2e-3,
    device: options.DeviceOption = options.Device.AUTO,
    seed: options.SeedOption = 0,
    as_json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Train the prior over MODEL's codes of DATASET_DIR and bundle it into the same file."""
    from distill import pipeline
    from distill.atomic import ensure_writable
    from distill.audio.corpus import import_corpus
    from distill.models.model_file import load_model
    from distill.outputs import claimed, new_run_folder
    from distill.settings import check_learning_rate, prior_config, prior_settings, run_settings

    chosen = {
        key: value
        for key, value in {"hidden_size": hidden_size, "num_layers": layers, "num_heads": heads}.items()
        if value is not None
    }
    settings = run_settings(epochs, minutes, device, DEFAULT_MINUTES)
    check_learning_rate(lr)
    model = options.model_file(model)
    codec = load_model(model)
    ensure_writable(model.parent)
    with TrainingView() as view, stop_on_interrupt(view.is_training) as cancel, claimed(model):
        corpus = import_corpus(dataset_dir, channels=codec.codec.channels, progress=view.counting("Reading"))
        sizes = prior_settings(prior_config(codec, corpus, chosen), codec.codec.frame_rate, chosen)
        settings_table({**settings, **sizes})
        events = new_run_folder(model.stem) / "events.jsonl"
        bundled = pipeline.add_prior(
            model, dataset_dir, events, config_changes=chosen, epochs=epochs,
            minutes=DEFAULT_MINUTES if epochs is None and minutes is None else minutes,
            learning_rate=lr, seed=seed, device=device, corpus=corpus, callback=view, cancel_event=cancel,
        )  # fmt: skip
    if as_json:
        print_json({"model": model.resolve(), "events": events, **(bundled.header.prior_training or {})})
        return
    place("Model", model)
    place("Next", command("distill", "generate", model))
