"""``distill status [RUN]``: where trainings stand, seen from any terminal."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from distill.cli import options
from distill.cli.console import STAGE_NAMES, listing, note, percent, place, print_json, warn
from distill.durations import about
from distill.errors import SettingError
from distill.files.regular import absolute, is_folder, is_there

if TYPE_CHECKING:
    from distill.runs.status import RunStatus

SHOWN = 10
_STYLES = {"running": "bold green", "finished": "green", "failed": "red"}


def status(
    context: typer.Context,
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN", help="A run's folder or its name, or a model (file or name).", show_default=False
        ),
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Also list finished runs, however old.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Show which trainings are running, how far they are, and how those that stopped can go on."""
    if run is not None:
        options.refuse_idle(context, "--all lists runs, and one RUN was named.", "show_all")
        found = _one(run)
        if as_json:
            print_json(_figures(found, with_curves=True))
            return
        _show_one(found)
        return
    runs, older = _unfinished(show_all)
    if as_json:
        print_json({"runs": [_figures(one) for one in runs]})
        return
    if not runs:
        note("No training is running, and none is waiting to go on.")
        place("All", "distill status --all")
        return
    _show_all(runs)
    if older:
        note(f"and {older} older {'ones; --all shows them' if older != 1 else 'one; --all shows it'}", "dim")


def _one(given: Path) -> "RunStatus":
    from distill.files.home import home
    from distill.runs.status import is_run, look

    named = home() / "runs" / given.name
    found = named if is_run(named) and not is_run(given) else options.run_or_model(given)
    if is_run(found):
        return look(found)
    if is_folder(found):
        raise SettingError(
            f"{found} is not a run: no training has recorded anything there.",
            "Give a run's folder or its name, as distill status --all shows them, or a model.",
        )
    folders = _folders_of(found)
    if not folders:
        raise SettingError(f"There is no run of {given} on this computer.", "See all runs with: distill status --all")
    return look(folders[0])


def _folders_of(model: Path) -> list[Path]:
    """The runs that trained a model, the newest first: those it names itself, and those that were to write it."""
    from distill.files.names import run_folders
    from distill.models.header import SECOND_RUN, read_header
    from distill.runs.status import records_of

    path, named = str(absolute(model)), set()
    if is_there(model):
        header = read_header(model)
        codec = header.codec_training
        named = {codec.get("run"), codec.get(SECOND_RUN), (header.prior_training or {}).get("run")}
    return [
        folder
        for folder in run_folders()
        if folder.name in named or any(record.model == path for record in records_of(folder))
    ]


def _unfinished(show_all: bool) -> tuple[list["RunStatus"], int]:
    """The newest runs that are at work or can go on, and how many older ones there are."""
    from distill.files.names import run_folders
    from distill.runs.status import look, records_of

    wanted = []
    for folder in run_folders():
        records = records_of(folder)
        if show_all or (records and records[-1].outcome != "finished"):
            wanted.append(folder)
    shown = wanted if show_all else wanted[:SHOWN]
    return [look(folder) for folder in shown], len(wanted) - len(shown)


def _show_all(runs: list["RunStatus"]) -> None:
    rows = [
        (
            run.run_folder.name,
            _stage_name(run),
            Text(run.state, style=_STYLES.get(run.state, "yellow")),
            *_progress(run),
        )
        for run in runs
    ]
    listing(("run", "stage", "state", "done", "left"), rows, ("done", "left"))
    for run in runs:
        if run.next_command:
            place("Go on", run.next_command)
        elif run.message:
            note(f"{run.run_folder.name}: {run.message}", "yellow")


def _show_one(run: "RunStatus") -> None:
    from distill.runs.renamed import found_model
    from distill.runs.status import where_recordings

    done, left = _progress(run)
    note(run.run_folder.name, "bold")
    what = " · ".join(part for part in (run.state, _stage_name(run), done, f"{left} left" if left else "") if part)
    note(what, _STYLES.get(run.state, "yellow"))
    for stage in run.stages:
        figures = [f"step {stage.step}" if stage.step else "", f"epoch {stage.epoch}" if stage.epoch else ""]
        if stage.extracted is not None:
            figures.append(f"encoded {stage.extracted[0]} of {stage.extracted[1]} recordings")
        for name, curve in stage.curves.items():
            if curve.values:
                figures.append(f"{name.replace('_', '-')} {curve.values[-1]:.2f}")
        note(f"  {STAGE_NAMES.get(stage.name, stage.name):<14}{'  '.join(filter(None, figures))}", "dim")
    if run.message:
        warn(run.message)
    warning = run.stage.warning if run.stage is not None else ""
    if warning:
        warn(warning)
    if run.record is not None:
        model = found_model(run.record, warn)
        place("Model", model or run.record.model, "" if model else "not written yet, moved or deleted")
        if run.next_command and run.state != "finished" and not os.path.lexists(run.record.folder):
            kind, owner = run.record.kind, model if run.record.kind == "prior" else None
            warn(" ".join(where_recordings(Path(run.record.folder), kind, model or run.run_folder, owner)))
    place("Run", run.run_folder)
    if run.next_command:
        place("Next" if run.state == "finished" else "Go on", run.next_command)


def _stage_name(run: "RunStatus") -> str:
    kind = run.record.kind if run.record is not None else run.stage.name if run.stage is not None else ""
    return STAGE_NAMES.get(kind, kind)


def _progress(run: "RunStatus") -> tuple[str, str]:
    stage = run.stage
    if stage is None:
        return "", ""
    is_going = run.state == "running" and stage.remaining_s is not None
    done = 1.0 if run.state == "finished" else stage.progress
    return percent(done), about(stage.remaining_s or 0.0) if is_going else ""


def _figures(run: "RunStatus", with_curves: bool = False) -> dict[str, Any]:
    import dataclasses

    from distill.files.process import lives
    from distill.runs.renamed import model_of
    from distill.runs.status import changed

    record, stage = run.record, run.stage
    stages = [dataclasses.asdict(one) for one in run.stages]
    if not with_curves:
        for one in stages:
            del one["curves"]
    return {
        "run": run.run_folder,
        "state": run.state,
        "is_alive": None if record is None else lives(record.process),
        "stage": None if stage is None else stage.name,
        "progress": None if stage is None else stage.progress,
        "remaining_s": stage.remaining_s if stage is not None and run.state == "running" else None,
        "warning": "" if stage is None else stage.warning,
        "message": run.message,
        "model": None if record is None else model_of(record),
        "folder": None if record is None else record.folder,
        "started": None if record is None else record.started,
        "changed": changed(run.run_folder).isoformat(timespec="seconds"),
        "stages": stages,
        "next": run.next_command,
    }
