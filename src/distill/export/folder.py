"""Folders appear whole or not at all, as files do (:mod:`distill.files.atomic`)."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.errors import OutputError
from distill.files.atomic import output_error, sync_folder
from distill.files.leftovers import part_beside
from distill.files.regular import is_folder, is_there


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """Gives a temporary folder beside ``path``; when the block ends well it becomes ``path``.

    Raises:
        OutputError: if ``path`` is taken, or the file system refuses.
    """
    refuse_if_taken(path)
    aside = part_beside(path)
    try:
        aside.mkdir(parents=True)
        yield aside
        for written in aside.rglob("*"):
            if written.is_file():
                with written.open("rb+") as file:
                    os.fsync(file.fileno())
        refuse_if_taken(path)
        aside.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        if is_folder(aside):
            shutil.rmtree(aside, ignore_errors=True)  # why it cannot go would hide why nothing was written


def refuse_if_taken(path: Path) -> None:
    """Raises OutputError if something is there already."""
    if is_there(path):
        raise OutputError(f"{path} already exists.", "Choose another --out, or move it away.")
