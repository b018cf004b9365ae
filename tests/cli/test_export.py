"""``distill export`` as a person meets it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_for_max_and_pure_data(distill: Callable[..., Any], tiny: Path) -> None:
    answer = distill("export", tiny, "--format", "nn~")
    assert answer.code == 0
    for words in ("tiny.ts", "null test, decoder", "latency", "real time", "dB"):
        assert words in answer.err
    again = distill("export", tiny, "--format", "nn~", "--out", "new/mine.ts", "--json").json
    assert Path(again["path"]) == Path("new/mine.ts").resolve()
    assert again["null_test_db"] < -80
    assert again["equal_codes"] == 1
    distill("export", tiny, "--format", "nn~", "--out", "new")
    assert Path("new/tiny.ts").exists()  # nn~ knows a model by this ending


def test_a_folder_for_hugging_face_is_a_model(distill: Callable[..., Any], tiny: Path) -> None:
    answer = distill("export", tiny, "--format", "hub", "--out", "new/hub")
    assert answer.code == 0
    assert "no bit differs" in answer.err
    assert "can decode and hear them" in " ".join(answer.err.split())
    assert distill("generate", "new/hub/model.safetensors", "--seconds", 0.5).code == 0


def test_a_model_without_a_prior(distill: Callable[..., Any], model_files: Path) -> None:
    answer = distill("export", model_files / "bare.distill", "--format", "onnx")
    assert answer.code == 0
    assert "only its codec was exported" in " ".join(answer.err.split())
    assert sorted(path.name for path in Path("bare-onnx").iterdir()) == ["decoder.onnx", "distill.json", "encoder.onnx"]


def test_a_loud_difference_is_explained(
    distill: Callable[..., Any], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a warning that reads as if the export were broken: rounding may have chosen another of two equal peaks."""
    monkeypatch.setattr("distill.cli.export.LOUD_DB", -1000.0)
    answer = distill("export", tiny, "--format", "nn~", "--out", "loud.ts")
    assert answer.code == 0
    assert "Rounding alone can do that where two neighbouring frequencies are equally loud" in " ".join(
        answer.err.split()
    )


@pytest.mark.parametrize("kind", ["nn~", "hub", "onnx", "web"])
def test_what_exists_stays(kind: str, distill: Callable[..., Any], tiny: Path) -> None:
    taken = Path("mine.ts")
    taken.write_text("mine")
    distill("export", tiny, "--format", kind, "--out", taken).refused("already exists", "--out")
    assert taken.read_text() == "mine"


def test_words_that_are_refused(distill: Callable[..., Any], tiny: Path) -> None:
    distill("export", tiny).refused("--format")
    distill("export", tiny, "--format", "vst").refused("vst", "nn~")
    distill("export", "nowhere.distill", "--format", "hub").refused("nowhere")
    distill("export", tiny, "--format", "onnx", "--out", "new.onnx").refused("named like a file", "folder")
    assert not Path("new.onnx").exists()
    Path("file").touch()
    distill("export", tiny, "--format", "hub", "--out", "file/new").refused("file")
