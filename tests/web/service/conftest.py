"""The service with a tiny model, behind a real server: streams, crowds and clients that go away need one."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from distill.web.service import Limits, create_service

TOKEN = "a-token-of-the-tests-0123456789"
Serving = Callable[..., Any]


@contextmanager
def _serving(models: dict[str, Path], limits: Limits) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(
        create_service(models, TOKEN, limits),
        "127.0.0.1",
        port,
        http="h11",
        ws="none",
        log_level="error",
        timeout_graceful_shutdown=5,
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def token() -> str:
    return TOKEN


@pytest.fixture(scope="session")
def served(model_files: Path) -> dict[str, Path]:
    """``tiny`` and ``other``."""
    return {name: model_files / f"{name}.distill" for name in ("tiny", "other")}


@pytest.fixture(scope="session")
def serving() -> Serving:
    """``with serving(models, limits) as address``"""
    return _serving


@pytest.fixture(scope="module")
def address(serving: Serving, served: dict[str, Path]) -> Iterator[str]:
    """Of a service of one worker that takes up to eight seconds."""
    with serving(served, Limits(longest_seconds=8, workers=1, waiting=4)) as found:
        yield found
