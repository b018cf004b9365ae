"""New audio as it is shown after ``run`` and ``generate``, and ``distill pieces …``: what was made, and its trash."""

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distill.cli import options
from distill.cli.console import good, listing, moment, note, place, print_json, visible, warn
from distill.cli.trashed import empty_trash, show_deleted, show_trash
from distill.errors import SettingError
from distill.files.names import command
from distill.files.regular import absolute

if TYPE_CHECKING:
    from distill.library import GenerationRecord
    from distill.making.pieces import Piece

app = typer.Typer(help="What was made with the models.", no_args_is_help=True, add_completion=False)


@app.command("list")
@options.verb
def list_pieces(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="Only what was made with this model.", show_default=False),
    ] = None,
    trash: Annotated[bool, typer.Option("--trash", help="List the deleted pieces, which can be restored.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """List every piece, the newest first: its number, when it was made, how original it is, and where."""
    from distill.library import Library, naming
    from distill.library.trash import trashed

    if trash:
        if model is not None:
            raise SettingError("MODEL has no effect on --trash.", "Leave one of them out.")
        show_trash(trashed("piece"), "piece", as_json)
        return
    library = Library(warn)
    origin = None if model is None else library.look_at_model(naming.path_of(library, model)).origin
    found = library.generations(origin)[::-1]
    there = library.there(found)
    if as_json:
        print_json({"pieces": as_listed(found, there)})
        return
    if not found:
        note("No pieces yet.")
        place("Next", command("distill", "generate", model or "MODEL"))
        return
    rows = [
        (str(one.id), moment(one.made), _share(one), one.file if one.id in there else f"gone from {one.file}")
        for one in found
    ]
    listing(("number", "made", "original", "file"), rows, ("original",))


@app.command("rename")
@options.verb
def rename(
    piece: Annotated[
        str,
        typer.Argument(
            metavar="PIECE", help="Its number, name or file, as distill pieces list shows them.", show_default=False
        ),
    ],
    name: Annotated[
        str, typer.Argument(metavar="NEW-NAME", help="The new name, without folder or ending.", show_default=False)
    ],
    as_json: options.JsonOption = False,
) -> None:
    """Rename PIECE. Its file stays in its folder; its title, its list of grains and its project are renamed with it."""
    from distill.library import Library, moving, naming

    library = Library(warn)
    moved = moving.rename_piece(library, naming.find_piece(library, piece), name, note)
    if as_json:
        print_json({"id": moved.id, "audio": moved.file})
        return
    good(f"It is now called {Path(moved.file).stem}")
    place("Audio", moved.file)


@app.command("delete")
@options.verb
def delete(
    pieces: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PIECE...", help="Numbers, names or files, as distill pieces list shows them.", show_default=False
        ),
    ] = None,
    empties: Annotated[
        bool,
        typer.Option(
            "--empty-trash", help="Empty the trash: what was deleted before is gone for good. Takes no PIECE."
        ),
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Move pieces into the trash, with their lists of grains and projects; distill pieces restore brings them back."""
    from distill.library import Library, naming, trash

    if empties == bool(pieces):
        raise SettingError("There is nothing to delete.", "Name pieces, or empty the trash with --empty-trash alone.")
    if empties:
        empty_trash("piece", as_json)
        return
    library = Library(warn)
    meant = [naming.find_piece(library, given) for given in pieces or ()]
    found = {piece.id: piece for piece in meant}.values()
    items = [(piece, trash.delete_piece(library, piece)) for piece in found]
    if as_json:
        told = [{"id": piece.id, "was": piece.file, "trash": item and item.key} for piece, item in items]
        print_json({"deleted": told})
        return
    show_deleted([(Path(piece.file).stem, piece.file, item) for piece, item in items], "piece")


@app.command("restore")
@options.verb
def restore(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Its name as distill pieces list --trash shows it.", show_default=False),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder to put it into.", show_default="the one it was in")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Bring a deleted piece back to where it was. Nothing is overwritten."""
    from distill.library import Library, trash

    item, path = trash.restore_piece(Library(warn), name, out)
    if as_json:
        print_json({"id": item.piece, "audio": path})
        return
    good("Restored")
    place("Audio", path)


def as_listed(pieces: "Sequence[GenerationRecord]", there: Collection[int]) -> list[dict[str, Any]]:
    """The pieces for machines; ``there`` are the numbers of those whose files are."""
    return [{**dataclasses.asdict(one), "is_there": one.id in there} for one in pieces]


def _share(piece: "GenerationRecord") -> str:
    """How much of it is original; of silence nothing can be said."""
    if not piece.shares:  # an earlier version did not judge it
        return "–"
    return f"{100 * piece.shares.get('original', 0):.0f} %" if any(piece.shares.values()) else "silent"


def show_pieces(pieces: "Sequence[Piece]") -> None:
    """Where each piece is, how it is made again, and where it came from."""
    explained = " (0 is inaudible, 1 is as audible as any cut)"
    for piece in pieces:
        take = piece.generation
        cut = ""
        if (seam := getattr(take, "seam", None)) is not None:
            cut, explained = f", seam {seam:.2f}{explained}", ""  # once is enough
        again = "" if piece.number is None else f", distill regenerate {piece.number}"
        place("New audio", piece.path, f"seed {take.seed}{cut}{again}")
        note(f"          {visible(piece.summary())}", "dim")


def pieces_json(pieces: "Sequence[Piece]") -> dict[str, Any]:
    """The same for machines."""
    return {
        "audio": [absolute(piece.path) for piece in pieces],
        "ids": [piece.number for piece in pieces],
        "seeds": [piece.generation.seed for piece in pieces],
        "originality": [dataclasses.asdict(piece.originality) for piece in pieces],
    }
