"""``distill ui``: what it starts, and what it refuses to start."""

import logging
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from distill.cli import app
from distill.web.server import listening


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


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("nowhere.invalid", "another --host"),
        ("http://localhost", "without http://"),
        ("192.0.2.1", "another --host"),
        ("a..b", "--host"),
    ],
)
def test_a_host_that_is_none_is_said_before_a_password_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, started: list[Any], capsys: pytest.CaptureFixture[str], host: str, advice: str
) -> None:
    """Guards against the advice to choose another port, where it is the host that is wrong."""
    assert run(monkeypatch, "--host", host, "--port", free_port()) == 2
    said = capsys.readouterr().err
    assert "Nothing can listen on" in said
    assert advice in said
    assert started == []


def test_where_nobody_can_be_asked_for_a_password(
    monkeypatch: pytest.MonkeyPatch, started: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Guards against Python's own warning about the terminal, and a bare "Aborted."."""
    assert run(monkeypatch, "--host", "0.0.0.0", "--port", free_port()) == 2
    assert "--password-file FILE" in capsys.readouterr().err
    assert started == []


@pytest.mark.parametrize("name", ["http://studio", "studio/", " ", "studio:8765", "a b", "me@studio"])
def test_a_name_that_no_browser_sends_is_refused(
    monkeypatch: pytest.MonkeyPatch, started: list[Any], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(monkeypatch, "--port", free_port(), "--allow", name) == 2
    assert "is not a host name" in capsys.readouterr().err
    assert started == []


@pytest.mark.parametrize(("host", "address"), [("::1", "http://[::1]:"), ("localhost", "http://127.0.0.1:")])
def test_the_address_that_is_shown_is_where_it_listens(
    monkeypatch: pytest.MonkeyPatch, started: list[Any], capsys: pytest.CaptureFixture[str], host: str, address: str
) -> None:
    port = free_port()
    assert run(monkeypatch, "--port", port, "--host", host, "--json", "--allow", "Studio.local") == 0
    assert f"{address}{port}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "why"), [(b"\xff\xfe", "it is not text"), (None, "is a directory"), (bytes(9000), "it is not text")]
)
def test_a_file_that_holds_no_password(
    monkeypatch: pytest.MonkeyPatch,
    started: list[Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: bytes | None,
    why: str,
) -> None:
    file = tmp_path / "password"
    file.mkdir() if content is None else file.write_bytes(content)
    ended = run(monkeypatch, "--port", free_port(), "--password-file", str(file))
    said = capsys.readouterr().err
    assert ended == 2
    assert why in said
    assert "Errno" not in said
    assert started == []


def test_ctrl_c_twice_is_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    listening(None, "127.0.0.1", int(free_port()))
    log = logging.getLogger("uvicorn.error")
    log.error("Traceback (most recent call last):\n  File …\nasyncio.exceptions.CancelledError\n")
    log.error("Something else")
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert "Something else" in said
