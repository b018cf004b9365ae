"""The app without a server, to which requests go straight, and with one; and models in a tiny size."""

import asyncio
import dataclasses
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import torch
from fastapi import FastAPI

import small_distill
from distill.library import GenerationRecord, Library
from distill.models import save_model
from distill.models.model_file import Source
from distill.web import places
from distill.web.app import create_app
from distill.web.guard import Door
from distill.web.server import listening

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGE = "http://127.0.0.1:8765"
PATIENCE_MS = 30_000
ENDS_WITHIN_S = 120
"""So long may a server take for what was asked of it last; a test that failed may have left a connection open for ever."""


class Client:
    """Asks an app one thing after the other, and keeps its cookies."""

    def __init__(self, app: FastAPI, page: str = PAGE) -> None:
        self._app, self._page, self._cookies = app, page, httpx.Cookies()

    def request(self, method: str, path: str, **told: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=self._page, cookies=self._cookies) as asks:
                answer = await asks.request(method, path, **told)
                self._cookies = asks.cookies
                return answer

        return asyncio.run(ask())

    def get(self, path: str, **told: Any) -> httpx.Response:
        return self.request("GET", path, **told)

    def post(self, path: str, **told: Any) -> httpx.Response:
        return self.request("POST", path, **told)

    def put(self, path: str, **told: Any) -> httpx.Response:
        return self.request("PUT", path, **told)

    def delete(self, path: str, **told: Any) -> httpx.Response:
        return self.request("DELETE", path, **told)


@pytest.fixture
def ask() -> type[Client]:
    return Client


@pytest.fixture
def client() -> Iterator[Client]:
    app = create_app(Door())
    yield Client(app)
    app.state.worker.close()


def _save(path: Path, seed: int) -> Path:
    codec = small_distill.small_codec(seed, num_quantizers=2)
    prior = small_distill.small_prior(codec.config, context=32)
    sources = tuple(
        Source(f"take-{number}.wav", 0.0, number == 2, torch.randint(0, 32, (50, 2))) for number in range(3)
    )
    model = small_distill.small_model(
        codec, prior, sources, name=path.stem, file_count=3, seconds=3.2, codec_training={"seed": seed}
    )
    return save_model(path, dataclasses.replace(model, code_counts=torch.randint(0, 9, (2, 32))))


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``tiny.distill`` and ``other.distill``."""
    folder = tmp_path_factory.mktemp("models")
    _save(folder / "tiny.distill", 0)
    _save(folder / "other.distill", 1)
    return folder


@pytest.fixture
def tiny(model_files: Path, tmp_path: Path) -> Path:
    """A model file that a test may change."""
    return Path(shutil.copy(model_files / "tiny.distill", tmp_path / "tiny.distill"))


@contextmanager
def _running(create: Callable[[int], Any], shutdown_s: int | None = None) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = listening(create(port), "127.0.0.1", port, shutdown_s)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server could not begin"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(ENDS_WITHIN_S)
    assert not thread.is_alive(), "the server does not end"


@pytest.fixture(scope="session")
def running() -> Callable[..., Any]:
    """``with running(create) as address``: the app that ``create(port)`` gives, behind a real server in this process."""
    return _running


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of the dashboard, behind its guard: it sees each test's own home."""
    with _running(lambda port: create_app(Door(port=port))) as address:
        yield address


@pytest.fixture
def note_piece(tiny: Path, small_corpus: Path, tmp_path: Path) -> Callable[..., str]:
    """Notes a piece of 0.8 s of the tiny model, asked for in this way; gives the page's name for the model."""

    def note(seed: int = 0, take: int = 0, **request: Any) -> str:
        library = Library(lambda _: None)
        entry = library.note_model(tiny)
        path = Path(shutil.copy(small_corpus / f"take-{take}.wav", tmp_path / f"tiny-{take}.wav"))
        by = ("2026-01-01T00:00:00+00:00", str(tiny), entry.digest, entry.origin)
        asked = {"kind": "audio", "seconds": 0.8} | request
        library.add_generations([GenerationRecord(*by, str(path), "s" * 64, seed, "fine", {}, asked)])
        return places.model_id(entry)

    return note


_AT_REST = """async () => {
    const changes = () => new Promise((told) => {
        const seen = new MutationObserver(() => end(true)), patience = setTimeout(() => end(false), 150);
        const end = (has) => { clearTimeout(patience); seen.disconnect(); told(has); };
        seen.observe(document, { attributes: true, characterData: true, childList: true, subtree: true });
    });
    const isBusy = () => document.querySelector("main[aria-busy], [aria-busy=true]:empty")
        || [...document.images].some((one) => one.loading !== "lazy" && !one.complete)
        || document.getAnimations().some((one) =>
            one.playState === "running" && Number.isFinite(one.effect.getComputedTiming().endTime));
    while (await changes() || isBusy()) ;
}"""


@pytest.fixture(scope="session")
def at_rest() -> "Callable[[Page], None]":
    """``at_rest(page)`` waits until all is drawn that there is to draw: nothing is read, moves or has changed for a moment."""

    def wait(page: "Page") -> None:
        page.wait_for_function("() => !document.querySelector('main[aria-busy], [aria-busy=true]:empty')")
        page.evaluate(_AT_REST)

    return wait


@pytest.fixture(scope="session")
def until() -> "Callable[[Page, Callable[[], bool]], None]":
    """``until(page, is_so)`` lets the page go on until that is so; not for ever."""

    def wait(page: "Page", is_so: Callable[[], bool]) -> None:
        ends = time.monotonic() + PATIENCE_MS / 1000
        while not is_so():
            assert time.monotonic() < ends, "it did not come"
            page.wait_for_timeout(10)

    return wait


@pytest.fixture
def page(browser: "Browser", server: str) -> "Iterator[Page]":
    """A page on which nothing may go wrong unseen."""
    from playwright.sync_api import expect

    window = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=server)
    opened = window.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    # What the page still asks for is answered first: a test's own answer to a window that is closed is an error.
    opened.unroute_all(behavior="wait")
    window.close()
    assert wrong == []


@pytest.fixture(scope="session")
def promised() -> list[Any]:
    """What schemathesis holds of every answer: all but that every well-formed request is granted, as a model that is not
    there is refused."""
    from schemathesis import checks

    return [
        checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
        checks.unsupported_method,
    ]
