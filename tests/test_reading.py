"""Who only reads a run, a library or a folder waits for no library that only training and drawing need."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import distill
import small_distill
from distill.models import Source, save_model

HEAVY = ("torch", "matplotlib", "lightning_fabric", "vector_quantize_pytorch", "safetensors")
ROOMS = ("library", "runs")
"""Every module of these."""
READERS = (
    "distill",
    "distill.recordings.corpus",
    "distill.recordings.split",
    "distill.formats.writing",
    "distill.cli.app",
    "distill.codes.edit",
    "distill.codes.history",
    "distill.models.header",
    "distill.models.health",
    "distill.originality.verdict",
    "distill.report",
    "distill.report.contents",
    "distill.settings",
    "distill.sizes",
    "distill.training",
    "distill.training.metrics",
    "distill.training.plan",
    "distill.training.state_file",
    *(
        f"distill.{room}.{path.stem}"
        for room in ROOMS
        for path in sorted((Path(distill.__file__).parent / room).glob("*.py"))
    ),
    "distill.web.app",
)


def loaded_after(code: str) -> set[str]:
    """The modules of a fresh process that ran the code."""
    told = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nsys.stdout.write(' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(told.stdout.split())


def test_reading_needs_no_pytorch() -> None:
    """Guards against an import at the top of a file that makes every reader wait for seconds."""
    assert not set(HEAVY) & loaded_after("".join(f"import {module}\n" for module in READERS))


def test_opening_a_model_takes_what_it_needs_and_no_more(
    tmp_path: Path, noise: Callable[..., np.ndarray], save: Callable[..., Path]
) -> None:
    """Guards against seconds of imports on every model that is opened: the quantizer library, which only training needs;
    symbolic mathematics, which PyTorch needs to make tables without memory; and drawing, before there is something to draw."""
    path = tmp_path / "m.distill"
    codec = small_distill.small_codec()
    source = Source("a.wav", 0.0, False, torch.zeros(4, 4, dtype=torch.int64))
    save_model(path, small_distill.small_model(codec, small_distill.small_prior(codec.config), (source,), name="m"))
    sound = save(tmp_path / "a.wav", noise(0.2))
    codes, again = tmp_path / "a.codes", tmp_path / "again.wav"
    code = "from contextlib import suppress\nfrom distill.cli.app import main\n"
    for words in (("info", path), ("encode", path, sound, "--out", codes), ("decode", path, codes, "--out", again)):
        code += f"with suppress(SystemExit): main({[str(word) for word in words]})\n"
    found = loaded_after(code)
    assert again.exists()
    assert "torch" in found
    assert not {"vector_quantize_pytorch", "sympy", "matplotlib", "lightning_fabric"} & found


def test_training_draws_nothing_before_it_has_something_to_draw() -> None:
    assert not {"matplotlib", "vector_quantize_pytorch"} & loaded_after("import distill.pipeline\n")
