"""``distill sweep``: every combination once, each codec once, one page, and a variant that fails spoils no other."""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from distill.cli import engines, sweep
from distill.cli.app import main
from distill.errors import OutputError, SettingError
from distill.evaluation.grid import variants
from distill.evaluation.progress import Progress
from distill.files.home import home
from distill.files.names import claimed
from distill.files.process import began
from distill.models import load_model, save_model
from distill.recordings.corpus import import_corpus
from distill.training.metrics import PriorStepMetrics, TrainingEvent, VQStepMetrics


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tiny_training: None) -> list[list[str]]:
    """The commands that a sweep starts; they run in this process, on tiny models, for one epoch."""
    found: list[list[str]] = []

    def run(told: list[str]) -> engines.Ended:
        found.append(told)
        if "--minutes" in told:
            at = told.index("--minutes")
            told = [*told[:at], "--epochs", "1", *told[at + 2 :]]
        out, err, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(told)
            except SystemExit as ending:
                code = int(ending.code or 0)
        return code, out.getvalue(), err.getvalue()

    class OneByOne:
        """In this thread: a training here listens for Ctrl-C, which only the first thread may."""

        def __init__(self, _: int) -> None: ...

        def __enter__(self) -> "OneByOne":
            return self

        def __exit__(self, *_: object) -> None: ...

        map = staticmethod(map)

    monkeypatch.setattr("distill.cli.engines.here", run)
    monkeypatch.setattr("distill.cli.sweep.here", run)
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
        (["lr=" + ",".join(f"0.000{one}" for one in range(101, 170))], "69 models"),
        (["levels=2,9"], "--rvq-levels 9 is out of range. Choose 2 to 4"),
        (["levels=two"], "--rvq-levels two is not a whole number"),
        (["codebook=2.5"], "--codebook-size 2.5 is not a whole number"),
        (["commitment-weight=nan"], "out of range"),
        (["layers=0"], "--layers 0 is out of range. Choose 1 to 48"),
        (["lr=nan"], "--lr nan is out of range"),
        (["lr=fast"], "--lr fast is not a number"),
        (["hidden-size=96", "heads=5"], "--hidden-size 96 with --heads 5 is not possible"),
        (["layers=2", "hidden=128,96", "heads=4,5"], "--hidden-size 128 with --heads 5 is not possible"),
        (["hidden=101"], "--hidden-size 101 is not possible"),
    ],
)
def test_what_cannot_be_tried(grid: list[str], words: str) -> None:
    """Guards, too, against sizes that are found not to fit each other only once the codec is trained."""
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
    assert not any(one["is_prior_from_base"] for one in told["models"])
    page = Path(told["page"]).read_text(encoding="utf-8")
    for words in ("rvq-levels 2, layers 1", "rvq-levels 3, layers 2", "partials kept", "prior, bit/s", "held out"):
        assert words in page
    assert page.count("<td>nothing") == 4  # it once did not say which priors could not start from the base
    assert page.count("<audio") + page.count("data:audio") >= 5
    for levels, layers in (
        (2, 1),
        (2, 2),
        (3, 1),
        (3, 2),
    ):  # the page once said the first model's distance of all of them
        beside = re.findall(rf"<h4>rvq-levels {levels}, layers {layers} <span [^>]*>mel distance <b>[\d.]+</b>", page)
        assert len(beside) == page.count("<h4>Original</h4>") > 0
    assert load_model(out / "rvqlevels3-layers2.distill").require_prior().config.num_layers == 2


def test_what_fails_is_named_and_the_others_go_on(
    distill: Callable[..., Any], trained: list[list[str]], small_corpus: Path, tmp_path: Path
) -> None:
    answer = distill("sweep", small_corpus, "--grid", "heads=1,7", "--out", tmp_path / "out", "--json")
    assert answer.code == 0, answer.err
    assert list(answer.json["failed"]) == ["heads7"]
    assert [one["model"] for one in answer.json["models"]] == ["heads 1"]
    assert "heads 7: --heads 7 is not possible. Choose sizes that fit each other" in answer.err


def test_nothing_to_compare(
    distill: Callable[..., Any], trained: list[list[str]], small_corpus: Path, tmp_path: Path
) -> None:
    answer = distill("sweep", small_corpus, "--grid", "heads=7", "--out", tmp_path / "out", "--json")
    assert answer.json["page"] is None
    assert answer.code == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("nowhere",), "does not exist"),
        (("empty",), "is empty"),
        (("small", "--device", "cuda"), "The device 'cuda' is not on this machine"),
    ],
)
def test_what_is_wrong_for_every_model_is_said_at_once(
    distill: Callable[..., Any],
    trained: list[list[str]],
    small_corpus: Path,
    tmp_path: Path,
    change: tuple[str, ...],
    words: str,
) -> None:
    """Guards against a list of the same failure for every model, an exit code of 1, and an empty folder left behind."""
    (tmp_path / "empty").mkdir()
    folder = small_corpus if change[0] == "small" else tmp_path / change[0]
    distill("sweep", folder, *change[1:], "--grid", "levels=2,3", "--out", tmp_path / "out").refused(words)
    assert trained == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["rvqlevels2-layers1.distill", "rvqlevels3.distill"])
def test_a_model_that_is_there_is_never_replaced(
    distill: Callable[..., Any], trained: list[list[str]], small_corpus: Path, tmp_path: Path, name: str
) -> None:
    """Guards against a second sweep into the same folder that writes over what the first one trained."""
    model = tmp_path / "out" / name
    model.parent.mkdir()
    model.write_text("somebody's")
    words = ("--grid", "levels=2,3", "--grid", "layers=1", "--out", model.parent)
    distill("sweep", small_corpus, *words).refused(str(model), "exists already", "Choose another --out")
    assert (trained, model.read_text()) == ([], "somebody's")


def test_a_disk_that_is_full_leaves_no_half_a_model(
    distill: Callable[..., Any], trained: list[list[str]], small_corpus: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    def full(_: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("shutil.copyfile", full)
    answer = distill("sweep", small_corpus, "--grid", "layers=1", "--out", tmp_path / "out", "--json")
    assert (answer.code, answer.json["page"]) == (1, None)
    assert "the disk is full" in answer.json["failed"]["layers1"]
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["auto.distill"]


def test_without_ray_it_is_said_how_to_install_it(
    distill: Callable[..., Any], small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer = distill("sweep", small_corpus, "--grid", "levels=2", "--out", tmp_path / "out", "--ray", "local")
    assert answer.code == 2
    assert "--ray needs Ray, which is not installed." in answer.err
    assert "distill-audio[ray]" in answer.err


class FakeRay:
    """A cluster that does everything at once, in this process; ``test_ray.py`` has a real one."""

    class exceptions:  # noqa: N801
        class RayError(Exception): ...

    def __init__(self, lost: str = "") -> None:
        self.lost, self.told, self.named = lost, {}, []

    def init(self, **told: Any) -> None:
        self.told |= told

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0, "GPU": 1.0}

    def remote(self, **told: Any) -> Callable[..., Any]:
        self.told |= told

        def task(function: Callable[..., Any]) -> Any:
            named = SimpleNamespace(remote=function)
            return SimpleNamespace(options=lambda *, name: self.named.append(name) or named)

        return task

    def get(self, answer: Any) -> Any:
        if self.lost:
            raise self.exceptions.RayError(self.lost)
        return answer

    def shutdown(self) -> None:
        self.told["over"] = True


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("auto", 1)])
def test_on_ray_it_is_the_same_sweep(
    device: str,
    gpus: int,
    distill: Callable[..., Any],
    trained: list[list[str]],
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guards against trainings beside a GPU that is there, and against Ray's own retries: they would find the lost training's
    files."""
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.chdir(tmp_path)
    words = ("--grid", "levels=2", "--out", "out", "--ray", "auto", "--device", device, "--json")
    answer = distill("sweep", small_corpus, *words)
    assert answer.code == 0, answer.err
    assert [one["model"] for one in answer.json["models"]] == ["rvq-levels 2"]
    assert (fake.told["address"], fake.told["num_gpus"], fake.told["over"]) == ("auto", gpus, True)
    assert (fake.told["num_cpus"], fake.told["max_retries"]) == (1, 0)
    assert fake.named == ["distill train", "distill train-prior"]
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


def test_a_sweep_that_was_stopped_goes_on(
    distill: Callable[..., Any],
    trained: list[list[str]],
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guards against hours of finished models that a second call refuses as "there already", or trains anew."""
    out = tmp_path / "out"
    words = ["sweep", small_corpus, "--grid", "levels=2,3", "--grid", "layers=1,2", "--out", out, "--minutes", 1]
    run = engines.here

    def stopped(told: list[str]) -> engines.Ended:
        if len(trained) == 5:  # in the second prior of the second codec
            trained.append(told)
            raise KeyboardInterrupt
        return run(told)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("distill.cli.sweep.here", stopped)
        answer = distill(*words)
    assert answer.code == 130
    assert "The same command goes on with what is not finished" in answer.err
    for name in ("rvqlevels2-layers1", "rvqlevels2-layers2", "rvqlevels3-layers1"):
        assert f"Kept      {out / name}.distill\n" in answer.err
    missing = "rvqlevels3-layers2"
    before = {path.stem: path.read_bytes() for path in out.glob("*.distill") if path.stem != missing}
    assert len(before) == 5
    trained.clear()
    answer = distill(*words, "--json")
    assert answer.code == 0, answer.err
    assert [(told[0], Path(told[1]).stem) for told in trained] == [("train-prior", missing)]
    assert len(answer.json["models"]) == 4
    assert before.items() <= {path.stem: path.read_bytes() for path in out.glob("*.distill")}.items()
    assert "3 of them are trained already" in answer.err
    trained.clear()
    distill(*words, "--seed", 1).refused("exists already", "--out")
    assert not trained
    assert "4 of them are trained already" in distill(*words).err


@pytest.fixture
def stop_at(on_event: Callable[..., None]) -> Callable[[Any], None]:
    """``stop_at(kind)``: a Ctrl-C at the second step of that kind, once."""

    def use(kind: Any) -> None:
        def look(event: TrainingEvent) -> None:
            if isinstance(event, kind) and event.step == 2:
                on_event(None)
                os.kill(os.getpid(), signal.SIGINT)

        on_event(look)

    return use


@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize("kind", [VQStepMetrics, PriorStepMetrics])
@pytest.mark.parametrize(
    ("grid", "names"), [("layers=1,2", ("layers1", "layers2")), ("levels=2", ("rvqlevels2",))], ids=["priors", "codecs"]
)
def test_what_was_stopped_goes_on_from_there(
    grid: str,
    names: tuple[str, ...],
    kind: Any,
    distill: Callable[..., Any],
    trained: list[list[str]],
    stop_at: Callable[[Any], None],
    small_corpus: Path,
    tmp_path: Path,
) -> None:
    """Guards against half an hour that is trained a second time, also of a prior in the codec's own file, of which nothing was
    noted; what comes out is as if it had not been stopped."""
    words = ("sweep", small_corpus, "--grid", grid, "--device", "cpu")
    assert distill(*words, "--out", tmp_path / "whole").code == 0
    trained.clear()
    stop_at(kind)
    answer = distill(*words, "--out", tmp_path / "out", "--json")
    wrong = "it was stopped; the same command goes on with it"
    again = len(names) if kind is VQStepMetrics else 1
    assert answer.json["failed"] == dict.fromkeys(names[:again], wrong)
    trained.clear()
    answer = distill(*words, "--out", tmp_path / "out", "--json")
    assert answer.code == 0, answer.err
    assert trained[0][1] == "--resume"
    assert [told[0] for told in trained] == (["train"] if kind is VQStepMetrics else []) + ["train-prior"] * again
    assert "goes on from where it was stopped" in answer.err
    for name in names:
        one, other = (load_model(tmp_path / out / f"{name}.distill") for out in ("whole", "out"))
        assert one.codes_fingerprint == other.codes_fingerprint
        assert one.header.curves == other.header.curves
        weights = other.require_prior().state_dict()
        assert all(torch.equal(tensor, weights[part]) for part, tensor in one.require_prior().state_dict().items())
    assert distill("models", "list", "--trash", "--json").json["trash"] == []


@pytest.mark.usefixtures("hears_ctrl_c")
def test_what_was_stopped_of_other_recordings_is_trained_anew(
    distill: Callable[..., Any],
    trained: list[list[str]],
    stop_at: Callable[[Any], None],
    small_corpus: Path,
    tmp_path: Path,
) -> None:
    """Its best weights so far are no model of the folder as it is now; they go into the trash, and it is said why."""
    own = tmp_path / "own"
    shutil.copytree(small_corpus, own)
    words = ("sweep", own, "--grid", "levels=2", "--out", tmp_path / "out")
    stop_at(VQStepMetrics)
    assert distill(*words).code == 1
    (own / "take-0.wav").unlink()
    answer = distill(*words, "--json")
    assert answer.code == 0, answer.err
    assert [told[0] for told in trained] == ["train", "train", "train-prior"]
    assert (
        "codec rvqlevels2 is trained from the start: The saved training belongs to another folder of recordings."
        in (" ".join(answer.err.split()))
    )
    assert [item["name"] for item in distill("models", "list", "--trash", "--json").json["trash"]] == ["rvqlevels2"]


@pytest.mark.parametrize("case", ["full disk", "full disk at its end", "another's model"])
def test_what_cannot_go_on_now_is_not_begun_anew(
    case: str, small_corpus: Path, tmp_path: Path, make_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against hours that go into the trash, without a word why, as a disk was full: every refusal passed for one of what
    is saved."""
    (variant,) = variants(["layers=2"])
    out, progress, told = tmp_path / "out", Progress(tmp_path / "out", {}), list[list[str]]()
    out.mkdir()
    model = save_model(out / "layers2.distill", make_model())
    save_model(out / "auto.distill", make_model())
    progress.begin("codec auto")
    progress.finish("codec auto")
    progress.begin("model layers2")
    full = OutputError(f"{model} cannot be written: the disk is full.", "Free some space.")

    def fails(*_: object) -> None:
        raise full

    def engine(words: list[str]) -> engines.Ended:
        told.append(words)
        return full.exit_code, "", f"✗ {full.what}\n  {full.fix}\n"

    stopped = SimpleNamespace(
        is_within=lambda _: True, is_finished=case == "full disk at its end", run_folder=tmp_path / "run"
    )
    monkeypatch.setattr("distill.runs.resume.saved_at", fails if case == "another's model" else lambda *_: stopped)
    monkeypatch.setattr(progress, "finish", fails)
    shared = ["--seed", "0", "--device", "cpu"]
    (trained,) = sweep._Runner(small_corpus, out, 8.0, shared, engine, progress).all((variant,), 1)
    assert trained.wrong == str(full)
    assert (
        told == ([["train-prior", "--resume", str(stopped.run_folder), *shared[2:], "--json"]][: case == "full disk"])
    )
    assert model.exists()


@pytest.mark.parametrize("ended", [None, (0, '{"cancelled": 1}', ""), (-9, "", "")])
def test_what_is_stopped_on_ray_is_not_said_to_go_on(
    ended: engines.Ended | None,
    distill: Callable[..., Any],
    trained: list[list[str]],
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guards against a promise that is not kept: what was trained of it is on another machine."""

    def engine(_: list[str]) -> engines.Ended:
        if ended is None:
            raise KeyboardInterrupt
        return ended

    monkeypatch.setattr("distill.cli.sweep.on_ray", lambda *_: contextlib.nullcontext(engine))
    answer = distill("sweep", small_corpus, "--grid", "levels=2", "--out", tmp_path / "out", "--ray", "auto")
    assert re.search("the same command trains (it|what is not finished) again", answer.err, re.IGNORECASE)
    assert "goes on" not in answer.err


@pytest.fixture
def stands_in(monkeypatch: pytest.MonkeyPatch, make_model: Callable[..., Any]) -> list[list[str]]:
    """The commands that a sweep starts. In place of training, a tiny model says that it learned from the folder as it is."""
    found: list[list[str]] = []

    def run(told: list[str]) -> engines.Ended:
        found.append(told)
        if told[0] == "train":
            path = Path(told[told.index("--out") + 1]) / f"{told[told.index('--name') + 1]}.distill"
            save_model(path, make_model(fingerprint=import_corpus(Path(told[1])).fingerprint))
        return 0, "{}", f"✓ Begun\n! The state of {told[0]} is not saved.\n  Not this line.\n"

    def compared(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("distill.cli.sweep.here", run)
    monkeypatch.setattr("distill.evaluation.measure.evaluate", compared)
    return found


def test_models_of_other_recordings_are_not_kept_among_those_of_these(
    distill: Callable[..., Any], stands_in: list[list[str]], small_corpus: Path, tmp_path: Path
) -> None:
    """Guards against a page that compares what learned from different recordings, without a word."""
    own = Path(shutil.copytree(small_corpus, tmp_path / "own"))
    words = ("sweep", own, "--grid", "levels=2,3", "--out", tmp_path / "out")
    distill(*words)
    stands_in.clear()
    assert "2 of them are trained already" in distill(*words).err
    (own / "take-0.wav").rename(tmp_path / "take-0.wav")
    distill(*words).refused("rvqlevels2.distill learned from other recordings", "Choose another --out")
    assert not stands_in
    (tmp_path / "take-0.wav").rename(own / "take-0.wav")
    assert "2 of them are trained already" in distill(*words).err


def test_recordings_that_change_during_a_sweep_are_told_of(
    distill: Callable[..., Any], stands_in: list[list[str]], small_corpus: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Guards against figures of different recordings side by side, as some were added while it trained."""
    own = Path(shutil.copytree(small_corpus, tmp_path / "own"))
    run = sweep.here

    def taking_one_away(told: list[str]) -> engines.Ended:
        ended = run(told)
        (own / "take-0.wav").unlink(missing_ok=True)
        return ended

    monkeypatch.setattr("distill.cli.sweep.here", taking_one_away)
    answer = distill("sweep", own, "--grid", "levels=2,3", "--out", tmp_path / "out")
    assert "rvq-levels 2: it learned from other recordings than" in answer.err
    assert "rvq-levels 3: it learned" not in answer.err


def test_what_is_begun_anew_is_not_finished(tmp_path: Path) -> None:
    """Guards against half a model that is kept as a whole one, where the one before it was moved away."""
    progress = Progress(tmp_path, {})
    progress.begin("model a")
    progress.finish("model a")
    progress.begin("model a")
    for one in (progress, Progress(tmp_path, {})):
        assert (one.is_begun("model a"), one.is_finished("model a")) == (True, False)


def test_what_a_training_of_a_sweep_warns_of_is_said(
    distill: Callable[..., Any], stands_in: list[list[str]], small_corpus: Path, tmp_path: Path
) -> None:
    """Guards against warnings that nobody reads, as the training that says them ends well."""
    answer = distill("sweep", small_corpus, "--grid", "layers=1,2", "--out", tmp_path / "out")
    said = [line for line in answer.err.splitlines() if line.startswith("! ")]
    assert said == [
        "! codec auto: The state of train is not saved.",
        "! model layers1: The state of train-prior is not saved.",
        "! model layers2: The state of train-prior is not saved.",
    ]


@pytest.mark.parametrize(("code", "words"), [(-9, "(SIGKILL)"), (-200, "(signal 200)")])
def test_a_process_that_was_killed_is_called_so(
    code: int, words: str, distill: Callable[..., Any], small_corpus: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("distill.cli.sweep.here", lambda told: (code, "", ""))
    answer = distill("sweep", small_corpus, "--grid", "levels=2", "--out", tmp_path / "out", "--json")
    wrong = f"its process was killed {words}; the same command goes on with it"
    assert answer.json["failed"] == {"rvqlevels2": wrong}


@pytest.mark.parametrize(
    ("ending", "code"),
    [(KeyboardInterrupt(), 130), (OutputError("The page cannot be written: the disk is full.", "Free some space."), 2)],
)
def test_an_interrupted_page_is_told_too(
    ending: BaseException,
    code: int,
    distill: Callable[..., Any],
    trained: list[list[str]],
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    """Guards against models that seem lost as their page was not written: after a Ctrl-C, or as the disk was full."""

    def interrupted(*_: object, **__: object) -> None:
        raise ending

    words = ("sweep", small_corpus, "--grid", "levels=2", "--out", tmp_path / "out")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("distill.evaluation.measure.evaluate", interrupted)
        answer = distill(*words)
    assert answer.code == code
    assert f"Kept      {tmp_path / 'out' / 'rvqlevels2.distill'}\n" in answer.err
    assert "All models are finished; the same command writes the page." in answer.err
    trained.clear()
    assert distill(*words).code == 0
    assert not trained


_SWEEP = """
import sys
from distill.cli import engines
engines._COMMAND = ("-c", sys.argv[1])
engines.here([])
"""
_TRAINING = """
import os, time
from distill.cli import engines
from distill.cli.interrupts import ending_in_order
with ending_in_order():
    engines.end_with_sweep()
    assert not any("ENDS_WITH" in name for name in os.environ)
    os.write(2, b"begun")
    with open(PLACE, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(0.2)
    while True:
        time.sleep(0.1)
"""


def test_what_a_sweep_has_started_ends_with_it(
    tmp_path: Path, start_process: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """Guards against a training that goes on for hours, and holds its model, after kill -9 or a crash of the sweep."""
    place = tmp_path / "pid"
    sweep = start_process([sys.executable, "-c", _SWEEP, _TRAINING.replace("PLACE", repr(str(place)))])
    until = time.monotonic() + 60
    while not (place.exists() and place.read_text()):
        assert time.monotonic() < until
        time.sleep(0.05)
    training = int(place.read_text())
    assert began(training) is not None
    sweep.kill()
    sweep.wait()
    until = time.monotonic() + 20
    try:
        while began(training) is not None:
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        if began(training) is not None:  # it would go on for ever
            os.kill(training, signal.SIGKILL)


def test_one_sweep_at_a_time_in_a_folder(
    distill: Callable[..., Any], trained: list[list[str]], small_corpus: Path, tmp_path: Path
) -> None:
    """Guards against two that take each other's half-trained models for their own, and put them into the trash."""
    with claimed(tmp_path / "out"):
        distill("sweep", small_corpus, "--grid", "levels=2", "--out", tmp_path / "out").refused(
            "is writing", "right now"
        )
    assert not trained


def test_a_note_that_cannot_be_read_is_told(
    distill: Callable[..., Any], trained: list[list[str]], small_corpus: Path, tmp_path: Path
) -> None:
    """Guards against a damaged note that passes for none, so that finished models are called those of another sweep."""
    words = ("sweep", small_corpus, "--grid", "levels=2", "--out", tmp_path / "out")
    assert distill(*words).code == 0
    (note,) = (home() / "sweeps").iterdir()
    trained.clear()
    for content in ("", "[]", '{"settings": 3'):
        note.write_text(content)
        answer = distill(*words)
        assert answer.code == 2, content
        assert "The note of how far the sweep in" in answer.err, content
        assert note.name in answer.err.replace("\n", "").replace(" ", ""), content
        assert not trained, content
