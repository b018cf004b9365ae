"""What stands on the terminal: lines that fit, and no live line where nothing lives."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from distill.cli import console as words
from distill.cli import training_view
from distill.cli.training_view import TrainingView
from distill.models.health import LevelHealth
from distill.training.metrics import (
    Notice,
    PriorEpochMetrics,
    PriorTrainingCompleteEvent,
    RefinementCompleteEvent,
    RefinementEpochMetrics,
    RefinementStepMetrics,
    VQEpochMetrics,
    VQStepMetrics,
    VQTrainingCompleteEvent,
)
from distill.training.overfitting import check_memorization

LEVELS = tuple(LevelHealth(level, 1.0, 1024.0, 1024) for level in range(4))
CODEC_STEP = VQStepMetrics(1, 1, 10, 2.0, 1.9, 0.1, 1e-3, 0.1, 4.0, 0.1, 30.0)
CODEC_EPOCH = VQEpochMetrics(100, 1000, 12.34, 12.34, 12.34, LEVELS, "", 1.0, 1e-3)
REFINEMENT_STEP = RefinementStepMetrics(1, 1, 10, 2.0, 0.3, 0.9, 1.1, 1e-4, 0.1, 4.0, 0.1, 30.0)
REFINEMENT_EPOCH = RefinementEpochMetrics(100, 1000, 12.34, 12.34, 12.34, 12.34, 12.34, 12.34, 1.0, 1e-4)
PRIOR_EPOCH = PriorEpochMetrics(100, 1000, 12.34, 12.34, 1234.5, 1234.5, False, "", 1.0, 1e-3)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], io.StringIO]:
    """``screen(is_terminal)``: from now on stderr is 80 columns wide and what it shows is kept."""

    def make(is_terminal: bool) -> io.StringIO:
        shown = io.StringIO()
        console = Console(file=shown, force_terminal=is_terminal, width=80, highlight=False, color_system=None)
        for module in (words, training_view):
            monkeypatch.setattr(module, "console", console)
        return shown

    return make


@pytest.mark.parametrize(("event", "lines"), [(CODEC_EPOCH, 3), (PRIOR_EPOCH, 1), (REFINEMENT_EPOCH, 1)])
def test_an_epoch_fits_80_columns(event: Any, lines: int, screen: Callable[[bool], io.StringIO]) -> None:
    """Guards against lines that wrap even with four levels, 1000 epochs and 1024 codes."""
    shown = screen(True)
    TrainingView()(event)
    texts = shown.getvalue().splitlines()
    assert len(texts) == lines
    assert max(map(len, texts)) <= 80


def test_before_quantisation_begins_no_level_is_said_to_be_empty(screen: Callable[[bool], io.StringIO]) -> None:
    """Guards against "Structure 0 %" after a first epoch in which nothing was quantised yet."""
    shown = screen(True)
    TrainingView()(replace(CODEC_EPOCH, levels=tuple(LevelHealth(level, 0.0, 0.0, 1024) for level in range(4))))
    assert "Not quantised yet" in shown.getvalue()
    assert "Structure" not in shown.getvalue()


def test_a_second_stage_is_not_judged_by_distance_alone(screen: Callable[[bool], io.StringIO]) -> None:
    """Guards against "made the codec worse" beside a distance that has fallen: pitch and texture decide too."""
    shown = screen(False)
    TrainingView()(RefinementCompleteEvent(1.3, 1.2, False, 3, 30, False))
    assert "pitch, texture and distance together" in shown.getvalue()
    assert "worse" not in shown.getvalue()


def test_the_alarm_names_two_choices(screen: Callable[[bool], io.StringIO]) -> None:
    """Guards against an alarm that says something is wrong and not what one can do."""
    shown = screen(False)
    view = TrainingView()
    for perplexity in (4.0, 1.6, 1.5):
        warns, message = check_memorization(perplexity, 256, 12)
        view(replace(PRIOR_EPOCH, val_perplexity=perplexity, is_memorizing=warns, memorization_message=message))
    words = " ".join(shown.getvalue().split())
    assert words.count("reciting your recordings") == 1, "once, not every epoch"
    assert "stop now (Ctrl-C) and keep the best weights so far" in words
    assert "or let it go on" in words


def test_levels_are_named(screen: Callable[[bool], io.StringIO]) -> None:
    shown = screen(False)
    TrainingView()(VQTrainingCompleteEvent(2.0, 1.9, 1.8, 24, False, LEVELS))
    assert "held-out distance 1.80" in shown.getvalue()
    assert "Texture    100 % used · perplexity 1024 · 1024 dead" in shown.getvalue()


def test_what_is_checked_by_what_was_trained_on_is_not_called_held_out(screen: Callable[[bool], io.StringIO]) -> None:
    """Guards against "held-out" of two short files, of which nothing can be held out."""
    shown = screen(False)
    view = TrainingView()
    for event in (
        CODEC_EPOCH,
        REFINEMENT_EPOCH,
        PRIOR_EPOCH,
        VQTrainingCompleteEvent(2.0, 1.9, 1.8, 24, False, LEVELS),
        RefinementCompleteEvent(1.3, 1.2, True, 3, 30, False),
        RefinementCompleteEvent(1.3, 1.2, False, 3, 30, False),
        PriorTrainingCompleteEvent(2.0, 2.0, 7.4, 7.4, 1, False),
    ):
        view(replace(event, is_held_out=False))
    assert "held" not in shown.getvalue()
    assert "distance, trained on 1.80" in shown.getvalue()
    assert "perplexity, trained on 7.4" in shown.getvalue()


def test_no_live_line_without_a_terminal(screen: Callable[[bool], io.StringIO]) -> None:
    """Guards against a log file full of progress bars."""
    shown = screen(False)
    with TrainingView() as view:
        for done in range(100):
            view.progress("Reading", done, 100)
            view(CODEC_STEP)
    assert shown.getvalue() == ""


def test_a_live_line_on_a_terminal(screen: Callable[[bool], io.StringIO]) -> None:
    shown = screen(True)
    with TrainingView() as view:
        view(CODEC_STEP)
    assert "40× real time" in shown.getvalue()
    assert "30 s left" in shown.getvalue()


def test_the_second_stage(screen: Callable[[bool], io.StringIO]) -> None:
    shown = screen(True)
    with TrainingView() as view:
        view(REFINEMENT_STEP)
        view(RefinementCompleteEvent(1.5, 1.4, True, 2, 100, False))
        view(RefinementCompleteEvent(1.5, 1.9, False, 2, 100, False))
    assert "adversarial 0.90" in shown.getvalue()
    view(RefinementCompleteEvent(1.5, 1.5, True, 0, 100, False))
    assert "trained for less than an epoch" in shown.getvalue(), "not for 0 epochs: its minutes ended within the first"
    assert "held-out distance 1.50 before, 1.40 after" in shown.getvalue()
    assert "keeps its earlier decoder" in " ".join(shown.getvalue().split())


def test_the_same_warning_once(screen: Callable[[bool], io.StringIO]) -> None:
    shown = screen(False)
    view = TrainingView()
    for share in (10, 11):
        view(VQEpochMetrics(1, 2, 1, 1, 1, LEVELS, f"Less than 30 % of the codebook ({share} %)", 1, 1))
    view(Notice("[bold]not markup[/bold]"))
    assert shown.getvalue().count("Less than") == 1
    assert "[bold]not markup[/bold]" in shown.getvalue()


def test_paths_are_never_broken(screen: Callable[[bool], io.StringIO]) -> None:
    """Guards against a path or a command that cannot be copied because it was wrapped at 80 columns."""
    shown = screen(True)
    path = Path("a" * 60) / ("b c" * 20)
    words.place("Model", path)
    assert str(path) in shown.getvalue()


def test_errors_stay_on_one_line_in_a_log(screen: Callable[[bool], io.StringIO]) -> None:
    shown = screen(False)
    words.complain("x " * 100 + "/a/long/path", "Mend it.")
    assert len(shown.getvalue().splitlines()) == 2
