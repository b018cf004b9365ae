"""The server as a program asks it, and a tiny model in the library."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from distill.library import Library
from distill.web import places


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=300) as one:
        yield one


@pytest.fixture
def model(tiny: Path) -> str:
    """The page's name for the tiny model, which is in the library."""
    return places.model_id(Library(lambda _: None).note_model(tiny))
