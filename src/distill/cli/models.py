"""``distill models …``: the library of everything that was trained and made."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from distill.cli import options
from distill.cli.console import (
    STAGE_NAMES,
    figure,
    good,
    listing,
    moment,
    note,
    place,
    print_json,
    table,
    visible,
    warn,
)
from distill.cli.outputs import a_folder
from distill.cli.pieces import as_listed
from distill.cli.trashed import empty_trash, show_deleted, show_trash
from distill.counted import bytes_in_words, counted
from distill.durations import duration
from distill.errors import InputError, ModelFileError, SettingError
from distill.files.names import command
from distill.files.regular import absolute, is_file, is_folder

if TYPE_CHECKING:
    from distill.library import Library, ModelEntry, RunRecord

SHOWN_GENERATIONS = 10
_OUTCOMES = {"best_val_loss": "distance", "best_perplexity": "perplexity", "mel_before": "distance before"}

app = typer.Typer(
    help="Models, what was made with them, and where they are.",
    no_args_is_help=True,
    add_completion=False,
)
Name = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model's name, the beginning of it, or a path.", show_default=False)
]


@app.command("list")
@options.verb
def list_models(
    trash: Annotated[bool, typer.Option("--trash", help="List the deleted models, which can be restored.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """List every model, the newest first: how much audio it learned from, how good it is, how large, and where."""
    from distill.library.trash import trashed

    if trash:
        show_trash(trashed(), "model", as_json)
        return
    _show_models(_library().models(), as_json, "No models yet.", "distill run FOLDER")


@app.command("search")
@options.verb
def search(
    words: Annotated[
        list[str], typer.Argument(metavar="WORD...", help="Words that must all match.", show_default=False)
    ],
    as_json: options.JsonOption = False,
) -> None:
    """Find the models whose name, folder, date or recordings contain every WORD. A model has its recordings' names once it has
    a prior; before that only their folder, on the computer that trained it."""
    from distill.library.naming import matching

    _show_models(matching(_library(), words), as_json, f"No model matches '{' '.join(words)}'.", "distill models list")


@app.command("info")
@options.verb
def info(model: Name, as_json: options.JsonOption = False) -> None:
    """Show a model's history: its trainings with settings and outcome, and what was made with it."""
    from distill.models.header import read_header

    library = _library()
    entry = _entry(library, model, only_looks=True)
    header = read_header(entry.path)
    runs, generations = library.runs(entry.origin), library.generations(entry.origin)
    there = library.there(generations)
    if as_json:
        print_json({"model": _as_json(entry), "runs": runs, "generations": as_listed(generations, there)})
        return
    note(entry.name, "bold")
    learned = f"{counted(entry.file_count, 'recording')}, {duration(entry.seconds)}"
    table(
        [
            ("trained", moment(entry.created)),
            ("learned from", learned),
            ("codec distance", figure(entry.codec_distance, 2)),
            ("prior perplexity", figure(entry.perplexity, 1)),
            ("size", bytes_in_words(entry.size)),
            ("file", str(entry.path)),
        ]
    )
    note()
    note("Trainings", "bold")
    for run in runs:
        _show_run(run)
    if not runs:
        note("  none on this computer")
    note()
    note("Made with it", "bold")
    # Those of a sweep have one codec and so one history.
    others = {one.digest: one.name for one in library.models() if one.digest != entry.digest}
    for generation in generations[-SHOWN_GENERATIONS:]:
        made_by = others.get(generation.digest, "an earlier version of the model")
        by_other = "" if generation.is_by(header) else f"; by {made_by}"
        gone = "" if generation.id in there else "gone from "
        place(
            f"  {generation.id}", gone + generation.file, f"{moment(generation.made)}, seed {generation.seed}{by_other}"
        )
        note(f"            {visible(generation.verdict)}", "dim")
    if not generations:
        note("  nothing yet")
        return
    if len(generations) > SHOWN_GENERATIONS:
        earlier = len(generations) - SHOWN_GENERATIONS
        note(f"  and {counted(earlier, 'earlier one')}; --json lists them all")
    place("Again", command("distill", "regenerate", str(generations[-1].id)))


@app.command("rename")
@options.verb
def rename(
    model: Name,
    name: Annotated[
        str, typer.Argument(metavar="NEW-NAME", help="The new name, without folder or ending.", show_default=False)
    ],
    as_json: options.JsonOption = False,
) -> None:
    """Rename MODEL. Its file stays in its folder; its history of trainings and pieces stays with it."""
    from distill.library import moving

    library = _library()
    entry = moving.rename(library, _entry(library, model), name)
    _done(f"It is now called {entry.name}", entry, as_json)


@app.command("delete")
@options.verb
def delete(
    models: Annotated[
        list[Path] | None, typer.Argument(metavar="MODEL...", help="Names or paths.", show_default=False)
    ] = None,
    empties: Annotated[
        bool,
        typer.Option(
            "--empty-trash", help="Empty the trash: what was deleted before is gone for good. Takes no MODEL."
        ),
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Move models into the trash; distill models restore brings them back."""
    from distill.library import trash

    if empties == bool(models):
        raise SettingError("There is nothing to delete.", "Name models, or empty the trash with --empty-trash alone.")
    if empties:
        empty_trash("model", as_json)
        return
    library = _library()
    meant = [_entry(library, model, is_needed=False) for model in models or ()]
    entries = {entry.path: entry for entry in meant}.values()
    items = [(entry, trash.delete(library, entry)) for entry in entries]
    if as_json:
        print_json({"deleted": [{"name": e.name, "was": e.path, "trash": item and item.key} for e, item in items]})
        return
    show_deleted([(entry.name, str(entry.path), item) for entry, item in items], "model")


@app.command("restore")
@options.verb
def restore(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Its name as distill models list --trash shows it.", show_default=False),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to put it into.", show_default="the one it was in")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Bring a deleted model back to where it was. Nothing is overwritten."""
    from distill.library import trash

    _done("Restored", trash.restore(_library(), name, out), as_json)


@app.command("export")
@options.verb
def export(
    model: Name,
    out: Annotated[Path, typer.Option(help="Folder, or a path that ends in .distill.")] = Path(),
    with_recordings: Annotated[
        bool,
        typer.Option(
            "--with-recordings",
            help="Include the sound of its recordings, so that the recordings' voice works elsewhere too. "
            "Whoever has the file then has your recordings.",
        ),
    ] = False,
    recordings: options.RecordingsOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Copy MODEL's file, to keep it or to give it away. It holds the recordings as codes, which can be decoded."""
    from distill.library import moving
    from distill.models.header import read_header

    if not moving.is_model_named(out):
        a_folder(out)
    library = _library()
    entry = _entry(library, model, only_looks=True)
    if with_recordings:
        _export_with_recordings(entry, out, recordings, as_json)
        return
    if recordings is not None:
        raise SettingError("--recordings has no effect here.", "Add --with-recordings, or leave it out.")
    target = moving.export(entry, out)
    if read_header(entry.path).sounds:
        warn(moving.leaves_sound(model))
    if as_json:
        print_json({"model": absolute(target), "was": entry.path})
        return
    good(f"A copy of {entry.name}, {bytes_in_words(target.stat().st_size)}")
    place("Model", target)


def _export_with_recordings(entry: "ModelEntry", out: Path, recordings: Path | None, as_json: bool) -> None:
    from distill.audio.rate import SAMPLE_RATE
    from distill.making.giving import export_with_recordings
    from distill.training.metrics import Notice

    def tell(event: object) -> None:
        if isinstance(event, Notice):
            (warn if event.is_warning else note)(event.text)

    target, model = export_with_recordings(entry, out, recordings, tell)
    seconds = sum(sound.samples for sound in model.sounds) / SAMPLE_RATE
    if as_json:
        told = {"recordings": len(model.sounds), "seconds": seconds, "size": target.stat().st_size}
        print_json({"model": absolute(target), "was": entry.path, **told})
        return
    many = counted(len(model.sounds), "recording")
    size, alone = bytes_in_words(target.stat().st_size), bytes_in_words(entry.size)
    instead = "" if size == alone else f" instead of {alone}"  # it may have held its sound before
    good(f"A copy of {entry.name} with the sound of {many} ({duration(seconds)}), {size}{instead}")
    warn("Whoever has this file has these recordings and can play them. Give it only to those who may have them.")
    place("Model", target)


@app.command("import")
@options.verb
def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help=".distill files, or folders of them.", show_default=False)
    ],
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Leave the files where they are, and only add them to the list.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Add model files to the library, as copies in Distill's own folder, so that each can be used by its name.

    Of several, those that are damaged are named and left out; the exit code is then 2.
    """
    from distill.library import moving

    library, paths = _library(), _model_files(files)
    entries: list[ModelEntry] = []
    refused: list[dict[str, object]] = []
    for path in paths:
        try:
            entries.append(moving.add(library, path, in_place=in_place))
        except ModelFileError as error:
            if len(paths) == 1:
                raise
            warn(f"{error.what} {error.fix}")
            refused.append({"file": path, "why": error.what})
    if as_json:
        print_json({"models": [_as_json(entry) for entry in entries], "refused": refused})
    else:
        good(f"{counted(len(entries), 'model is', 'models are')} in the library now")
        _print_models(entries)
    if refused:
        raise typer.Exit(InputError.exit_code)


def _library() -> "Library":
    from distill.library import Library

    return Library(warn)


def _entry(library: "Library", given: Path, is_needed: bool = True, only_looks: bool = False) -> "ModelEntry":
    """The entry of a model; with ``is_needed`` its file must be there. Who ``only_looks`` can do so on a read-only disk."""
    from distill.library import naming

    if not is_needed and not is_file(given):
        if str(given) == given.name:
            return naming.find(library, str(given))
        for entry in library.models():
            if entry.path == absolute(given):
                return entry
    path = naming.path_of(library, given)
    return library.look_at_model(path) if only_looks else library.note_model(path)


def _model_files(given: Iterable[Path]) -> list[Path]:
    from distill.files.names import MODEL_SUFFIX

    files: list[Path] = []
    for path in given:
        inside = sorted(path.rglob(f"*{MODEL_SUFFIX}")) if is_folder(path) else [path]
        if not inside:
            raise SettingError(f"There is no {MODEL_SUFFIX} file in {path}.", "Name another folder, or a file.")
        files += inside
    return files


def _done(words: str, entry: "ModelEntry", as_json: bool) -> None:
    if as_json:
        print_json({"model": _as_json(entry)})
        return
    good(words)
    place("Model", entry.path)


def _as_json(entry: "ModelEntry") -> dict[str, Any]:
    import dataclasses

    fields = dataclasses.asdict(entry)
    del fields["modified"]
    return {"name": entry.name, **fields}


def _show_models(entries: Sequence["ModelEntry"], as_json: bool, if_none: str, then: str) -> None:
    if as_json:
        print_json({"models": [_as_json(entry) for entry in entries]})
        return
    if not entries:
        note(if_none)
        place("Next", then)
        return
    _print_models(entries)


def _print_models(entries: Sequence["ModelEntry"]) -> None:
    rows = []
    for entry in entries:
        where = str(entry.path.parent) if entry.is_there else f"gone from {entry.path.parent}"
        cells = (
            entry.name,
            moment(entry.created),
            duration(entry.seconds),
            figure(entry.codec_distance, 2),
            figure(entry.perplexity, 1) if entry.has_prior else "–",
            bytes_in_words(entry.size),
            where,
        )
        rows.append([Text(visible(cell), style="" if entry.is_there else "dim") for cell in cells])
    figures = ("audio", "codec", "prior", "size")
    listing(("name", "trained", *figures, "in"), rows, figures)


def _show_run(run: "RunRecord") -> None:
    from distill.library.records import BY_CORPUS
    from distill.training.metrics import checked

    is_held_out = bool(run.figures.get("is_held_out", True))
    came_out = "".join(
        f", {checked(words, is_held_out)}: {figure(run.figures[name], 2)}"
        for name, words in _OUTCOMES.items()
        if name in run.figures
    )
    if "mel_after" in run.figures:
        came_out += f", after: {figure(run.figures['mel_after'], 2)}"
    count = run.figures.get("epochs_trained")
    epochs = "" if count is None else f" after {counted(count, 'epoch')}"
    kind = STAGE_NAMES.get(run.kind, run.kind)
    what = f"  {kind:<14}{moment(run.started)}  {run.outcome}{epochs}{came_out}"
    note(f"{what}{f': {run.message}' if run.message else ''}", "" if run.outcome == "finished" else "yellow")
    given = {name: value for name, value in run.settings.items() if value is not None and name != BY_CORPUS}
    settings = ", ".join(
        f"{name.replace('_', '-')} {f'{value:.3g}' if isinstance(value, float) and abs(value) < 1000 else value}"
        for name, value in given.items()
    )
    note(f"                {settings}", "dim")
    place("", run.events)
