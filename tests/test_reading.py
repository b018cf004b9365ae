"""Who only reads a run, a library or a folder waits for no library that only training and drawing need."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from distill.models import CodePrior, ConvVQVAE, Model, PriorConfig, Source, VQVAEConfig, save_model
from distill.models.model_file import CorpusRecord, new_header

HEAVY = ("torch", "matplotlib", "lightning_fabric", "vector_quantize_pytorch", "safetensors")
READERS = (
    "distill",
    "distill.audio.corpus",
    "distill.audio.split",
    "distill.audio.writing",
    "distill.cli.app",
    "distill.codes.edit",
    "distill.codes.history",
    "distill.library",
    "distill.library.moving",
    "distill.library.rebuilding",
    "distill.library.trash",
    "distill.models.header",
    "distill.models.health",
    "distill.originality.verdict",
    "distill.report",
    "distill.runs.events",
    "distill.runs.journal",
    "distill.runs.status",
    "distill.settings",
    "distill.sizes",
    "distill.training",
    "distill.training.metrics",
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


@pytest.mark.parametrize("module", ["distill.evaluation.codec_files", "distill.models.model_file"])
def test_opening_a_model_needs_no_quantizer_library(module: str) -> None:
    code = f"import {module}\nfrom distill.models import ConvVQVAE, VQVAEConfig\nConvVQVAE(VQVAEConfig()).eval()\n"
    assert "vector_quantize_pytorch" not in loaded_after(code)


def test_training_draws_nothing_before_it_has_something_to_draw() -> None:
    assert "matplotlib" not in loaded_after("import distill.pipeline\n")


def test_opening_a_model_imports_no_symbolic_mathematics(tmp_path: Path) -> None:
    """Guards against a second of imports that PyTorch needs to make tables without memory, on every model that is opened."""
    path = tmp_path / "m.distill"
    codec = ConvVQVAE(VQVAEConfig(hidden_size=16, latent_size=8, codebook_size=16, num_quantizers=2))
    prior = CodePrior(PriorConfig(16, 2, hidden_size=16, num_layers=1, num_heads=2, context=32))
    record = CorpusRecord(fingerprint="0" * 64, file_count=1, seconds=1.0, split_seed=0)
    header = new_header("m", codec.config, record, codec_training={}, prior=prior.config)
    source = Source("a.wav", 0.0, False, torch.zeros(4, 2, dtype=torch.int64))
    save_model(path, Model(header, codec, torch.ones(2, 16, dtype=torch.int64), prior, (source,)))
    code = f"from pathlib import Path\nfrom distill.models import load_model\nload_model(Path({str(path)!r}))\n"
    assert "sympy" not in loaded_after(code)
