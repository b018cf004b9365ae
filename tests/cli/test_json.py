"""``--json``: one JSON value on stdout, everything else on stderr."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from distill.cli.console import print_json
from distill.training.device import automatic_precision

Distill = Callable[..., Any]


def test_check(distill: Distill, small_corpus: Path) -> None:
    answer = distill("check", small_corpus, "--json").json
    assert [file["verdict"] for file in answer["files"]] == ["used"] * 6
    assert answer["settings"]["codebook-size"].isdigit()


@pytest.mark.usefixtures("tiny_training")
def test_step_by_step(distill: Distill, small_corpus: Path, tmp_path: Path) -> None:
    """Every verb from recordings to new audio, each going on with what the one before said in JSON."""
    answer = distill("train", small_corpus, "--epochs", 2, "--out", tmp_path, "--json")
    trained = answer.json
    assert trained["epochs_trained"] == 2
    assert trained["best_val_loss"] > 0
    assert {level["name"] for level in trained["levels"]} == {"Structure", "Detail"}
    assert "codec     2/2" in answer.err
    events = [json.loads(line)["event"] for line in Path(trained["events"]).read_text().splitlines()]
    assert events.count("VQEpochMetrics") == 2

    prior = distill("train-prior", trained["model"], small_corpus, "--epochs", 1, "--json").json
    assert prior["best_perplexity"] > 1
    assert prior["model"] == trained["model"]

    info = distill("info", prior["model"], "--json").json
    assert info["has_prior"]
    assert info["codec"]["codebook_size"] == 32

    made = distill("generate", prior["model"], "--seconds", 1, "--count", 2, "--out", tmp_path, "--json").json
    assert made["seeds"] == [0, 1]
    assert made["real_time_factor"] > 0
    assert [soundfile.info(path).frames for path in made["audio"]] == [48_000, 48_000]

    encoded = distill("encode", prior["model"], made["audio"][0], "--json").json
    assert (encoded["positions"], encoded["levels"], encoded["samples"]) == (47, 2, 48_000)
    decoded = distill("decode", prior["model"], encoded["codes"], "--json").json
    assert soundfile.info(decoded["audio"]).frames == decoded["samples"] == 48_000

    rebuilt = distill("reconstruct", prior["model"], small_corpus, "--out", tmp_path / "again", "--json").json
    assert [Path(path).name for path in rebuilt["audio"]] == [f"take-{number}.wav" for number in range(6)]


@pytest.mark.usefixtures("tiny_training")
@pytest.mark.parametrize("verb", ["run", "demo"])
def test_the_whole_way(
    verb: str, distill: Distill, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def demo(folder: Path, seed: int) -> list[Path]:
        return list(Path(shutil.copytree(small_corpus, folder)).iterdir())

    monkeypatch.setattr("distill.recordings.demo.write_demo_corpus", demo)
    words = [small_corpus, "--seconds", 1, "--count", 2, "--channels", 2] if verb == "run" else []
    answer = distill(verb, *words, "--minutes", "0.03", "--out", tmp_path / "new", "--json")
    figures = answer.json
    assert figures["recordings"] == 6
    assert not figures["cancelled"]
    assert figures["codec"]["best_val_loss"] > 0
    assert [level["name"] for level in figures["codec"]["levels"]] == ["Structure", "Detail"]
    assert figures["prior"]["best_perplexity"] > 1
    assert len(figures["audio"]) == (2 if verb == "run" else 3)
    assert all(piece["seconds"][0]["verdict"] for piece in figures["originality"])
    assert len(figures["originality"]) == len(figures["audio"])
    for path in [figures["model"], figures["report"], *figures["audio"]]:
        assert Path(path).is_file()
    if verb == "demo":  # as on the page; its recordings lie beside it, in a folder called so
        assert Path(figures["model"]).name == "demo.distill"
    if verb == "run":
        rows = {line.split()[0]: line.split()[1:] for line in answer.err.splitlines() if "(" in line}
        assert rows["minutes"] == ["0.03", "(set)"]
        assert rows["device"][-1] == "(auto)"
        assert rows["precision"] == [automatic_precision(rows["device"][0]), "(auto)"]
        assert rows["channels"] == ["2", "(set)"]
        assert rows["codebook-size"] == ["32", "(auto)"]


def test_figures_that_are_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    """Guards against NaN on stdout, which no JSON reader but Python's takes."""
    print_json({"loss": math.nan, "curve": [1.0, math.inf], "deep": {"a": (-math.inf,)}, "path": Path("a")})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "loss": None, "curve": [1.0, None], "deep": {"a": [None]}, "path": "a",
    }  # fmt: skip
