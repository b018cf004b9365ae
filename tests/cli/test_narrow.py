"""Listings go to stdout; names stay whole in a narrow terminal and through a pipe."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from distill.cli import console
from distill.cli.training_view import TrainingView

Distill = Callable[..., Any]
LONG = "a recording with quite a long name, take 17 of many.wav"


@pytest.mark.parametrize("columns", [40, 50])
def test_a_narrow_terminal_shows_whole_names(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Guards against a column of names that shrinks to nothing."""
    screen = io.StringIO()
    monkeypatch.setattr(
        console, "_output", Console(file=screen, force_terminal=True, width=columns, highlight=False, color_system=None)
    )
    console.listing(
        ("file", "verdict", "seconds", "Hz"),
        [(LONG, "used", "1.00", "48000"), ("b.wav", "silent", "", "")],
        ("seconds", "Hz"),
    )
    text = screen.getvalue()
    assert LONG in text.replace("\n", "")
    for words in ("used · seconds 1.00 · Hz 48000", "b.wav\n", "silent"):
        assert words in text
    assert "…" not in text


def test_a_setting_s_name_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against "positions-per-secon" with its d in the next line."""
    screen = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=screen, width=40, highlight=False, color_system=None))
    console.settings_table({
        "positions-per-second": ("46.9", "auto"), "first-stage": ("4 min: encoder, codes and decoder", "auto"),
        "commitment-weight": ("0.25", "set"),
    })  # fmt: skip
    lines = screen.getvalue().splitlines()
    assert [line.split()[0] for line in lines if line[:1].strip()] == [
        "positions-per-second", "first-stage", "commitment-weight",
    ]  # fmt: skip
    assert max(map(len, lines)) <= 40
    assert "…" not in screen.getvalue()


@pytest.mark.parametrize("columns", [14, 20, 30])
def test_a_setting_s_value_is_there_however_narrow_it_is(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Guards against names without their values, and values of one letter a line."""
    screen = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=screen, width=columns, highlight=False, color_system=None))
    console.settings_table({"positions-per-second": ("46.9", "auto"), "levels": ("2", "set")})
    assert [line.rstrip() for line in screen.getvalue().splitlines()] == [
        "positions-per-second", "  46.9 (auto)", "levels", "  2 (set)",
    ]  # fmt: skip


PATH = "/home/me/Music/field-recordings/2024/take-0001-long-name.wav"


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        (f"Cannot read {PATH}: leave it out.", ["! Cannot read", f"{PATH}:", "leave it out."]),
        ("Was  kept, and what was quite short is", ["! Was  kept, and what was quite short is"]),
        ("Was kept, and what was not short enough", ["! Was kept, and what was not short", "enough"]),
        ("水水水水水 水水水水水 水水水水水 水水水", ["! 水水水水水 水水水水水 水水水水水", "水水水"]),
    ],
    ids=["a path", "as wide as it is", "a cell too wide", "letters of two cells"],
)
def test_a_narrow_terminal_breaks_no_word(monkeypatch: pytest.MonkeyPatch, said: str, lines: list[str]) -> None:
    """Guards against a path that is broken into lines, of which a copy is no path."""
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=40, highlight=False, color_system=None)
    monkeypatch.setattr(console, "console", terminal)
    console.warn(said)
    assert screen.getvalue().splitlines() == lines


def test_a_pipe_has_no_width(
    distill: Distill,
    noise: Callable[..., np.ndarray],
    save: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Guards against names cut off or broken where another program reads them."""
    monkeypatch.setenv("COLUMNS", "40")
    for number in range(2):
        save(tmp_path / "mine" / f"{number} {LONG}", noise(0.5, number))
    (tmp_path / "mine" / "broken.wav").write_bytes(b"RIFF")
    answer = distill("check", tmp_path / "mine")
    assert answer.code == 0
    rows = [line for line in answer.out.splitlines() if LONG in line]
    assert [" ".join(row.split()[-6:-4]) for row in rows[:2]] == ["0.50 48000"] * 2
    assert any(line.startswith("  broken.wav: It ") for line in answer.out.splitlines())


def test_stage_and_percent_are_whole_at_forty_columns() -> None:
    """Guards against "Co… 10…" while a codec is at 100 %."""
    out = io.StringIO()
    narrow = Console(file=out, width=40, force_terminal=True, color_system=None)
    view = TrainingView()
    view._progress.add_task("Codec", total=1.0, completed=1.0, detail="loss 1.93  18× real time  12 s left")
    narrow.print(view._progress.get_renderable())
    assert "Codec" in out.getvalue()
    assert "100 %" in out.getvalue()
