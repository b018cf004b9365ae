"""The service with a tiny model, behind a real server: streams, crowds and clients that go away need one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill.models import load_model, save_model
from distill.models.sound import sound_from
from distill.web.service import Limits, create_service

TOKEN = "a-token-of-the-tests-0123456789"
Serving = Callable[..., Any]


@pytest.fixture(scope="session")
def token() -> str:
    return TOKEN


@pytest.fixture(scope="session")
def served(model_files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """``tiny`` and ``other``, and ``given``, which has its recordings with it."""
    draw, model = np.random.default_rng(5), load_model(model_files / "tiny.distill")
    sources = tuple(replace(one, sha256=f"{number}" * 64) for number, one in enumerate(model.sources))
    sounds = tuple(
        sound_from(one.sha256, 0.1 * draw.standard_normal((1, 50 * model.codec.hop), np.float32))
        for one in sources
        if not one.held_out
    )
    given = tmp_path_factory.mktemp("given") / "given.distill"
    save_model(given, replace(model, sources=sources, sounds=sounds))
    return {**{name: model_files / f"{name}.distill" for name in ("tiny", "other")}, "given": given}


@pytest.fixture(scope="session")
def serving(running: Callable[..., Any]) -> Serving:
    """``with serving(models, limits) as address``"""

    def start(models: dict[str, Path], limits: Limits) -> Any:
        return running(lambda _: create_service(models, TOKEN, limits), shutdown_s=5)

    return start


@pytest.fixture(scope="module")
def address(serving: Serving, served: dict[str, Path]) -> Iterator[str]:
    """Of a service of one worker that takes up to eight seconds."""
    with serving(served, Limits(longest_seconds=8, workers=1, waiting=4)) as found:
        yield found
