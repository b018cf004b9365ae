"""``distill sweep``: every combination once, each codec once, one page, and a variant that fails spoils no other."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.cli.app import main
from distill.errors import SettingError
from distill.evaluation.grid import variants
from distill.models import load_model


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tiny_training: None) -> list[list[str]]:
    """The commands that a sweep starts; they run in this process, on tiny models, for one epoch."""
    found: list[list[str]] = []

    def run(words: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        told = words[words.index("distill.cli.app") + 1 :]
        found.append(told)
        at = told.index("--minutes")
        out, err, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main([*told[:at], "--epochs", "1", *told[at + 2 :]])
            except SystemExit as ending:
                code = int(ending.code or 0)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    class OneByOne:
        """In this thread: a training here listens for Ctrl-C, which only the first thread may."""

        def __init__(self, _: int) -> None: ...

        def __enter__(self) -> "OneByOne":
            return self

        def __exit__(self, *_: object) -> None: ...

        map = staticmethod(map)

    monkeypatch.setattr("distill.cli.engines.subprocess.run", run)
    monkeypatch.setattr("distill.cli.sweep.ThreadPoolExecutor", OneByOne)
    return found


def test_every_combination_once() -> None:
    found = variants(["levels=2,4", "layers=1,2,2", "lr=0.001"])
    assert [one.name for one in found] == [
        f"rvqlevels{levels}-layers{layers}-lr0.001" for levels in (2, 4) for layers in (1, 2)
    ]
    assert [one.codec_name for one in found] == ["rvqlevels2"] * 2 + ["rvqlevels4"] * 2
    assert found[0].words == "rvq-levels 2, layers 1, lr 0.001"
    (only,) = variants(["layers=3"])
    assert (only.codec_name, only.name) == ("auto", "layers3")


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (["colour=1"], "names nothing"),
        (["levels"], "no values"),
        (["levels=2", "rvq-levels=3"], "comes twice"),
        (["lr=" + ",".join(f"0.{one}" for one in range(1, 70))], "69 models"),
    ],
)
def test_what_cannot_be_tried(grid: list[str], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        variants(grid)


def test_a_page_to_compare_them_on(
    distill: Callable[..., Any], trained: list[list[str]], small_corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    answer = distill("sweep", small_corpus, "--grid", "levels=2,3", "--grid", "layers=1,2", "--out", out, "--json")
    assert answer.code == 0, answer.err
    assert sorted(words[0] for words in trained) == ["train"] * 2 + ["train-prior"] * 4
    told = answer.json
    assert [one["model"] for one in told["models"]] == [
        f"rvq-levels {levels}, layers {layers}" for levels in (2, 3) for layers in (1, 2)
    ]
    assert told["failed"] == {}
    assert {one["codec bits a second"] for one in told["models"]} == {46.875 * 2 * 5, 46.875 * 3 * 5}
    assert all(one["prior bits a second"] > 0 for one in told["models"])
    page = Path(told["page"]).read_text(encoding="utf-8")
    for words in ("rvq-levels 2, layers 1", "rvq-levels 3, layers 2", "partials kept", "prior, bit/s", "held out"):
        assert words in page
    assert page.count("<audio") + page.count("data:audio") >= 5
    assert load_model(out / "rvqlevels3-layers2.distill").require_prior().config.num_layers == 2


def test_what_fails_is_named_and_the_others_go_on(
    distill: Callable[..., Any], trained: list[list[str]], small_corpus: Path, tmp_path: Path
) -> None:
    answer = distill("sweep", small_corpus, "--grid", "levels=2,9", "--out", tmp_path / "out", "--json")
    assert answer.code == 0, answer.err
    assert list(answer.json["failed"]) == ["rvqlevels9"]
    assert [one["model"] for one in answer.json["models"]] == ["rvq-levels 2"]
    assert "--rvq-levels 9 is out of range" in answer.err


def test_nothing_to_compare(
    distill: Callable[..., Any], trained: list[list[str]], small_corpus: Path, tmp_path: Path
) -> None:
    answer = distill("sweep", small_corpus, "--grid", "levels=9", "--out", tmp_path / "out", "--json")
    assert answer.json["page"] is None
    assert answer.code == 1


def test_without_ray_it_is_said_how_to_install_it(
    distill: Callable[..., Any], small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer = distill("sweep", small_corpus, "--grid", "levels=2", "--out", tmp_path / "out", "--ray", "local")
    assert answer.code == 2
    assert "--ray needs Ray, which is not installed. Install it with: pip install 'distill-audio[ray]'" in answer.err
