"""Where the codec's second stage begins or goes on: what it plans, its run folder, and the state it left there.

A state lies in the folder of the run that wrote it, in Distill's own folder. It belongs to a model if both make
the same codes, whatever the model is called or wherever it was moved.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from distill.errors import SettingError, StateFileError
from distill.models.model_file import Model
from distill.outputs import new_run_folder, run_folders
from distill.training.adversarial import STATE_KIND, RefinementPlan
from distill.training.state import TrainingState, load_state, read_values

STATE_NAME = "refinement.state"


@dataclass(frozen=True)
class Sitting:
    """One stretch of the second stage, from its beginning or from where it stopped."""

    run_folder: Path
    plan: RefinementPlan
    resumed: TrainingState | None = None

    @property
    def state_path(self) -> Path:
        return self.run_folder / STATE_NAME


def first_sitting(model: Model, run_folder: Path, epochs: int | None, minutes: float | None) -> Sitting:
    """The beginning, with the same recordings kept aside as in the first stage."""
    return Sitting(run_folder, RefinementPlan(epochs, minutes, seed=model.header.corpus.split_seed))


def next_sitting(
    path: Path, model: Model, epochs: int | None, minutes: float | None, default_minutes: float
) -> Sitting:
    """Where the second stage of the model at ``path`` goes on; its beginning, if the model has had none yet.

    Args:
        epochs, minutes: how much further from here. With neither, to the end it was begun with, or for the default minutes.

    Raises:
        SettingError: if the stage is at its end and nothing says how much further, or its state is not on this computer.
        StateFileError: if the state is damaged.
    """
    run_folder = _run_of(path, model.alphabet)
    if run_folder is None:
        if "refinement_steps" in model.header.codec_training:
            raise SettingError(
                f"The second stage of {path} cannot be resumed: its state is not on this computer.",
                "Resume it where it was trained, or train a new model with --quality high.",
            )
        minutes = default_minutes if epochs is None and minutes is None else minutes
        return first_sitting(model, new_run_folder(path.stem), epochs, minutes)
    state = load_state(run_folder / STATE_NAME, STATE_KIND)
    try:
        plan = RefinementPlan(**state.values["plan"])
        if epochs is not None or minutes is not None:
            plan = dataclasses.replace(
                plan,
                epochs=None if epochs is None else state.values["epoch"] + epochs,
                minutes=None if minutes is None else state.values["elapsed_s"] / 60 + minutes,
            )
        elif state.values["finished"] and state.values["step"] == model.header.codec_training.get("refinement_steps"):
            raise SettingError(
                f"The second stage of {path} is at its end.", "Say how much further with --minutes or --epochs."
            )
    except (KeyError, TypeError) as error:
        raise StateFileError(
            f"{run_folder / STATE_NAME} does not say what was planned.",
            "Move it away, and train that stage again from its beginning.",
        ) from error
    return Sitting(run_folder, plan, state)


def _run_of(model_path: Path, alphabet: str) -> Path | None:
    """The newest run folder whose state belongs to this alphabet."""
    for folder in run_folders():
        state = folder / STATE_NAME
        if not state.exists():
            continue
        try:
            if read_values(state, STATE_KIND).get("alphabet") == alphabet:
                return folder
        except StateFileError:
            # Another model's damaged state is nobody's trouble here; this model's own would be.
            if folder.name.startswith(f"{model_path.stem}-"):
                raise
    return None
