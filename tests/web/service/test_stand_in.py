"""The service with a stand-in for the process that makes sound: how it ends, and who gets a place."""

import asyncio
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from distill.errors import DistillError, InputError
from distill.models.header import read_header
from distill.web import pool
from distill.web.service import Limits, create_service


class Busy:
    """A worker that gives signs of life and no sound, until it is closed."""

    pid = 1

    def __init__(self) -> None:
        self.asked, self._is_closed = threading.Event(), threading.Event()

    def parts(self, do: str, **_: Any) -> Generator[tuple[dict[str, Any], bytes], None, None]:
        self.asked.set()
        while not self._is_closed.wait(0.5):
            yield {}, b""
        raise DistillError("It ended.", "Ask again.")

    def close(self, *, at_once: bool = False) -> None:
        self._is_closed.set()


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Busy:
    worker = Busy()
    monkeypatch.setattr(pool, "Worker", lambda: worker)
    return worker


def test_a_server_that_ends_tells_who_waits_for_the_first_part(
    busy: Busy, running: Any, served: dict[str, Path], token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Guards against "generator already executing", a 500 and a traceback, where Ctrl-C meets a worker that is at work."""
    answers: list[httpx.Response] = []

    def ask() -> None:
        known = {"authorization": f"Bearer {token}"}
        asked = {"seconds": 1, "format": "flac"}
        answers.append(httpx.post(f"{address}/v1/models/tiny/generate", json=asked, headers=known, timeout=30))

    client = threading.Thread(target=ask)
    with running(lambda _: create_service(served, token, Limits()), shutdown_s=0) as address:
        client.start()
        assert busy.asked.wait(10)
    client.join()
    assert answers[0].status_code == 503
    assert answers[0].json()["what"] == "The server is ending."
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("verb", ["encode", "decode", "edit", "generate"])
def test_no_body_is_read_without_a_place(busy: Busy, served: dict[str, Path], token: str, verb: str) -> None:
    """Guards against 18 MB that are read and parsed for each of any number of clients: what is no JSON would be told before
    the places are asked for."""
    app = create_service(served, token, Limits(workers=1, waiting=0))

    async def ask() -> list[int]:
        known = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=known) as asks:
            async with app.state.pool.place():
                taken = await asks.post(f"/v1/models/tiny/{verb}", content=b"{")
            unknown = await asks.post(f"/v1/models/none/{verb}", content=b"{")
        return [taken.status_code, unknown.status_code]

    assert asyncio.run(ask()) == [503, 404]


@pytest.mark.parametrize(("seconds", "status"), [(8.0, 503), (9.0, 413)])
def test_a_body_of_the_longest_sound_is_taken_at_any_usual_rate(
    busy: Busy, served: dict[str, Path], token: str, seconds: float, status: int
) -> None:
    """Guards against a recording at 192 kHz that is refused for its size though it lasts a third of what is taken."""
    app = create_service(served, token, Limits(longest_seconds=8, workers=1, waiting=0))
    sound = bytes(round(seconds * 192_000 * 2 * 4))

    async def ask() -> int:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as asks, app.state.pool.place():
            known = {"authorization": f"Bearer {token}"}
            return (await asks.post("/v1/models/tiny/encode", content=sound, headers=known)).status_code

    assert asyncio.run(ask()) == status, "503 is of the place, which is asked for after the size"


def test_a_client_is_told_no_path_of_a_server_on_windows(
    busy: Busy, served: dict[str, Path], token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against the server's folders in what a client is told, as only paths with slashes were taken out."""

    def ask(_: str, *, audio: str, **__: Any) -> None:
        raise InputError(f"{Path(audio).parent}\\sound cannot be read.", "Send another one.")

    monkeypatch.setattr(busy, "ask", ask, raising=False)
    monkeypatch.setattr("distill.web.service.os.sep", "\\")

    async def encode() -> httpx.Response:
        transport = httpx.ASGITransport(app=create_service(served, token))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as asks:
            known = {"authorization": f"Bearer {token}"}
            return await asks.post("/v1/models/tiny/encode", content=b"sound", headers=known)

    assert asyncio.run(encode()).json()["what"] == "sound cannot be read."


def test_no_answer_is_kept_or_guessed_at(served: dict[str, Path], token: str) -> None:
    """Guards against somebody's sound in the cache of a proxy between, which others are then answered from."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=create_service(served, token))
        async with httpx.AsyncClient(transport=transport, base_url="http://studio") as asks:
            known = {"authorization": f"Bearer {token}"}
            return [await asks.get(path, headers=known) for path in ("/v1/models", "/nothing")] + [await asks.get("/")]

    answers = asyncio.run(ask())
    assert [answer.status_code for answer in answers] == [200, 404, 401]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_only_the_model_that_is_asked_for_is_looked_at_and_others_are_answered_meanwhile(
    served: dict[str, Path], token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a server that stands still while it reads the header of every model, at each request."""
    read: list[Path] = []
    goes_on = threading.Event()

    def slowly(path: Path) -> Any:
        read.append(path)
        assert goes_on.wait(2)
        return read_header(path)

    async def both() -> int:
        monkeypatch.setattr("distill.web.service.read_header", slowly)
        known = {"authorization": f"Bearer {token}"}
        there = httpx.ASGITransport(create_service(served, token, Limits(longest_seconds=2)))
        async with httpx.AsyncClient(transport=there, base_url="http://studio", headers=known) as asks:
            first = asyncio.create_task(asks.post("/v1/models/tiny/generate", json={"seconds": 3}))
            while not read:
                assert not first.done(), first.result()
                await asyncio.sleep(0.01)
            assert (await asks.get("/v1/openapi.json")).status_code == 200
            goes_on.set()
            return (await first).status_code

    assert asyncio.run(both()) == 400
    assert read == [served["tiny"]]
