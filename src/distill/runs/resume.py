"""Resuming a stopped run: its folder in Distill's own folder, and the states that its stages saved there.

    runs/NAME-DATE/     codec.state       codec.jsonl       the codec's first stage, and what it reported
                        refinement.state  refinement.jsonl  its second stage, if there is one
                        prior.state       prior.jsonl       the prior
                        prior.codes                         what it learns from
                        listening/                          what was held out, as the codec gave it back

What a state says is in ``saved.py``; here the right one is found. A run is named by that folder or by the model file it
writes, wherever that was moved: the file knows its codec's run, and later stages belong to a model if both have the same
codes. What is to be known of a run is read without PyTorch.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill import models
from distill.errors import OutputError, SettingError, StateFileError
from distill.files.names import command, new_run_folder, run_folders
from distill.files.regular import absolute, is_file, is_folder, is_there
from distill.models.header import UNMEASURED, read_header
from distill.runs.copies import branch_of, is_same, on_its_own, run_of
from distill.runs.events import STAGES, state_file
from distill.runs.saved import STATE_KINDS, PlannedRefinement, RefinementRun, Stopped, further
from distill.runs.status import BEGIN_AGAIN, look, records_of, where_is
from distill.training.plan import CodecPlan, PriorPlan, RefinementPlan, StageEnd
from distill.training.state_file import KEPT_SUFFIX, SavedState, load_state, read_values

if TYPE_CHECKING:
    from distill.models.model_file import Model

FINISHED_KEPT = 5
"""How many runs keep the states of finished stages (some 200 MB a codec), so that they can be trained further."""


def stopped_codec(run: Path) -> Stopped | None:
    """The codec's first stage of a run; None if its state is not on this computer.

    Args:
        run: a run's folder, or a model file, which need not have been written yet.

    Raises:
        ModelFileError, StateFileError: if what is there is damaged, or the run has a second stage and its model was moved.
        OutputError: if another model has taken the name of the run's.
    """
    if is_folder(run):
        found = run
    elif is_there(run):
        mark = run_of(read_header(run), "codec")
        branch = branch_of(mark, run, "codec")
        found = branch or next((folder for folder in run_folders() if folder.name == mark), run)
    else:
        path = str(absolute(run))
        found = _newest(run.stem, "codec", lambda values: values["about"]["model"] == path) or run
    if not is_there(state_file(found, "codec")):
        return None
    stopped = _load(found, "codec")
    model_path = stopped.model_path if is_folder(run) else run
    if not is_there(model_path):
        if is_there(state_file(found, "refinement")):  # both stages would begin again, in place of what is saved
            raise StateFileError(*where_is(model_path, "codec"))
        return dataclasses.replace(stopped, model_path=model_path)
    training = read_header(model_path).codec_training
    if training.get("run") not in (found.name, stopped.branched_from):
        raise OutputError(f"{model_path} is another run's model.", "Move it away, then resume this one.")
    return dataclasses.replace(stopped, model_path=model_path, written_epochs=training["epochs_trained"])


def refuse_unsaved(run: Path) -> None:
    """Refuses a codec's run, or its model that was never written, if it ended before anything was saved.

    Raises:
        StateFileError: with how to begin again.
    """
    path = str(absolute(run))
    found = [run] if is_folder(run) else [] if is_there(run) else run_folders()
    for status in map(look, found):
        record, (words, _, again) = status.record, status.message.partition(BEGIN_AGAIN)
        if record is not None and again and record.kind == "codec" and (is_folder(run) or record.model == path):
            raise StateFileError(words.strip(), f"{BEGIN_AGAIN}{again}")


def refuse_forgotten(model_path: Path) -> None:
    """Refuses a model of which no state is here, but for those of a second stage: another stage is not what was asked for.

    Raises:
        ModelFileError: if it cannot be read.
        StateFileError: if nothing of its training is on this computer.
    """
    if not has_second_stage(models.load_model(model_path), model_path):
        raise StateFileError(
            f"The training of {model_path} cannot go on: its state is not on this computer. Of trainings that came to their "
            f"end, the newest {FINISHED_KEPT} can be trained further.",
            f"Train a new model, or refine the sound of this one: "
            f"{command('distill', 'train', 'FOLDER', '--resume', model_path, '--quality', 'high')}",
        )


def refuse_with_prior(model_path: Path, run_folder: Path) -> None:
    """Refuses to train a codec further whose model has a prior by now.

    Raises:
        SettingError: with how the codec's run goes on beside it.
    """
    if is_there(model_path) and read_header(model_path).has_prior:
        raise SettingError(
            f"{model_path} has a prior by now, trained on the codes of this codec; another codec would make it useless.",
            f"Move the model away to keep it, then go on with: {command('distill', 'train', '--resume', run_folder)}",
        )


def refined_model(run: Path) -> Path:
    """The model whose second stage a run trains.

    Args:
        run: a run's folder, or the model file itself.

    Raises:
        StateFileError: if the folder holds no such run, or its model was moved.
    """
    if is_folder(run) and not is_there(state_file(run, "refinement")):
        raise StateFileError(
            f"{run} holds no training of a codec that could go on.",
            "Give a model file, or a run's folder with its states.",
        )
    model_path = _load(run, "refinement").model_path if is_folder(run) else run
    if is_folder(run) and not is_there(model_path):
        raise StateFileError(*where_is(model_path, "refinement"))
    return model_path


def has_second_stage(model: "Model", path: Path) -> bool:
    """Whether the second stage of the model at ``path`` has begun."""
    return "refinement_steps" in model.header.codec_training or _refinement_of(model, path) is not None


def stopped_prior(run: Path, model_path: Path | None = None) -> Stopped:
    """The newest training of a prior of a run or of a model.

    Args:
        model_path: where the model is now, if not where the run left it.

    Raises:
        ModelFileError, StateFileError: if what is there is damaged, or a run is given whose model was moved.
        SettingError: if there is none on this computer.
    """
    if is_folder(run):
        found = run if is_there(state_file(run, "prior")) else None
    else:
        model: Model = models.load_model(run)
        mark, codec = run_of(model.header, "prior"), model.codes_fingerprint
        found = branch_of(mark, run, "prior") or _newest(
            run.stem, "prior", lambda values: values["codec"] == codec, run, mark
        )
    if found is None:
        raise SettingError(
            f"No training of a prior for {run} is saved on this computer.",
            f"Begin one: {command('distill', 'train-prior', run if is_file(run) else 'MODEL', 'FOLDER')}",
        )
    stopped = _load(found, "prior")
    model_path = model_path or (stopped.model_path if is_folder(run) else run)
    if is_folder(run) and not is_there(model_path):
        raise StateFileError(*where_is(model_path, "prior"))
    training = read_header(model_path).prior_training or {}
    written = training["epochs_trained"] if training.get("run") == found.name else 0
    is_measured = not training.get(UNMEASURED)
    return dataclasses.replace(stopped, model_path=model_path, written_epochs=written, is_measured=is_measured)


def saved_at(model_path: Path, stage: str, recordings: str) -> Stopped | None:
    """The newest training of a ``codec`` or a ``prior`` that was begun for the model at that very path; None if none is saved.

    Args:
        recordings: fingerprint of the corpus that it is to go on with.

    Raises:
        StateFileError: if it cannot go on, as it is damaged, of other recordings, of another codec or of another version.
        DistillError: if the model is damaged, or another run's.
    """
    path = str(absolute(model_path))
    found = _newest(model_path.stem, stage, lambda values: values["about"]["model"] == path)
    if found is None:
        return None
    stopped = stopped_codec(found) if stage == "codec" else stopped_prior(found)
    if stopped is not None:
        belongs_to = {"folder of recordings": recordings}
        if stage == "prior":
            belongs_to["codec"] = models.load_model(model_path).codes_fingerprint
        stopped.state.check_belongs(belongs_to)
        stopped.state.plan(CodecPlan if stage == "codec" else PriorPlan)
    return stopped


def forget_finished(kept: int = FINISHED_KEPT) -> None:
    """Removes the states of finished stages from all runs but the newest; whatever can still go on stays.

    Args:
        kept: how many runs count as the newest, of those that hold a state.
    """
    saved = [folder for folder in run_folders() if any(state_file(folder, stage).exists() for stage in STAGES)]
    for folder in saved[kept:]:
        for stage in STAGES:
            path = state_file(folder, stage)
            try:
                if path.exists() and read_values(path, STATE_KINDS[stage]).get("finished"):
                    path.unlink(missing_ok=True)
                    path.with_suffix(KEPT_SUFFIX).unlink(missing_ok=True)
            except (StateFileError, OSError):  # not judged here: whoever resumes it will be told
                continue


def next_refinement(
    path: Path, model: "Model", wanted: RefinementPlan, default_minutes: float, first: Stopped | None = None
) -> PlannedRefinement:
    """Where the second stage of the model at ``path`` goes on; its beginning, if the model has had none yet.

    Args:
        wanted: its epochs and minutes say how much further from here. With neither, the stage goes on to the end it was begun
            with, or that was planned for it, or for the default minutes.
        first: the stage before, if it was trained on this computer.

    Raises:
        SettingError: if the stage is at its end and nothing says how much further, or its state is not on this computer.
        StateFileError: if the state is damaged.
    """
    found, epochs, minutes = _refinement_of(model, path), wanted.epochs, wanted.minutes
    if found is None:
        if "refinement_steps" in model.header.codec_training:
            raise SettingError(
                f"The second stage of {path} cannot be resumed: its state is not on this computer.",
                "Resume it where it was trained, or train a new model with --quality high.",
            )
        if epochs is None and minutes is None:
            end = (first and first.second_stage) or StageEnd(None, default_minutes)
            epochs, minutes = end.epochs, end.minutes
        # A copy of the model has its first stage in common with it, and may have had its second there.
        is_free = first is not None and not state_file(first.run_folder, "refinement").exists()
        run_folder = first.run_folder if first and is_free else None
        plan = dataclasses.replace(wanted, seed=model.header.corpus.split_seed)
        if first is not None:
            plan = dataclasses.replace(plan, precision=CodecPlan.of(first.state.value("plan", dict)).precision)
        return PlannedRefinement(run_folder, dataclasses.replace(plan, epochs=epochs, minutes=minutes))
    state = _state(found, "refinement")
    plan = dataclasses.replace(RefinementPlan.of(state.value("plan", dict)), device=wanted.device)
    if epochs is not None or minutes is not None:
        epochs, minutes = further(state, epochs, minutes)
        plan = dataclasses.replace(plan, epochs=epochs, minutes=minutes)
    elif (
        state.value("finished", bool)
        and state.value("schedule.step", int) == model.header.codec_training.get("refinement_steps")
        and not model.header.codec_training.get(UNMEASURED)
        and _is_closed(found)
    ):
        raise SettingError(
            f"The second stage of {path} is finished.", "Say how much further with --minutes or --epochs."
        )
    return PlannedRefinement(found, plan, state)


def begin_refinement(planned: PlannedRefinement, path: Path) -> RefinementRun:
    """A second stage with its folder, a new one where it needs one: for the model at ``path``, whose recordings are read.

    Raises:
        OutputError: if the file system refuses.
    """
    run_folder = planned.run_folder or new_run_folder(path.stem)
    return on_its_own(RefinementRun(run_folder, planned.plan, planned.state), path, "refinement")


def _refinement_of(model: "Model", path: Path) -> Path | None:
    """The run of a model's second stage; models that share a codec each have their own."""
    fingerprint, mark = model.codes_fingerprint, run_of(model.header, "refinement")
    return branch_of(mark, path, "refinement") or _newest(
        model.header.name, "refinement", lambda values: values["codec"] == fingerprint, path, mark
    )


def _is_closed(run_folder: Path) -> bool:
    """Whether all was done that follows a second stage: its page is written when the model is already."""
    return all(one.outcome == "finished" for one in records_of(run_folder) if one.kind == "refinement")


def _state(run_folder: Path, stage: str) -> SavedState:
    return load_state(state_file(run_folder, stage), STATE_KINDS[stage])


def _load(run_folder: Path, stage: str) -> Stopped:
    state = _state(run_folder, stage)
    return Stopped(run_folder, Path(state.value("about.model", str)), state, stage=stage)


def _newest(
    model_name: str,
    stage: str,
    belongs: Callable[[Mapping[str, Any]], bool],
    model: Path | None = None,
    mark: object = None,
) -> Path | None:
    """The newest run folder whose state of that stage belongs to a model.

    Args:
        model: its file; a run that was begun for another file, which is still there, is not this model's: several may share a
            codec, as those of a sweep do.
        mark: the run that the model itself names; it is this model's wherever it was begun.
    """
    for folder in run_folders():
        path = state_file(folder, stage)
        if not path.exists():
            continue
        try:
            values = read_values(path, STATE_KINDS[stage])
            if belongs(values) and (
                model is None or folder.name == mark or not _is_another(Path(values["about"]["model"]), model)
            ):
                return folder
        except (StateFileError, KeyError, TypeError) as error:
            # Another model's damaged state does not matter here; this model's own does.
            if folder.name.startswith(f"{model_name}-"):
                raise error if isinstance(error, StateFileError) else _load_error(path) from error
    return None


def _is_another(other: Path, model: Path) -> bool:
    return is_there(other) and not is_same(other, model)


def _load_error(path: Path) -> StateFileError:
    return StateFileError(
        f"{path} cannot be resumed from.", "Move it away, and train that stage again from its beginning."
    )


def resume_command(verb: str, model_path: Path, training: Mapping[str, Any]) -> str:
    """The command that goes on with a stage; empty if it was stopped too close to its end to leave anything to do.

    Args:
        training: the stage's record in the model's header.
    """
    is_left = training.get("cancelled") or training.get(UNMEASURED)
    return command("distill", verb, "--resume", model_path) if is_left else ""
