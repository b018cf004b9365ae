"""All of a run is inside its minutes, and what leaves too few of them is said."""

import dataclasses
from pathlib import Path

import pytest
import torch

from distill.models import PriorConfig
from distill.training import Notice, TrainingEvent, train_prior
from distill.training.budget import (
    CODEC_SHARE,
    LEAST_SHARE,
    Closing,
    charged_seconds,
    closing_seconds,
    codec_seconds,
    leaves_time_to_close,
    making_seconds,
    overrun,
    time_to_learn,
    whole_seconds,
)
from distill.training.plan import PriorPlan
from distill.training.prior_data import CodeViews


def test_reading_and_closing_come_out_of_the_minutes() -> None:
    told: list[TrainingEvent] = []
    closing = closing_seconds(8, seconds=10, count=3, corpus_seconds=120)
    assert time_to_learn(8, 20.0, closing, told.append) == pytest.approx(480 - 20 - closing)
    assert closing_seconds(0.5, seconds=600, count=64, corpus_seconds=7200) == pytest.approx(9), "a third at most"
    assert not told


def test_pieces_that_the_minutes_have_no_room_for_come_on_top() -> None:
    assert whole_seconds(8, seconds=10, count=3, corpus_seconds=120) == 480
    made = making_seconds(60, 16, 120)
    assert whole_seconds(1, seconds=60, count=16, corpus_seconds=120) == pytest.approx(60 + made - 0.3 * 60)


def test_that_little_time_is_left_is_said_with_what_would_be_enough() -> None:
    """Guards against a run of half a minute on forty minutes of sound that takes four and says nothing."""
    told: list[TrainingEvent] = []
    assert time_to_learn(0.5, 70.0, 9.0, told.append) == pytest.approx(LEAST_SHARE * 30)
    (notice,) = told
    assert isinstance(notice, Notice)
    assert notice.is_warning
    assert "took 1 min 10 s and" in notice.text
    assert "so 0 s of 30 s are left" in notice.text
    assert "--minutes 3" in notice.text


def test_encoding_long_recordings_is_left_for_before_the_codec_gets_its_share() -> None:
    """Guards against two hours of sound whose prior trains for six seconds of eight minutes: the rest was encoding."""
    assert codec_seconds(300, corpus_seconds=120) == pytest.approx(CODEC_SHARE * 298.8)
    assert 300 - codec_seconds(300, corpus_seconds=7200) - 7200 / 100 > 75
    assert codec_seconds(300, corpus_seconds=360_000) == pytest.approx(CODEC_SHARE * 150), (
        "a hundred hours leave it half"
    )


def test_why_a_run_took_longer_is_said() -> None:
    """Guards against a run of 18 s that takes 46 s and says nothing."""
    parts = {"reading": 1.0, "the codec": 14.0, "the prior": 13.0, "audio and report": 18.0}
    words = overrun(0.3, parts)
    assert "It took 46 s instead of 18 s: reading 1 s, the codec 14 s, the prior 13 s," in words
    # Guards against parts of 1 min 29 s that are each called 1 minute, beside a whole of 3.
    assert overrun(0.5, {"reading": 3.2, "the codec": 89.0, "audio and report": 89.0}).startswith(
        "It took 3 min 1 s instead of 30 s: reading 3 s, the codec 1 min 29 s, audio and report 1 min 29 s."
    )
    assert "18 s: the codec 14 s," in overrun(0.3, parts | {"reading": 0.0}), "what took no time is not listed"
    assert overrun(1, parts) == ""
    assert overrun(8, {"the codec": 8.7 * 60}) == ""
    assert overrun(8, {"the codec": 8.9 * 60})


def test_measuring_comes_out_of_the_prior_s_minutes() -> None:
    """Guards against a prior that trains to the end of the run, and against a minute that is spent on measuring."""
    assert leaves_time_to_close(PriorPlan(minutes=0.5)) == (Closing(False, False), PriorPlan(minutes=0.5))
    closing, plan = leaves_time_to_close(PriorPlan(minutes=1.0))
    assert closing == Closing(hears=False, measures=True, evens=False)
    assert plan.minutes == pytest.approx(0.84)
    closing, plan = leaves_time_to_close(PriorPlan(minutes=2.0))
    assert closing == Closing(hears=True, measures=True, evens=True)
    assert plan.minutes == pytest.approx(1.36)
    assert leaves_time_to_close(PriorPlan(minutes=60.0))[1].minutes == pytest.approx(60 - 77 / 60)


@pytest.mark.parametrize(("took_s", "minutes", "charged_s"), [(6, 1.0, 6), (90, 1.0, 48), (90, None, 0)])
def test_encoding_leaves_time_to_learn(took_s: float, minutes: float | None, charged_s: float) -> None:
    """Guards against recordings that took longer to encode than was thought, and a prior that learned for one step."""
    assert charged_seconds(took_s, minutes) == pytest.approx(charged_s)


def test_that_encoding_takes_most_of_the_time_is_said_before_it_begins(model_path: Path, small_corpus: Path) -> None:
    """Guards against a prior that trains for one step on hours of sound, in silence."""
    events: list[TrainingEvent] = []
    config = PriorConfig(codebook_size=32, hidden_size=16, num_layers=1, num_heads=2, context=32)
    plan = PriorPlan(minutes=1e-4, views=1, least_steps=1, device="cpu")
    train_prior(model_path, small_corpus, config, events.append, plan=plan)
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert any("too little for new audio" in text for text in notices)

    events.clear()
    train_prior(model_path, small_corpus, config, events.append, plan=dataclasses.replace(plan, minutes=None, epochs=1))
    assert not any("too little for new audio" in one.text for one in events if isinstance(one, Notice))


def test_views_end_where_memory_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.training.prior_data.MOST_POSITIONS", 100)
    views = CodeViews(lambda passage, view: torch.full((15, 2), view), 2)
    views.set_size(1000)
    assert len(views.coded) == 7, "the first that is over the limit is the last"
    assert views.number == 4
    views.set_size(3)
    assert [int(codes[0, 0]) for codes in views.coded] == [0, 0, 1]


def test_sequences_begin_anywhere_and_are_of_one_view() -> None:
    """Guards against the same sequences in every epoch, which are learnt by heart, and against two pitches in one."""
    views = CodeViews(lambda passage, view: torch.stack([torch.arange(20), torch.full((20,), view)], dim=1), 3)
    views.set_size(7)  # two whole views, and one passage of a third
    (first, of), (second, _) = (views.sequences(40, 16, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert first.shape == (40, 32)
    assert not torch.equal(first, second)
    grids = first.unflatten(1, (16, 2))
    assert (grids[:, :, 1] == grids[:, :1, 1]).all()
    assert torch.equal(grids[:, 0, 1], of)
    assert set(of.tolist()) == {0, 1, 2}
    assert len(set(grids[:, 0, 0].tolist())) > 10
