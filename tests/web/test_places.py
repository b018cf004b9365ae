"""Nothing that the page names leads out of the folders that the person named."""

import errno
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from distill.errors import CorpusError, LibraryError
from distill.files.home import home
from distill.recordings.folder import audio_files
from distill.web import places

OUT = (
    "../secret.wav",
    "/etc/passwd",
    "a/../../secret.wav",
    "..\\secret.wav",
    "C:/secret.wav",
    "",
    "a\0b",
    "./../secret.wav",
)


@pytest.fixture
def named(small_corpus: Path) -> places.Collection:
    return places.add_collection(small_corpus)


def test_a_recording_is_found_by_its_name(named: places.Collection, small_corpus: Path) -> None:
    assert places.sound(f"recording:{named.id}/take-0.wav") == small_corpus.resolve() / "take-0.wav"


def test_a_folder_in_distills_own_goes_along_when_that_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_corpus: Path
) -> None:
    """Guards against recordings that are "gone from their place", as the whole path of their folder was noted."""
    shutil.copytree(small_corpus, places.own_recordings() / "loops")
    one = places.add_collection(places.own_recordings() / "loops")
    shutil.move(home(), tmp_path / "moved")
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "moved"))
    assert places.collection(one.id).folder == str(places.own_recordings() / "loops")
    assert places.sound(f"recording:{one.id}/take-0.wav") == places.own_recordings() / "loops" / "take-0.wav"


@pytest.mark.parametrize("name", OUT)
def test_no_name_leads_out(named: places.Collection, client: Any, name: str) -> None:
    (home() / "secret.wav").write_bytes(b"secret")
    (home() / "runs" / "one").mkdir(parents=True)
    for reference in (f"recording:{named.id}/{name}", f"upload:{name}", f"run:one/{name}", f"run:{name}", name):
        with pytest.raises((LibraryError, OSError)):
            places.sound(reference)
        for what in ("audio", "look", "passage", "level", "download"):
            assert client.get(f"/api/sound/{what}", params={"ref": reference}).status_code in (400, 404)


@pytest.mark.parametrize(
    "reference", ["piece:1", "piece:x", "piece:99999999999999", "learned:abc/x.wav", "file:/etc/passwd", "x", ":"]
)
def test_what_is_not_there_is_said(client: Any, reference: str) -> None:
    answer = client.get("/api/sound/look", params={"ref": reference})
    assert answer.status_code in (400, 404)
    assert answer.json()["what"].endswith(".")


def test_the_logs_and_states_of_a_run_are_no_sounds(client: Any) -> None:
    folder = home() / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "codec.state").write_bytes(b"state")
    (folder / "codec.jsonl").write_bytes(b"{}\n")
    for name in ("codec.state", "codec.jsonl"):
        assert client.get("/api/sound/audio", params={"ref": f"run:one/{name}"}).status_code == 400


def test_a_folder_is_named_by_a_whole_path(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="whole path"):
        places.add_collection(Path("recordings"))
    with pytest.raises(CorpusError, match="no folder"):
        places.add_collection(tmp_path / "none")


def test_a_folder_is_named_as_file_managers_copy_its_path(client: Any, tmp_path: Path) -> None:
    folder = tmp_path / 'Köln\'s "best" loops #1'
    folder.mkdir()
    for text in (f'"{folder}"', f"'{folder}'", folder.as_uri(), f" {folder} "):
        assert client.post("/api/collections", json={"folder": text}).json().get("folder") == str(folder), text


def test_what_is_no_address_is_refused_in_words(client: Any) -> None:
    """Guards against a fault of ours where brackets stand where an address names a computer."""
    told = client.post("/api/collections", json={"folder": "file://[take] one/loops"})
    assert told.status_code == 400
    assert "does not say where it begins" in told.json()["what"]


@pytest.mark.parametrize("name", ["हिन्दी गीत", "ไทยเพลงที่", "Tiếng Việt", "שִׁיר", "ok"])
def test_a_folder_named_in_any_script_can_be_used(client: Any, tmp_path: Path, name: str) -> None:
    """Guards against a folder that is added and then not known, as its name holds combining marks."""
    folder = tmp_path / name
    folder.mkdir()
    one = client.post("/api/collections", json={"folder": str(folder)}).json()
    assert client.get(f"/api/collections/{one['id']}").json()["folder"] == str(folder)


@pytest.mark.parametrize("given", ["", ".", "..", "../studio/secret", "..\\secret", "a\0b"])
def test_no_id_of_a_folder_leads_out(named: places.Collection, given: str) -> None:
    """Guards against an id that becomes a path as it came: any JSON file would be read as the note of a folder."""
    (home() / "studio").mkdir()
    for place in (home() / "studio" / "secret.json", home() / "secret.json"):
        place.write_bytes((home() / "collections" / f"{named.id}.json").read_bytes())
    with pytest.raises(LibraryError, match="not known here"):
        places.collection(given)


def test_somebody_elses_home_that_is_not_there_is_refused_in_words(client: Any) -> None:
    """Guards against a fault of ours at each pause in typing where a path begins with ~ and the name of no user."""
    for text in ("~no-such-user", "~no-such-user/loops", "~\0"):
        assert client.get("/api/folders", params={"text": text}).json() == {"folders": []}
    for text in ("~no-such-user", "~no-such-user/loops"):
        told = client.post("/api/collections", json={"folder": text})
        assert (told.status_code, told.json()["what"]) == (400, "There is no user 'no-such-user'.")
        assert text.replace("~no-such-user", "~/no-such-user") in told.json()["fix"]


def test_a_recording_whose_name_begins_with_a_time_is_found(tmp_path: Path) -> None:
    """Guards against a digit that is taken for the letter of a disk."""
    path = tmp_path / "1:30 take.wav"
    path.write_bytes(b"RIFF")
    assert places.sound(f"recording:{places.add_collection(tmp_path).id}/{path.name}") == path.resolve()


def test_what_was_dropped_is_known_again_where_distills_folder_is_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against settings that are used again without their prompt: the piece names it by the path without links."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "home"))
    (places.uploads()).mkdir()
    (places.uploads() / "prompt.wav").write_bytes(b"RIFF")
    for folder in (tmp_path / "home", tmp_path / "disk"):
        assert places.reference_of(str(folder / "uploads" / "prompt.wav")) == "upload:prompt.wav"


def test_a_prompt_on_a_disk_that_is_gone_has_no_reference(
    named: places.Collection, small_corpus: Path, unreachable: Callable[[Path, int], None]
) -> None:
    """Guards against a piece that the page cannot show, as the recording it began with may not be looked at."""
    path = small_corpus.resolve() / "take-0.wav"
    assert places.reference_of(str(path)) == f"recording:{named.id}/take-0.wav"
    unreachable(path, errno.EACCES)
    assert places.reference_of(str(path)) == ""


def test_whoever_names_a_file_reads_which_folder_to_name(small_corpus: Path) -> None:
    with pytest.raises(CorpusError, match="is a file") as told:
        places.add_collection(small_corpus / "take-0.wav")
    assert str(small_corpus) in told.value.fix


def test_a_folder_is_named_once(small_corpus: Path) -> None:
    one, same = places.add_collection(small_corpus), places.add_collection(small_corpus / ".." / "small")
    assert one == same
    assert places.collections() == [one]


def test_a_link_to_nothing_hides_no_change_of_a_folder(tmp_path: Path) -> None:
    """Guards against a report that is shown for ever: with one such link, no change in the folder was seen."""
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "old.wav").symlink_to("/Volumes/USB/old.wav")
    one = places.add_collection(tmp_path)
    stamps = [one.stamp]
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    stamps.append(one.stamp)
    stamps.append(places.leave_out(one, ["b.wav"]).stamp)
    assert len({*stamps, ""}) == 4


def test_whoever_asks_again_is_told_that_a_file_was_saved_over(client: Any, tmp_path: Path) -> None:
    """Guards against a page that sees the same folder, with as many files, and waits for ever for another verdict."""
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    one = places.add_collection(tmp_path).id
    before = client.get(f"/api/collections/{one}").json()["stamp"]
    assert client.get(f"/api/collections/{one}").json()["stamp"] == before
    (tmp_path / "a.wav").write_bytes(b"RIFF, and more")
    assert client.get(f"/api/collections/{one}").json()["stamp"] != before


def test_nobody_overwrites_what_another_tab_leaves_out(named: places.Collection, client: Any) -> None:
    names = [f"take-{number}.wav" for number in range(6)]
    with ThreadPoolExecutor(6) as tabs:
        list(tabs.map(lambda name: places.leave_one_out(named.id, name, is_out=True), names))
    assert places.collection(named.id).left_out == names
    told = client.post(f"/api/collections/{named.id}/left-out", json={"name": "take-0.wav", "is_out": False}).json()
    assert told["left_out"] == names[1:]


def test_completion_tells_folders_and_no_files(client: Any, tmp_path: Path) -> None:
    (tmp_path / "Drums").mkdir()
    (tmp_path / "drones").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "dry.wav").touch()
    told = client.get("/api/folders", params={"text": f"{tmp_path}/dr"}).json()["folders"]
    assert told == [str(tmp_path / "Drums"), str(tmp_path / "drones")]
    assert client.get("/api/folders", params={"text": "relative"}).json() == {"folders": []}


def test_a_damaged_note_of_a_folder_is_said_and_kept(named: places.Collection, client: Any, small_corpus: Path) -> None:
    """Guards against a folder that is gone from the list without a word, and a note that is written over."""
    (note,) = (home() / "collections").glob("*.json")
    note.write_bytes(b'{"folder": "/some')
    assert client.get("/api/collections").json() == []
    (told,) = client.get("/api/damaged").json()["recordings"]
    assert str(note) in told["what"]
    assert client.get(f"/api/collections/{named.id}").status_code == 404
    client.post("/api/collections", json={"folder": str(small_corpus)})
    assert [one["id"] for one in client.get("/api/collections").json()] == [named.id]
    assert client.get("/api/damaged").json()["recordings"] == []
    assert note.with_suffix(".damaged").read_bytes() == b'{"folder": "/some'


def test_a_folder_of_distills_own_stays_one_when_it_was_off_the_list(client: Any) -> None:
    """Guards against an undo after which no file can be dropped on the folder any more."""
    one = client.post("/api/collections/new", json={"name": "mine"}).json()
    client.delete(f"/api/collections/{one['id']}")
    assert client.post("/api/collections", json={"folder": one["folder"]}).json()["is_own"]


def test_as_many_files_are_told_as_are_read(small_corpus: Path, tmp_path: Path) -> None:
    """Guards against "0 audio files" for a folder of links to folders, of which all recordings are used."""
    links = tmp_path / "links"
    (links / "deep").mkdir(parents=True)
    (links / "takes").symlink_to(small_corpus, target_is_directory=True)
    (links / "again").symlink_to(small_corpus, target_is_directory=True)
    (links / "deep" / "above").symlink_to(links, target_is_directory=True)
    (links / "deep" / "film.mov").write_bytes(b"")
    (links / ".hidden").mkdir()
    (links / ".hidden" / "a.wav").write_bytes(b"")
    assert places.count_files(links) == len(audio_files(links)[0]) == places.count_files(small_corpus) + 1


def test_a_recording_without_an_ending_is_counted_as_it_is_read(small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a list that says five where the table below says six: the one went by names, the other by content."""
    mine = Path(shutil.copytree(small_corpus, tmp_path / "mine"))
    (mine / "take-0.wav").rename(mine / "take-0")
    (mine / "notes").write_text("no sound")
    (mine / "gone").symlink_to(tmp_path / "nowhere")
    assert places.count_files(mine) == len(audio_files(mine)[0]) == 6
    (mine / "notes").write_bytes((mine / "take-0").read_bytes())
    assert places.count_files(mine) == 7
