"""A library in the test's own home, and things to put into it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.files.home import home
from distill.library import GenerationRecord, Library, RunRecord


@pytest.fixture
def told() -> list[str]:
    """What the library had to say."""
    return []


@pytest.fixture
def library(told: list[str]) -> Library:
    return Library(told.append)


@pytest.fixture
def run() -> Callable[..., RunRecord]:
    """``run(number, **fields)``: a training with a folder of its own in Distill's folder."""

    def make(number: int = 0, **fields: Any) -> RunRecord:
        folder = home() / "runs" / f"take-{number}"
        settings = {"minutes": 0.5, "seed": number}
        return RunRecord(**{
            "kind": "codec", "model": f"/models/take-{number}.distill", "folder": "/recordings",
            "events": str(folder / "events.jsonl"), "started": f"2026-01-01T00:00:{number:02}.000000+00:00",
            "settings": settings, **fields,
        })  # fmt: skip

    return make


@pytest.fixture
def piece() -> Callable[..., GenerationRecord]:
    """``piece(seed, **fields)``: new audio."""

    def make(seed: int = 0, **fields: Any) -> GenerationRecord:
        return GenerationRecord(**{
            "made": "2026-01-01T00:00:00+00:00", "model": None, "digest": "d" * 64, "origin": "o" * 64,
            "file": str(Path("/new") / f"a-{seed}.wav"), "sound": "s" * 64, "seed": seed, "verdict": "100 % original",
            "shares": {"original": 1.0}, "request": {"kind": "audio", "seconds": 2.5}, **fields,
        })  # fmt: skip

    return make
