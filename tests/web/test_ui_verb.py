"""``distill ui``: what it starts, and what it refuses to start."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from distill.cli import app


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[uvicorn.Config]:
    """What a server would run with; none waits for a browser."""
    found: list[uvicorn.Config] = []
    monkeypatch.setattr("uvicorn.Server.run", lambda server: found.append(server.config))
    monkeypatch.setattr("typer.launch", lambda address: 0)
    return found


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["distill", "ui", *words])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return int(ended.value.code or 0)


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def test_it_listens_on_this_computer_alone(monkeypatch: pytest.MonkeyPatch, started: list[Any]) -> None:
    assert run(monkeypatch, "--port", free_port()) == 0
    assert started[0].host == "127.0.0.1"


def test_beyond_it_a_password_is_needed(
    monkeypatch: pytest.MonkeyPatch, started: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    password = tmp_path / "password"
    password.write_text("short\n")
    assert run(monkeypatch, "--host", "0.0.0.0", "--port", free_port(), "--password-file", str(password)) == 2
    assert "too short" in capsys.readouterr().err
    assert run(monkeypatch, "--host", "0.0.0.0", "--password-file", str(tmp_path / "none")) == 2
    assert started == []
    password.write_text("long enough\n")
    assert run(monkeypatch, "--host", "0.0.0.0", "--port", free_port(), "--password-file", str(password)) == 0
    assert started[0].host == "0.0.0.0"


def test_a_port_that_is_taken_is_said_before_the_page_opens(
    monkeypatch: pytest.MonkeyPatch, started: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as holding:
        holding.bind(("127.0.0.1", 0))
        holding.listen()
        assert run(monkeypatch, "--port", str(holding.getsockname()[1])) == 2
    assert "Choose another --port" in capsys.readouterr().err
    assert started == []
