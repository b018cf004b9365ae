"""A command that has nothing to say yet shows that it is at work, and nothing of that is left once it speaks."""

import gc
import io
import sys
import time

import pytest

from distill.cli import options, start, waiting
from distill.cli.console import line, note, print_json
from distill.cli.waiting import Waiting

ERASED = "\r" + " " * len("⠋ Working  0 s") + "\r"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(waiting, "DELAY_S", 0.05)
    return Terminal()


def seen(terminal: Terminal) -> None:
    """Waits until something stands there."""
    until = time.monotonic() + 20
    while not terminal.getvalue() and time.monotonic() < until:
        time.sleep(0.01)
    assert terminal.getvalue().startswith("\r⠋ Working  0 s")


def test_what_waits_is_shown_and_erased(terminal: Terminal) -> None:
    sign = Waiting()
    with sign.on(terminal):
        seen(terminal)
        sign.end()
        ended = terminal.getvalue()
        assert ended.endswith(ERASED)
        time.sleep(0.25)
    assert terminal.getvalue() == ended, "once there is something to say, it does not come back"


def test_a_quick_command_shows_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "DELAY_S", 60.0)
    with Waiting().on(terminal):
        pass
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("why", ["no terminal", "dumb", "another rank"])
def test_nothing_is_drawn_where_it_could_not_be_erased(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "no terminal":
        monkeypatch.setattr(terminal, "isatty", lambda: False)
    elif why == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    else:
        monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(sys, "stderr", terminal)
    options.verb(lambda: time.sleep(0.4))(debug=False)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("say", [note, line, lambda text: print_json({"text": text})])
def test_it_is_gone_before_the_first_word(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, say: object) -> None:
    """Guards against a result that stands behind the sign, or is overwritten by it."""
    monkeypatch.setattr(sys, "stderr", terminal)
    at_word: list[str] = []

    class Output(io.StringIO):
        def write(self, text: str) -> int:
            at_word.append(terminal.getvalue())
            return super().write(text)

    monkeypatch.setattr(sys, "stdout", Output())

    def command() -> None:
        seen(terminal)
        assert callable(say)
        say("done")
        at_word.append(terminal.getvalue())

    options.verb(command)(debug=False)
    assert ERASED in at_word[0]


def test_an_error_takes_it_away(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)

    def command() -> None:
        seen(terminal)
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        options.verb(command)(debug=False)
    assert terminal.getvalue().endswith(ERASED)


def test_nothing_is_collected_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a second of waiting after the last word, in which Python looks through all of PyTorch."""
    monkeypatch.setattr(sys, "argv", ["distill", "--version"])
    gc.unfreeze()
    try:
        with pytest.raises(SystemExit):
            start.main()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
