"""``distill train-prior MODEL FOLDER``: the prior, bundled into the model file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli import options
from distill.cli.console import place, print_json, settings_table
from distill.cli.watched import Watched, still_there, watched
from distill.files.names import command
from distill.files.regular import absolute
from distill.runs.watching import Watching

if TYPE_CHECKING:
    from distill.models.model_file import Model
    from distill.recordings.corpus import Corpus
    from distill.recordings.passages import Split


@dataclass(frozen=True)
class _Start:
    """What else is asked of one that begins."""

    sizes: dict[str, Any]
    plan: dict[str, Any]
    """Fields of the plan that were chosen."""


def train_prior(
    context: typer.Context,
    model: Annotated[Path | None, typer.Argument(metavar="MODEL", help=options.MODEL_HELP, show_default=False)] = None,
    dataset_dir: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="The folder of recordings the codec was trained on. With --resume only needed if it was moved.",
            show_default=False,
        ),
    ] = None,
    epochs: options.EpochsOption = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="How long to train, in minutes; 3 if neither this nor --epochs is given.", show_default=False
        ),
    ] = None,
    resume: options.ResumeOption = None,
    hidden_size: Annotated[int | None, typer.Option(help="Width of the transformer.", show_default="auto")] = None,
    layers: Annotated[int | None, typer.Option(help="Depth of the transformer.", show_default="auto")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads.", show_default="auto")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate, 0.000001 to 0.1.", show_default="0.001")] = None,
    patience: Annotated[
        float | None,
        typer.Option(
            help="Stop early, with a cool-down, when the held-out loss has not been near its lowest for this share of the run; "
            "1 never stops early.",
            min=0.01,
            max=1.0,
            show_default="0.3",
        ),
    ] = None,
    from_scratch: options.FromScratchOption = False,
    device: options.DeviceOption = "auto",
    seed: options.SeedOption = 0,
    devices: options.DevicesOption = 1,
    nodes: options.NodesOption = 1,
    precision: options.PrecisionOption = "auto",
    strategy: options.StrategyOption = "auto",
    tensorboard: options.TensorboardOption = None,
    wandb: options.WandbOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Train the prior on MODEL's codes of FOLDER and add it to the same file."""
    asked = options.Training(epochs, minutes, device, as_json, Watching(tensorboard, wandb))
    if resume is not None:
        fixed = ("hidden_size", "layers", "heads", "lr", "patience", "from_scratch", "seed", "precision")
        options.refuse_with_resume(context, *fixed)
    with options.together(device, devices, nodes, strategy) as leads:
        if leads and resume is not None:
            _resume(resume, model, dataset_dir, asked)
        elif leads:
            sizes = {"hidden_size": hidden_size, "num_layers": layers, "num_heads": heads}
            plan: dict[str, Any] = {"learning_rate": lr, "patience": patience, "seed": seed}
            plan |= {"precision": precision, "from_scratch": from_scratch}
            start = _Start(options.chosen(sizes), options.chosen(plan))
            _begin(options.given(model, "MODEL"), options.given(dataset_dir, "FOLDER"), asked, start)


def _begin(model_path: Path, dataset_dir: Path, asked: options.Training, start: _Start) -> None:
    from distill import pipeline
    from distill.files.atomic import ensure_writable
    from distill.files.names import claimed, new_run_folder
    from distill.models.config import PriorConfig
    from distill.models.model_file import load_model
    from distill.runs.events import events_file
    from distill.settings import check_learning_rate, prior_settings, run_settings
    from distill.sizes import check_sizes, prior_config
    from distill.training.budget import PRIOR_MINUTES
    from distill.training.device import minutes_on_processor

    epochs, minutes, device = asked.epochs, asked.minutes, asked.device
    settings = run_settings(epochs, minutes, device, PRIOR_MINUTES, start.plan["precision"])
    if "learning_rate" in start.plan:
        check_learning_rate(start.plan["learning_rate"])
    check_sizes(PriorConfig, start.sizes)
    end = (None, PRIOR_MINUTES) if epochs is None and minutes is None else (epochs, minutes)
    plan = pipeline.PriorPlan(*end, device=device, **start.plan)
    model_path = options.model_file(model_path)
    codec = load_model(model_path)
    ensure_writable(model_path.parent)
    with watched(asked.watching, lambda: events.parent.name) as training, claimed(model_path):
        corpus, split = _recordings(training, dataset_dir, codec)
        config = prior_config(codec, corpus, start.sizes, minutes_on_processor(plan))
        settings_table({**settings, **prior_settings(config, codec.codec.frame_rate, start.sizes)})
        events = events_file(new_run_folder(model_path.stem), "prior")
        bundled = pipeline.add_prior(
            model_path,
            corpus,
            split,
            events,
            plan,
            config_changes=start.sizes,
            callback=training.tell,
            cancel_event=training.cancel,
        )
    _show(model_path, events, bundled, training.cancel.is_set(), asked.as_json)


def _resume(run: Path, model_path: Path | None, dataset_dir: Path | None, asked: options.Training) -> None:
    from distill import pipeline
    from distill.files.atomic import ensure_writable
    from distill.files.names import claimed
    from distill.models.config import PriorConfig
    from distill.models.model_file import load_model
    from distill.runs.copies import on_its_own
    from distill.runs.resume import stopped_prior
    from distill.settings import prior_settings, resumed_settings

    given = None if model_path is None else options.model_file(model_path)
    stopped = stopped_prior(options.run_or_model(run), given)
    model_path = stopped.model_path
    dataset_dir = dataset_dir or still_there(stopped.folder, "prior", run, model_path)
    plan = stopped.plan(pipeline.PriorPlan, asked.epochs, asked.minutes, asked.device)
    settings = resumed_settings(stopped.step, asked.epochs, asked.minutes, asked.device, plan.precision)
    codec = load_model(model_path)
    ensure_writable(model_path.parent)
    with watched(asked.watching, lambda: stopped.run_folder.name) as training, claimed(model_path):
        corpus, split = _recordings(training, dataset_dir, codec)
        settings_table({**settings, **prior_settings(stopped.config(PriorConfig), codec.codec.frame_rate)})
        stopped = on_its_own(stopped, model_path, "prior")
        bundled = pipeline.add_prior(
            model_path,
            corpus,
            split,
            stopped.events,
            plan,
            resumed=stopped,
            callback=training.tell,
            cancel_event=training.cancel,
        )
    _show(model_path, stopped.events, bundled, training.cancel.is_set(), asked.as_json)


def _recordings(training: Watched, dataset_dir: Path, codec: "Model") -> "tuple[Corpus, Split]":
    """The corpus as the codec hears it, and what the codec was kept from."""
    from distill.training.prior_data import split_of

    corpus = training.read(dataset_dir, codec.codec.channels)
    return corpus, split_of(codec, corpus)


def _show(model_path: Path, events: Path, bundled: "Model", is_stopped: bool, as_json: bool) -> None:
    if as_json:
        print_json({"model": absolute(model_path), "events": events, **(bundled.header.prior_training or {})})
        return
    from distill.models.header import UNMEASURED
    from distill.runs.events import state_file
    from distill.training.plan import PriorPlan
    from distill.training.state_file import read_values

    place("Model", model_path)
    # A stop in the closing seconds comes too late to leave any training to go on with, but perhaps what is measured after it.
    is_unmeasured = bool((bundled.header.prior_training or {}).get(UNMEASURED))
    if is_unmeasured or (
        is_stopped and not read_values(state_file(events.parent, "prior"), PriorPlan.STATE_KIND)["finished"]
    ):
        place("Go on", command("distill", "train-prior", "--resume", model_path))
    place("Next", command("distill", "generate", model_path))
