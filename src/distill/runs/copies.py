"""Copies of a model file: each trains further in a run of its own, as what one learns must not come into another.

A copy names the run that its model came from. So the first time it is trained further, it goes on from what was saved there,
but in a folder of its own, and its states say from which run they branched off.
"""

import dataclasses
import shutil
from pathlib import Path
from typing import TypeVar

from distill.errors import ModelFileError, StateFileError
from distill.files.atomic import output_error
from distill.files.names import new_run_folder, run_folders
from distill.files.regular import is_there
from distill.models.header import SECOND_RUN, Header, read_header
from distill.runs.events import events_file, state_file
from distill.runs.saved import BRANCHED_FROM, STATE_KINDS, RefinementRun, Stopped
from distill.training.state_file import KEPT_SUFFIX, read_values

S = TypeVar("S", Stopped, RefinementRun)


def run_of(header: Header, stage: str) -> object:
    """The run that a model file names for a ``codec``, a ``refinement`` or a ``prior``; None if it names none."""
    training = (header.prior_training or {}) if stage == "prior" else header.codec_training
    return training.get(SECOND_RUN if stage == "refinement" else "run")


def branch_of(mark: object, model: Path, stage: str) -> Path | None:
    """The newest run in which the model at that path went on from the run that it names; None where there is none."""
    for folder in run_folders():
        try:
            path = state_file(folder, stage)
            about = read_values(path, STATE_KINDS[stage])["about"] if path.exists() else {}
            if mark is not None and about.get(BRANCHED_FROM) == mark and is_same(Path(about["model"]), model):
                return folder
        except (StateFileError, KeyError, TypeError):  # not judged here: whoever resumes it will be told
            continue
    return None


def is_same(one: Path, other: Path) -> bool:
    """Whether both are there, and one file."""
    return is_there(one) and is_there(other) and one.samefile(other)


def on_its_own(stopped: S, model: Path, stage: str) -> S:
    """What goes on in its own folder: in a new one where the run is that of another file, of which the model is a copy.

    Raises:
        OutputError: if the file system refuses.
    """
    if stopped.state is None:
        return stopped
    about, folder = stopped.state.values["about"], stopped.run_folder
    origin = Path(about["model"])
    if not is_there(origin) or not is_there(model) or is_same(origin, model):
        return stopped
    try:
        is_copied = run_of(read_header(origin), stage) == folder.name
    except ModelFileError:  # something else lies there now
        return stopped
    if not is_copied:
        return stopped
    own = new_run_folder(model.stem)
    for path in (events_file(folder, stage), folder / f"{stage}{KEPT_SUFFIX}"):
        try:
            if path.exists():
                shutil.copyfile(path, own / path.name)
        except OSError as error:
            raise output_error(own / path.name, error) from error
    about[BRANCHED_FROM] = folder.name
    return dataclasses.replace(stopped, run_folder=own)
