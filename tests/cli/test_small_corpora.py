"""A prior asked of next to nothing: it trains, or refuses with the reason, and always says how little it has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Distill = Callable[..., Any]
Save = Callable[..., Path]


def one_file(noise: Callable[..., np.ndarray]) -> list[np.ndarray]:
    return [noise(2.0)]


def identical_files(noise: Callable[..., np.ndarray]) -> list[np.ndarray]:
    return [noise(1.0)] * 5


def three_seconds(noise: Callable[..., np.ndarray]) -> list[np.ndarray]:
    return [noise(0.6, seed=seed) for seed in range(5)]


@pytest.mark.parametrize(
    ("corpus", "said"),
    [
        (one_file, "2 s are very little to learn from"),
        (identical_files, "All 5 files are the same sound"),
        (three_seconds, "3 s are very little to learn from"),
    ],
)
def test_a_prior_of_next_to_nothing(
    corpus: Callable[..., list[np.ndarray]], said: str, distill: Distill, tiny_training: None,
    noise: Callable[..., np.ndarray], save: Save, tmp_path: Path,
) -> None:  # fmt: skip
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number, audio in enumerate(corpus(noise)):
        save(folder / f"{number}.wav", audio)
    for words in (
        ("train", folder, "--epochs", 1, "--name", "little"),
        ("train-prior", "little.distill", folder, "--epochs", 1),
    ):
        answer = distill(*words)
        assert answer.code == 0, answer.err
        assert said in answer.err
        assert "A minute or more" in answer.err
    new = distill("generate", "little.distill", "--seconds", 1, "--json")
    assert new.code == 0, new.err
    assert Path(new.json["audio"][0]).is_file()
