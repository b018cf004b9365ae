"""What no model can do is refused, by the option's name, before the model is loaded; these models could not be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Distill = Callable[..., Any]
_LOOP = ("--loop", "--beats", "8", "--bpm")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "damaged.distill"
    path.write_text("no model")
    return path


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--seconds", "0.1"), "--seconds: 0.1 seconds"),
        (("--seconds", "nan"), "--seconds: nan seconds"),
        (("--count", "0"), "--count: 0 pieces"),
        (("--bit-depth", "17"), "--bit-depth: wav with 17 bits"),
        (("--format", "flac", "--bit-depth", "32"), "--bit-depth: flac with 32 bits"),
        (("--max-similarity", "101"), "--max-similarity: "),
        (("--temperature", "9"), "--temperature: The temperature 9.0"),
        (("--temperature", "1,-1"), "--temperature: The temperature -1.0"),
        (("--top-k", "-2"), "--top-k: top-k -2"),
        (("--top-p", "3"), "--top-p: top-p 3.0"),
        (("--variety", "9"), "--variety: The variety 9.0"),
        (("--originality", "1.5"), "--originality: An originality of 1.5"),
        (("--loop", "--seconds", "400"), "--seconds: A loop of 400 seconds"),
        ((*_LOOP, "5"), "--beats and --bpm: A loop of 8 beats at 5 BPM"),
        (("--loop", "--beats", "8"), "--beats and --bpm: A loop in beats needs both"),
        (("--infill", "a.wav", "--from", "3", "--to", "2"), "--from and --to: No passage from 3 to 2 s"),
        (("--infill", "a.wav", "--from", "-1", "--to", "2"), "--from and --to: No passage from -1 to 2 s"),
    ],
)
def test_generate(distill: Distill, damaged: Path, options: tuple[str, ...], named: str) -> None:
    _is_refused(distill("generate", damaged, *options), named)


def test_a_folder_that_cannot_be_written(distill: Distill, damaged: Path) -> None:
    """Here because a file is in its way."""
    for words in (("generate", damaged), ("reconstruct", damaged, damaged.parent), ("regenerate", "nothing")):
        _is_refused(distill(*words, "--out", damaged / "new"), "--out: ")


def test_a_passage_that_is_redrawn(distill: Distill, damaged: Path, tmp_path: Path) -> None:
    answer = distill("edit", damaged, tmp_path / "a.codes", "--reimagine", "all", "--temperature", "9")
    _is_refused(answer, "--temperature: The temperature 9.0")


@pytest.mark.parametrize(
    ("options", "named"), [(("--seconds", "1000"), "--seconds: 1000 seconds"), (("--count", "0"), "--count: 0 pieces")]
)
def test_run(distill: Distill, small_corpus: Path, options: tuple[str, ...], named: str) -> None:
    _is_refused(distill("run", small_corpus, *options), named)


@pytest.mark.parametrize("command", [("decode",), ("edit", "--mirror", "all")])
def test_a_bit_depth(distill: Distill, damaged: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    verb, *options = command
    answer = distill(verb, damaged, tmp_path / "a.codes", *options, "--out", tmp_path / "a.wav", "--bit-depth", "17")
    _is_refused(answer, "--bit-depth: wav with 17 bits")


def _is_refused(answer: Any, named: str) -> None:
    assert answer.code == 2
    assert named in " ".join(answer.err.split())
    assert "not a usable model" not in answer.err
