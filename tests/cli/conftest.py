"""The command line as a person meets it: exit code, stdout, stderr, and what lies in the folder afterwards."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

import small_distill
from distill.audio.distance import MultiScaleMel
from distill.cli.app import main
from distill.cli.training_view import TrainingView
from distill.models import Model, PriorConfig, VQVAEConfig, save_model
from distill.models.model_file import Source
from distill.recordings.corpus import Corpus


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back from one call of the command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def refused(self, *words: str, code: int = 2) -> None:
        """Words, not a traceback: what came, what was needed, what to do; nothing on stdout."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        assert self.out == ""
        for word in words:
            assert word in self.err, f"{word!r} is not in {self.err!r}"


@pytest.fixture
def seeds() -> list[int]:
    """What is drawn where no seed is given, in turn; 0 once it is empty."""
    return []


@pytest.fixture
def distill(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, seeds: list[int]
) -> Callable[..., Answer]:
    """``distill("check", folder)`` runs the command in this process, in an empty folder of its own."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr("secrets.randbelow", lambda most: seeds.pop(0) if seeds else 0)

    def call(*words: object) -> Answer:
        capsys.readouterr()
        code: Any = 0
        try:
            main([str(word) for word in words])
        except SystemExit as ending:
            code = ending.code or 0
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return call


@pytest.fixture
def make_model() -> Callable[..., Model]:
    """``make_model(seed, with_prior, name)``: an untrained model in a tiny size."""
    return _model


@pytest.fixture
def tree() -> Callable[[Path], dict[str, int]]:
    """``tree(folder)``: every file and folder below it, hidden ones too, with its size."""

    def listed(folder: Path) -> dict[str, int]:
        paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
        return {name: path.stat().st_size if path.is_file() else -1 for name, path in paths.items()}

    return listed


def _model(seed: int = 0, with_prior: bool = True, name: str = "tiny", **header: Any) -> Model:
    """An untrained model in a tiny size, mono; every seed another one."""
    codec = small_distill.small_codec(seed, num_quantizers=2)
    about = {"name": name, "file_count": 6, "seconds": 6.0, **header}
    about["codec_training"] = {"seed": seed, "epochs_trained": 1, "best_val_loss": 2.5}
    if not with_prior:
        return small_distill.small_model(codec, **about)
    prior = small_distill.small_prior(codec.config, context=32)
    sources = [Source(f"take-{number}.wav", 0.0, False, torch.randint(0, 32, (50, 2))) for number in range(3)]
    about["prior_training"] = {"best_perplexity": 20.0, "epochs_trained": 1}
    return small_distill.small_model(codec, prior, sources, **about)


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``tiny.distill``, ``other.distill`` and ``bare.distill``, which has no prior."""
    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "tiny.distill", _model())
    save_model(folder / "other.distill", _model(seed=1, name="other"))
    save_model(folder / "bare.distill", _model(with_prior=False, name="bare"))
    return folder


@pytest.fixture
def tiny(model_files: Path, tmp_path: Path) -> Path:
    """A model file with a prior that a test may change."""
    return Path(shutil.copy(model_files / "tiny.distill", tmp_path / "tiny.distill"))


@pytest.fixture
def on_event(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], None] | None], None]:
    """``on_event(look)``: every event of a training goes to ``look`` after the terminal showed it; None ends that."""
    looks: list[Callable[[Any], None]] = []
    show = TrainingView.__call__

    def call(view: TrainingView, event: Any) -> None:
        show(view, event)
        for look in looks:
            look(event)

    def use(look: Callable[[Any], None] | None) -> None:
        looks[:] = [] if look is None else [look]

    monkeypatch.setattr(TrainingView, "__call__", call)
    return use


def _no_distance(module: torch.nn.Module, given: object, distance: Any) -> Any:
    return distance * torch.nan if isinstance(module, MultiScaleMel) else distance


@pytest.fixture
def hopeless_training() -> Iterator[None]:
    """Whatever a codec reconstructs, its distance to the recording is no number."""
    with register_module_forward_hook(_no_distance):
        yield


@pytest.fixture
def tiny_training(short_training: None, suggest: Callable[..., None]) -> None:
    """What training would size for the corpus becomes tiny, so that an epoch takes no time."""

    def codec_config(corpus: Corpus, **changes: Any) -> VQVAEConfig:
        return small_distill.codec_config(**{"channels": corpus.channels, "num_quantizers": 2, **changes})

    def prior_config(model: Model, corpus: Corpus, minutes: float | None = None, **changes: Any) -> PriorConfig:
        codec = model.header.codec
        sizes = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "context": 16 * codec.num_quantizers}
        return PriorConfig(codec.codebook_size, codec.num_quantizers, **{**sizes, **changes})

    suggest(codec=codec_config, prior=prior_config)


@pytest.fixture(scope="session")
def _trainings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what trainings have left."""
    return tmp_path_factory.mktemp("trainings")


@pytest.fixture
def trained_to(
    distill: Callable[..., Answer],
    tiny_training: None,
    small_corpus: Path,
    _trainings: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Path]:
    """``trained_to(stage)``: ``one.distill``, whose training came to the end of that stage: codec, refinement or prior.

    It is trained once. After that it is put back, with the home that its training left, at the same place, which both name.
    """

    def make(stage: str) -> Path:
        here, kept = _trainings / "here", _trainings / stage
        shutil.rmtree(here, ignore_errors=True)
        monkeypatch.setenv("DISTILL_HOME", str(here / "home"))
        model = here / "one.distill"
        if kept.exists():
            shutil.copytree(kept, here)
            return model
        if stage == "prior":
            make("codec")
            answer = distill("train-prior", model, small_corpus, "--epochs", 1)
        else:
            high = ("--quality", "high") if stage == "refinement" else ()
            answer = distill("train", small_corpus, "--epochs", 1, "--name", "one", "--out", here, *high)
        assert answer.code == 0, answer.err
        shutil.copytree(here, kept)
        return model

    return make
