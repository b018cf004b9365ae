"""A run's codec on the page: figures with units, and each reconstruction beside its original."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import small_distill
from distill.cli import app
from distill.errors import OutputError
from distill.files.home import home
from distill.files.process import this_process
from distill.library import Library, RunRecord
from distill.models import load_model, save_model
from distill.web import jobs, places

RUN = "small-20260101-120000"


@pytest.fixture
def run(small_corpus: Path) -> str:
    """A run that is over, with its model, as training leaves both."""
    folder, path = home() / "runs" / RUN, home() / "studio" / "small" / "small.distill"
    folder.mkdir(parents=True)
    path.parent.mkdir(parents=True)
    save_model(path, small_distill.small_model(small_distill.small_codec(), name="small", codec_training={"run": RUN}))
    library = Library(lambda _: None)
    entry = library.note_model(path)
    told = RunRecord(
        "codec", str(path), str(small_corpus), str(folder / "codec.jsonl"), "2026-01-01T12:00:00.000000+00:00", {}
    )
    library.save_run(RunRecord(**{**vars(told), "origin": entry.origin, "outcome": "finished"}))
    return RUN


def test_a_reconstruction_stands_beside_its_original(client: Any, run: str, small_corpus: Path) -> None:
    assert client.get(f"/api/runs/{run}/heard").json() == []
    out = home() / "runs" / run / "reconstructions"
    out.mkdir()
    shutil.copy(small_corpus / "take-0.wav", out / "take-0.wav")
    (heard,) = client.get(f"/api/runs/{run}/heard").json()
    assert heard["name"] == "take-0.wav"
    for reference in (heard["reference"], heard["original"]):
        assert client.get("/api/sound/look", params={"ref": reference}).json()["seconds"] == pytest.approx(0.8)


def test_what_a_training_let_hear_of_itself_is_there_without_pytorch(client: Any, run: str, small_corpus: Path) -> None:
    learning = client.get(f"/api/runs/{run}/learning").json()
    assert learning["passages"] == []
    assert [one["key"] for one in learning["figures"]] == ["kept", "cents", "invented", "movement", "line", "grain"]
    folder = home() / "runs" / run / "listening"
    (folder / "0").mkdir(parents=True)
    (folder / "passages.json").write_text('[{"name": "take-0.wav", "seconds": 0.8}]')
    for name in ("original", "codec-00000120", "codec-00000015", "refinement-00000007"):
        shutil.copy(small_corpus / "take-0.wav", folder / "0" / f"{name}.flac")
    (passage,) = client.get(f"/api/runs/{run}/learning").json()["passages"]
    assert [(one["stage"], one["step"]) for one in passage["moments"]] == [
        ("codec", 15),
        ("codec", 120),
        ("refinement", 7),
    ]
    for reference in (passage["original"], passage["moments"][0]["reference"]):
        assert client.get("/api/sound/look", params={"ref": reference}).json()["seconds"] == pytest.approx(0.8)


def note_measuring(
    run: str, at: str = "20260101-130000", code: int = 0, held_out: dict[str, float] | None = None, **figures: Any
) -> Path:
    """A job that measured a run, and is over; as ``evaluate`` does, it says of what was held out that nothing is known."""
    job = home() / "jobs" / f"{at}-000000-measure"
    job.mkdir(parents=True)
    told = {
        "kind": "measure",
        "title": "",
        "lane": "making",
        "commands": [[], []],
        "about": {"run": run},
        "created": "now",
    }
    (job / "job.json").write_text(json.dumps(told))
    judged = {"all": figures, "held_out": held_out or dict.fromkeys(figures)}
    (job / "1.out").write_text(json.dumps({"mel": 1.1, "mel_held_out": None, "judged": judged}))
    (job / "ended.json").write_text(json.dumps({"codes": [0, code], "stopped": False}))
    return job


def test_what_was_measured_stays_after_many_other_jobs(client: Any, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against the figures of a run that are gone once two hundred pieces were made."""
    older, newest = note_measuring(run), note_measuring(run, "20260102-130000")
    failed = note_measuring(run, "20260103-130000", code=1)
    of_another = note_measuring("another", "20250101-130000")
    monkeypatch.setattr(jobs, "MOST_KEPT", 0)
    jobs._tidy()
    assert client.get(f"/api/runs/{run}/measured").json()["rows"]
    there = [job.exists() for job in (older, newest, failed, of_another)]
    assert there == [False, True, False, True]


def test_a_measuring_that_is_going_on_is_left_alone(
    client: Any, run: str, small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against Measure again that deletes what a measuring at work has written, and begins a second one beside it."""
    job, rebuilt = note_measuring(run), home() / "runs" / run / "reconstructions" / "take-0.wav"
    (job / "ended.json").unlink()
    (job / "process.json").write_text(json.dumps(this_process()))
    rebuilt.parent.mkdir()
    shutil.copy(small_corpus / "take-0.wav", rebuilt)
    monkeypatch.setattr(jobs, "start", lambda *_, **__: pytest.fail("A second one begins."))
    assert client.post(f"/api/runs/{run}/measure").json()["id"] == job.name
    assert rebuilt.exists()
    assert client.get(f"/api/runs/{run}/measured").json()["job"] == job.name, "the page, opened anew, follows it"
    (job / "ended.json").write_text(json.dumps({"codes": [0, 0], "stopped": False}))
    assert client.get(f"/api/runs/{run}/measured").json()["job"] is None


def test_measuring_leaves_no_page_that_nothing_shows(client: Any, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against twelve megabytes more in a run's folder each time that it is measured."""
    begun: list[list[Any]] = []

    def start(kind: str, title: str, commands: list[list[Any]], **_: Any) -> Any:
        begun.extend(commands)
        raise OutputError("It begins here.", "It is a test.")

    monkeypatch.setattr(jobs, "start", start)
    earlier = home() / "runs" / run / "evaluation" / "small-evaluation.html"
    earlier.parent.mkdir()
    earlier.touch()
    client.post(f"/api/runs/{run}/measure")
    for words in begun:
        with pytest.raises(SystemExit) as ended:
            app.main([str(word) for word in words])
        assert ended.value.code in (0, None)
    assert list((home() / "runs" / run / "reconstructions").glob("*.wav"))
    assert list((home() / "runs" / run).rglob("*.html")) == []


def test_figures_come_with_their_units(client: Any, run: str) -> None:
    """Guards against a page without pitch and texture where nothing was held out: those figures are there, and all unknown."""
    assert client.get(f"/api/runs/{run}/measured").json()["rows"] == []
    note_measuring(run, kept=0.77, cents=4.21, invented=0.06, movement=None, line=5.0, grain=-2.5)
    rows = {row["name"]: row["value"] for row in client.get(f"/api/runs/{run}/measured").json()["rows"]}
    assert rows == {
        "mel distance": "1.10",
        "partials kept": "77 %",
        "off in pitch": "4.2 cents",
        "partials invented": "0.06",
        "buzz": "5.0 dB",
        "grain": "-2.5 dB",
    }
    note_measuring(run, "20260102-130000", held_out={"kept": 0.5}, kept=0.77)
    newer = client.get(f"/api/runs/{run}/measured").json()["rows"]
    assert [row["value"] for row in newer if row["name"] == "partials kept"] == ["50 %"]


def test_a_run_and_its_model_are_told_with_all_that_is_drawn_of_them(client: Any, run: str) -> None:
    detail = client.get(f"/api/runs/{run}").json()
    assert (detail["state"], detail["model"], detail["can_stop"], detail["can_go_on"]) == (
        "finished",
        "small",
        False,
        False,
    )
    assert detail["memorization_threshold"] == 2.0
    assert not detail["has_prior"]
    (model,) = client.get("/api/models").json()
    assert model["id"] == detail["model_id"]
    assert client.post("/api/generate", json={"model": model["id"], "settings": {}}).status_code == 400
    assert client.post(f"/api/runs/{run}/stop").status_code == 404
    assert client.post(f"/api/runs/{run}/resume", json={}).status_code == 400


def test_a_run_knows_its_model_by_its_new_name(client: Any, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a run without model, report and way on, "Wait until its codec is trained", once its model was renamed, and
    against another model of the same codec in its place."""
    library = Library(lambda _: None)
    path = Path(client.get("/api/models").json()[0]["file"])
    other = load_model(path)
    other.header.codec_training["run"] = "another"
    save_model(path.with_name("sibling.distill"), other)
    sibling = library.note_model(path.with_name("sibling.distill"))
    assert sibling.origin == library.note_model(path).origin
    new = client.post(
        f"/api/models/{places.model_id(library.note_model(path))}/rename", json={"name": "my [one]"}
    ).json()
    (path.parent / "my [one]-report.html").write_text("<p>later</p>")
    (home() / "runs" / run / "codec.state").write_bytes(b"as training left it")
    detail = client.get(f"/api/runs/{run}").json()
    assert (detail["model_id"], detail["model"], detail["pages"]) == (new["id"], "my [one]", ["my [one]-report.html"])
    begun: list[Any] = []

    def start(kind: str, title: str, commands: list[list[Any]], **_: Any) -> Any:
        begun.append((title, commands[0][1:3]))
        raise OutputError("It begins here.", "It is a test.")

    monkeypatch.setattr(jobs, "start", start)
    for asked in ("measure", "resume"):
        assert client.post(f"/api/runs/{run}/{asked}", json={}).json()["what"] == "It begins here."
    renamed = path.with_name("my [one].distill")
    measuring, going_on = begun
    assert measuring[0] == "Measuring my [one]"
    assert Path(measuring[1][0]) == renamed
    assert going_on == ("Going on with my [one]", ["--resume", renamed])


def test_a_run_whose_model_was_deleted_leaves_the_next_one_of_that_name_alone(
    client: Any, run: str, small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against Go on, Measure and Make sound that act on another model, which was trained under the name of a deleted
    one."""
    (home() / "runs" / run / "codec.state").write_bytes(b"as training left it")
    (home() / "runs" / run / "reconstructions").mkdir()
    shutil.copy(small_corpus / "take-0.wav", home() / "runs" / run / "reconstructions")
    (old,) = client.get("/api/models").json()
    client.delete(f"/api/models/{old['id']}")
    codec = {"run": "small-20260102-120000", "seed": 1}
    save_model(
        Path(old["file"]), small_distill.small_model(small_distill.small_codec(), name="small", codec_training=codec)
    )
    Library(lambda _: None).note_model(Path(old["file"]))
    begun: list[Any] = []

    def start(kind: str, title: str, commands: list[list[Any]], **_: Any) -> Any:
        begun.append(commands[0][1:3])
        raise OutputError("It begins here.", "It is a test.")

    monkeypatch.setattr(jobs, "start", start)
    detail = client.get(f"/api/runs/{run}").json()
    assert (detail["model_id"], detail["model"], detail["memorization_threshold"]) == (None, "small", None)
    assert client.get(f"/api/runs/{run}/heard").json() == []
    assert "is not there" in client.post(f"/api/runs/{run}/measure").json()["what"]
    assert (home() / "runs" / run / "reconstructions" / "take-0.wav").exists()
    client.post(f"/api/runs/{run}/resume", json={})
    assert begun == [["--resume", home() / "runs" / run]]


def test_a_model_is_deleted_and_comes_back(client: Any, run: str) -> None:
    (model,) = client.get("/api/models").json()
    item = client.delete(f"/api/models/{model['id']}").json()
    assert client.get("/api/models").json() == []
    assert [one["key"] for one in client.get("/api/trash").json()] == [item["key"]]
    assert client.post(f"/api/trash/{item['key']}/restore").json()["name"] == "small"
    assert client.get(f"/api/models/{model['id']}").json()["runs"][0]["run"] == run
    assert client.get("/api/models", params={"search": "take nothing"}).json() == []
    got = client.get(f"/api/models/{model['id']}/file")
    assert len(got.content) == model["size"]


def test_a_new_model_of_an_old_name_has_a_run_of_its_own(client: Any, run: str) -> None:
    """Guards against a page that shows the training of a deleted model for the one that is just being read in."""
    job = home() / "jobs" / "20260601-130000-000000-train"
    job.mkdir(parents=True)
    about = {"model": str(home() / "studio" / "small" / "small.distill")}
    told = {"kind": "train", "title": "", "lane": "training", "commands": [["run"]], "about": about}
    (job / "job.json").write_text(json.dumps({**told, "created": "2026-06-01T13:00:00.000+00:00"}))
    (job / "process.json").write_text(json.dumps(this_process()))
    seen = client.get("/api/runs").json()
    assert [(one["state"], one["run"]) for one in seen["jobs"]] == [("waiting", None)]
    assert [one["job"] for one in seen["runs"]] == [None]
    (job / "job.json").write_text(json.dumps({**told, "created": "2025-01-01T00:00:00.000+00:00"}))
    assert [one["job"] for one in client.get("/api/runs").json()["runs"]] == [job.name]
