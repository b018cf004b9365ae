"""The command that begins a run again says all that was chosen, so that whoever copies it gets the same run."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from distill.files.home import home
from distill.library.records import RunRecord
from distill.making.choice import Choice
from distill.making.voices import VoiceSettings
from distill.models.config import PriorConfig, VQVAEConfig
from distill.recordings.corpus import import_corpus
from distill.run_plan import RunPlan
from distill.runs.anew import begin_again
from distill.runs.stage import recorded_stage
from distill.runs.status import records_of
from distill.sizes import codec_config, suggested_sizes
from distill.training.plan import CodecPlan

_CODEC, _PRIOR = dataclasses.asdict(VQVAEConfig(channels=2)), dataclasses.asdict(PriorConfig())
_PLAIN = {"minutes": 5.0, "epochs": None, "learning_rate": 0.003, "seed": 0, "device": "auto"}
_SECOND = {"minutes": 12.0, "second_stage_minutes": 18.0, "second_stage_epochs": None}
_TWICE = {"minutes": None, "epochs": 4, "second_stage_minutes": None, "second_stage_epochs": 4}
_NAMED = "train sounds --name mine --out models"


def _command(kind: str, settings: dict[str, Any]) -> str:
    return begin_again(
        RunRecord(kind, str(Path("models/mine.distill")), "sounds", "codec.jsonl", "2026-01-01", settings)
    )


@pytest.mark.parametrize(
    ("chosen", "options"),
    [
        ({}, "--minutes 5"),
        ({"seed": 3, "device": "cpu"}, "--minutes 5 --seed 3 --device cpu"),
        (
            {"precision": "bf16", "devices": 2, "nodes": 3, "strategy": "ddp"},
            "--minutes 5 --precision bf16 --devices 2 --nodes 3 --strategy ddp",
        ),
        ({"precision": "auto", "devices": 1, "strategy": "auto"}, "--minutes 5"),
        ({"from_scratch": True, "precision": "32"}, "--minutes 5 --from-scratch --precision 32"),
        ({"codebook_size": 64, "num_quantizers": 2}, "--minutes 5 --rvq-levels 2 --codebook-size 64"),
        ({"codebook_size": 64, "num_quantizers": 2, "by_corpus": ["codebook_size"]}, "--minutes 5 --rvq-levels 2"),
        (_SECOND, "--quality high --minutes 30"),
        (_TWICE, "--quality high --epochs 4"),
    ],
)
def test_of_a_codec(chosen: dict[str, Any], options: str) -> None:
    told = _command("codec", {**_PLAIN, **_CODEC, **chosen})
    assert sorted(told.split()) == sorted(f"distill {_NAMED} {options} --channels 2".split())


@pytest.mark.parametrize(
    ("plan", "options"),
    [
        (RunPlan(), "--minutes 8"),
        (
            RunPlan(seconds=2.5, count=9, voice=VoiceSettings(Choice.CODEC)),
            "--minutes 8 --seconds 2.5 --count 9 --voice codec",
        ),
    ],
)
def test_of_a_whole_run(plan: RunPlan, options: str) -> None:
    """Guards against a codec in five of the eight minutes, and no new audio, from the command of somebody who wanted both."""
    run = {"minutes": 8.0, **plan.of_pieces}
    told = _command("codec", {**_PLAIN, **_CODEC, "num_quantizers": 2, "seed": 3, "whole_run": run})
    wanted = f"distill run sounds --name mine --out models {options} --rvq-levels 2 --channels 2 --seed 3"
    assert sorted(told.split()) == sorted(wanted.split())


def test_of_a_second_stage() -> None:
    """Guards against a command that is answered with "say --quality high"."""
    told = _command("refinement", {**_PLAIN, "minutes": 18.0, "learning_rate": 2e-4, "precision": "bf16", "devices": 2})
    assert told == f"distill train --resume {Path('models/mine.distill')} --quality high --minutes 18 --devices 2"


@pytest.mark.parametrize(
    ("chosen", "options"),
    [
        ({"minutes": 2.4567}, "--minutes 2.46"),
        (
            {"patience": 1.0, "from_scratch": True, "devices": 2, "precision": "16"},
            "--minutes 5 --patience 1 --from-scratch --devices 2 --precision 16",
        ),
        ({"epochs": 9, "minutes": None, "num_layers": 6, "learning_rate": 5e-4}, "--epochs 9 --layers 6 --lr 0.0005"),
    ],
)
def test_of_a_prior(chosen: dict[str, Any], options: str) -> None:
    told = _command("prior", {**_PLAIN, **_PRIOR, "learning_rate": 1e-3, **chosen})
    assert told == f"distill train-prior {Path('models/mine.distill')} sounds {options}"


@pytest.mark.parametrize(("chosen", "told"), [({}, False), ({"codebook_size": 64}, True)])
def test_a_size_that_the_recordings_suggest_is_not_said(
    small_corpus: Path, tmp_path: Path, chosen: dict[str, Any], told: bool
) -> None:
    """Guards against --codebook-size in the command of somebody who never gave it."""
    corpus = import_corpus(small_corpus)
    config = codec_config(corpus, chosen)
    assert config.codebook_size not in (VQVAEConfig().codebook_size, *({64} - set(chosen.values())))
    events = home() / "runs" / "mine-1" / "codec.jsonl"
    model = tmp_path / "mine.distill"
    stage = recorded_stage("codec", model, corpus, events, CodecPlan(minutes=1), None, None, config=config)
    with pytest.raises(KeyboardInterrupt), stage:
        raise KeyboardInterrupt
    (record,) = records_of(events.parent)
    assert ("--codebook-size 64" in begin_again(record)) == told
    assert ("--codebook-size" in begin_again(record)) == told


@pytest.mark.parametrize("asked", [None, 1, 2])
def test_channels_that_suit_the_recordings_are_not_said(small_corpus: Path, asked: int | None) -> None:
    """Guards against --channels in the command of somebody who left it at auto."""
    own = import_corpus(small_corpus).channels
    corpus = import_corpus(small_corpus, channels=asked)
    config = codec_config(corpus, {})
    settings = {**_PLAIN, **dataclasses.asdict(config), "by_corpus": suggested_sizes(corpus, config)}
    assert ("--channels" in _command("codec", settings)) == (asked == 3 - own)


def test_sizes_that_half_an_hour_suggests_to_a_prior(small_corpus: Path) -> None:
    """Guards against --hidden-size, --layers and --heads in the command of somebody who gave none."""
    corpus = import_corpus(small_corpus)
    half_an_hour = dataclasses.replace(corpus, recordings=300 * tuple(corpus.recordings))
    config = PriorConfig(hidden_size=256, num_layers=6, num_heads=8)
    assert suggested_sizes(half_an_hour, config) == ["hidden_size", "num_layers", "num_heads"]
    assert suggested_sizes(half_an_hour, dataclasses.replace(config, num_layers=4)) == ["hidden_size", "num_heads"]


def test_of_a_run_that_an_earlier_version_noted() -> None:
    assert _command("codec", {}) == f"distill {_NAMED}"
