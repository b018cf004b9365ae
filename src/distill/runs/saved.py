"""A stage of a run as it was saved: where it comes from, how far it came, and the plan that takes it further."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from distill.errors import SettingError
from distill.files.regular import absolute
from distill.models.config import PriorConfig, VQVAEConfig
from distill.runs.events import events_file
from distill.training import budget
from distill.training.budget import Closing
from distill.training.plan import CodecPlan, Plan, PriorPlan, RefinementPlan, StageEnd
from distill.training.state_file import SavedState

STATE_KINDS = {
    "codec": CodecPlan.STATE_KIND,
    "refinement": RefinementPlan.STATE_KIND,
    "prior": PriorPlan.STATE_KIND,
}
"""What the state of each stage says that it is."""
BRANCHED_FROM = "branched_from"
"""In a state's ``about``: the run that a copy of a model went on from, in a run of its own."""
C = TypeVar("C", VQVAEConfig, PriorConfig)
P = TypeVar("P", bound=Plan)


@dataclass(frozen=True)
class Origin:
    """What every state says of where it comes from, for whoever resumes it; its ``about``."""

    model: Path
    """Where the model is, or will be."""
    folder: Path
    """Where the recordings are."""
    events: int
    """Bytes of the event file that count: what is reported after the state is saved comes again."""
    second_stage: StageEnd | None = None
    """The second stage that is to follow a codec's first one."""
    branched_from: str = ""
    """The run that it went on from, if that is another file's."""
    closing: Closing | None = None
    """What there is time for after a prior's training."""

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        planned: dict[str, Any] = (
            {} if self.second_stage is None else {"second_stage": dataclasses.asdict(self.second_stage)}
        )
        if self.branched_from:
            planned[BRANCHED_FROM] = self.branched_from
        if self.closing is not None:
            planned["closing"] = dataclasses.asdict(self.closing)
        return {**planned, "model": str(absolute(self.model)), "folder": str(self.folder), "events": self.events}


def further(state: SavedState, epochs: int | None, minutes: float | None) -> tuple[int | None, float | None]:
    """So many epochs and minutes after what is saved, counted from the very beginning; None stays None."""
    if epochs is not None:
        epochs += state.value("epoch", int)
    if minutes is not None:
        minutes += state.minutes_spent
    return epochs, minutes


@dataclass(frozen=True)
class Stopped:
    """One stage of a run as it was last saved."""

    run_folder: Path
    model_path: Path
    """Where its model is, or will be."""
    state: SavedState
    written_epochs: float | str = 0
    """How many epochs of this stage the model file holds."""
    stage: str = "codec"
    """``codec`` or ``prior``."""
    is_measured: bool = True
    """Whether the measures that were to follow a prior's training were made."""

    @property
    def is_finished(self) -> bool:
        """Whether the stage came to the end it was begun with, and the model file holds what came of it."""
        is_written = self.written_epochs == self.state.value("epoch", int)
        return self.state.value("finished", bool) and is_written and self.is_measured

    @property
    def folder(self) -> Path:
        """Where the recordings were."""
        return Path(self.state.value("about.folder", str))

    @property
    def events(self) -> Path:
        """What the stage reported, and where it goes on reporting."""
        return events_file(self.run_folder, self.stage)

    @property
    def events_kept(self) -> int:
        """How many bytes of what it reported count."""
        return self.state.value("about.events", int)

    @property
    def branched_from(self) -> str:
        """The run of another file that this one went on from, as its model is a copy; empty for a run of its own."""
        return str(self.state.value("about", dict).get(BRANCHED_FROM, ""))

    @property
    def second_stage(self) -> StageEnd | None:
        """The second stage that is to follow; None without one."""
        planned = self.state.value("about", dict).get("second_stage")
        return None if planned is None else StageEnd(planned["epochs"], planned["minutes"])

    def closing(self, plan: PriorPlan) -> tuple[Closing, PriorPlan]:
        """What there is time for after a prior's training that goes on with this plan, and the plan that leaves time for it.

        One that keeps its minutes has left that time already; otherwise it is left of those that were added.
        """
        if plan.minutes != self.state.value("plan", dict).get("minutes"):
            return budget.leaves_time_to_close(plan, self.state.minutes_spent)
        saved = self.state.value("about.closing", dict)
        return Closing(saved["hears"], saved["measures"], saved["evens"]), plan

    @property
    def step(self) -> int:
        """How many steps are done."""
        return self.state.value("schedule.step", int)

    def is_within(self, minutes: float) -> bool:
        """Whether it was begun, or gone on with, for no longer than that."""
        planned = self.state.value("plan", dict).get("minutes")
        return planned is None or planned <= minutes * (1 + 1e-6)

    def config(self, kind: type[C]) -> C:
        """The sizes of what is trained.

        Raises:
            StateFileError: if the saved ones are not possible.
        """
        return self.state.config(kind)

    def plan(self, kind: type[P], epochs: int | None = None, minutes: float | None = None, device: str = "auto") -> P:
        """The plan it was begun with, ending so much further on from here; with neither, where it was to end.

        Raises:
            SettingError: if the stage is at its end and nothing says how much further.
        """
        plan = self.state.plan(kind)
        epochs, minutes = self.end(epochs, minutes)
        return dataclasses.replace(plan, epochs=epochs, minutes=minutes, device=device)

    def end(self, epochs: int | None, minutes: float | None) -> tuple[int | None, float | None]:
        """The end in epochs and minutes from the very beginning: so much further, or with neither, as it was planned.

        Raises:
            SettingError: if the stage is at its end and nothing says how much further.
        """
        if epochs is None and minutes is None:
            if self.is_finished:
                raise SettingError(
                    f"The training of {self.model_path} is finished.",
                    "Say how much further with --minutes or --epochs (or, for a codec, add --quality high).",
                )
            plan = self.state.value("plan", dict)
            return plan.get("epochs"), plan.get("minutes")
        return further(self.state, epochs, minutes)


@dataclass(frozen=True)
class RefinementRun:
    """One stretch of the second stage, from its beginning or from where it stopped."""

    run_folder: Path
    plan: RefinementPlan
    state: SavedState | None = None
    """As it was last saved; None at its beginning."""

    @property
    def events_kept(self) -> int | None:
        """How many bytes of what it reported count; None at its beginning."""
        return None if self.state is None else self.state.values.get("about", {}).get("events")


@dataclass(frozen=True)
class PlannedRefinement:
    """The same before its recordings are read: it may not have a folder yet."""

    run_folder: Path | None
    """The run's that it goes on with; None if it begins one of its own."""
    plan: RefinementPlan
    state: SavedState | None = None
    """As it was last saved; None at its beginning."""

    def recordings(self, first: Stopped | None) -> Path:
        """Where the recordings were when this stage, or else the ``first`` one, was trained last.

        Raises:
            SettingError: if neither was trained on this computer.
        """
        about = {} if self.state is None else self.state.values.get("about", {})
        if "folder" in about:
            return Path(about["folder"])
        if first is None:
            raise SettingError(
                "This computer does not know where the recordings of this model are.",
                "Name the folder: distill train FOLDER --resume …",
            )
        return first.folder
