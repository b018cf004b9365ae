"""``distill train FOLDER``: the codec, in one stage or two."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from distill.cli import options
from distill.cli.console import place, print_json, settings_table
from distill.cli.outputs import a_folder
from distill.cli.watched import still_there, watched
from distill.files.names import command
from distill.files.regular import absolute, is_there
from distill.runs.watching import Watching
from distill.training.arithmetic import Precision

if TYPE_CHECKING:
    from distill.models.model_file import Model
    from distill.pipeline import Refined
    from distill.runs.saved import Stopped


@dataclass(frozen=True)
class _Training(options.Training):
    """The same of a codec."""

    is_high: bool


@dataclass(frozen=True)
class _Start:
    """What else is asked of one that begins."""

    name: str | None
    out: Path
    sizes: dict[str, Any]
    channels: int | None
    seed: int
    from_scratch: bool
    precision: Precision


_SIZES = ("rvq_levels", "codebook_size", "commitment_weight")


def train(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help=f"{options.FOLDER_HELP} With --resume only needed if it was moved.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        Literal["standard", "high"],
        typer.Option(
            help="high adds a second stage, for a GPU or a night: the decoder is trained further against discriminators."
        ),
    ] = "standard",
    minutes: Annotated[
        float | None,
        typer.Option(
            help="How long to train, in minutes; with --quality high the second stage takes 60 % of it.",
            show_default="5, or 30 for high",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Train each stage for this many epochs (with --minutes: whichever ends first).", show_default=False
        ),
    ] = None,
    resume: options.ResumeOption = None,
    name: options.NameOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the model file.", callback=a_folder)] = Path(),
    rvq_levels: options.LevelsOption = None,
    codebook_size: options.CodebookOption = None,
    commitment_weight: Annotated[
        float | None, typer.Option(help="Weight of the commitment loss, 0 to 10.", show_default="auto")
    ] = None,
    channels: options.ChannelsOption = "auto",
    device: options.DeviceOption = "auto",
    seed: options.SeedOption = 0,
    from_scratch: options.FromScratchOption = False,
    devices: options.DevicesOption = 1,
    nodes: options.NodesOption = 1,
    precision: options.PrecisionOption = "auto",
    strategy: options.StrategyOption = "auto",
    tensorboard: options.TensorboardOption = None,
    wandb: options.WandbOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Train the codec on FOLDER and write NAME.distill."""
    sizes = {"num_quantizers": rvq_levels, "codebook_size": codebook_size, "commitment_weight": commitment_weight}
    watching = Watching(tensorboard, wandb)
    asked = _Training(epochs, minutes, device, as_json, watching, quality == "high")
    if resume is not None:
        options.refuse_with_resume(context, "name", "out", *_SIZES, "channels", "seed", "from_scratch", "precision")
        if not asked.is_high:
            options.refuse_idle(context, "--resume goes on with the stages that the training began with.", "quality")
    with options.together(device, devices, nodes, strategy) as leads:
        if leads and resume is not None:
            _resume(folder, resume, asked)
        elif leads:
            chosen, channel_count = options.chosen(sizes), options.channels(channels)
            start = _Start(name, out, chosen, channel_count, seed, from_scratch, precision)
            _begin(options.given(folder, "FOLDER"), asked, start)


def _begin(folder: Path, asked: _Training, start: _Start) -> None:
    from distill import awake, pipeline
    from distill.files.names import claimed, new_model_path, new_run_folder
    from distill.models.config import VQVAEConfig
    from distill.recordings.split import split_corpus
    from distill.settings import codec_settings, run_settings, stage_settings
    from distill.sizes import check_sizes, codec_config
    from distill.training.budget import CODEC_MINUTES, HIGH_CODEC_MINUTES, minutes_of_stages
    from distill.training.plan import StageEnd

    epochs, minutes, device = asked.epochs, asked.minutes, asked.device
    default = HIGH_CODEC_MINUTES if asked.is_high else CODEC_MINUTES
    settings = run_settings(epochs, minutes, device, default, start.precision)
    check_sizes(VQVAEConfig, start.sizes)
    budget = default if epochs is None and minutes is None else minutes
    first_minutes, second_minutes = minutes_of_stages(budget, asked.is_high)
    with (
        watched(asked.watching, lambda: run_folder.name) as training,
        claimed(new_model_path(start.out, start.name, folder)) as model_path,
    ):
        corpus = training.read(folder, start.channels)
        marked = {*start.sizes, *({"channels"} if start.channels else ())}
        stages = stage_settings(epochs, first_minutes, budget) if asked.is_high else {}
        settings_table({**settings, **stages, **codec_settings(codec_config(corpus, start.sizes), marked)})
        started = awake.seconds()
        split = split_corpus(corpus, seed=start.seed)
        run_folder = new_run_folder(model_path.stem)
        model, refined = pipeline.train_codec_in_stages(
            corpus,
            split,
            model_path,
            run_folder,
            pipeline.CodecPlan(
                epochs,
                first_minutes,
                seed=start.seed,
                device=device,
                precision=start.precision,
                from_scratch=start.from_scratch,
            ),
            StageEnd(epochs, second_minutes) if asked.is_high else None,
            ends_at=None if budget is None else started + 60 * budget,
            config_changes=start.sizes,
            callback=training.tell,
            cancel_event=training.cancel,
        )
    _show(folder, model_path, run_folder, model, refined, asked)


def _resume(folder: Path | None, run: Path, asked: _Training) -> None:
    """Goes on with the stage that is not at its end; where the first one is, with the second, if there is one or is to be."""
    from distill.models.model_file import load_model
    from distill.runs.resume import has_second_stage, refined_model, refuse_forgotten, refuse_unsaved, stopped_codec

    run = options.run_or_model(run) if is_there(run) else run
    first = stopped_codec(run)
    if first is None:
        refuse_unsaved(run)
    if first is None and not is_there(run):  # not the path of a model that was never written: a name
        run = options.run_or_model(run)
        first = stopped_codec(run)
    if first is None:
        model_path = refined_model(run)
        if not asked.is_high:
            refuse_forgotten(model_path)
        _resume_second(folder, model_path, None, asked)
        return
    asked = replace(asked, is_high=asked.is_high or first.second_stage is not None)
    is_refined = is_there(first.model_path) and has_second_stage(load_model(first.model_path), first.model_path)
    if is_refined or (first.is_finished and asked.is_high):
        _resume_second(folder, first.model_path, first, asked)
    else:
        _resume_first(folder or still_there(first.folder, "codec", run), first, asked)


def _resume_first(folder: Path, first: "Stopped", asked: _Training) -> None:
    from distill import pipeline
    from distill.files.atomic import ensure_writable
    from distill.files.names import claimed
    from distill.models.config import VQVAEConfig
    from distill.recordings.split import split_corpus
    from distill.runs.copies import on_its_own
    from distill.settings import codec_settings, resumed_settings
    from distill.training.budget import HIGH_CODEC_MINUTES, REFINEMENT_SHARE, minutes_of_stages
    from distill.training.plan import StageEnd

    epochs, minutes, device = asked.epochs, asked.minutes, asked.device
    first_minutes, second_minutes = minutes_of_stages(minutes, asked.is_high)
    plan = first.plan(pipeline.CodecPlan, epochs, first_minutes, device)
    rows = resumed_settings(first.step, epochs, minutes, device, plan.precision)
    second = StageEnd(epochs, second_minutes)
    if epochs is None and minutes is None:
        second = first.second_stage or StageEnd(None, HIGH_CODEC_MINUTES * REFINEMENT_SHARE)
    config = first.config(VQVAEConfig)
    ensure_writable(first.model_path.parent)
    with (
        watched(asked.watching, lambda: first.run_folder.name) as training,
        claimed(first.model_path) as model_path,
    ):
        corpus = training.read(folder, config.channels)
        settings_table({**rows, **codec_settings(config)})
        split = split_corpus(corpus, seed=plan.seed)
        first = on_its_own(first, model_path, "codec")
        model, refined = pipeline.train_codec_in_stages(
            corpus,
            split,
            model_path,
            first.run_folder,
            plan,
            second if asked.is_high else None,
            resumed=first,
            callback=training.tell,
            cancel_event=training.cancel,
        )
    _show(folder, model_path, first.run_folder, model, refined, asked)


def _resume_second(folder: Path | None, model_path: Path, first: "Stopped | None", asked: _Training) -> None:
    from distill import pipeline
    from distill.files.atomic import ensure_writable
    from distill.files.names import claimed
    from distill.models.model_file import load_model
    from distill.runs.resume import begin_refinement, next_refinement
    from distill.settings import resumed_settings, run_settings
    from distill.training.budget import HIGH_CODEC_MINUTES, REFINEMENT_SHARE
    from distill.training.prior_data import split_of

    epochs, minutes, device = asked.epochs, asked.minutes, asked.device
    model = load_model(model_path)
    ensure_writable(model_path.parent)
    with watched(asked.watching, lambda: refinement_run.run_folder.name) as training, claimed(model_path):
        wanted = pipeline.RefinementPlan(epochs, minutes, device=device, precision="auto")
        planned = next_refinement(model_path, model, wanted, HIGH_CODEC_MINUTES * REFINEMENT_SHARE, first)
        plan = planned.plan
        folder = folder or still_there(planned.recordings(first), "refinement", model_path)
        corpus = training.read(folder, model.codec.channels)
        if planned.state is None:
            settings_table(run_settings(plan.epochs, plan.minutes, device, 0.0, plan.precision, is_settled=True))
        else:
            step = planned.state.value("schedule.step", int)
            settings_table(resumed_settings(step, epochs, minutes, device, plan.precision))
        split = split_of(model, corpus)
        refinement_run = begin_refinement(planned, model_path)
        refined = pipeline.refine_codec(
            model_path, corpus, split, refinement_run, callback=training.tell, cancel_event=training.cancel
        )
    _show(folder, model_path, refinement_run.run_folder, refined.model, refined, replace(asked, is_high=True))


def _show(
    folder: Path,
    model_path: Path,
    run_folder: Path,
    model: "Model",
    refined: "Refined | None",
    asked: _Training,
) -> None:
    from distill.models.header import UNMEASURED
    from distill.models.health import level_health, named_levels
    from distill.runs.events import events_file

    is_stopped = (
        refined.result.cancelled if refined else asked.is_high or bool(model.header.codec_training["cancelled"])
    )
    if asked.as_json:
        training = dict(model.header.codec_training)
        if is_stopped:
            training["cancelled"] = 1
        print_json(
            {
                "model": absolute(model_path),
                "run": run_folder,
                "events": events_file(run_folder, "refinement" if refined else "codec"),
                **training,
                **({"page": refined and refined.page and absolute(refined.page)} if asked.is_high else {}),
                "bitrate": model.header.codec.bitrate,
                "levels": named_levels(level_health(model.code_counts)),
            }
        )
        return
    place("Model", model_path)
    if refined is not None and refined.page is not None:
        place("Listen", refined.page, "before and after, open it in a browser")
    if is_stopped or model.header.codec_training.get(UNMEASURED):
        place("Go on", command("distill", "train", "--resume", model_path))
    if model.header.has_prior:  # a second stage keeps it, as codes keep their meaning
        place("Next", command("distill", "generate", model_path))
    else:
        place("Next", command("distill", "train-prior", model_path, folder))
