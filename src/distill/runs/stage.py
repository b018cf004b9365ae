"""One stage of a run while it trains: noted in the library, with its events and its state in the run's folder."""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from distill.library.records import BY_CORPUS
from distill.models.config import PriorConfig, VQVAEConfig
from distill.recordings.corpus import Corpus
from distill.runs.anew import SECOND_EPOCHS, SECOND_MINUTES, WHOLE_RUN
from distill.runs.events import state_file
from distill.runs.journal import Recorded, recorded_run
from distill.runs.saved import BRANCHED_FROM, Origin, RefinementRun, Stopped
from distill.sizes import suggested_sizes
from distill.training.budget import Closing
from distill.training.metrics import MetricsCallback
from distill.training.plan import Plan, PriorPlan, StageEnd

if TYPE_CHECKING:
    from distill.training.checkpoint import StateFile

_NOTED = ("minutes", "epochs", "learning_rate", "seed", "device", "precision", "from_scratch", "patience")
"""What the library notes of a plan, where it has it."""


@contextmanager
def recorded_stage(
    kind: str,
    model_path: Path,
    corpus: Corpus,
    events: Path,
    plan: Plan,
    callback: MetricsCallback | None,
    cancel_event: Event | None,
    *,
    config: VQVAEConfig | PriorConfig | None = None,
    resumed: Stopped | RefinementRun | None = None,
    second_stage: StageEnd | None = None,
    whole_run: Mapping[str, Any] | None = None,
    closing: Closing | None = None,
) -> Iterator[tuple[Recorded, "StateFile"]]:
    """A stage that is noted in the library, as :func:`recorded_run`, and where its state is saved, beside its events.

    Args:
        kind: ``codec``, ``refinement`` or ``prior``.
        config: of what is trained; the library notes it too.
        resumed: where it goes on.
        second_stage: the one that is to follow a codec's first one.
        whole_run: what the run was asked for that begins with this codec.
        closing: what there is time for after a prior's training.
    """
    from distill.models import ranks
    from distill.training.checkpoint import StateFile  # with PyTorch, which whoever reads does without
    from distill.training.device import minutes_on_processor

    settings = {name: value for name, value in plan.values().items() if name in _NOTED} | dict(ranks.asked())
    if config is not None:
        minutes = minutes_on_processor(plan) if isinstance(plan, PriorPlan) else None
        settings |= {**dataclasses.asdict(config), BY_CORPUS: suggested_sizes(corpus, config, minutes)}
    if second_stage is not None:
        settings |= {SECOND_MINUTES: second_stage.minutes, SECOND_EPOCHS: second_stage.epochs}
    if whole_run is not None:
        settings[WHOLE_RUN] = dict(whole_run)
    state = None if resumed is None else resumed.state
    branched_from = "" if state is None else state.values.get("about", {}).get(BRANCHED_FROM, "")
    keep = None if resumed is None else resumed.events_kept
    with recorded_run(kind, model_path, corpus.folder, events, settings, callback, cancel_event, keep=keep) as record:
        yield (
            record,
            StateFile(
                state_file(events.parent, kind),
                state,
                lambda: Origin(
                    model_path, corpus.folder, record.log.position, second_stage, branched_from, closing
                ).values(),
            ),
        )
