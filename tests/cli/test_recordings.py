"""Folders and audio files that cannot be used, or only in part."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from distill.cli.training_view import TrainingView

Distill = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mine"
    made.mkdir()
    return made


def verdicts(answer: Any) -> dict[str, str]:
    assert answer.code == 0, answer.err
    return {file["name"]: file["verdict"] for file in answer.json["files"]}


@pytest.mark.parametrize("verb", ["check", "run", "train"])
def test_a_missing_folder(verb: str, distill: Distill, tmp_path: Path, tree: Callable[..., Any]) -> None:
    """Guards against an output folder made for a run that cannot begin."""
    before = tree(tmp_path)
    distill(verb, tmp_path / "nowhere").refused("nowhere", "does not exist", "Check its name")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("verb", ["check", "run", "train"])
def test_an_empty_folder(verb: str, distill: Distill, folder: Path, tmp_path: Path, tree: Callable[..., Any]) -> None:
    before = tree(tmp_path)
    distill(verb, folder).refused(str(folder), "is empty", "Put recordings in it")
    assert tree(tmp_path) == before


def test_a_folder_without_audio(distill: Distill, folder: Path) -> None:
    (folder / "notes.txt").write_text("words")
    distill("check", folder).refused(str(folder), "holds no audio", "1 other file", "WAV")


def test_a_file_where_a_folder_is_needed(distill: Distill, folder: Path, tone: Any, save: Any) -> None:
    distill("check", save(folder / "a.wav", tone(1))).refused("a.wav", "is a file", "Give the folder")


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"these are words, not sound", "bad.wav"), (b"", "0 bytes"), (bytes(range(256)) * 40, "not an audio file")],
)
def test_one_bad_file_alone(content: bytes, found: str, distill: Distill, folder: Path) -> None:
    (folder / "bad.wav").write_bytes(content)
    distill("check", folder).refused("bad.wav", found, "Export it again")


def test_one_bad_file_among_good_ones(distill: Distill, folder: Path, noise: Any, save: Any) -> None:
    """Guards against one broken export that stops a run over hundreds of files, or that vanishes without a word."""
    for number in range(5):
        save(folder / f"good-{number}.wav", noise(0.5, number))
    whole = save(folder / "cut.flac", noise(2, 9)).read_bytes()
    (folder / "cut.flac").write_bytes(whole[:8] + bytes(len(whole) - 8))
    answer = distill("check", folder)
    assert answer.code == 0
    assert "5 of 6 files are usable" in answer.out
    assert "cut.flac: It is damaged" in answer.out
    assert "leave it out" in answer.out
    assert verdicts(distill("check", folder, "--json"))["cut.flac"] == "unreadable"


def test_only_20_ms(distill: Distill, folder: Path, noise: Any, save: Any) -> None:
    save(folder / "click.wav", noise(0.02))
    distill("check", folder).refused("click.wav", "20 ms", "50 ms are needed", "Export it with its decay")


def test_nothing_but_silence(distill: Distill, folder: Path, save: Any) -> None:
    save(folder / "empty-room.wav", np.zeros((1, 48_000), np.float32))
    distill("check", folder).refused("empty-room.wav", "-80 dBFS", "Raise its level")


def test_samples_that_are_not_numbers(distill: Distill, folder: Path, noise: Any, save: Any) -> None:
    sound = noise(1)
    sound[0, 500] = np.nan
    save(folder / "broken.wav", sound, subtype="FLOAT")
    distill("check", folder).refused("broken.wav", "not numbers (NaN", "Export it again")


@pytest.mark.parametrize("rate", [8_000, 192_000])
def test_unusual_sample_rates_are_welcome(rate: int, distill: Distill, folder: Path, noise: Any, save: Any) -> None:
    save(folder / "a.wav", noise(1, rate=rate), rate)
    answer = distill("check", folder, "--json")
    assert verdicts(answer) == {"a.wav": "used"}
    assert answer.json["seconds"] == pytest.approx(1.0)


def test_five_files_are_a_corpus(distill: Distill, folder: Path, noise: Any, save: Any) -> None:
    for number in range(5):
        save(folder / f"{number}.wav", noise(0.5, number))
    answer = distill("check", folder, "--json")
    assert answer.json["usable"] == 5
    assert len(answer.json["split"]["held_out"]) == 1


def test_a_choice_of_channels_is_shown_as_set(distill: Distill, small_corpus: Path) -> None:
    """Guards against a table that calls the person's own choice automatic."""
    chosen, left = distill("check", small_corpus, "--channels", "2").err, distill("check", small_corpus).err
    assert [line.split() for line in chosen.splitlines() if line.startswith("channels")] == [["channels", "2", "(set)"]]
    assert [line.split() for line in left.splitlines() if line.startswith("channels")] == [["channels", "1", "(auto)"]]


def test_names_cannot_steer_the_terminal(distill: Distill, folder: Path, noise: Any, save: Any) -> None:
    """Guards against a file name with an escape sequence that clears the screen or hides a line."""
    save(folder / "a\x1b[2Jb.wav", noise(1))
    (folder / "c\x1b]0;d.wav").write_text("no sound")
    answer = distill("check", folder)
    assert answer.code == 0
    assert "\x1b" not in answer.err + answer.out
    assert json.loads(distill("check", folder, "--json").out)["usable"] == 1


def test_names_cannot_begin_a_line_of_their_own(distill: Distill, folder: Path, noise: Any, save: Any) -> None:
    """Guards against a file name that says "all is well" as if Distill said it; emoji stay whole."""
    save(folder / "a\n✓ All is well.wav", noise(1))
    save(folder / "👩‍🚀.wav", noise(1, 1))
    (folder / "c\n✓ Nothing was left out.wav").write_text("no sound")
    answer = distill("check", folder)
    assert answer.code == 0
    assert not [line for line in answer.out.splitlines() if line.startswith("✓")]
    assert "a␤✓ All is well.wav" in answer.out
    assert "👩‍🚀.wav" in answer.out


def test_names_on_the_live_line_cannot_steer_the_terminal() -> None:
    """Guards against what the progress bar writes: Rich takes escape sequences in a text as they are."""
    shown = StringIO()
    live = Console(file=shown, force_terminal=True, width=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distill.cli.training_view.console", live)
        with TrainingView() as view:
            view.counting("Reading")(1, 2, "a\x1b]0;mine\x07b.wav")
            view._progress.refresh()
    assert "a�]0;mine�b.wav" in shown.getvalue()
    assert "\x1b]0;" not in shown.getvalue()


def test_a_file_too_long_is_named_with_its_length(distill: Distill, folder: Path, noise: Any, save: Any) -> None:
    """Guards against a verdict that the table of ``check`` has no colour for."""
    save(folder / "good.wav", noise(1))
    save(folder / "day.wav", np.zeros((1, 7 * 3600 * 1000), np.float32), 1000, "PCM_U8")
    answer = distill("check", folder)
    assert "day.wav: It lasts 7 h; at most 6 h" in answer.out
    assert verdicts(distill("check", folder, "--json"))["day.wav"] == "too long"


@pytest.mark.parametrize("content", [None, b"", b"words"])
def test_a_file_that_cannot_be_encoded(
    content: bytes | None, distill: Distill, folder: Path, tiny: Path, tree: Callable[..., Any]
) -> None:
    audio = folder / "a.wav"
    if content is not None:
        audio.write_bytes(content)
    before = tree(folder)
    distill("encode", tiny, audio, "--out", folder / "a.codes").refused("a.wav")
    assert tree(folder) == before
