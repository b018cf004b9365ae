"""What is dropped on the page (bounded, under a name of its own, judged by the same import), and what is shown of a sound."""

import asyncio
import base64
import dataclasses
import io
import os
import pydoc
import re
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from distill import web
from distill.files.home import home
from distill.formats.suffixes import AUDIO_SUFFIXES, EXTRA_SUFFIXES
from distill.models import load_model, save_model
from distill.models.sound import sound_from
from distill.web import places, sound
from distill.web.app import create_app
from distill.web.guard import Door
from distill.web.routes.sounds import take


def wav(seconds: float = 0.5, rate: int = 48_000) -> bytes:
    buffer = io.BytesIO()
    time = np.arange(round(seconds * rate)) / rate
    soundfile.write(buffer, 0.5 * np.sin(2 * np.pi * 440 * time), rate, format="WAV", subtype="PCM_24")
    return buffer.getvalue()


class Body:
    """Stands for a request."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def stream(self) -> AsyncIterator[bytes]:
        yield self._content


def test_a_prompt_is_taken_and_can_be_heard(client: Any) -> None:
    taken = client.put("/api/uploads/sounds/my take.wav", content=wav()).json()
    assert taken == {"reference": "upload:my-take.wav", "name": "my-take.wav", "seconds": 0.5}
    again = client.put("/api/uploads/sounds/my take.wav", content=wav()).json()
    assert again["name"] == "my-take-2.wav"
    heard = client.get("/api/sound/audio", params={"ref": taken["reference"]}, headers={"range": "bytes=0-99"})
    assert heard.status_code == 206
    assert heard.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize(("given", "kept"), [("1. First take", "1.-First-take"), ("a.b.wav", "a.b.wav")])
def test_a_name_with_a_dot_in_it_is_kept_whole(client: Any, given: str, kept: str) -> None:
    """Guards against "1", in place of a name with a dot and no ending that is known."""
    assert client.put(f"/api/uploads/sounds/{given}", content=wav()).json()["name"] == kept


def test_two_uploads_of_one_name_keep_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against the second of two that begin at once: it failed, and took the first one's file with it."""
    from distill.files import names

    def sent(content: bytes) -> Path:
        return asyncio.run(take(Body(content), tmp_path, "x.wav"))

    first = sent(b"first")
    # Both have seen that the name is free.
    free = names.free_path
    seen = iter([first])
    monkeypatch.setattr(names, "free_path", lambda path: next(seen, None) or free(path))
    second = sent(b"second")
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")
    assert (first.name, second.name) == ("x.wav", "x-2.wav")


@pytest.mark.parametrize("slow", ["distill.web.routes.sounds.probe", "os.fsync"])
def test_while_a_file_is_judged_or_written_others_are_answered(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a page that stands still for everybody while a stranger's file is looked through."""
    do, begun, goes_on = pydoc.locate(slow), threading.Event(), threading.Event()

    def slowly(*given: Any) -> Any:
        begun.set()
        assert goes_on.wait(2)
        return do(*given)  # type: ignore[operator]

    async def both() -> None:
        there = httpx.ASGITransport(create_app(Door()))
        async with httpx.AsyncClient(transport=there, base_url="http://127.0.0.1:8765") as page:
            await page.get("/api/about")
            monkeypatch.setattr(slow, slowly)
            upload = asyncio.create_task(page.put("/api/uploads/sounds/a.wav", content=wav()))
            while not begun.is_set():
                assert not upload.done(), upload.result()
                await asyncio.sleep(0.01)
            assert (await page.get("/api/about")).status_code == 200
            goes_on.set()
            assert (await upload).status_code == 200

    asyncio.run(both())


@pytest.mark.parametrize("content", [b"", b"no sound at all", b"RIFF\xff\xff\xff\xffWAVE"])
def test_what_is_no_sound_is_refused_and_gone(client: Any, content: bytes) -> None:
    answer = client.put("/api/uploads/sounds/x.wav", content=content)
    assert answer.status_code == 400
    assert answer.json()["fix"]
    assert list(places.uploads().iterdir()) == []


@pytest.mark.parametrize("name", ["../x.wav", "/etc/x.wav", "..\\x.wav", "x\0.wav", "../../x", "..", "/", ""])
def test_no_name_of_a_file_leads_out(name: str, tmp_path: Path) -> None:
    """Guards against a file anywhere on the disk, should a router ever let a slash through."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    path = asyncio.run(take(Body(b"sound"), folder, name))
    assert path.parent == folder
    assert path.read_bytes() == b"sound"
    assert sorted(tmp_path.rglob("*")) == [folder, path]


def test_recordings_go_into_a_folder_of_distills_own_only(client: Any, small_corpus: Path) -> None:
    own = client.post("/api/collections/new", json={"name": "My takes"}).json()
    taken = client.put(f"/api/uploads/recordings/{own['id']}/a.wav", content=wav()).json()
    assert (places.own_recordings() / "My-takes" / "a.wav").exists()
    assert places.sound(taken["reference"]).name == "a.wav"
    before = sorted(small_corpus.iterdir())
    named = client.post("/api/collections", json={"folder": str(small_corpus)}).json()
    refused = client.put(f"/api/uploads/recordings/{named['id']}/a.wav", content=wav())
    assert refused.status_code == 400
    assert "nothing is ever written" in refused.json()["what"]
    assert sorted(small_corpus.iterdir()) == before


def test_recordings_of_one_name_in_two_folders_stay_apart(client: Any) -> None:
    """Guards against takes called x.wav and x-2.wav, of which nobody knows which is which."""
    own = client.post("/api/collections/new", json={"name": "pack"}).json()
    address = f"/api/uploads/recordings/{own['id']}/x.wav"
    kick = client.put(address, params={"below": "my drums/kick"}, content=wav()).json()
    snare = client.put(address, params={"below": "my drums/snare"}, content=wav()).json()
    assert [kick["name"], snare["name"]] == ["my drums/kick/x.wav", "my drums/snare/x.wav"]
    assert places.sound(kick["reference"]) == places.own_recordings() / "pack" / "my drums" / "kick" / "x.wav"
    assert client.get(f"/api/collections/{own['id']}").json()["files"] == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [("a b", "a-b"), ("a?b", "a:b"), ("Kit (1)", "Kit 1"), ("?", "*"), ("b" * 250 + "1", "b" * 250 + "2")],
)
def test_folders_whose_names_are_nearly_alike_stay_apart(client: Any, one: str, other: str) -> None:
    """Guards against two folders that became one, in which nobody knows which file is from which."""
    own = client.post("/api/collections/new", json={"name": "pack"}).json()
    address = f"/api/uploads/recordings/{own['id']}/x.wav"
    names = [client.put(address, params={"below": below}, content=wav()).json()["name"] for below in (one, other, one)]
    folders = [name.rpartition("/")[0] for name in names]
    assert folders[0] == folders[2] != folders[1]
    assert [name.rpartition("/")[2] for name in names] == ["x.wav", "x.wav", "x-2.wav"]


@pytest.mark.parametrize("below", ["../..", "/etc", "a/../../..", "..\\..", "?", "x\0"])
def test_no_name_of_a_folder_leads_out(client: Any, below: str) -> None:
    own = client.post("/api/collections/new", json={"name": "pack"}).json()
    taken = client.put(f"/api/uploads/recordings/{own['id']}/x.wav", params={"below": below}, content=wav()).json()
    inside = places.own_recordings() / "pack"
    assert list(home().rglob("*.wav")) == [inside / taken["name"]]


def test_a_model_file_is_asked_for_where_models_are_imported(client: Any) -> None:
    assert client.put("/api/uploads/models/x.wav", content=b"x").status_code == 400


def test_a_picture_shows_the_sound_where_it_is(client: Any, save: Callable[..., Path], tmp_path: Path) -> None:
    """A second of silence, then a second of 1 kHz: the right half of the picture is loud, at the right height."""
    time = np.arange(48_000) / 48_000
    sound = np.concatenate([np.zeros(48_000), 0.5 * np.sin(2 * np.pi * 1000 * time)])[None].astype(np.float32)
    save(tmp_path / "sounds" / "half.wav", sound)
    one = client.post("/api/collections", json={"folder": str(tmp_path / "sounds")}).json()
    look = client.get("/api/sound/look", params={"ref": f"recording:{one['id']}/half.wav"}).json()
    peaks = np.frombuffer(base64.b64decode(look["peaks"]), np.int8).reshape(2, look["columns"])
    assert np.abs(peaks[:, : look["columns"] // 2 - 2]).max() == 0
    assert peaks[1, look["columns"] // 2 + 2 :].min() > 60
    mel = np.frombuffer(base64.b64decode(look["mel"]), np.uint8).reshape(look["bands"], look["mel_columns"])
    right = mel[:, 3 * look["mel_columns"] // 4]
    low, high = 2595 * np.log10(1 + 30 / 700), 2595 * np.log10(1 + 20_000 / 700)
    expected = (2595 * np.log10(1 + 1000 / 700) - low) / (high - low)
    assert abs(right.argmax() / look["bands"] - expected) < 0.03
    assert mel[:, look["mel_columns"] // 4].max() == 0


def test_a_spectrogram_shows_every_moment_where_it_is(save: Callable[..., Path], tmp_path: Path) -> None:
    """Guards against the last second of eleven drawn as wide as the ten before it."""
    clicks = np.zeros((1, 11 * 48_000), np.float32)
    clicks[:, 24_000::48_000] = 0.5
    save(tmp_path / "clicks.wav", clicks)
    look = sound.picture(tmp_path / "clicks.wav")
    loudness = np.frombuffer(base64.b64decode(look.mel), np.uint8).reshape(look.bands, look.mel_columns).mean(axis=0)
    struck = [int(second * len(loudness) / look.mel_seconds) for second in np.arange(11) + 0.5]
    is_loud = loudness > loudness.max() / 2
    assert all(is_loud[column - 1 : column + 2].any() for column in struck)
    assert is_loud.sum() <= 4 * len(struck), "nothing sounds between them"


def test_a_passage_is_rounded_to_the_nearest_number(save: Callable[..., Path], tmp_path: Path) -> None:
    """Guards against samples that are rounded down: half a bit of offset, twice the error."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 48_000)).astype(np.float32)
    heard, _ = soundfile.read(io.BytesIO(sound.passage(save(tmp_path / "a.wav", noise, subtype="FLOAT"), 0.25, 0.5)))
    off = 32768 * (heard[480:-480] - noise[0, 12_480:35_520])
    assert np.abs(off).max() <= 0.5


def test_mono_and_stereo_that_are_equally_loud_have_one_level(save: Callable[..., Path], tmp_path: Path) -> None:
    """Guards against mono that is played 3 dB louder than stereo: a browser plays one channel on both sides."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 96_000)).astype(np.float32)
    one, two = save(tmp_path / "one.wav", noise), save(tmp_path / "two.wav", np.repeat(noise, 2, axis=0))
    assert sound.loudness_db(one) == pytest.approx(sound.loudness_db(two), abs=1e-6)


def test_a_soft_sound_is_drawn_as_a_loud_one(client: Any, save: Callable[..., Path], tmp_path: Path) -> None:
    """Guards against steps in the waveform of what is soft, and a spectrogram of it with a bright ground."""
    time = np.arange(96_000) / 48_000
    sound = np.linspace(-0.5, 0.5, 96_000) * (1 + 0.1 * np.sin(2 * np.pi * 1000 * time))
    looks = []
    for name, level in (("loud.wav", 1.0), ("soft.wav", 0.001)):
        save(tmp_path / "sounds" / name, (level * sound)[None].astype(np.float32), subtype="FLOAT")
        one = client.post("/api/collections", json={"folder": str(tmp_path / "sounds")}).json()
        looks.append(client.get("/api/sound/look", params={"ref": f"recording:{one['id']}/{name}"}).json())
    for array, kind in (("peaks", np.int8), ("mel", np.uint8)):
        loud, soft = (np.frombuffer(base64.b64decode(look[array]), kind).astype(int) for look in looks)
        assert np.abs(loud - soft).mean() < 3
    assert looks[1]["loudest"] == pytest.approx(0.001 * looks[0]["loudest"], rel=0.05)


def test_what_a_browser_may_not_play_is_made_playable(
    client: Any, save: Callable[..., Path], tone: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    folder = tmp_path / "sounds"
    save(folder / "a.aiff", tone(0.5))
    save(folder / "float.wav", tone(0.5), subtype="FLOAT")
    one = client.post("/api/collections", json={"folder": str(folder)}).json()
    for name in ("a.aiff", "float.wav"):
        heard = client.get("/api/sound/audio", params={"ref": f"recording:{one['id']}/{name}"})
        assert heard.headers["content-type"] == "audio/flac"
        sound, rate = soundfile.read(io.BytesIO(heard.content))
        assert (len(sound), rate) == (24_000, 48_000)
        assert np.abs(sound).max() > 0.4


def test_what_is_kept_for_the_page_is_bounded(
    save: Callable[..., Path], tone: Callable[..., np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a folder that grows with every recording that was ever looked at."""
    first, second = (save(tmp_path / f"{name}.aiff", tone(0.5)) for name in "ab")
    kept, _ = sound.playable(first)
    os.utime(kept, (0, 0))
    assert sound.playable(first)[0] == kept
    assert kept.stat().st_mtime > 0, "it was asked for again"
    os.utime(kept, (0, 0))
    monkeypatch.setattr(sound, "MOST_BYTES", 1.5 * kept.stat().st_size)
    newer, _ = sound.playable(second)
    assert newer.exists()
    assert not kept.exists()
    assert sound.playable(first)[0].exists(), "it is made again"


def test_a_passage_is_cut_where_it_was_asked_for(client: Any, save: Callable[..., Path], tmp_path: Path) -> None:
    ramp = np.linspace(0, 0.9, 96_000, dtype=np.float32)[None]
    save(tmp_path / "sounds" / "ramp.wav", ramp)
    one = client.post("/api/collections", json={"folder": str(tmp_path / "sounds")}).json()
    asked = {"ref": f"recording:{one['id']}/ramp.wav", "begin": 1.0, "seconds": 0.5}
    sound, _ = soundfile.read(io.BytesIO(client.get("/api/sound/passage", params=asked).content))
    assert len(sound) == 24_000
    assert abs(sound[12_000] - ramp[0, 60_000]) < 1e-3
    beyond = {**asked, "begin": 50.0}
    assert client.get("/api/sound/passage", params=beyond).status_code == 200


def test_two_sounds_can_be_heard_equally_loud(
    client: Any, save: Callable[..., Path], tone: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    """A sine of amplitude 0.5 has an RMS of -9 dBFS; silence around it does not make it softer."""
    sound = np.concatenate([np.zeros((1, 96_000), np.float32), tone(2.0)], axis=1)
    save(tmp_path / "sounds" / "late.wav", sound)
    save(tmp_path / "sounds" / "none.wav", np.zeros((1, 48_000), np.float32))
    one = client.post("/api/collections", json={"folder": str(tmp_path / "sounds")}).json()
    level = client.get("/api/sound/level", params={"ref": f"recording:{one['id']}/late.wav"}).json()["decibels"]
    assert level == pytest.approx(-9.03, abs=0.1)
    assert client.get("/api/sound/level", params={"ref": f"recording:{one['id']}/none.wav"}).json() == {
        "decibels": None
    }


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_a_sound_is_taken_home_in_each_format(client: Any, kind: str) -> None:
    taken = client.put("/api/uploads/sounds/take.wav", content=wav()).json()
    got = client.get("/api/sound/download", params={"ref": taken["reference"], "format": kind})
    assert f'filename="take.{kind}"' in got.headers["content-disposition"]
    assert abs(soundfile.info(io.BytesIO(got.content)).duration - 0.5) < 0.06


def test_the_page_takes_every_kind_of_sound_that_can_be_read() -> None:
    """Guards against a field recorder's ``.bwf`` in a folder that is dropped, left "that is no audio"."""
    script = (Path(web.__file__).parent / "static" / "folder.js").read_text(encoding="utf-8")
    (taken,) = re.findall(r'^const AUDIO = "([^"]*)";', script, flags=re.MULTILINE)
    assert set(taken.split(",")) == AUDIO_SUFFIXES | EXTRA_SUFFIXES | {"audio/*"}


def test_a_model_is_imported_whole_or_not_at_all(client: Any, tiny: Path) -> None:
    """Guards against a job for what is over in a moment, and against uploads that stay."""
    told = client.put("/api/uploads/models/tiny.distill", content=tiny.read_bytes())
    assert told.status_code == 200, told.text
    assert (told.json()["name"], told.json()["has_prior"], told.json()["is_there"]) == ("tiny", True, True)
    assert Path(told.json()["file"]).read_bytes() == tiny.read_bytes()
    again = client.put("/api/uploads/models/tiny.distill", content=tiny.read_bytes()).json()
    assert again["id"] == told.json()["id"]
    damaged = bytearray(tiny.read_bytes())
    damaged[-1] ^= 1
    refused = client.put("/api/uploads/models/other.distill", content=bytes(damaged))
    assert refused.status_code == 400
    assert "its content does not match its checksum" in refused.json()["what"]
    assert [model["name"] for model in client.get("/api/models").json()] == ["tiny"]
    assert list(places.uploads().iterdir()) == []
    assert client.get("/api/jobs").json() == []


def test_a_model_that_came_with_sound_is_taken_home_without(client: Any, tiny: Path) -> None:
    """Guards against "The model", which holds codes by what it says, and the recordings' sound as well in truth."""
    alone = load_model(tiny)
    alone.sources = tuple(dataclasses.replace(source, sha256="a" * 64) for source in alone.sources)
    save_model(tiny, dataclasses.replace(alone, sounds=(sound_from("a" * 64, np.zeros((1, 48_000), np.float32)),)))
    name = client.put("/api/uploads/models/tiny.distill", content=tiny.read_bytes()).json()["id"]
    got = client.get(f"/api/models/{name}/file")
    assert 'filename="tiny.distill"' in got.headers["content-disposition"]
    tiny.write_bytes(got.content)
    assert not load_model(tiny).sounds
    told = client.get(f"/api/models/{name}").json()
    assert 0 < told["sound_size"] < told["size"] - len(got.content) + 1000
    assert not list((home() / "gifts").iterdir()), "what was taken is not kept"


def test_a_model_is_renamed_at_once(client: Any, tiny: Path) -> None:
    client.put("/api/uploads/models/tiny.distill", content=tiny.read_bytes())
    (model,) = client.get("/api/models").json()
    named = client.post(f"/api/models/{model['id']}/rename", json={"name": "drums"}).json()
    assert named["name"] == "drums"
    assert client.get("/api/models").json() == [named]
    assert client.get(f"/api/models/{model['id']}").status_code == 404
    refused = client.post(f"/api/models/{named['id']}/rename", json={"name": "a/b"})
    assert refused.json()["what"] == "'a/b' cannot be the name of a model."
    client.put("/api/uploads/models/tiny.distill", content=tiny.read_bytes())
    refused = client.post(f"/api/models/{named['id']}/rename", json={"name": "tiny"})
    assert refused.json()["fix"] == "Choose another name."
