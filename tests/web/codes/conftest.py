"""The dashboard's server, and a tiny model in its library."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from distill.library import Library
from distill.web import places
from distill.web.app import create_app
from distill.web.guard import Door


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of the dashboard, behind its guard, in this process: it sees each test's own home."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = uvicorn.Server(
        uvicorn.Config(create_app(Door(port=port)), "127.0.0.1", port, http="h11", ws="none", log_level="error")
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join()


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=60) as one:
        yield one


@pytest.fixture
def model(tiny: Path) -> str:
    """The page's name for the tiny model, which is in the library."""
    return places.model_id(Library(lambda _: None).note_model(tiny))
