"""Training that goes wrong: noticed, undone, told, and a usable model in the end."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

import small_distill
from distill.errors import TrainingError
from distill.models import CodePrior, PriorConfig
from distill.models.quantizer import ResidualQuantizer
from distill.training import (
    Notice,
    PriorStepMetrics,
    TrainingEvent,
    VQEpochMetrics,
    VQStepMetrics,
    train_prior_epoch,
    train_vqvae,
)
from distill.training.agreement import Agreement
from distill.training.device import make_fabric
from distill.training.loop_state import MAX_ROLLBACKS, State
from distill.training.metrics import RolledBack
from distill.training.plan import CodecPlan, PriorPlan
from distill.training.prior_start import first_state
from distill.training.schedule import Schedule
from distill.training.watch import GOOD_EVERY, Watch

CODEC = small_distill.codec_config(codebook_size=16)
PRIOR = PriorConfig(32, 2, hidden_size=16, num_layers=1, num_heads=2, context=32, dropout=0.0)


PLAN = CodecPlan(
    epochs=2,
    batch_size=4,
    least_steps=40,
    continuous_steps=4,
    validation_windows=1,
    validation_positions=16,
    device="cpu",
)


def train_codec(folder: Path, **changes: Any) -> tuple[Any, list[TrainingEvent]]:
    events: list[TrainingEvent] = []
    return train_vqvae(folder, CODEC, events.append, plan=dataclasses.replace(PLAN, **changes)), events


def rollbacks(events: list[TrainingEvent]) -> list[RolledBack]:
    return [event for event in events if isinstance(event, RolledBack)]


def assert_usable(codec: Any) -> None:
    for name, tensor in codec.state_dict().items():
        assert bool(torch.isfinite(tensor.float()).all()), name


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums, and so the step at which a state counts as good, do not depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_batch_that_is_not_finite(small_corpus: Path, spoil: Callable[..., None]) -> None:
    """Guards against a batch that poisons the codebooks' moving averages before its loss is seen."""
    spoil((1, 31))
    result, events = train_codec(small_corpus)
    (event,) = rollbacks(events)
    assert event.step == 71
    assert 71 - GOOD_EVERY <= event.good_step <= 71  # which of them, processors differ in
    assert "not finite" in event.reason
    steps = [one for one in events if isinstance(one, VQStepMetrics)]
    assert len(steps) == 80
    assert event.peak_learning_rate == PLAN.learning_rate / 2
    assert all(math.isfinite(one.train_loss) for one in steps if one.step != 72)
    assert_usable(result.codec)
    assert math.isfinite(result.best_val_loss)


def test_batches_that_are_never_finite_end_the_training(small_corpus: Path, spoil: Callable[..., None]) -> None:
    """With the best weights of the epochs before, if there are any."""
    spoil(*((1, index) for index in range(40)))
    result, events = train_codec(small_corpus)
    assert len(rollbacks(events)) == MAX_ROLLBACKS
    assert any("best weights so far are kept" in one.text for one in events if isinstance(one, Notice))
    assert result.epochs_trained == 1
    assert_usable(result.codec)
    spoil(*((0, index) for index in range(40)))
    with pytest.raises(TrainingError, match="not finite") as told:
        train_codec(small_corpus)
    assert "distill check" in told.value.fix


def test_a_learning_rate_that_explodes(small_corpus: Path) -> None:
    result, events = train_codec(small_corpus, learning_rate=3.0)
    assert any("exploded" in event.reason for event in rollbacks(events))
    losses = [event.train_loss for event in events if isinstance(event, VQStepMetrics)]
    assert max(losses) > 100
    assert np.mean(losses[-10:]) < 2 * losses[0]
    assert_usable(result.codec)


def test_a_quiet_batch_at_first_is_no_measure() -> None:
    """Guards against an alarm at the first ordinary batches after a nearly silent one."""
    watch = Watch()
    for loss in [0.4, 9.0, 2.0, 11.0, 5.0, 9.0, 7.0, 12.0] * 20:
        assert not watch.trouble(loss, True)
        if watch.is_good:
            watch.mark_good()
    assert watch.trouble(2000.0, True)


def test_good_states_may_lie_far_apart() -> None:
    """Guards against an even loss that counts as stuck before the steps are over after which the plan has it kept as good."""
    watch = Watch(good_every=150)
    for _ in range(400):
        assert not watch.trouble(2.3, True)
        if watch.is_good:
            watch.mark_good()


def test_a_loss_that_creeps_up() -> None:
    """Guards against a measure that moves along with a slow explosion, and against one that never ends but stays high."""
    for losses in ([1.01**step for step in range(200)], [1.0] * 30 + [2.0] * 130):
        watch, found = Watch(), ""
        for loss in losses:
            found = found or watch.trouble(loss, True)
            if watch.is_good:
                watch.mark_good()
        assert "exploded" in found or "stays at 2.00, where it was at 1.00" in found


def test_a_codebook_that_collapses(small_corpus: Path) -> None:
    """All entries of a level become one: the loss barely tells, the use of the codes does."""
    calls = 0

    def collapse(module: torch.nn.Module, _: object) -> None:
        nonlocal calls
        if not isinstance(module, ResidualQuantizer) or not module.training:
            return
        calls += 1
        if calls == 60:
            for level in module.residual_vq.layers:
                level._codebook.embed[:] = level._codebook.embed[:, :1]
                level._codebook.embed_avg[:] = level._codebook.embed_avg[:, :1]
                level._codebook.cluster_size[:] = 1

    with register_module_forward_pre_hook(collapse):
        result, events = train_codec(
            small_corpus, epochs=3, batch_size=8, window_positions=8, continuous_steps=30, learning_rate=1e-3
        )
    assert any("collapsed" in event.reason for event in rollbacks(events))
    last = [event for event in events if isinstance(event, VQEpochMetrics)][-1]
    assert all(level.perplexity > 3 for level in last.levels)
    assert_usable(result.codec)


def prior_run(schedule: Schedule, bad_step: int = -1) -> tuple[CodePrior, list[TrainingEvent]]:
    """A prior trained for an epoch; the loss of one of its steps, counted from 1, is not finite."""
    torch.manual_seed(0)
    events: list[TrainingEvent] = []
    fabric = make_fabric("cpu")
    model, optimizer = fabric.setup(prior := CodePrior(PRIOR), torch.optim.AdamW(prior.parameters()))
    steps = itertools.count(1)
    prior.register_forward_hook(lambda *call: call[-1] * (math.nan if next(steps) == bad_step else 1.0))
    tokens = torch.randint(0, 32, (80, 32), generator=torch.Generator().manual_seed(1))
    state = State({"weights": model}, {"optimizer": optimizer}, schedule)
    train_prior_epoch(state, tokens, PriorPlan(views=1, batch_size=1, infill_share=0.0), fabric, events.append)
    return prior, events


def test_a_prior_step_that_is_not_finite() -> None:
    prior, events = prior_run(Schedule(80, epochs=1, minutes=None, peak_rate=1e-3), bad_step=40)
    (event,) = rollbacks(events)
    assert (event.step, event.good_step) == (39, GOOD_EVERY)
    assert event.peak_learning_rate == 5e-4
    assert sum(isinstance(one, PriorStepMetrics) for one in events) == 80
    assert_usable(prior)


def test_a_prior_that_explodes() -> None:
    prior, events = prior_run(Schedule(80, epochs=1, minutes=None, peak_rate=10.0))
    assert any("exploded" in event.reason for event in rollbacks(events))
    assert_usable(prior)


def test_weights_and_optimizer_go_back_together() -> None:
    """Guards against moments that still push where the explosion pushed."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)

    def step(sound: float) -> torch.Tensor:
        optimizer.zero_grad()
        layer(torch.full((1, 2), sound)).sum().backward()
        optimizer.step()
        return layer.weight.detach().clone()

    step(1.0)
    schedule = Schedule(10, epochs=1, minutes=None, peak_rate=1.0)
    state = State({"weights": layer}, {"optimizer": optimizer}, schedule)
    after = step(2.0)
    step(-50.0)
    state.roll_back("a test", None)
    assert torch.equal(step(2.0), after)
    assert schedule.peak_rate == 0.5


def test_training_that_is_given_up_ends_at_its_last_good_state() -> None:
    """Guards against a state that is saved as good, to be trained further, with the weights of an explosion."""
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    state = State({"weights": layer}, {"optimizer": optimizer}, Schedule(10, epochs=1, minutes=None, peak_rate=1.0))
    good = layer.weight.detach().clone()
    for _ in range(MAX_ROLLBACKS):
        state.roll_back("a test", None)
    with torch.no_grad():
        layer.weight.fill_(math.nan)
    with pytest.raises(TrainingError, match=f"{MAX_ROLLBACKS} times"):
        state.roll_back("a test", None)
    assert torch.equal(layer.weight, good)


def test_what_is_advised_when_training_is_given_up_can_be_done() -> None:
    """Guards against "a lower learning rate" for a codec, whose commands have no such option."""
    plan = PriorPlan(learning_rate=2e-3, device="cpu")
    prior = first_state(CodePrior(PRIOR), plan, 10, 0.0, make_fabric("cpu"), Agreement())
    assert "such as --lr 0.0002" in prior.given_up("a test").fix
    codec: State[Any] = State({}, {}, Schedule(10, epochs=1, minutes=None, peak_rate=1.0), good_every=None)
    assert "learning rate" not in codec.given_up("a test").fix


def test_ordinary_training_is_left_alone(small_corpus: Path) -> None:
    """Guards against false alarms: small batches jump, and the start of the codebooks changes the loss at once."""
    for batch_size in (1, 8):
        assert not rollbacks(train_codec(small_corpus, batch_size=batch_size, epochs=1)[1])


def test_a_loss_near_zero_may_rise_a_little() -> None:
    watch = Watch()
    for _ in range(GOOD_EVERY):
        assert not watch.trouble(0.02, True)
    watch.mark_good()
    assert not any(watch.trouble(0.3, True) for _ in range(20))
    assert any(watch.trouble(5.0, True) for _ in range(20))


def test_a_loss_that_means_something_else_is_measured_anew() -> None:
    """As when the codec begins to speak in codes."""
    watch = Watch()
    assert not any(watch.trouble(1.0, True) for _ in range(GOOD_EVERY))
    watch.mark_good()
    watch.forget()
    assert not any(watch.trouble(10.0, True) for _ in range(GOOD_EVERY))


def test_nearly_silent_recordings_collapse_from_nothing() -> None:
    watch = Watch()
    few = torch.zeros(1, 16, dtype=torch.int64)
    few[0, :3] = 5
    one = torch.zeros(1, 16, dtype=torch.int64)
    one[0, 0] = 15
    for used in (few, one):
        assert not any(watch.trouble(1.0, True, used) for _ in range(GOOD_EVERY))
        watch.mark_good()
