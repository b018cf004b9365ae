"""A training that the page, or whoever else asks the server, wants to begin."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from distill.errors import OutputError
from distill.web import jobs


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was begun; it fails in the moment in which it would begin."""
    found: list[Any] = []

    def start(*given: Any, **_: Any) -> Any:
        found.append(given)
        raise OutputError("It begins here.", "It is a test.")

    monkeypatch.setattr(jobs, "start", start)
    return found


def asked(client: Any, folder: Path, left_out: tuple[str, ...] = ()) -> Any:
    one = client.post("/api/collections", json={"folder": str(folder)}).json()["id"]
    client.put(f"/api/collections/{one}/left-out", json={"names": list(left_out)})
    return client.post("/api/train", json={"collection": one, "minutes": 1})


def test_a_folder_without_a_usable_recording_is_refused(client: Any, begun: list[Any], tmp_path: Path) -> None:
    """Guards against a job that begins, waits in line, and fails, where only the page held it back."""
    folders = {name: tmp_path / name for name in ("empty", "letters", "words", "silent")}
    for folder in folders.values():
        folder.mkdir()
    (folders["letters"] / "letter.txt").write_text("dear reader")
    (folders["words"] / "take.wav").write_text("these are only words")
    soundfile.write(folders["silent"] / "a.wav", np.zeros(48_000), 48_000)
    expected = {
        "empty": "is empty.",
        "letters": "holds no audio; 1 other file is in it.",
        "words": "The only audio file",
        "silent": "louder than -80 dBFS",
    }
    for name, folder in folders.items():
        answer = asked(client, folder)
        assert answer.status_code == 400
        assert expected[name] in answer.json()["what"]
        assert answer.json()["fix"]
    assert not begun


def test_one_usable_recording_among_others_is_enough(
    client: Any, begun: list[Any], small_corpus: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.wav").write_text("these are only words")
    shutil.copy(small_corpus / "take-0.wav", folder / "b.wav")
    assert asked(client, folder).json()["what"] == "It begins here."
    assert len(begun) == 1
    refused = asked(client, folder, left_out=("b.wav",))
    assert refused.status_code == 400
    assert "The only audio file" in refused.json()["what"]
    assert "Every recording" in asked(client, folder, left_out=("a.wav", "b.wav")).json()["what"]
    assert len(begun) == 1


def test_a_name_that_a_waiting_training_has_is_taken(
    client: Any, begun: list[Any], small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against two trainings that would write the same model, as neither has written it yet."""
    waiting = SimpleNamespace(about={"model": "studio/Café/Café.distill"}, is_over=False)
    monkeypatch.setattr(jobs, "jobs", lambda: [waiting])
    one = client.post("/api/collections", json={"folder": str(small_corpus)}).json()["id"]
    for name in ("Café", "Cafe\u0301"):
        answer = client.post("/api/train", json={"collection": one, "minutes": 1, "name": name})
        assert answer.status_code == 400
        assert "a training that will write one" in answer.json()["what"]
    assert not begun
    waiting.is_over = True
    answer = client.post("/api/train", json={"collection": one, "minutes": 1, "name": "Café"})
    assert answer.json()["what"] == "It begins here."


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"levels": 9}, "levels must be 4 or less."),
        ({"levels": 1}, "levels must be 2 or more."),
        ({"count": 1.5}, "count must be a whole number."),
        ({"minutes": "long"}, "minutes must be a number."),
        ({"minutes": 0}, "minutes must be more than 0."),
        ({"from_scratch": "perhaps"}, "from_scratch must be true or false."),
        ({"collection": 7}, "collection must be text."),
    ],
)
def test_the_server_says_what_a_value_must_be(client: Any, given: dict[str, Any], words: str) -> None:
    """Guards against "levels: Input should be less than or equal to 4"."""
    answer = client.post("/api/train", json={"collection": "x", "minutes": 1.0} | given)
    assert answer.status_code == 422
    assert answer.json() == {"what": words, "fix": "Change it and try again."}
