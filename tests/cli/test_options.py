"""Options out of range: refused in words, before anything is spent or written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

Distill = Callable[..., Any]


@pytest.fixture(autouse=True)
def _nothing_is_read_or_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against an option that is looked at only once the recordings are read, or after minutes of training."""

    def spent(*_: object, **__: object) -> None:
        raise AssertionError("the recordings were read, or training began")

    # import_corpus begins with ``listed``. It is not replaced itself: what is first imported meanwhile would keep what stands
    # in its place.
    for work in ("pipeline.train_vqvae", "pipeline.train_prior", "recordings.corpus.listed"):
        monkeypatch.setattr(f"distill.{work}", spent)


@pytest.mark.parametrize(
    ("option", "value", "needed"),
    [
        ("--top-p", "3", "up to 1"),
        ("--top-p", "0", "above 0"),
        ("--top-p", "nan", "above 0"),
        ("--temperature", "-1", "0 to 5"),
        ("--temperature", "nan", "0 to 5"),
        ("--top-k", "-2", "0 (all codes) or more"),
        ("--seconds", "-1", "0.5 to 600"),
        ("--seconds", "10000", "0.5 to 600"),
        ("--seconds", "nan", "0.5 to 600"),
        ("--seconds", "inf", "0.5 to 600"),
        ("--count", "0", "1 to 64"),
        ("--count", "65", "1 to 64"),
        ("--bit-depth", "12", "16 or 24 or 32"),
    ],
)
def test_generate(
    option: str, value: str, needed: str, distill: Distill, tiny: Path, tmp_path: Path, tree: Callable[..., Any]
) -> None:
    before = tree(tmp_path)
    distill("generate", tiny, option, value, "--out", tmp_path / "new").refused(value, needed)
    assert tree(tmp_path) == before


def test_flac_has_no_32_bits(distill: Distill, tiny: Path, tmp_path: Path, tree: Callable[..., Any]) -> None:
    before = tree(tmp_path)
    answer = distill("generate", tiny, "--format", "flac", "--bit-depth", "32", "--out", tmp_path / "new")
    answer.refused("flac with 32 bits", "16 or 24", "wav for 32")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("option", "value", "needed"),
    [
        ("--rvq-levels", "9", "2 to 4"),
        ("--rvq-levels", "1", "2 to 4"),
        ("--codebook-size", "100000", "16 to 1024"),
        ("--commitment-weight", "nan", "0 to 10"),
        ("--channels", "5", "1 (mono) or 2 (stereo)"),
        ("--minutes", "0", "more than 0"),
        ("--minutes", "-1", "more than 0"),
        ("--minutes", "nan", "more than 0"),
        ("--minutes", "inf", "more than 0"),
        ("--epochs", "0", "1 or more"),
        ("--epochs", "-3", "1 or more"),
        ("--precision", "16", "bf16"),
    ],
)
def test_train(
    option: str, value: str, needed: str, distill: Distill, small_corpus: Path, tmp_path: Path, tree: Callable[..., Any]
) -> None:
    before = tree(tmp_path)
    distill("train", small_corpus, option, value, "--device", "cpu", "--out", tmp_path / "new").refused(
        option, value, needed
    )
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "found", "needed"),
    [
        (["--hidden-size", "30", "--heads", "7"], "--hidden-size 30 with --heads 7", "multiple of twice heads 7"),
        (["--hidden-size", "31"], "--hidden-size 31", "multiple of twice heads"),
        (["--heads", "0"], "--heads 0", "1 to 64"),
        (["--layers", "1000"], "--layers 1000", "1 to 48"),
        (["--hidden-size", "-8"], "--hidden-size -8", "8 to 4096"),
        (["--precision", "16", "--device", "cpu"], "16", "bf16"),
        (["--lr", "nan"], "--lr nan", "0.1"),
        (["--lr", "3"], "--lr 3", "0.1"),
        (["--minutes", "0"], "0 minutes", "more than 0"),
        (["--epochs", "0"], "0 epochs", "1 or more"),
    ],
)
def test_train_prior(
    options: list[str], found: str, needed: str, distill: Distill, tiny: Path, small_corpus: Path
) -> None:
    before = tiny.read_bytes()
    distill("train-prior", tiny, small_corpus, *options).refused(found, needed)
    assert tiny.read_bytes() == before


@pytest.mark.parametrize(
    ("option", "value", "needed"),
    [
        ("--minutes", "0", "more than 0"),
        ("--minutes", "-1", "-1 minutes"),
        ("--minutes", "nan", "more than 0"),
        ("--seconds", "10000", "0.5 to 600"),
        ("--count", "0", "1 to 64"),
        ("--channels", "5", "1 (mono) or 2 (stereo)"),
        ("--name", "a/b", "without any of /"),
        ("--rvq-levels", "9", "2 to 4"),
        ("--codebook-size", "5", "16 to 1024"),
        ("--precision", "16", "bf16"),
    ],
)
def test_run(
    option: str, value: str, needed: str, distill: Distill, small_corpus: Path, tmp_path: Path, tree: Callable[..., Any]
) -> None:
    """Guards against a length of the new audio that is refused only after eight minutes of training."""
    before = tree(tmp_path)
    distill("run", small_corpus, option, value, "--device", "cpu").refused(value, needed)
    assert tree(tmp_path) == before


def test_demo(distill: Distill, tmp_path: Path, tree: Callable[..., Any]) -> None:
    before = tree(tmp_path)
    distill("demo", "--minutes", "-1").refused("-1 minutes", "more than 0")
    assert tree(tmp_path) == before


def test_a_second_demo(distill: Distill, tmp_path: Path, tree: Callable[..., Any]) -> None:
    """Guards against recordings that are made for nothing, and against the advice of an option that demo has not."""
    (tmp_path / "demo.distill").touch()
    before = tree(tmp_path)
    answer = distill("demo", "--out", tmp_path)
    answer.refused(f"{tmp_path / 'demo.distill'} already exists.", "Choose another --out")
    assert "--name" not in answer.err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("count", ["0", "-3", "65"])
@pytest.mark.parametrize(
    "words",
    [
        ["--loop", "--seconds", 1, "--max-similarity", 50],
        ["--originality", "original"],
        ["--infill", "noise.wav", "--from", 0.1, "--to", 0.3],
    ],
)
def test_how_many_pieces_of_any_kind(
    words: list[Any],
    count: str,
    distill: Distill,
    tiny: Path,
    save: Any,
    noise: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Guards against kinds of audio that are made in any number: none, or minus three seconds of it."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "noise.wav", noise(1.0))
    distill("generate", tiny, "--count", count, *words).refused(count, "1 to 64")


@pytest.mark.parametrize("verb", ["run", "train", "train-prior", "generate", "encode", "decode", "reconstruct"])
def test_a_device_that_is_not_there(
    verb: str, distill: Distill, tiny: Path, small_corpus: Path, tmp_path: Path
) -> None:
    absent = "mps" if torch.cuda.is_available() else "cuda"
    words = {
        "run": [small_corpus],
        "train": [small_corpus],
        "train-prior": [tiny, small_corpus],
        "generate": [tiny],
        "encode": [tiny, small_corpus / "take-0.wav"],
        "decode": [tiny, tmp_path / "a.codes"],
        "reconstruct": [tiny, small_corpus, "--out", tmp_path / "new"],
    }[verb]
    distill(verb, *words, "--device", absent).refused(absent, "cpu", "--device auto")


def test_a_folder_or_a_model_in_place_of_a_command_is_told_its_command(
    distill: Distill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against "No such command 'my-recordings'", where nothing but "run" was left out."""
    monkeypatch.chdir(tmp_path)
    Path("my takes").mkdir()
    distill("my takes").refused("my takes is a folder", "To learn its sound: distill run 'my takes'")
    distill("mine.distill").refused("mine.distill is a model", "distill generate mine.distill")
    Path("run").mkdir()
    distill("run").refused("Missing argument")
    distill("nothing").refused("No such command")
