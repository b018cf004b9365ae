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
        told = words[words.index("distill") + 1 :]
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
    assert "--ray needs Ray, which is not installed." in answer.err
    assert "pip install 'distill-audio[ray]'" in answer.err


class FakeRay:
    """A cluster that does everything at once, in this process; ``test_ray.py`` has a real one."""

    class exceptions:  # noqa: N801
        class RayError(Exception): ...

    def __init__(self, lost: str = "") -> None:
        self.lost, self.told = lost, {}

    def init(self, **told: Any) -> None:
        self.told |= told

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0, "GPU": 1.0}

    def remote(self, **told: Any) -> Callable[..., Any]:
        self.told |= told
        return lambda function: type(
            "Task", (), {"options": lambda task, **_: task, "remote": staticmethod(function)}
        )()

    def get(self, answer: Any) -> Any:
        if self.lost:
            raise self.exceptions.RayError(self.lost)
        return answer

    def shutdown(self) -> None:
        self.told["over"] = True


def test_on_ray_it_is_the_same_sweep(
    distill: Callable[..., Any],
    trained: list[list[str]],
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.chdir(tmp_path)
    words = ("--grid", "levels=2", "--out", "out", "--ray", "auto", "--device", "cpu", "--json")
    answer = distill("sweep", small_corpus, *words)
    assert answer.code == 0, answer.err
    assert [one["model"] for one in answer.json["models"]] == ["rvq-levels 2"]
    assert (fake.told["address"], fake.told["num_gpus"], fake.told["over"]) == ("auto", 0, True)
    assert "on the Ray cluster at auto" in answer.err
    paths = [word for words in trained for word in words if "out" in Path(word).parts]
    assert paths
    assert all(Path(path).is_absolute() for path in paths), "the cluster's machines have other working directories"


def test_a_machine_that_ray_loses_is_told(
    distill: Callable[..., Any],
    trained: list[list[str]],
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", FakeRay("The node died.\nMore."))
    answer = distill("sweep", small_corpus, "--grid", "levels=2", "--out", tmp_path / "out", "--ray", "auto", "--json")
    assert answer.code == 1
    assert answer.json["failed"] == {"rvqlevels2": "Ray could not finish it: The node died."}


def test_no_cluster_there(distill: Callable[..., Any], small_corpus: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    answer = distill("sweep", small_corpus, "--grid", "levels=2", "--out", tmp_path, "--ray", "127.0.0.1:1")
    assert answer.code == 2
    assert "No Ray cluster answers at 127.0.0.1:1: Connection refused." in answer.err
    assert "ray start --head" in answer.err
