"""The service with a tiny model, behind a real server: streams, crowds and clients that go away need one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distill.web.service import Limits, create_service

TOKEN = "a-token-of-the-tests-0123456789"
Serving = Callable[..., Any]


@pytest.fixture(scope="session")
def token() -> str:
    return TOKEN


@pytest.fixture(scope="session")
def served(model_files: Path) -> dict[str, Path]:
    """``tiny`` and ``other``."""
    return {name: model_files / f"{name}.distill" for name in ("tiny", "other")}


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
