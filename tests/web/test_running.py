"""The server that other tests use: it ends with the test, and says so where it cannot begin."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI


def test_a_test_that_fails_ends_its_server(running: Callable[..., Any]) -> None:
    """Guards against one failed assertion that holds up the whole run: pytest would wait for the server's thread for ever."""
    with pytest.raises(AssertionError, match="wrong"), running(lambda _: FastAPI()) as address:
        raise AssertionError("wrong")
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # uvicorn's way to end it
def test_a_server_that_cannot_begin_is_not_waited_for(running: Callable[..., Any]) -> None:
    """Guards against waiting for ever for a server that has ended already."""

    @asynccontextmanager
    async def fails(_: FastAPI) -> AsyncIterator[None]:
        raise OSError("It has no disk.")
        yield

    with pytest.raises(AssertionError, match="could not begin"), running(lambda _: FastAPI(lifespan=fails)):
        pytest.fail("it began")
