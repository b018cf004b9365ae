"""New audio as it is shown: the same after ``run`` and after ``generate``."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from distill.cli.console import note, place, visible

if TYPE_CHECKING:
    from distill.making.pieces import Piece


def show_pieces(pieces: "Sequence[Piece]") -> None:
    """Where each piece is, how it is made again, and where it came from."""
    for piece in pieces:
        take = piece.generation
        seam = getattr(take, "seam", None)
        cut = "" if seam is None else f", seam {seam:.2f} (0 is inaudible, 1 is as audible as any cut)"
        again = "" if piece.number is None else f", distill regenerate {piece.number}"
        place("New audio", piece.path, f"seed {take.seed}{cut}{again}")
        note(f"          {visible(piece.summary())}", "dim")


def pieces_json(pieces: "Sequence[Piece]") -> dict[str, Any]:
    """The same for machines."""
    return {
        "audio": [piece.path.resolve() for piece in pieces],
        "ids": [piece.number for piece in pieces],
        "seeds": [piece.generation.seed for piece in pieces],
        "originality": [dataclasses.asdict(piece.originality) for piece in pieces],
    }
