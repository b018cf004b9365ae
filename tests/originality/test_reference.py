"""What is found out about a model's recordings is kept, is the same when it is read again, and is not trusted blindly."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from distill.originality import reference
from distill.originality.reference import MOST_KEPT, Reference, keep, read_kept

DIGEST = "a" * 64


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path))
    return tmp_path


def found_out(count: int = 3) -> tuple[list[reference.Picture], Reference]:
    draw = torch.Generator().manual_seed(0)
    pictures = [(torch.randn(100 + n, 64, generator=draw), torch.rand(100 + n, generator=draw)) for n in range(count)]
    return pictures, Reference(np.linspace(0, 1, 7), (np.linspace(0, 2, 7), np.linspace(0, 1, 7)), True)


def test_what_is_kept_is_read_again_to_the_bit() -> None:
    pictures, natural = found_out()
    keep(DIGEST, pictures, natural)
    again = read_kept(DIGEST)
    assert again is not None
    for (mel, power), (mel_again, power_again) in zip(pictures, again[0], strict=True):
        assert torch.equal(mel, mel_again)
        assert torch.equal(power, power_again)
    np.testing.assert_array_equal(again[1].similarity, natural.similarity)
    assert [runs.tolist() for runs in again[1].runs] == [runs.tolist() for runs in natural.runs]
    assert again[1].is_widened
    assert read_kept("b" * 64) is None
    assert read_kept(None) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_one_is_found_out_again(at_home: Path, content: bytes) -> None:
    """Guards against a cache whose damage ends the work it was to spare."""
    keep(DIGEST, *found_out())
    (kept,) = (at_home / "references").iterdir()
    kept.write_bytes(content)
    assert read_kept(DIGEST) is None


def test_only_the_newest_are_kept(at_home: Path) -> None:
    for number in range(MOST_KEPT + 2):
        keep(f"{number:02}" * 32, *found_out(1))
        os.utime(at_home / "references" / f"{f'{number:02}' * 32}-{reference._WAY}.safetensors", (number, number))
    kept = sorted(file.name[:2] for file in (at_home / "references").iterdir())
    assert kept == [f"{number:02}" for number in range(2, MOST_KEPT + 2)]


def test_a_disk_that_refuses_costs_only_time(at_home: Path) -> None:
    (at_home / "references").write_text("a file stands where the folder is needed")
    keep(DIGEST, *found_out())
    assert read_kept(DIGEST) is None
