"""The copy of a model with its recordings in it: it waits until it was taken, and no longer."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from distill.files.home import home
from distill.web.app import create_app
from distill.web.guard import Door

JOB = "20261130-100500-000000-gift"
SIZE = 200_000


@pytest.fixture
def gift() -> Path:
    """A copy that a job has written."""
    path = home().resolve() / "gifts" / "a.distill"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"m" * SIZE)
    job = home() / "jobs" / JOB
    job.mkdir(parents=True)
    about = {"kind": "gift", "title": "x", "lane": "library", "commands": [["models"]], "about": {}}
    (job / "job.json").write_text(json.dumps({**about, "created": "2026-11-30T10:05:00.000+00:00"}))
    (job / "ended.json").write_text('{"codes": [0], "stopped": false}')
    (job / "0.out").write_text(json.dumps({"model": str(path)}))
    return path


def test_a_copy_goes_once_all_of_it_was_sent_and_not_before(client: Any, gift: Path) -> None:
    """Guards against a copy that is gone, after hours of writing it, though only the first bytes were asked for."""
    assert len(client.get(f"/api/gifts/{JOB}", headers={"range": "bytes=0-99"}).content) == 100
    assert len(client.get(f"/api/gifts/{JOB}").content) == SIZE
    assert not gift.exists()
    assert "taken already" in client.get(f"/api/gifts/{JOB}").text


def test_a_copy_whose_download_breaks_off_can_be_taken_again(client: Any, gift: Path) -> None:
    """Guards against a copy that is deleted although the browser went away in the middle of it."""
    sent = []

    async def broken_off() -> None:
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(len(message.get("body", b"")))
            if sum(sent):
                gone.set()
                await asyncio.sleep(10)

        asked = {"type": "http", "method": "GET", "path": f"/api/gifts/{JOB}", "raw_path": b"", "query_string": b""}
        await create_app(Door())({**asked, "headers": [(b"host", b"127.0.0.1:8765")]}, receive, send)

    asyncio.run(broken_off())
    assert 0 < sum(sent) < SIZE
    assert len(client.get(f"/api/gifts/{JOB}").content) == SIZE
