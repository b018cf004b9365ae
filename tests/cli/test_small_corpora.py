"""A prior asked of next to nothing: it trains, or refuses with the reason, and always says how little it has."""

import json
import re
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
        (one_file, "2 s is very little to learn from"),
        (identical_files, "All 5 files are the same sound"),
        (three_seconds, "3 s is very little to learn from"),
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


def test_nothing_is_called_held_out_where_nothing_is(
    distill: Distill, tiny_training: None, noise: Callable[..., np.ndarray], save: Save, tmp_path: Path
) -> None:
    """Guards against "held-out distance 0.87" of what was trained on: on screen, in the report, in what is kept of the run."""
    folder = tmp_path / "recordings"
    for number in range(2):
        save(folder / f"{number}.wav", noise(0.8, seed=number))
    words = [
        ("run", folder, "--minutes", 0.05, "--count", 1, "--seconds", 0.5, "--out", "made", "--name", "little"),
        ("train", folder, "--minutes", 0.05, "--quality", "high", "--name", "fine", "--out", "made"),
        ("info", "made/little.distill"),
        ("models", "info", "made/little.distill"),
        ("models", "info", "made/fine.distill"),
        ("evaluate", "made/little.distill", folder, "--out", "made", "--no-opus"),
        ("originality", "made/little.distill"),
        ("export", "made/little.distill", "--format", "hub", "--out", "hub"),
    ]
    said = []
    for one in words:
        answer = distill(*one)
        assert answer.code == 0, answer.err
        said.append(" ".join((answer.err + answer.out).split()))
    pages = [
        re.sub("(?s)<(style|script)>.*?</\\1>", "", page.read_text("utf-8")) for page in Path("made").glob("*.html")
    ]
    assert len(pages) == 3
    assert "distance, trained on" in said[0], said[0]
    assert "compared" in said[6], said[6]
    for text in [*said, *pages, (Path("hub") / "README.md").read_text("utf-8")]:
        told = re.sub(
            "Nothing could be held out|nothing was held out|<th scope=.col.>held out</th>|held out +[|] 0", "", text
        )
        assert not re.search("(?i)held[- ]out|never trained", told), told
    runs = Path(distill("models", "info", "made/little.distill", "--json").json["runs"][0]["events"]).parent
    events = [json.loads(line) for file in runs.glob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    assert {one["is_held_out"] for one in events if "is_held_out" in one} == {False}
    assert [one["is_held_out"] for one in json.loads((runs / "listening" / "passages.json").read_text("utf-8"))] == [
        False
    ] * 2
    compared = distill("originality", "made/little.distill", "--json").json
    assert compared["held_out_runs"] is None
    assert not [name for name, value in compared.items() if name.startswith("held_out") and value is not None]
