"""``distill reconstruct MODEL FOLDER``: every recording through encoder and decoder."""

from pathlib import Path
from typing import Annotated

import typer

from distill.cli import options
from distill.cli.console import good, note, print_json
from distill.cli.outputs import a_folder, can_be_written, naming_what_is_kept
from distill.cli.training_view import TrainingView
from distill.counted import counted
from distill.files.regular import absolute


def reconstruct(
    model: options.ModelArgument,
    folder: options.FolderArgument,
    out: Annotated[Path, typer.Option(help="Folder for the reconstructions.", show_default=False, callback=a_folder)],
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Encode and decode every recording in FOLDER with MODEL's codec, as 48 kHz WAV files of the same names."""
    from distill.evaluation import codec_files
    from distill.models.model_file import load_model
    from distill.training.device import choose_device

    can_be_written(out)
    model = options.model_file(model)
    loaded = load_model(model, choose_device(device))
    left_out: list[str] = []
    written: list[Path] = []
    with TrainingView() as view, naming_what_is_kept(lambda: written):
        codec_files.reconstruct_folder(
            loaded, folder, out, view.counting("Reconstructing"), left_out.append, written.append
        )
    if as_json:
        print_json({"audio": [absolute(path) for path in written], "left_out": left_out})
        return
    for sentence in left_out:
        note(sentence)
    good(f"{counted(len(written), 'reconstruction')} in {out}")
