"""``--tensorboard`` on every command that trains: one folder a run, with the name that the run has everywhere."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import small_distill
from distill.files.home import home
from distill.files.names import new_run_folder
from distill.models import PriorConfig
from distill.training.metrics import Notice, TrainingEvent


@pytest.fixture(autouse=True)
def _small(short_training: None, suggest: Callable[..., None]) -> None:
    codec = small_distill.codec_config(codebook_size=16)
    suggest(
        codec=lambda corpus: codec,
        prior=lambda model, corpus, minutes=None: PriorConfig(
            codebook_size=16, hidden_size=16, num_layers=1, num_heads=2, context=64
        ),
    )


def tags(folder: Path) -> set[str]:
    read = EventAccumulator(str(folder))
    read.Reload()
    return set(read.Tags()["scalars"])


def test_trainings_are_drawn_under_their_own_names(
    distill: Callable[..., Any], small_corpus: Path, tmp_path: Path
) -> None:
    board = tmp_path / "board"
    watched = ["--epochs", 1, "--tensorboard", board]
    assert distill("train", small_corpus, "--name", "mine", *watched).code == 0
    (codec,) = board.iterdir()
    assert codec.name in {run.name for run in (home() / "runs").iterdir()}
    assert {"codec/train_loss", "codec/val_loss", "codec/level 1 perplexity"} <= tags(codec)
    assert distill("train-prior", "mine.distill", small_corpus, *watched).code == 0
    (prior,) = set(board.iterdir()) - {codec}
    assert {"prior/train_loss", "prior/val_perplexity", "prior/level 4 loss"} <= tags(prior)


def test_a_whole_run_is_one(distill: Callable[..., Any], small_corpus: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    assert (
        distill("run", small_corpus, "--minutes", 0.02, "--seconds", 1, "--count", 1, "--tensorboard", board).code == 0
    )
    (run,) = board.iterdir()
    assert run.name in {one.name for one in (home() / "runs").iterdir()}
    assert {"codec/train_loss", "prior/train_loss"} <= tags(run)


def test_a_run_is_drawn_under_its_own_name_though_it_has_much_to_read_and_another_begins(
    distill: Callable[..., Any], on_event: Any, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a crash where the first event comes before a long reading, and against the name of another's run."""
    told: list[TrainingEvent] = []

    def look(event: TrainingEvent) -> None:
        if len(told) < 2:
            new_run_folder("another")
        told.append(event)

    on_event(look)
    monkeypatch.setattr("distill.recordings.ahead.WORTH_TELLING_S", 0)
    board = tmp_path / "board"
    words = ("--minutes", 0.02, "--seconds", 1, "--count", 1, "--name", "mine", "--tensorboard", board)
    assert distill("run", small_corpus, *words).code == 0
    assert isinstance(told[0], Notice)
    (run,) = board.iterdir()
    assert run.name.startswith("mine-")
    read = EventAccumulator(str(run))
    read.Reload()
    assert read.Tensors("notices/text_summary")[0].tensor_proto.string_val == [told[0].text.encode()]


@pytest.mark.parametrize("verb", ["train", "run"])
def test_a_missing_tool_is_said_first(
    verb: str, distill: Callable[..., Any], small_corpus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    distill(verb, small_corpus, "--wandb", "offline").refused("wandb", "distill-audio[wandb]")
    assert not list((tmp_path / "here").glob("*.distill"))
