"""What is learned from of a folder: the folder itself, or where recordings are left out, a folder of links to the others."""

import json
import os
import shutil
import time
from hashlib import sha256
from pathlib import Path

from distill.errors import CorpusError, OutputError
from distill.files.atomic import make_folder
from distill.files.home import home
from distill.files.regular import absolute
from distill.recordings.folder import audio_files, name_below
from distill.web import jobs
from distill.web.places import Collection, library

_WAITS_S = 24 * 3600.0
"""So long a selection waits to be needed."""


def training_folder(one: Collection) -> Path:
    """The folder to learn from: the person's own, or, where something is left out, one of links to the rest.

    Raises:
        CorpusError: if nothing is left, or the folder is gone.
        OutputError: if the links cannot be written.
    """
    folder = Path(one.folder)
    if not one.left_out:
        return folder
    out = set(one.left_out)
    kept = {name: path for path in audio_files(folder)[0] if (name := name_below(path, folder)) not in out}
    if not kept:
        raise CorpusError(f"Every recording of {folder} is left out.", "Take one back in Recordings.")
    digest = sha256(json.dumps(list(kept)).encode()).hexdigest()
    selection = home() / "selections" / f"{one.id}-{digest[:8]}"
    links = selection / folder.name
    for path in kept.values():
        link = links / path.relative_to(folder)
        make_folder(link.parent)
        if not link.is_symlink():
            try:
                link.symlink_to(path)
            except FileExistsError:  # another request has just made it
                continue
            except OSError as error:
                raise OutputError(
                    f"{link} cannot be made ({error.strerror}).", "Move the recordings to a folder of their own."
                ) from error
    os.utime(selection)
    _tidy(one)
    return links


def _tidy(one: Collection) -> None:
    """Removes what was selected of a folder more than a day ago for no training that is noted, at work or in line."""
    words = [word for job in jobs.jobs() if not job.is_over for command in job.commands for word in command]
    needed = {absolute(Path(given)).parent for given in (*words, *(run.folder for run in library().runs()))}
    for old in (home() / "selections").glob(f"{one.id}-{'?' * 8}"):
        if time.time() - old.stat().st_mtime > _WAITS_S and absolute(old) not in needed:
            shutil.rmtree(old, ignore_errors=True)  # another request may do so too; what stays is tried again
