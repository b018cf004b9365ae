"""Training as the terminal shows it."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from distill.cli.training_view import TrainingView
from distill.training.metrics import VQEpochMetrics, VQStepMetrics


def _step(number: int, distance: float) -> VQStepMetrics:
    return VQStepMetrics(1, number, 2, 3.7, distance, 0.1, 1e-3, 0.1, 4.0, number / 4, 10.0)


def test_both_distances_of_an_epoch_are_the_same_measure(capsys: pytest.CaptureFixture[str]) -> None:
    """Guards against "train 3.69  held-out 1.37", a loss of five parts beside a mel distance."""
    with TrainingView() as view:
        for number, distance in enumerate((1.4, 1.7), 1):
            view(_step(number, distance))
        view(VQEpochMetrics(1, 2, 3.7, 1.37, 1.37, (), "", 1.0, 1e-3))
        view(_step(3, 1.2))
        view(VQEpochMetrics(2, 2, 3.1, 1.3, 1.3, (), "", 1.0, 1e-3))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("codec")]
    assert [line.split("  ")[-3:] for line in lines] == [
        ["train 1.55", "held-out 1.37", "kept 1.37"],
        ["train 1.20", "held-out 1.30", "kept 1.30"],
    ]


@pytest.mark.parametrize(("refuses", "code"), [("write_text", errno.ENOSPC), ("replace", errno.EACCES)])
def test_a_progress_that_cannot_be_told_ends_no_training(
    refuses: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a training that fails because the disk was full for a moment, or because the page was just reading the
    file, which Windows does not let anybody replace then."""
    told = tmp_path / "progress.json"
    monkeypatch.setenv("DISTILL_PROGRESS", str(told))

    def refuse(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code), str(path))

    with TrainingView() as view:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(Path, refuses, refuse)
            view(_step(1, 1.4))
        assert view.is_training()
        view.progress("Measuring", 1, 2)
    assert json.loads(told.read_bytes())["step"] == "Measuring"
