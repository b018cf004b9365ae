"""Every error of the tree is met on the command line: its own exit code, words and a way out, no traceback."""

import inspect
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distill import errors
from distill.cli import app
from distill.files.home import home

Words = list[object]


def no_folder(here: Path, models: Path, corpus: Path) -> Words:
    return ["check", here / "nowhere"]


def no_audio(here: Path, models: Path, corpus: Path) -> Words:
    (here / "a.wav").write_text("words")
    return ["encode", models / "tiny.distill", here / "a.wav"]


def no_model(here: Path, models: Path, corpus: Path) -> Words:
    return ["info", here / "a.distill"]


def no_prior(here: Path, models: Path, corpus: Path) -> Words:
    return ["generate", models / "bare.distill"]


def a_damaged_state(here: Path, models: Path, corpus: Path) -> Words:
    run = home() / "runs" / "bare-20260101-000000"
    run.mkdir(parents=True)
    (run / "refinement.state").write_text("words")
    return ["train", corpus, "--resume", models / "bare.distill"]


def no_such_name(here: Path, models: Path, corpus: Path) -> Words:
    return ["info", "never-made"]


def no_codes(here: Path, models: Path, corpus: Path) -> Words:
    return ["decode", models / "tiny.distill", here / "a.codes"]


def a_setting_out_of_range(here: Path, models: Path, corpus: Path) -> Words:
    return ["generate", models / "tiny.distill", "--seconds", 1e6]


def no_such_device(here: Path, models: Path, corpus: Path) -> Words:
    missing = "cuda" if torch.backends.mps.is_available() else "mps"
    return ["generate", models / "tiny.distill", "--device", missing]


def nowhere_to_write(here: Path, models: Path, corpus: Path) -> Words:
    (here / "file").touch()
    return ["generate", models / "tiny.distill", "--out", here / "file" / "new"]


def a_loss_that_is_no_number(here: Path, models: Path, corpus: Path) -> Words:
    return ["train", corpus, "--epochs", 1]


def a_rank_that_never_comes(here: Path, models: Path, corpus: Path) -> Words:
    return ["train", corpus, "--nodes", 2, "--device", "cpu"]


WAYS: dict[type[errors.DistillError], Callable[[Path, Path, Path], Words]] = {
    errors.CorpusError: no_folder,
    errors.AudioFileError: no_audio,
    errors.ModelFileError: no_model,
    errors.MissingPriorError: no_prior,
    errors.StateFileError: a_damaged_state,
    errors.LibraryError: no_such_name,
    errors.CodesFileError: no_codes,
    errors.SettingError: a_setting_out_of_range,
    errors.DeviceError: no_such_device,
    errors.OutputError: nowhere_to_write,
    errors.TrainingError: a_loss_that_is_no_number,
    errors.RankError: a_rank_that_never_comes,
}
"""How a person comes to meet each of them. A new error gets its line here."""


def test_every_error_of_the_tree_has_its_way() -> None:
    """Guards against an error that nobody has ever seen as a person sees it."""
    tree = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.DistillError)]
    leaves = {one for one in tree if not one.__subclasses__()}
    assert len(leaves) >= 10
    assert leaves == set(WAYS)


@pytest.mark.usefixtures("tiny_training")
@pytest.mark.parametrize("kind", WAYS, ids=lambda kind: kind.__name__)
def test_it_is_met_in_words(
    kind: type[errors.DistillError],
    distill: Callable[..., Any],
    model_files: Path,
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    met: list[errors.DistillError] = []
    end = app._end
    monkeypatch.setattr(app, "_end", lambda error, debug: (met.append(error), end(error, debug)))
    if kind is errors.TrainingError:
        request.getfixturevalue("hopeless_training")
    if kind is errors.RankError:
        monkeypatch.setattr("distill.training.launch.JOIN_S", 0.5)
        monkeypatch.setenv("NODE_RANK", "0")
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            monkeypatch.setenv("MASTER_PORT", str(free.getsockname()[1]))
    answer = distill(*WAYS[kind](tmp_path, model_files, small_corpus))
    assert [type(error) for error in met] == [kind]
    answer.refused(code=kind.exit_code)
    seen = " ".join(answer.err.split())
    assert met[0].what in seen
    assert met[0].fix in seen
