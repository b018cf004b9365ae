"""``distill regenerate PIECE``: a piece that was made before, made again to the sample."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli import options
from distill.cli.console import good, note, place, print_json, visible, warn
from distill.cli.outputs import a_folder, can_be_written
from distill.cli.training_view import TrainingView
from distill.files.regular import absolute


def regenerate(
    piece: Annotated[
        str,
        typer.Argument(
            metavar="PIECE",
            help="The number that generate gave it, its name or its file, as distill pieces list shows them.",
            show_default=False,
        ),
    ],
    given: Annotated[
        Path | None,
        typer.Option(
            help="Where the prompt or the recording it was made from is now, if it was moved.", show_default=False
        ),
    ] = None,
    recordings: options.RecordingsOption = None,
    out: Annotated[Path, typer.Option(help="Folder for the audio.", callback=a_folder)] = Path(),
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Make PIECE again: the identical file, from the same model, seed and settings.

    It takes the place in the list of a piece that was deleted or whose file is gone; a second copy is not listed.
    """
    import dataclasses

    from distill.library import Library, naming
    from distill.making.again import regenerate as make_again
    from distill.training.device import choose_device

    can_be_written(out)
    library = Library(warn)
    generation = naming.find_piece(library, piece)
    with TrainingView() as view:
        again = make_again(
            library,
            generation,
            out,
            choose_device(device),
            given=given,
            recordings=recordings,
            progress=view.counting("Composing"),
            callback=view,
        )
    made = again.piece
    if as_json:
        print_json(
            {
                "id": generation.id,
                "audio": absolute(made.path),
                "seed": generation.seed,
                "identical": again.is_identical,
                "first_written_to": generation.file,
                "originality": dataclasses.asdict(made.originality),
            }
        )
        return
    place("Audio", made.path, f"seed {generation.seed}")
    note(f"          {visible(made.summary())}", "dim")
    if again.is_identical:
        good("Identical, sample for sample, to what was made before")
        return
    others = "other recordings may have been at hand, or " if made.made_of else ""
    warn(
        f"Some samples differ: {others}other versions of Distill or PyTorch, or another device, may round differently."
    )
