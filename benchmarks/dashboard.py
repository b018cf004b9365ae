"""The dashboard in a process of its own, for what looks at it in a browser; ``python benchmarks/screenshots.py`` and others."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""What Debian's chromium is started with."""


def ask(page: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """What the server answers, asked as a program of this computer."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{page}/api{path}", content, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def until(found: Any, seconds: float = 900.0) -> Any:
    """Waits for something to be so."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            if told := found():
                return told
        except OSError:
            pass  # the server is not up yet
        time.sleep(0.5)
    raise SystemExit("It did not happen in time.")


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def serving(home: Path) -> Iterator[tuple[str, int]]:
    """A server whose library is in ``home``, for as long as the block lasts: its address and process."""
    port = free_port()
    page, environment = f"http://127.0.0.1:{port}", {**os.environ, "DISTILL_HOME": str(home)}
    words = [sys.executable, "-m", "distill", "ui", "--no-open", "--port", str(port)]
    server = subprocess.Popen(words, env=environment)
    try:
        until(lambda: ask(page, "/about"))
        yield page, server.pid
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def ending_runs(page: str) -> Iterator[None]:
    """Whatever trains or composes when the block ends is stopped: it would go on without the server."""

    def busy() -> list[dict[str, Any]]:
        return [run for run in ask(page, "/runs")["runs"] if run["job"] or run["state"] == "running"]

    try:
        yield
    finally:
        for run in busy():
            if run["state"] == "running":
                ask(page, f"/runs/{run['name']}/stop", {})
        until(lambda: not busy())
