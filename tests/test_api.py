"""``import distill``: what the package's own page promises."""

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import distill
import small_distill
from distill.codes import edit
from distill.errors import (
    CodesFileError,
    CorpusError,
    DeviceError,
    DistillError,
    MissingPriorError,
    OutputError,
    SettingError,
)
from distill.files.names import run_folders
from distill.models import Model, save_model
from distill.models.model_file import Source
from distill.training.plan import Plan, StageEnd


def tiny(seed: int = 0, channels: int = 1) -> Model:
    codec = small_distill.small_codec(seed, channels=channels, num_quantizers=2)
    prior = small_distill.small_prior(codec.config, context=32)
    source = Source("take.wav", 0.0, False, torch.zeros(1, 2, dtype=torch.int64))
    return small_distill.small_model(codec, prior, (source,), prior_training={})


def test_everything_promised_is_there() -> None:
    for name in distill.__all__:
        assert getattr(distill, name).__name__ == name
    with pytest.raises(AttributeError, match="distill attribute lear"):
        getattr(distill, "lear")  # noqa: B009


@pytest.fixture
def tiny_training(short_training: None, suggest: Callable[..., None]) -> None:
    suggest(codec=lambda corpus: small_distill.codec_config(channels=corpus.channels, num_quantizers=2))


@pytest.mark.usefixtures("tiny_training")
def test_from_a_folder_to_sound(small_corpus: Path, tmp_path: Path) -> None:
    events: list[Any] = []
    path = tmp_path / "mine.distill"
    trained = distill.train(small_corpus, path, minutes=0.03, callback=events.append)
    assert path.is_file()
    assert {"VQEpochMetrics", "PriorEpochMetrics"} <= {type(event).__name__ for event in events}
    model = distill.load(str(path))
    assert model.fingerprint == trained.fingerprint
    first, second = distill.generate(model, seconds=0.5, count=2, seed=4)
    assert first.audio(model).shape == (1, 24_000)
    assert (first.seed, second.seed) == (4, 5)
    with pytest.raises(OutputError, match="already exists"):
        distill.train(small_corpus, path)


@pytest.mark.usefixtures("tiny_training")
def test_what_the_command_can_choose_can_be_chosen(small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a Python API that has half of what the command has."""
    events: list[Any] = []
    model = distill.train(
        small_corpus, tmp_path, name="mine", quality="high", epochs=1, channels=2, rvq_levels=3, codebook_size=16,
        commitment_weight=0.5, from_scratch=True, callback=events.append,
    )  # fmt: skip
    assert model.prior is not None
    config = distill.load(tmp_path / "mine.distill").header.codec
    assert (config.channels, config.num_quantizers, config.codebook_size, config.commitment_weight) == (2, 3, 16, 0.5)
    assert "RefinementEpochMetrics" in {type(event).__name__ for event in events}


@pytest.mark.usefixtures("tiny_training")
def test_without_a_name_the_folder_s_and_then_the_next_free_one_are_taken(small_corpus: Path, tmp_path: Path) -> None:
    for name in ("small", "small-2"):
        cancel = threading.Event()
        stopped = distill.train(small_corpus, tmp_path, callback=lambda _, end=cancel: end.set(), cancel_event=cancel)
        assert stopped.header.name == name


@pytest.mark.usefixtures("tiny_training")
def test_a_stop_leaves_the_codec(small_corpus: Path, tmp_path: Path) -> None:
    cancel = threading.Event()
    path = tmp_path / "mine.distill"
    model = distill.train(small_corpus, path, quality="high", callback=lambda _: cancel.set(), cancel_event=cancel)
    assert model.prior is None
    assert path.exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"quality": "best"}, "no quality 'best'"),
        ({"channels": 3}, "3 channels"),
        ({"epochs": 0}, "0 epochs"),
        ({"name": "a/b"}, "cannot be the name"),
        ({"seed": -1}, "seed -1"),
        ({"rvq_levels": 9}, "9 is out of range"),
        ({"precision": "16", "device": "cpu"}, "does not train in 16"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    settings: dict[str, Any], said: str, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill.api.import_corpus", None)  # nothing is read before
    with pytest.raises(DistillError, match=said):
        distill.train(small_corpus, tmp_path, **settings)
    assert list(tmp_path.iterdir()) == []


def test_recordings_that_are_not_there_leave_no_run(tmp_path: Path) -> None:
    """Guards against typos that push out what finished runs have saved: of the newest ones only it is kept."""
    with pytest.raises(CorpusError, match="recordigns"):
        distill.train(tmp_path / "recordigns", tmp_path / "new.distill")
    assert run_folders() == []


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_minutes_that_are_none(minutes: float, small_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=f"{minutes:g} minutes"):
        distill.train(small_corpus, tmp_path / "new" / "mine.distill", minutes=minutes)
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_none(small_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="abacus"):
        distill.train(small_corpus, tmp_path / "mine.distill", device="abacus")
    with pytest.raises(DeviceError, match="abacus"):
        distill.load(tmp_path / "mine.distill", device="abacus")


def test_a_device_of_pytorch_is_a_device(tmp_path: Path) -> None:
    """Guards against "The device 'cpu' is unknown"."""
    path = save_model(tmp_path / "tiny.distill", tiny())
    assert distill.load(path, torch.device("cpu")).device == torch.device("cpu")
    with pytest.raises(DeviceError, match="'meta' is unknown"):
        distill.load(path, torch.device("meta"))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("shape", [(30_000,), (1, 30_000), (2, 30_000)])
def test_samples_there_and_back(shape: tuple[int, ...], channels: int) -> None:
    model = tiny(channels=channels)
    codes = distill.encode(model, np.random.default_rng(0).uniform(-0.5, 0.5, shape))
    assert codes.codes.shape == (30, 2)
    assert distill.decode(model, codes).shape == (channels, 30_000)


def test_a_file_and_its_samples_give_the_same_codes(tmp_path: Path, noise: Any, save: Any) -> None:
    model, sound = tiny(), noise(1.3)
    path = save(tmp_path / "a.wav", sound, subtype="FLOAT")
    assert torch.equal(distill.encode(model, str(path)).codes, distill.encode(model, sound).codes)


def test_channels_that_cancel_are_no_silence_in_mono(tmp_path: Path, noise: Any, save: Any) -> None:
    """Guards against samples of which the mean is taken where a file with them keeps its sound."""
    model, sound = tiny(), np.concatenate([noise(1.3), -noise(1.3)])
    path = save(tmp_path / "wide.wav", sound, subtype="FLOAT")
    assert torch.equal(distill.encode(model, str(path)).codes, distill.encode(model, sound).codes)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((3, 100)),
        np.zeros((100, 2)),
        np.zeros((1, 2, 100)),
        np.zeros((1, 0)),
        np.zeros(0),
        np.array([0.0, np.nan]),
        np.zeros(100, np.int16),
    ],
    ids=lambda samples: f"{samples.dtype}{samples.shape}",
)
def test_samples_that_cannot_be_encoded(samples: np.ndarray) -> None:
    """Guards against integer samples taken for very loud sound, and frames taken for channels."""
    with pytest.raises(SettingError, match="cannot be encoded"):
        distill.encode(tiny(), samples)


def test_codes_of_another_model() -> None:
    codes = distill.encode(tiny(0), np.zeros(2_000))
    with pytest.raises(CodesFileError, match="another model"):
        distill.decode(tiny(1), codes)


@pytest.mark.parametrize(
    "wrong", [torch.full((3, 2), 32), torch.full((3, 2), -1), torch.zeros(3, 4, dtype=torch.int64)]
)
def test_codes_the_model_does_not_have(wrong: torch.Tensor) -> None:
    """Guards against an index error from deep inside for codes edited by hand."""
    model = tiny()
    codes = dataclasses.replace(distill.encode(model, np.zeros(2_000)), codes=wrong)
    with pytest.raises(CodesFileError, match="does not have"):
        distill.decode(model, codes)


def test_edited_codes_are_decoded_as_long_as_they_say() -> None:
    """Guards against grids of ``codes.edit`` that end in an AttributeError, and against longer ones that are cut in silence."""
    model = tiny()
    codes = distill.encode(model, np.random.default_rng(0).uniform(-0.5, 0.5, 30_000))
    grid = codes.codes.numpy()
    assert np.array_equal(distill.decode(model, dataclasses.replace(codes, codes=grid)), distill.decode(model, codes))
    mirrored = dataclasses.replace(codes, codes=grid[::-1])
    assert distill.decode(model, mirrored).shape == (1, 30_000)
    longer = edit.repeat(grid, edit.select(grid, 0, 10), 2)
    assert len(longer) == 40
    with pytest.raises(CodesFileError, match=r"40 positions .* 30000 samples take 30\. .* samples=40960"):
        distill.decode(model, dataclasses.replace(codes, codes=longer))
    assert distill.decode(model, dataclasses.replace(codes, codes=longer, samples=40_960)).shape == (1, 40_960)
    with pytest.raises(CodesFileError, match="does not have"):
        distill.decode(model, dataclasses.replace(codes, codes=grid.astype(float)))


def test_a_model_without_a_prior() -> None:
    with pytest.raises(MissingPriorError, match="no prior yet"):
        distill.generate(dataclasses.replace(tiny(), prior=None))


NO_PATHS: tuple[Any, ...] = (None, 3, "", b"takes", [], 1.5, True, "a\0b")


@pytest.mark.parametrize("odd", NO_PATHS)
def test_what_is_no_path_is_refused_in_words(odd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against ``train("")`` that learns all that lies in the folder of the program, and words from inside Python."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match="model_path is"):
        distill.load(odd)
    with pytest.raises(SettingError, match="folder is"):
        distill.train(odd, tmp_path / "new.distill", minutes=0.01)
    with pytest.raises(SettingError, match="audio is"):
        distill.encode(tiny(), odd)
    if odd is not None:
        with pytest.raises(SettingError, match="model_path is"):
            distill.train(tmp_path, odd, minutes=0.01)
        with pytest.raises(SettingError, match="recordings is"):
            distill.generate(tiny(), 0.5, recordings=odd)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("odd", [None, 3, "tiny.distill", Path("tiny.distill"), []])
def test_what_is_no_model_is_refused_with_how_to_open_one(odd: Any) -> None:
    codes = distill.encode(tiny(), np.zeros((1, 4800), np.float32))
    for ask in (
        lambda: distill.generate(odd, 0.5),
        lambda: distill.encode(odd, np.zeros((1, 4800), np.float32)),
        lambda: distill.decode(odd, codes),
    ):
        with pytest.raises(SettingError, match=r"distill.Model is needed. Open one with: distill.load"):
            ask()
    with pytest.raises(SettingError, match=r"distill.Codes is needed"):
        distill.decode(tiny(), odd)


@pytest.mark.parametrize(
    "odd",
    [
        {"seconds": "5"},
        {"seconds": None},
        {"count": 1.5},
        {"count": "2"},
        {"count": None},
        {"seed": None},
        {"seed": "x"},
        {"seed": 1.5},
        {"seed": -1},
        {"seed": 2**70},
        {"sampling": 3},
    ],
)
def test_a_number_that_is_none_is_refused_in_words(odd: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(odd))):
        distill.generate(tiny(), **{"seconds": 0.5, **odd})
    assert distill.generate(tiny(), np.float32(0.5), np.int64(1), seed=np.int64(3))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "odd",
    [
        {"minutes": "5"},
        {"epochs": 1.5},
        {"rvq_levels": "4"},
        {"commitment_weight": "x"},
        {"seed": None},
        {"name": 3},
        {"callback": 3},
        {"cancel_event": 3},
        {"device": []},
    ],
)
def test_a_training_is_refused_before_anything_is_read(odd: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DistillError, match=next(iter(odd))):
        distill.train(tmp_path / "nowhere", tmp_path / "new.distill", **odd)
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_can_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a training that ends as its state is to be saved for the first time, since its epochs are NumPy's."""
    told = list[Any]()
    monkeypatch.setattr("distill.api.import_corpus", lambda *_, **__: SimpleNamespace(seconds=60.0))
    monkeypatch.setattr("distill.api.split_corpus", lambda *_, **__: None)
    monkeypatch.setattr(
        "distill.pipeline.train_codec_in_stages", lambda *words, **_: (told.extend(words), (None, None))[1]
    )
    monkeypatch.setattr("distill.pipeline.add_prior", lambda *words, **_: told.extend(words))
    numbers: Any = {"epochs": np.int64(2), "minutes": np.float32(8), "seed": np.int32(3)}
    distill.train(tmp_path, tmp_path / "mine.distill", quality="high", **numbers)
    plans = [dataclasses.asdict(one) for one in told if isinstance(one, Plan | StageEnd)]
    assert [json.loads(json.dumps(plan))["epochs"] for plan in plans] == [2, 2, 2]


def test_a_long_first_reading_leaves_the_prior_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a prior of a second, without a word, where the recordings took most of the minutes to read."""
    clock, given, told = [0.0], {}, list[Any]()

    def read(*_: Any, **__: Any) -> SimpleNamespace:
        clock[0] += 5 * 60
        return SimpleNamespace(seconds=60.0)

    def train(stage: str, result: Any) -> Callable[..., Any]:
        def take(*words: Any, **_: Any) -> Any:
            given[stage] = next(word.minutes for word in words if isinstance(word, Plan))
            clock[0] += 60 * given[stage]
            return result

        return take

    monkeypatch.setattr("distill.awake.seconds", lambda: clock[0])
    monkeypatch.setattr("distill.api.import_corpus", read)
    monkeypatch.setattr("distill.api.split_corpus", lambda *_, **__: None)
    monkeypatch.setattr("distill.pipeline.train_codec_in_stages", train("codec", (None, None)))
    monkeypatch.setattr("distill.pipeline.add_prior", train("prior", None))
    distill.train(tmp_path, tmp_path / "mine.distill", minutes=8, callback=told.append)
    assert given["codec"] + given["prior"] == pytest.approx(3)
    assert given["codec"] == pytest.approx(2, rel=0.02)
    (notice,) = told
    assert "Reading the recordings took 5 min, so 3 minutes of 8 min are left" in notice.text
    distill.train(tmp_path, tmp_path / "mine.distill", minutes=4)
    assert given["prior"] == pytest.approx(given["codec"] / 2, rel=0.1), "so little that less than nothing was left"
