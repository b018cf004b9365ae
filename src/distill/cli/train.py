"""``distill train FOLDER``: the codec, in one stage or two."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli import options
from distill.cli.console import place, print_json, settings_table, stop_on_interrupt
from distill.cli.training_view import TrainingView
from distill.files.names import command

if TYPE_CHECKING:
    from distill.models.model_file import Model
    from distill.pipeline import Refined
    from distill.runs.resume import Stopped

DEFAULT_MINUTES = 5.0
DEFAULT_HIGH_MINUTES = 30.0


class Quality(StrEnum):
    """How much time is spent on the sound."""

    STANDARD = "standard"
    HIGH = "high"


def train(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help=f"{options.FOLDER_HELP} With --resume it is only needed if it was moved.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        Quality,
        typer.Option(
            help="high adds a second stage, for a GPU or a night: the decoder is refined against a discriminator."
        ),
    ] = Quality.STANDARD,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="How long to train in all; with --quality high the second stage takes 60 % of it.",
            show_default="5, or 30 for high",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Train this many epochs, each stage (with --minutes: whichever ends first).", show_default=False
        ),
    ] = None,
    resume: options.ResumeOption = None,
    name: options.NameOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the model file.")] = Path(),
    rvq_levels: options.LevelsOption = None,
    codebook_size: options.CodebookOption = None,
    commitment_weight: Annotated[
        float | None, typer.Option(help="Weight of the commitment loss, 0 to 10.", show_default="auto")
    ] = None,
    channels: options.ChannelsOption = "auto",
    device: options.DeviceOption = options.Device.AUTO,
    seed: options.SeedOption = 0,
    from_scratch: options.FromScratchOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Train the codec on FOLDER and write NAME.distill."""
    chosen = {
        key: value
        for key, value in {
            "num_quantizers": rvq_levels,
            "codebook_size": codebook_size,
            "commitment_weight": commitment_weight,
        }.items()
        if value is not None
    }
    if resume is not None:
        options.refuse_with_resume(
            context,
            "name",
            "out",
            "rvq_levels",
            "codebook_size",
            "commitment_weight",
            "channels",
            "seed",
            "from_scratch",
        )
        _resume(folder, resume, quality, epochs, minutes, device, as_json)
    else:
        _begin(
            options.given(folder, "FOLDER"),
            quality,
            epochs,
            minutes,
            name,
            out,
            chosen,
            options.channels(channels),
            device,
            seed,
            from_scratch,
            as_json,
        )


def _begin(
    folder: Path,
    quality: Quality,
    epochs: int | None,
    minutes: float | None,
    name: str | None,
    out: Path,
    chosen: dict[str, Any],
    channels: int | None,
    device: str,
    seed: int,
    from_scratch: bool,
    as_json: bool,
) -> None:
    import time

    from distill import pipeline
    from distill.audio.corpus import import_corpus
    from distill.audio.split import split_corpus
    from distill.files.names import claimed, new_model_path, new_run_folder
    from distill.runs.events import events_file
    from distill.runs.resume import RefinementRun
    from distill.settings import codec_settings, run_settings, stage_settings
    from distill.sizes import codec_config

    is_high = quality is Quality.HIGH
    default = DEFAULT_HIGH_MINUTES if is_high else DEFAULT_MINUTES
    settings = run_settings(epochs, minutes, device, default)
    budget = default if epochs is None and minutes is None else minutes
    first_minutes = budget and budget * (1 - pipeline.REFINEMENT_SHARE if is_high else 1)
    second_minutes = budget and budget * pipeline.REFINEMENT_SHARE
    refined = None
    with (
        TrainingView() as view,
        stop_on_interrupt(view.is_training) as cancel,
        claimed(new_model_path(out, name, folder)) as model_path,
    ):
        corpus = import_corpus(folder, channels=channels, progress=view.counting("Reading"))
        marked = {*chosen, *({"channels"} if channels else ())}
        stages = stage_settings(epochs, first_minutes, budget) if is_high else {}
        settings_table({**settings, **stages, **codec_settings(codec_config(corpus, chosen), marked)})
        run_folder = new_run_folder(model_path.stem)
        started = time.monotonic()
        split = split_corpus(corpus, seed=seed)
        model = pipeline.train_codec(
            corpus,
            split,
            model_path,
            events_file(run_folder, "codec"),
            pipeline.CodecPlan(epochs, first_minutes, seed=seed, device=device, from_scratch=from_scratch),
            config_changes=chosen,
            about={"second_stage": {"epochs": epochs, "minutes": second_minutes} if is_high else None},
            callback=view,
            cancel_event=cancel,
        )
        if is_high and not cancel.is_set():
            left = None if budget is None else max(budget - (time.monotonic() - started) / 60, 0.02)
            second = RefinementRun(run_folder, pipeline.RefinementPlan(epochs, left, seed=seed, device=device))
            refined = pipeline.refine_codec(model_path, corpus, split, second, callback=view, cancel_event=cancel)
    _show(folder, model_path, run_folder, refined.model if refined else model, refined, is_high, as_json)


def _resume(
    folder: Path | None,
    run: Path,
    quality: Quality,
    epochs: int | None,
    minutes: float | None,
    device: str,
    as_json: bool,
) -> None:
    """Goes on with the stage that is not at its end; where the first one is, with the second, if there is one or is to be."""
    from distill.models.model_file import load_model
    from distill.runs.resume import has_second_stage, refined_model, stopped_codec

    first = stopped_codec(run)
    if first is None and not run.exists():
        run = options.model_file(run)
        first = stopped_codec(run)
    if first is None:
        _resume_second(folder, refined_model(run), None, epochs, minutes, device, as_json)
        return
    is_high = quality is Quality.HIGH or first.second_stage is not None
    is_refined = first.model_path.exists() and has_second_stage(load_model(first.model_path))
    if is_refined or (first.is_finished and is_high):
        _resume_second(folder, first.model_path, first, epochs, minutes, device, as_json)
    else:
        _resume_first(folder or first.folder, first, is_high, epochs, minutes, device, as_json)


def _resume_first(
    folder: Path,
    first: "Stopped",
    is_high: bool,
    epochs: int | None,
    minutes: float | None,
    device: str,
    as_json: bool,
) -> None:
    from distill import pipeline
    from distill.audio.corpus import import_corpus
    from distill.audio.split import split_corpus
    from distill.files.atomic import ensure_writable
    from distill.files.names import claimed
    from distill.models.vqvae import VQVAEConfig
    from distill.runs.resume import RefinementRun
    from distill.settings import codec_settings, resumed_settings

    share = pipeline.REFINEMENT_SHARE if is_high else 0.0
    rows = resumed_settings(first.step, epochs, minutes, device)
    plan = first.plan(pipeline.CodecPlan, epochs, minutes and minutes * (1 - share), device)
    second = (epochs, minutes and minutes * share)
    if epochs is None and minutes is None:
        second = first.second_stage or (None, DEFAULT_HIGH_MINUTES * share)
    config = first.config(VQVAEConfig)
    ensure_writable(first.model_path.parent)
    refined = None
    with TrainingView() as view, stop_on_interrupt(view.is_training) as cancel, claimed(first.model_path) as model_path:
        corpus = import_corpus(folder, channels=config.channels, progress=view.counting("Reading"))
        settings_table({**rows, **codec_settings(config)})
        split = split_corpus(corpus, seed=plan.seed, rule=plan.split_rule)
        model = pipeline.train_codec(
            corpus,
            split,
            model_path,
            first.events,
            plan,
            resumed=first,
            about={"second_stage": {"epochs": second[0], "minutes": second[1]} if is_high else None},
            callback=view,
            cancel_event=cancel,
        )
        if is_high and not cancel.is_set():
            refinement_run = RefinementRun(
                first.run_folder, pipeline.RefinementPlan(*second, seed=plan.seed, device=device)
            )
            refined = pipeline.refine_codec(
                model_path, corpus, split, refinement_run, callback=view, cancel_event=cancel
            )
    _show(folder, model_path, first.run_folder, refined.model if refined else model, refined, is_high, as_json)


def _resume_second(
    folder: Path | None,
    model_path: Path,
    first: "Stopped | None",
    epochs: int | None,
    minutes: float | None,
    device: str,
    as_json: bool,
) -> None:
    from distill import pipeline
    from distill.audio.corpus import import_corpus
    from distill.audio.split import split_corpus
    from distill.files.atomic import ensure_writable
    from distill.files.names import claimed
    from distill.models.model_file import load_model
    from distill.runs.resume import next_refinement
    from distill.settings import resumed_settings, run_settings

    model = load_model(model_path)
    ensure_writable(model_path.parent)
    with TrainingView() as view, stop_on_interrupt(view.is_training) as cancel, claimed(model_path):
        wanted = pipeline.RefinementPlan(epochs, minutes, device=device)
        refinement_run = next_refinement(
            model_path, model, wanted, DEFAULT_HIGH_MINUTES * pipeline.REFINEMENT_SHARE, first
        )
        folder = folder or refinement_run.recordings(first)
        corpus = import_corpus(folder, channels=model.codec.channels, progress=view.counting("Reading"))
        if refinement_run.resumed is None:
            settings_table(run_settings(refinement_run.plan.epochs, refinement_run.plan.minutes, device, 0.0))
        else:
            settings_table(
                resumed_settings(refinement_run.resumed.value("schedule.step", int), epochs, minutes, device)
            )
        split = split_corpus(corpus, seed=refinement_run.plan.seed, rule=refinement_run.plan.split_rule)
        refined = pipeline.refine_codec(model_path, corpus, split, refinement_run, callback=view, cancel_event=cancel)
    _show(folder, model_path, refinement_run.run_folder, refined.model, refined, True, as_json)


def _show(
    folder: Path,
    model_path: Path,
    run_folder: Path,
    model: "Model",
    refined: "Refined | None",
    is_high: bool,
    as_json: bool,
) -> None:
    from distill.models.health import level_health, named_levels
    from distill.runs.events import events_file

    is_stopped = refined.result.cancelled if refined else is_high or bool(model.header.codec_training["cancelled"])
    if as_json:
        training = dict(model.header.codec_training)
        if is_stopped:
            training["cancelled"] = 1
        print_json(
            {
                "model": model_path.resolve(),
                "run": run_folder,
                "events": events_file(run_folder, "refinement" if refined else "codec"),
                **training,
                **({"page": refined and refined.page and refined.page.resolve()} if is_high else {}),
                "bitrate": model.header.codec.bitrate,
                "levels": named_levels(level_health(model.code_counts)),
            }
        )
        return
    place("Model", model_path)
    if refined is not None and refined.page is not None:
        place("Listen", refined.page, "before and after, open it in a browser")
    if is_stopped:
        place("Go on", command("distill", "train", "--resume", model_path))
    place("Next", command("distill", "train-prior", model_path, folder))
