"""The HTTP interface of the codes, as the page uses it."""

import base64
import errno
import io
import os
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from httpx import Client

from distill.codes import edit
from distill.errors import LibraryError, SettingError
from distill.files.home import home
from distill.library import Library
from distill.web import closed_sheets, places, sheets

Json = Any


@pytest.fixture
def sheet(client: Client, model: str) -> Json:
    """A recording, open."""
    return client.post("/api/codes/sheets", json={"model": model, "recording": 0}).json()


@pytest.fixture
def other(client: Client, model: str) -> Json:
    return client.post("/api/codes/sheets", json={"model": model, "recording": 1}).json()


def rows(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, 4)


def text(codes: Any) -> str:
    return base64.b64encode(np.asarray(codes).astype("<i2").tobytes()).decode()


def now(client: Client, sheet: Json) -> np.ndarray:
    return rows(client.get(f"/api/codes/sheets/{sheet['id']}").json()["rows"])


def apply(before: np.ndarray, change: Json) -> np.ndarray:
    """What the page makes of a change."""
    first, removed = change["first"], change["removed"]
    return np.concatenate([before[:first], rows(change["rows"]), before[first + removed :]])


def edits(client: Client, sheet: Json, **words: Any) -> Json:
    answer = client.post(f"/api/codes/sheets/{sheet['id']}/edits", json=words)
    assert answer.status_code == 200, answer.text
    return answer.json()["changes"]


def heard(answer: Any) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "audio/wav"
    return soundfile.read(io.BytesIO(answer.content), dtype="float32", always_2d=True)[0].T


CELLS = {"first": 10, "stop": 20, "levels": [1]}


def test_a_sound_is_listed_once_however_often_it_is_opened(client: Client, model: str, sheet: Json) -> None:
    """Guards against three lines of one name after three looks at one piece; one that was edited is another sound."""
    opening = {"model": model, "recording": 0}
    assert client.post("/api/codes/sheets", json=opening).json()["id"] == sheet["id"]
    edits(client, sheet, do="mirror", **CELLS)
    for _ in range(2):
        client.post("/api/codes/sheets", json=opening)
    assert [one["name"] for one in client.get("/api/codes/sheets").json()] == ["take-0.wav (2)", "take-0.wav"]
    beside = client.post("/api/codes/sheets", json=opening | {"anew": True}).json()
    assert beside["name"] == "take-0.wav (3)"


def test_what_the_model_keeps_can_be_opened(client: Client, model: str, sheet: Json) -> None:
    choices = client.get(f"/api/codes/models/{model}/recordings").json()
    assert [choice["name"] for choice in choices] == ["take-0.wav", "take-1.wav", "take-2.wav"]
    assert sheet["name"] == "take-0.wav"
    assert rows(sheet["rows"]).shape == (50, 4)
    assert not rows(sheet["rows"])[:, 2:].any()
    assert [line["id"] for line in client.get("/api/codes/sheets").json()] == [sheet["id"]]
    assert sheet["model_id"] == model


def test_a_file_that_is_dropped_is_opened(
    client: Client, model: str, sheet: Json, noise: Callable[..., Any], save: Any, tmp_path: Path
) -> None:
    """Guards against files that nobody can reach and that stay for ever: the sheet has their codes."""
    audio = save(tmp_path / "a.wav", noise(1.0)).read_bytes()
    opened = client.put(f"/api/uploads/codes/{model}/a.wav", content=audio).json()
    assert (opened["name"], len(rows(opened["rows"])), opened["seconds"]) == ("a.wav", 47, 1.0)
    file = client.get(f"/api/codes/sheets/{opened['id']}/file?format=codes").content
    again = client.put(f"/api/uploads/codes/{model}/a.codes", content=file).json()
    assert again["rows"] == opened["rows"]
    refused = client.put(f"/api/uploads/codes/{model}/a.wav", content=b"words")
    assert refused.status_code == 400
    assert "not readable as audio" in refused.json()["what"]
    assert list(places.uploads().iterdir()) == []


def test_where_the_last_column_is_deleted_the_others_stay_whole(
    client: Client, model: str, noise: Callable[..., Any], save: Any, tmp_path: Path
) -> None:
    """Guards against the end of the column before it, which was cut off as if it were the one partly filled."""
    audio = save(tmp_path / "a.wav", noise(1.0)).read_bytes()
    one = client.put(f"/api/uploads/codes/{model}/a.wav", content=audio).json()
    address = f"/api/codes/sheets/{one['id']}"

    def length() -> int:
        return soundfile.info(io.BytesIO(client.get(f"{address}/file?format=wav").content)).frames

    for asked, samples in (
        ({"do": "delete", "first": 45, "stop": 47}, 45 * 1024),
        ({"do": "delete", "first": 0, "stop": 5}, 40 * 1024),
    ):
        edits(client, one, **asked)
        assert length() == samples
    for _ in range(2):
        client.post(f"{address}/undo")
    assert length() == 48_000


def test_what_is_inserted_at_the_end_is_whole(
    client: Client, model: str, noise: Callable[..., Any], save: Any, tmp_path: Path
) -> None:
    """Guards against the shortfall of the last column, partly filled before, which what follows it now had to bear."""
    audio = save(tmp_path / "a.wav", noise(1.0)).read_bytes()
    one = client.put(f"/api/uploads/codes/{model}/a.wav", content=audio).json()
    edits(client, one, do="insert", codes=text([[1, 2], [2, 3]]), levels=[0, 1], column=47)
    file = client.get(f"/api/codes/sheets/{one['id']}/file?format=wav").content
    assert soundfile.info(io.BytesIO(file)).frames == 49 * 1024


def test_no_time_is_told_past_the_end(
    client: Client, model: str, noise: Callable[..., Any], save: Any, tmp_path: Path
) -> None:
    """The last column of two seconds ends 5 ms after them."""
    audio = save(tmp_path / "a.wav", noise(2.0)).read_bytes()
    one = client.put(f"/api/uploads/codes/{model}/a.wav", content=audio).json()
    asked = {"do": "mirror", "first": 0, "stop": 94, "levels": [0, 1]}
    changes = client.post(f"/api/codes/sheets/{one['id']}/edits", json=asked).json()["changes"]
    assert changes[0]["words"] == "Mirrored 0.00–2.00 s"


@pytest.mark.parametrize(
    "asked",
    [
        {"do": "mirror", **CELLS},
        {"do": "rotate", "by": 3, **CELLS},
        {"do": "fill", "code": 7, **CELLS},
        {"do": "repeat", "times": 2, **CELLS},
        {"do": "repeat", "times": 3, **CELLS, "levels": [0, 1]},
        {"do": "delete", "first": 10, "stop": 20},
        {"do": "paste", "codes": text([[1], [2]]), "levels": [0], "column": 48},
        {"do": "insert", "codes": text([[1, 2], [2, 3]]), "levels": [0, 1], "column": 50},
        {"do": "take", "first": 3, "codes": text([[1, 2], [2, 3]]), "words": "A proposal"},
        {"do": "lock", **CELLS},
    ],
    ids=lambda asked: f"{asked['do']}-{len(asked.get('levels', []))}",
)
def test_every_edit_is_told_as_a_change_and_can_be_undone(client: Client, sheet: Json, asked: Json) -> None:
    """Guards against a page that shows another grid than the server keeps."""
    before = rows(sheet["rows"])
    (change,) = edits(client, sheet, **asked)
    after = now(client, sheet)
    np.testing.assert_array_equal(apply(before, change), after)
    assert not np.array_equal(before, after)
    assert change["past"] == [change["words"]]
    (back,) = client.post(f"/api/codes/sheets/{sheet['id']}/undo").json()["changes"]
    np.testing.assert_array_equal(apply(after, back), before)
    np.testing.assert_array_equal(now(client, sheet), before)
    assert back["future"] == [change["words"]]
    (forth,) = client.post(f"/api/codes/sheets/{sheet['id']}/redo").json()["changes"]
    np.testing.assert_array_equal(apply(before, forth), after)


def test_undo_at_the_beginning_does_nothing(client: Client, sheet: Json) -> None:
    for way in ("undo", "redo"):
        assert client.post(f"/api/codes/sheets/{sheet['id']}/{way}").json() == {"changes": []}


def test_locked_cells_stay_and_move_along(client: Client, sheet: Json) -> None:
    edits(client, sheet, do="lock", first=12, stop=14, levels=[1])
    edits(client, sheet, do="fill", code=7, **CELLS)
    after = now(client, sheet)
    np.testing.assert_array_equal(after[12:14, 1], rows(sheet["rows"])[12:14, 1])
    assert (after[14:20, 1] == 7).all()
    # Guards against "Set …" and a step to undo where nothing was changed.
    vain = client.post(
        f"/api/codes/sheets/{sheet['id']}/edits", json={"do": "fill", "code": 9, "first": 12, "stop": 14, "levels": [1]}
    )
    assert vain.json()["what"] == "All that would change is locked."
    edits(client, sheet, do="delete", first=0, stop=5)
    assert np.argwhere(now(client, sheet)[:, 2:]).tolist() == [[7, 1], [8, 1]]
    refused = client.post(f"/api/codes/sheets/{sheet['id']}/edits", json={"do": "delete", "first": 7, "stop": 9})
    assert refused.status_code == 400
    assert "locked" in refused.json()["what"]
    edits(client, sheet, do="unlock", first=0, stop=45, levels=[0, 1])
    assert not now(client, sheet)[:, 2:].any()


def test_two_sheets(client: Client, sheet: Json, other: Json) -> None:
    mine, theirs = rows(sheet["rows"]), rows(other["rows"])
    (change,) = edits(client, sheet, do="graft", other=other["id"], other_first=30, **CELLS)
    after = apply(mine, change)
    np.testing.assert_array_equal(after[10:20, 1], theirs[30:40, 1])
    np.testing.assert_array_equal(after[:, 0], mine[:, 0])
    here, there = edits(client, sheet, do="swap", other=other["id"], other_first=0, first=0, stop=5, levels=[0])
    assert (here["sheet"], there["sheet"]) == (sheet["id"], other["id"])
    np.testing.assert_array_equal(apply(theirs, there)[:5, 0], mine[:5, 0])
    np.testing.assert_array_equal(now(client, sheet)[:5, 0], theirs[:5, 0])
    # A swap is undone and redone in both, unless the other has gone on since.
    for way, expected in (("undo", (after, theirs)), ("redo", (apply(after, here), apply(theirs, there)))):
        moved = client.post(f"/api/codes/sheets/{other['id']}/{way}").json()["changes"]
        assert {change["sheet"] for change in moved} == {sheet["id"], other["id"]}
        np.testing.assert_array_equal(now(client, sheet), expected[0])
        np.testing.assert_array_equal(now(client, other), expected[1])
    edits(client, other, do="mirror", **CELLS)
    assert len(client.post(f"/api/codes/sheets/{sheet['id']}/undo").json()["changes"]) == 1
    itself = {"do": "swap", "other": sheet["id"], "other_first": 0, **CELLS}
    assert client.post(f"/api/codes/sheets/{sheet['id']}/edits", json=itself).status_code == 400


def test_a_blend_says_what_it_snapped_to(client: Client, sheet: Json, other: Json) -> None:
    asked = {"other": other["id"], "other_first": 0, "first": 0, "stop": 10, "levels": [0, 1]}
    mix = client.post(f"/api/codes/sheets/{sheet['id']}/blend", json={**asked, "weight": 0.5}).json()
    assert len(mix["off"]) == len(mix["snapped"]) == 10
    assert set(mix["snapped"]) <= {0, 1, 2}
    end = client.post(f"/api/codes/sheets/{sheet['id']}/blend", json={**asked, "weight": 1.0}).json()
    codes = np.frombuffer(base64.b64decode(end["codes"]), "<i2").reshape(-1, 2)
    np.testing.assert_array_equal(codes, rows(other["rows"])[:10, :2])
    np.testing.assert_array_equal(now(client, sheet), rows(sheet["rows"]))  # nothing is changed yet
    edits(client, sheet, do="take", first=0, codes=mix["codes"], words=mix["words"])
    instead = {"first": 0, "codes": mix["codes"]}
    taken = heard(client.post(f"/api/codes/sheets/{sheet['id']}/sound", json={"first": 0, "stop": 10}))
    before = heard(
        client.post(f"/api/codes/sheets/{other['id']}/sound", json={"first": 0, "stop": 10, "instead": instead})
    )
    assert taken.shape == before.shape == (1, 10 * 1024)


def test_what_is_locked_is_not_counted_as_mixed(client: Client, sheet: Json, other: Json) -> None:
    """Guards against a strip and a step that say of locked columns that they took the other's codes."""
    edits(client, sheet, do="lock", first=12, stop=14, levels=[0, 1])
    asked = {"other": other["id"], "other_first": 10, "weight": 1.0, **CELLS}
    mix = client.post(f"/api/codes/sheets/{sheet['id']}/blend", json=asked).json()
    assert mix["snapped"][2:4] == [0, 0]
    assert mix["off"][2:4] == [1.0, 1.0]
    assert mix["words"].endswith("; locked cells in 2 columns stay")
    (change,) = edits(client, sheet, do="mirror", **CELLS)
    assert change["words"].endswith("; locked cells in 2 columns stay")


def test_proposals_leave_what_is_locked(client: Client, sheet: Json) -> None:
    edits(client, sheet, do="lock", first=12, stop=14, levels=[0, 1])
    asked = {"first": 10, "stop": 20, "levels": [0, 1], "count": 2, "seed": 5}
    found = client.post(f"/api/codes/sheets/{sheet['id']}/reimagine", json=asked).json()
    assert [one["seed"] for one in found] == [5, 6]
    for one in found:
        codes = np.frombuffer(base64.b64decode(one["codes"]), "<i2").reshape(-1, 2)
        np.testing.assert_array_equal(codes[2:4], rows(sheet["rows"])[12:14, :2])
        assert not np.array_equal(codes, rows(sheet["rows"])[10:20, :2])
    edits(client, sheet, do="take", first=10, codes=found[1]["codes"], words=found[1]["words"])
    np.testing.assert_array_equal(now(client, sheet)[10:20, :2], codes)


def test_what_can_be_heard(client: Client, sheet: Json) -> None:
    url = f"/api/codes/sheets/{sheet['id']}/sound"
    whole = heard(client.post(url, json={"first": 0, "stop": 50}))
    assert whole.shape == (1, 50 * 1024)
    alone = heard(client.post(url, json={"first": 0, "stop": 50, "levels": [0]}))
    assert not np.array_equal(alone, whole)
    moment = heard(client.post(url, json={"first": 3, "stop": 4, "held": True}))
    cell = heard(client.post(url, json={"first": 3, "stop": 4, "levels": [1], "held": True}))
    assert moment.shape == cell.shape
    assert moment.shape[1] > 10_000
    edits(client, sheet, do="mirror", first=0, stop=50, levels=[0, 1])
    np.testing.assert_array_equal(heard(client.post(url, json={"first": 0, "stop": 50, "original": True})), whole)


def test_pieces_that_follow_each_other_join_without_a_seam(client: Client, sheet: Json) -> None:
    url = f"/api/codes/sheets/{sheet['id']}/sound"
    whole = heard(client.post(url, json={"first": 0, "stop": 50}))
    first = client.post(url, json={"first": 0, "stop": 20, "goes_on": True})
    second = client.post(url, json={"first": 20, "stop": 50, "after": first.headers["x-goes-on"]})
    assert "x-goes-on" not in second.headers
    np.testing.assert_allclose(np.concatenate([heard(first), heard(second)], axis=1), whole, atol=1e-4)
    assert client.post(url, json={"first": 20, "stop": 50, "after": "unknown"}).status_code == 200


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "codes"])
def test_it_is_saved_as_long_as_it_is(client: Client, sheet: Json, ending: str, tmp_path: Path) -> None:
    edits(client, sheet, do="delete", first=0, stop=7)
    answer = client.get(f"/api/codes/sheets/{sheet['id']}/file?format={ending}")
    assert f"take-0-edited.{ending}" in answer.headers["content-disposition"]
    if ending != "codes":
        (tmp_path / f"a.{ending}").write_bytes(answer.content)
        assert soundfile.info(tmp_path / f"a.{ending}").frames == pytest.approx(43 * 1024, abs=2500)


def test_the_codebooks(client: Client, model: str, sheet: Json) -> None:
    book = client.get(f"/api/codes/models/{model}/book").json()
    assert (book["levels"], book["entries"], len(book["colours"][1])) == (2, 32, 32)
    code = int(rows(sheet["rows"])[4, 1])
    found = client.get(f"/api/codes/models/{model}/entries/1/{code}/places").json()
    assert any(one["recording"] == 0 and one["first"] <= 4 < one["stop"] for one in found["places"])
    assert heard(client.get(f"/api/codes/models/{model}/entries/1/{code}/sound")).any()
    assert heard(client.get(f"/api/codes/models/{model}/recordings/0/sound?first=2&stop=6")).shape == (1, 4096)


def test_closing_can_be_taken_back(client: Client, sheet: Json) -> None:
    edits(client, sheet, do="mirror", **CELLS)
    assert client.delete(f"/api/codes/sheets/{sheet['id']}").json() == {"done": True}
    assert client.get("/api/codes/sheets").json() == []
    assert client.get(f"/api/codes/sheets/{sheet['id']}").status_code == 404
    back = client.post(f"/api/codes/sheets/{sheet['id']}/reopen").json()
    assert back["past"] == ["Mirrored 0.21–0.43 s on Detail"]


def test_what_was_closed_stays_for_thirty_days(client: Client, sheet: Json) -> None:
    """Guards against closed sounds that fill the disk for ever, and against ones that are gone without a word."""
    gone = home() / "sheets" / f"{sheet['id']}.gone"
    client.delete(f"/api/codes/sheets/{sheet['id']}")
    (closed,) = client.get("/api/codes/closed").json()
    assert closed["name"] == "take-0.wav"
    left = datetime.fromisoformat(closed["until"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left < timedelta(days=30)
    days = 24 * 3600.0
    os.utime(gone, (0, time.time() - 29.9 * days))
    assert len(client.get("/api/codes/closed").json()) == 1
    for listed in (1, 0):  # the first time it may be the clock
        os.utime(gone, (0, time.time() - 30.1 * days))
        assert len(client.get("/api/codes/closed").json()) == listed
    assert not gone.exists()
    assert client.post(f"/api/codes/sheets/{sheet['id']}/reopen").status_code == 404


@pytest.mark.parametrize("ahead", [timedelta(days=31), timedelta(days=4000)])
def test_a_clock_that_was_ahead_for_a_while_deletes_nothing(
    client: Client, sheet: Json, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    """Guards against one look at the list, while the clock is a month ahead, that deletes for good what was just closed; again
    where it was opened and closed since."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Ahead":
            return super().now(tz) + ahead

    for _ in range(2):
        client.delete(f"/api/codes/sheets/{sheet['id']}")
        with monkeypatch.context() as clock:
            clock.setattr(closed_sheets, "datetime", Ahead)
            closed_sheets.closed()
        assert client.post(f"/api/codes/sheets/{sheet['id']}/reopen").status_code == 200


def test_a_sheet_that_was_opened_long_ago_can_be_closed(
    client: Client, sheet: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a list of closed ones, asked for at that moment, that counts its days from when it was opened."""
    os.utime(home() / "sheets" / sheet["id"], (0, time.time() - 40 * 24 * 3600.0))
    monkeypatch.setattr(closed_sheets, "sync_folder", lambda _: closed_sheets.closed())
    client.delete(f"/api/codes/sheets/{sheet['id']}")
    assert client.post(f"/api/codes/sheets/{sheet['id']}/reopen").status_code == 200


def test_a_damaged_sheet_is_said_and_kept(client: Client, sheet: Json) -> None:
    note = home() / "sheets" / sheet["id"] / "sheet.json"
    note.write_bytes(note.read_bytes()[:40])
    assert client.get("/api/codes/sheets").json() == []
    (told,) = client.get("/api/damaged").json()["codes"]
    assert str(note) in told["what"]
    assert client.get(f"/api/codes/sheets/{sheet['id']}").json()["what"] == told["what"]
    assert note.exists()


@pytest.mark.parametrize("line", ['{"do": "set"}', "[1]", '{"do": "set", "first": 0, "before": "?", "after": 3}'])
def test_a_step_that_is_none_is_said(client: Client, sheet: Json, line: str) -> None:
    """Guards against a server's error for a line that is no step, as another version might write it."""
    steps = home() / "sheets" / sheet["id"] / "steps.jsonl"
    steps.write_text(line + "\n")
    told = client.get(f"/api/codes/sheets/{sheet['id']}")
    assert told.status_code < 500
    assert str(steps) in told.json()["what"]


def test_a_closed_sheet_that_is_damaged_is_said_and_never_deleted(client: Client, sheet: Json) -> None:
    """Guards against one that is on no list, and goes with its days all the same."""
    assert client.delete(f"/api/codes/sheets/{sheet['id']}").status_code == 200
    (note,) = (home() / "sheets").glob(f"{sheet['id']}*/sheet.json")
    note.write_bytes(note.read_bytes()[:40])
    os.utime(note.parent, (0, 0))
    assert client.get("/api/codes/closed").json() == []
    (told,) = client.get("/api/damaged").json()["codes"]
    assert str(note) in told["what"]
    assert note.exists()


def test_another_name(client: Client, sheet: Json) -> None:
    url = f"/api/codes/sheets/{sheet['id']}/name"
    assert client.post(url, json={"name": "  Bärenlied "}).json()["name"] == "Bärenlied"
    assert client.post(url, json={"name": "   "}).status_code == 400


def test_a_sheet_survives_a_new_server_and_a_crash(
    client: Client, sheet: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against work that is lost with the process: everything is read from the files, a torn last line left out."""
    edits(client, sheet, do="mirror", **CELLS)
    edits(client, sheet, do="fill", code=3, **CELLS)
    client.post(f"/api/codes/sheets/{sheet['id']}/undo")
    before = client.get(f"/api/codes/sheets/{sheet['id']}").json()
    steps = home() / "sheets" / sheet["id"] / "steps.jsonl"
    with steps.open("ab") as file:
        file.write(b'{"do": "cut sho')
    sheets._cache.clear()
    assert client.get(f"/api/codes/sheets/{sheet['id']}").json() == before
    (change,) = edits(client, sheet, do="fill", code=4, **CELLS)
    sheets._cache.clear()
    again = client.get(f"/api/codes/sheets/{sheet['id']}").json()
    assert again["past"][-1] == change["words"]
    assert (rows(again["rows"])[10:20, 1] == 4).all()


def test_a_long_sound_with_a_long_past(client: Client, sheet: Json, model: str) -> None:
    """Guards against answers that are too long to be given, or that grow with every step."""
    about = sheets.sheet(sheet["id"]).about
    facts = {"codec": about.codec, "sample_rate": 48_000, "hop": 1024, "levels": 2, "entries": 32}
    columns = sheets.LONGEST_COLUMNS
    codes = np.zeros((columns, 2), np.int64)
    long = sheets.open_sheet("long", Path(about.model), about.origin, facts, codes, columns * 1024)
    for number in range(60):
        (change,) = edits(client, {"id": long.about.id}, do="fill", first=number, stop=number + 1, levels=[0], code=1)
    assert len(change["past"]) == 50
    told = client.get(f"/api/codes/sheets/{long.about.id}").json()
    assert rows(told["rows"])[:, 0].sum() == 60
    for _ in range(60):
        client.post(f"/api/codes/sheets/{long.about.id}/undo")
    assert not rows(client.get(f"/api/codes/sheets/{long.about.id}").json()["rows"]).any()
    tracemalloc.start()
    for times, stop in ((2, 2), (1000, columns)):
        refused = client.post(
            f"/api/codes/sheets/{long.about.id}/edits",
            json={"do": "repeat", "times": times, "first": 0, "stop": stop, "levels": [0, 1]},
        )
        assert refused.status_code == 400
        assert "too long" in refused.json()["what"]
    assert tracemalloc.get_traced_memory()[1] < 50e6, "the copies are not even made"
    tracemalloc.stop()


def test_the_model_is_found_where_it_is_now(client: Client, sheet: Json, tiny: Path) -> None:
    url = f"/api/codes/sheets/{sheet['id']}/sound"
    moved = tiny.rename(tiny.with_name("renamed.distill"))
    assert client.post(url, json={"first": 0, "stop": 5}).status_code == 404
    Library(lambda _: None).note_model(moved)
    assert client.post(url, json={"first": 0, "stop": 5}).status_code == 200
    assert client.get(f"/api/codes/sheets/{sheet['id']}").json()["model_id"] is not None


def test_the_model_is_found_by_its_new_name_also_where_another_has_the_old_one(
    client: Client, sheet: Json, tiny: Path, model_files: Path
) -> None:
    """Guards against a sound that cannot be heard any more, though its model is in the library: a new one has its name."""
    library = Library(lambda _: None)
    moved = library.note_model(tiny.rename(tiny.with_name("renamed.distill")))
    tiny.write_bytes((model_files / "other.distill").read_bytes())
    library.note_model(tiny)
    assert client.get(f"/api/codes/sheets/{sheet['id']}").json()["model_id"] == places.model_id(moved)
    assert client.post(f"/api/codes/sheets/{sheet['id']}/sound", json={"first": 0, "stop": 5}).status_code == 200


def test_codes_of_another_model_are_not_played(client: Client, sheet: Json, tiny: Path, model_files: Path) -> None:
    """Guards against noise: another model's codes mean other sounds."""
    tiny.write_bytes((model_files / "other.distill").read_bytes())
    answer = client.post(f"/api/codes/sheets/{sheet['id']}/sound", json={"first": 0, "stop": 5})
    assert answer.status_code == 400
    assert "another one" in answer.json()["what"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"do": "mirror", "first": 10, "stop": 99, "levels": [0]}, 400),
        ({"do": "mirror", "first": 10, "stop": 20, "levels": [2]}, 400),
        ({"do": "fill", "first": 10, "stop": 20, "levels": [0], "code": 32}, 400),
        ({"do": "take", "first": 0, "codes": "no base64", "words": ""}, 400),
        ({"do": "take", "first": 0, "codes": text([[1, 2, 3]]), "words": ""}, 400),
        ({"do": "take", "first": 0, "codes": text([[1, 99]]), "words": ""}, 400),
        ({"do": "take", "first": 50, "codes": text([[1, 2]]), "words": ""}, 400),
        ({"do": "graft", "other": "000000000000", "other_first": 0, **CELLS}, 404),
        ({"do": "graft", "other": "../../..", "other_first": 0, **CELLS}, 404),
        ({"do": "repeat", "times": 1, **CELLS}, 422),
        ({"do": "explode", **CELLS}, 422),
        ({"do": "delete", "first": 0, "stop": 50}, 400),
    ],
)
def test_what_cannot_be_is_refused_in_words(client: Client, sheet: Json, asked: Json, status: int) -> None:
    answer = client.post(f"/api/codes/sheets/{sheet['id']}/edits", json=asked)
    assert answer.status_code == status
    assert set(answer.json()) == {"what", "fix"}
    assert np.array_equal(now(client, sheet), rows(sheet["rows"]))


def test_two_tabs(client: Client, sheet: Json) -> None:
    """Guards against one tab that silently takes back what another did."""
    old = sheets.sheet(sheet["id"])
    edits(client, sheet, do="mirror", **CELLS)
    with pytest.raises(SettingError, match="another tab"):
        sheets.do("late", old.codes, old.locked, based_on=old)


def test_nothing_is_changed_by_whoever_sees_what_it_was(client: Client, sheet: Json, other: Json) -> None:
    """Guards against an edit, or an undo, of columns that another tab has moved: what is meant is what is seen."""
    edits(client, sheet, do="delete", first=0, stop=5)
    url, before = f"/api/codes/sheets/{sheet['id']}", now(client, sheet)
    swap = {"do": "swap", "other": sheet["id"], "other_first": 0, "other_version": sheet["version"], **CELLS}
    for way, seen, asked in (
        (f"{url}/edits", sheet, {"do": "delete", "first": 20, "stop": 25}),
        (f"{url}/undo", sheet, {}),
        (f"{url}/redo", sheet, {}),
        (f"/api/codes/sheets/{other['id']}/edits", other, swap),
    ):
        refused = client.post(way, params={"version": seen["version"]}, json=asked)
        assert refused.status_code == 400, way
        assert "another tab" in refused.json()["what"]
    np.testing.assert_array_equal(now(client, sheet), before)
    seen = client.get(url).json()["version"]
    assert client.post(f"{url}/undo", params={"version": seen}).status_code == 200
    assert len(now(client, sheet)) == 50


def test_a_swap_is_done_in_both_sounds_or_in_none(
    client: Client, sheet: Json, other: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against half a swap, where the other sound is changed in another tab at that moment."""
    real = edit.swap

    def meanwhile(*args: Any) -> Any:
        one = sheets.sheet(other["id"])
        sheets.do("meanwhile", one.codes[::-1], one.locked, based_on=one)
        return real(*args)

    monkeypatch.setattr(edit, "swap", meanwhile)
    asked = {"do": "swap", "other": other["id"], "other_first": 0, "first": 0, "stop": 5, "levels": [0]}
    refused = client.post(f"/api/codes/sheets/{sheet['id']}/edits", json=asked)
    assert "another tab" in refused.json()["what"]
    assert np.array_equal(now(client, sheet), rows(sheet["rows"]))


def test_a_sound_that_was_only_read_again_or_renamed_is_still_the_same(client: Client, sheet: Json) -> None:
    """Guards against an edit refused as another tab's, where the server had only forgotten what it had read."""
    old = sheets.sheet(sheet["id"])
    sheets._cache.clear()
    sheets.rename(old, "another name")
    done, _ = sheets.do("in time", old.codes[::-1], old.locked, based_on=old)
    assert done.about.name == "another name"


def test_every_route_says_what_it_takes_and_gives(client: Client) -> None:
    document = client.get("/api/openapi.json").json()
    ours = {path: ways for path, ways in document["paths"].items() if "/codes/" in path}
    assert len(ours) >= 14
    for path, ways in ours.items():
        for way, told in ways.items():
            assert told["summary"], (path, way)
            assert told.get("description"), (path, way)
            content = told["responses"]["200"]["content"]
            assert content, (path, way)
            assert content.get("application/json", {}).get("schema") != {}, (path, way)


def test_a_model_on_a_disk_that_is_gone_is_asked_for(tmp_path: Path, unreachable: Callable[[Path, int], None]) -> None:
    """Guards against a fault of ours where the model of a sheet may not be looked at."""
    model = tmp_path / "m.distill"
    unreachable(model, errno.EACCES)
    about = sheets.About("0123456789ab", "take-0", str(model), "o", "c", 48_000, 1024, 4, 256, 1024, "2026")
    with pytest.raises(LibraryError, match="is not where it was"):
        sheets.model_of(about)
