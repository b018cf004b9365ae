"""Options that would do nothing beside others: refused in words, for every verb, before anything is read or written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Distill = Callable[..., Any]
INFILL = ("--infill", "a.wav", "--from", 0.1, "--to", 0.3)
LOOP = ("--loop", "--beats", 4, "--bpm", 120)


@pytest.mark.parametrize(
    ("words", "idle"),
    [
        (("--temperature", 0, "--top-k", 5), "--top-k"),
        (("--temperature", "0,0", "--top-p", 0.9), "--top-p"),
        (("--format", "mp3", "--bit-depth", 16), "--bit-depth"),
        (("--format", "ogg", "--bit-depth", 24), "--bit-depth"),
        (("--voice", "codec", "--recordings", "."), "--recordings"),
        (("--voice", "codec", "--edl"), "--edl lists the grains of your recordings"),
        (("--voice", "codec", "--originality", "close", "--top-p", 0.9, "--max-similarity", 50), "--originality"),
        (("--beats", 4, "--bpm", 120), "--beats"),
        (("--bpm", 120), "--bpm"),
        ((*LOOP, "--seconds", 2), "--seconds"),
        ((*INFILL, "--seconds", 2), "--seconds"),
        (("--from", 0.1), "--from"),
        (("--to", 0.1, "--loop"), "--to"),
        ((*INFILL, "--loop"), "--loop"),
        ((*INFILL, "--prompt", "b.wav"), "--prompt"),
        ((*LOOP, "--prompt", "b.wav"), "--prompt"),
        ((*INFILL, "--beats", 4), "--beats"),
    ],
)
def test_generate(words: tuple[Any, ...], idle: str, distill: Distill, tmp_path: Path) -> None:
    distill("generate", tmp_path / "no.distill", *words).refused(idle)


@pytest.mark.parametrize(
    "words",
    [
        ("--quality", "standard"),
        ("--name", "other"),
        ("--out", "elsewhere"),
        ("--rvq-levels", 2),
        ("--codebook-size", 64),
        ("--commitment-weight", 1),
        ("--channels", "auto"),
        ("--seed", 0),
        ("--from-scratch",),
    ],
)
def test_train_that_goes_on(words: tuple[Any, ...], distill: Distill, tmp_path: Path) -> None:
    """Guards against a run that goes on as it was begun though something else was asked for, be it a default."""
    distill("train", "--resume", tmp_path / "no.distill", *words).refused("--resume", f"Leave out {words[0]}.")


@pytest.mark.parametrize(
    "words",
    [
        ("--hidden-size", 64),
        ("--layers", 2),
        ("--heads", 2),
        ("--lr", 0.001),
        ("--patience", 0.5),
        ("--seed", 0),
        ("--from-scratch",),
    ],
)
def test_train_prior_that_goes_on(words: tuple[Any, ...], distill: Distill, tmp_path: Path) -> None:
    distill("train-prior", "--resume", tmp_path / "no.distill", *words).refused("--resume", f"Leave out {words[0]}.")


def test_evaluate_without_a_page(distill: Distill, tmp_path: Path) -> None:
    distill("evaluate", tmp_path / "no.distill", tmp_path, "--no-page", "--out", "pages").refused("Leave out --out.")


def test_status(distill: Distill, tmp_path: Path) -> None:
    distill("status", tmp_path, "--all").refused("--all")


@pytest.mark.parametrize("suffix", ["mp3", "OGG"])
def test_decode(suffix: str, distill: Distill, tiny: Path, tmp_path: Path) -> None:
    words = ("--out", tmp_path / f"a.{suffix}", "--bit-depth", 16)
    distill("decode", tiny, tmp_path / "a.codes", *words).refused("--bit-depth", "no bit depth")


@pytest.mark.parametrize("name", ["a.mp3", "a.OGG", "a.codes", None])
def test_edit(name: str | None, distill: Distill, tiny: Path, tmp_path: Path) -> None:
    """Guards against a bit depth that is ignored in silence, even one that there is not."""
    words = ("--bit-depth", 99, *(() if name is None else ("--out", tmp_path / name)))
    distill("edit", tiny, tmp_path / "b.codes", "--mirror", "all", *words).refused("--bit-depth", "no bit depth")


def test_regenerate(distill: Distill, tiny: Path, tmp_path: Path) -> None:
    """Guards against a prompt that is believed to have been looked at."""
    assert distill("generate", tiny, "--seconds", 0.5).code == 0
    distill("regenerate", 1, "--given", tmp_path / "a.wav").refused("no prompt", "--given")
    distill("regenerate", 1, "--recordings", tmp_path).refused("the codec's voice", "--recordings")


def test_models_delete(distill: Distill, tiny: Path) -> None:
    distill("models", "delete", tiny, "--empty-trash").refused("--empty-trash alone")
    assert tiny.exists()
