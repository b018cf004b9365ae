"""A training that the page, or whoever else asks the server, wants to begin."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from distill.errors import OutputError
from distill.files.home import home
from distill.library import Library, RunRecord
from distill.models import load_model, save_model
from distill.models.header import SECOND_RUN
from distill.training import budget
from distill.web import jobs


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was begun; it fails in the moment in which it would begin."""
    found: list[Any] = []

    def start(*given: Any, seconds: Any = (), **_: Any) -> Any:
        found.append((*given, seconds))
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


def stopped_run(tmp_path: Path, kind: str = "codec", **settings: Any) -> Path:
    """A training that was stopped and can go on."""
    folder = home() / "runs" / "drums-20260101-100000"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{kind}.state").write_bytes(b"as training left it")
    record = RunRecord(
        kind=kind,
        model=str(tmp_path / "drums.distill"),
        folder="/r/drums",
        events=str(folder / f"{kind}.jsonl"),
        started=f"2026-01-01T1{len(list(folder.glob('*.json')))}:00:00.000000+00:00",
        settings={"minutes": 8.0, **settings},
        outcome="stopped",
    )
    Library(pytest.fail).save_run(record)
    return folder


def words_of(begun: list[Any]) -> list[str]:
    """The commands of the job that was begun last, each in a line."""
    return [" ".join(map(str, words)) for words in begun[-1][2]]


def test_how_long_its_commands_take_is_noted(client: Any, begun: list[Any], small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a page that says of each stage alone when it is done, and of a whole training never."""
    one = client.post("/api/collections", json={"folder": str(small_corpus)}).json()["id"]
    wanted = {"collection": one, "minutes": 1, "seconds": 60, "count": 8}
    made = budget.making_seconds(60, 8, 0)
    for quality, takes in (
        ("standard", [60 + made - 18]),
        ("high", [48, 12, made]),
    ):  # 18 s of the minute are kept for them
        client.post("/api/train", json={**wanted, "quality": quality})
        assert begun[-1][-1] == pytest.approx(takes)
    run = stopped_run(tmp_path).name
    for further, first, then in ((None, None, 240), (3, 180, 90)):
        client.post(f"/api/runs/{run}/resume", json={"minutes": further})
        assert list(begun[-1][-1]) == [first, then, budget.making_seconds(10, 3, 0)]


def test_what_follows_a_training_that_goes_on_is_as_it_was_asked_for(
    client: Any, begun: list[Any], tmp_path: Path
) -> None:
    """Guards against Go on that forgets "From scratch", the seed and the device: the prior would start from the base prior."""
    folder = stopped_run(tmp_path, seed=7, device="cpu", from_scratch=True)
    model = tmp_path / "drums.distill"
    expected = [
        f"train --resume {folder} --device cpu --json",
        f"train-prior {model} /r/drums --minutes 4 --device cpu --seed 7 --from-scratch --json",
        f"generate {model} --seconds 10 --count 3 --device cpu --seed 7 --out {home() / 'studio' / 'drums'} --json",
    ]
    client.post(f"/api/runs/{folder.name}/resume", json={})
    assert words_of(begun) == expected
    stopped_run(tmp_path, "refinement", device="cpu", seed=0)
    client.post(f"/api/runs/{folder.name}/resume", json={})
    assert words_of(begun) == expected


def test_a_second_stage_that_goes_on_keeps_the_prior_that_its_model_has(
    client: Any, begun: list[Any], tiny: Path, tmp_path: Path
) -> None:
    """Guards against Go on that trains another prior for minutes, beside one that every second stage leaves valid."""
    folder = stopped_run(tmp_path, "refinement", device="cpu")
    model = load_model(tiny).with_header(codec_training={SECOND_RUN: folder.name})
    save_model(tmp_path / "drums.distill", model)
    client.post(f"/api/runs/{folder.name}/resume", json={})
    assert [line.partition(" ")[0] for line in words_of(begun)] == ["train", "generate"]


def test_the_first_pieces_are_those_of_the_training_that_goes_on(
    client: Any, begun: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against pieces as they were asked for of a later training, whose model got the same name."""
    folder = stopped_run(tmp_path)

    def job(created: str, **wanted: Any) -> Any:
        return SimpleNamespace(about={"model": str(tmp_path / "drums.distill"), "wanted": wanted}, created=created)

    before, after = "2026-01-01T09:59:59.900+00:00", "2026-02-01T00:00:00.000+00:00"
    monkeypatch.setattr(jobs, "jobs", lambda: [job(after, seconds=99.0, count=9), job(before, seconds=4.5, count=2)])
    client.post(f"/api/runs/{folder.name}/resume", json={})
    assert "--seconds 4.5 --count 2" in words_of(begun)[-1]


def test_the_seed_is_that_of_every_stage_also_with_high_quality(
    client: Any, begun: list[Any], small_corpus: Path
) -> None:
    """Guards against a seed that the prior and the first pieces do not get."""
    one = client.post("/api/collections", json={"folder": str(small_corpus)}).json()["id"]
    for quality, count in (("standard", 1), ("high", 3)):
        client.post("/api/train", json={"collection": one, "minutes": 8, "quality": quality, "seed": 7})
        words = words_of(begun)
        assert len(words) == count
        assert all("--seed 7" in line and "--device auto" in line for line in words)


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
