"""``distill run FOLDER``: from recordings to new audio in one go."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli import options
from distill.cli.console import good, note, place, print_json, settings_table, warn
from distill.cli.outputs import a_folder, check_pieces, naming_what_is_kept, new_sounds
from distill.cli.pieces import pieces_json, show_pieces
from distill.cli.watched import watched
from distill.durations import duration
from distill.files.names import command
from distill.files.regular import absolute
from distill.making.choice import Choice
from distill.runs.watching import Watching

if TYPE_CHECKING:
    from distill.run_plan import RunPlan, RunResult


def run(
    folder: options.FolderArgument,
    minutes: Annotated[float | None, typer.Option(help="Time for everything, in minutes.", show_default="8")] = None,
    seconds: options.SecondsOption = 10.0,
    count: Annotated[int, typer.Option(help="How many new pieces, 1 to 64.")] = 3,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the model, the audio and the report.",
            show_default="FOLDER's name + -distilled",
            callback=a_folder,
        ),
    ] = None,
    name: options.NameOption = None,
    rvq_levels: options.LevelsOption = None,
    codebook_size: options.CodebookOption = None,
    channels: options.ChannelsOption = "auto",
    device: options.DeviceOption = "auto",
    voice: options.VoiceOption = Choice.AUTO,
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
    """Learn the sound of FOLDER and make new audio in it: codec, prior, audio and report in one go."""
    from distill.making.voices import VoiceSettings

    check_pieces(seconds, count)
    if out is None:
        out = Path(f"{absolute(folder).name or 'recordings'}-distilled")
    if absolute(out).is_relative_to(absolute(folder)):
        warn(
            f"{out} lies inside {folder}: the new audio would be read as recordings the next time. Choose another --out."
        )
    with options.together(device, devices, nodes, strategy) as leads:
        if leads:
            from distill.run_plan import RunPlan

            result = run_pipeline(
                folder,
                out,
                RunPlan(
                    name=name,
                    minutes=minutes,
                    seconds=seconds,
                    count=count,
                    channels=options.channels(channels),
                    config_changes=options.chosen({"num_quantizers": rvq_levels, "codebook_size": codebook_size}),
                    seed=seed,
                    device=device,
                    precision=precision,
                    from_scratch=from_scratch,
                    voice=VoiceSettings(voice),
                ),
                Watching(tensorboard, wandb),
            )
            show_result(result, as_json)


def run_pipeline(folder: Path, out: Path, plan: "RunPlan", watching: Watching | None = None) -> "RunResult":
    """Runs the pipeline with a live view. After an interrupt it says which model is kept."""
    from distill import pipeline

    begun: list[tuple[Path, Path]] = []

    def begin(model: Path, run_folder: Path) -> None:
        begun.append((model, run_folder))

    with watched(watching or Watching(), lambda: begun[0][1].name) as training:
        try:
            with naming_what_is_kept(new_sounds(out)):
                return pipeline.run(
                    folder,
                    out,
                    plan,
                    callback=training.tell,
                    progress=training.view.progress,
                    on_settings=settings_table,
                    on_begin=begin,
                    cancel_event=training.cancel,
                )
        except KeyboardInterrupt:
            for model, run_folder in begun:
                _tell_what_goes_on(folder, model, run_folder)
            raise


def _tell_what_goes_on(folder: Path, model: Path, run: Path) -> None:
    from distill.models.header import UNMEASURED, read_header
    from distill.runs.events import state_file

    if model.exists():
        is_prior_begun = state_file(run, "prior").exists()
        header = read_header(model)
        has_prior = header.has_prior
        place("Kept", model, "" if has_prior or not is_prior_begun else "and what its prior has learned so far")
        if has_prior:
            if (header.prior_training or {}).get(UNMEASURED):
                place("Go on", command("distill", "train-prior", "--resume", model))
            place("Next", command("distill", "generate", model))
        elif is_prior_begun:
            place("Go on", command("distill", "train-prior", "--resume", model))
        else:
            place("Next", command("distill", "train-prior", model, folder))
    elif state_file(run, "codec").exists():
        place("Go on", command("distill", "train", "--resume", run))


def show_result(result: "RunResult", as_json: bool) -> None:
    """Where everything is, how good it is, and what to do next."""
    if as_json:
        print_json(_figures(result))
        return
    note()
    if result.cancelled:
        good(f"Stopped after {duration(result.seconds_taken)}. What was learned so far is kept.")
        place("Model", result.model_path)
        if result.resume_command:
            place("Go on", result.resume_command)
        place("Next", result.next_command)
        return
    good(f"Done in {duration(result.seconds_taken)}")
    show_pieces(result.pieces)
    place("Model", result.model_path)
    if result.report_path is not None:
        place("Report", result.report_path, "open it in a browser")
    place("More", result.next_command)


def _figures(result: "RunResult") -> dict[str, Any]:
    from distill.models.health import level_health, named_levels
    from distill.models.model_file import load_model

    model = load_model(result.model_path)
    codec = model.header.codec
    return {
        "model": absolute(result.model_path),
        **pieces_json(result.pieces),
        "report": result.report_path and absolute(result.report_path),
        "seconds_taken": round(result.seconds_taken, 1),
        "cancelled": result.cancelled,
        "recordings": model.header.corpus.file_count,
        "recordings_seconds": round(model.header.corpus.seconds, 3),
        "codec": {
            **model.header.codec_training,
            "bitrate": codec.bitrate,
            "frame_rate": codec.frame_rate,
            "levels": named_levels(level_health(model.code_counts)),
        },
        "prior": model.header.prior_training,
    }
