"""Two voices on the command line: which one speaks, what is said of it, and what happens when the recordings are gone."""

import dataclasses
import itertools
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from distill.codes.extract import encode_blocks
from distill.files.home import home
from distill.formats.files import read_audio
from distill.making.grains import Stretch
from distill.making.joins import _EDGE as EDGE
from distill.making.joins import ROOM
from distill.making.recordings import Replaced, without
from distill.models import Model, save_model
from distill.models.model_file import Source, load_model
from distill.recordings.cache import cache_folder

Distill = Callable[..., Any]
RATE = 48_000


@pytest.fixture
def spoken(
    make_model: Callable[..., Model], noise: Callable[..., np.ndarray], save: Callable[..., Path], tmp_path: Path
) -> Path:
    """A model file whose recordings lie in ``tmp_path/recordings``; both voices were compared, and theirs is nearer."""
    model = make_model()
    sources = []
    for number in range(3):
        file = save(tmp_path / "recordings" / f"take-{number}.wav", noise(3.0, seed=number), RATE)
        codes = encode_blocks(model.codec, [read_audio(file, 1)])
        sources.append(Source(file.name, 0.0, False, codes, -1, sha256(file.read_bytes()).hexdigest()))
    header = model.header.model_copy(update={"voices": {"nearer": "recordings"}})
    return save_model(tmp_path / "spoken.distill", dataclasses.replace(model, header=header, sources=tuple(sources)))


def test_info_says_which_voice_speaks_and_why(distill: Distill, spoken: Path, tiny: Path) -> None:
    answer = distill("info", spoken)
    assert "In the recordings' voice, which was measured to be nearer to the recordings; --voice chooses." in answer.err
    answer = distill("info", tiny)
    assert f"(fingerprint {load_model(tiny).header.corpus.fingerprint[:12]})" in answer.err, (
        "no bare letters and figures"
    )
    assert "In the codec's voice, as it was not measured which is nearer; --voice chooses." in answer.err
    model = load_model(spoken)
    assumed = model.header.model_copy(update={"voices": {"nearer": "recordings", "assumed": 1}, "digest": None})
    save_model(spoken, dataclasses.replace(model, header=assumed))
    answer = distill("info", spoken)
    assert "In the recordings' voice, which after a short training is usually nearer to the recordings;" in answer.err


def generated(distill: Distill, *words: object) -> tuple[Path, dict[str, Any]]:
    answer = distill("generate", *words, "--seed", 1, "--json")
    assert answer.code == 0, answer.err
    return Path(answer.json["audio"][0]), answer.json


def test_every_moment_of_a_piece_is_named(distill: Distill, spoken: Path, tmp_path: Path) -> None:
    """The sidecar says what is heard: outside of fades every sample is the recording's own, at the gain that is named."""
    folder = tmp_path / "recordings"
    piece, said = generated(distill, spoken, "--recordings", folder, "--seconds", 4)
    assert said["voices"] == ["recordings"]
    sidecar = json.loads(Path(said["sidecars"][0]).read_text(encoding="utf-8"))
    sound = read_audio(piece)[0]
    grains = sidecar["grains"]
    assert grains[0]["at"] == 0
    for before, after in itertools.pairwise(grains):
        assert after["at"] == pytest.approx(before["at"] + before["seconds"] - before["fade_out"], abs=1e-5)
    assert grains[-1]["at"] + grains[-1]["seconds"] == pytest.approx(4.0, abs=1e-5)
    for grain in grains[1:-1]:
        first, fade = round((grain["at"] + grain["fade_in"]) * RATE), round(grain["fade_in"] * RATE)
        count = round((grain["seconds"] - grain["fade_in"] - grain["fade_out"]) * RATE)
        place = round(grain["place"] * RATE) + fade
        recording = read_audio(folder / grain["recording"])[0]
        if place < EDGE:  # it begins some milliseconds before its recording does, whose first millisecond is faded
            first, count, place = first + EDGE - place, count - (EDGE - place), EDGE
        original = recording[place : place + count]
        np.testing.assert_allclose(sound[first : first + count], original * 10 ** (grain["gain_db"] / 20), atol=3e-3)


@pytest.mark.parametrize(("originality", "limit"), [("close", 2.0), ("balanced", 1.0), ("original", 0.5)])
def test_no_stretch_is_longer_than_the_dial_allows(
    distill: Distill, spoken: Path, tmp_path: Path, originality: str, limit: float
) -> None:
    _, said = generated(
        distill, spoken, "--recordings", tmp_path / "recordings", "--originality", originality, "--seconds", 8
    )
    grains = json.loads(Path(said["sidecars"][0]).read_text(encoding="utf-8"))["grains"]
    assert max(grain["seconds"] for grain in grains) <= limit
    assert limit * RATE > 2 * ROOM


def test_a_piece_says_in_words_what_it_is_made_of(distill: Distill, spoken: Path, tmp_path: Path) -> None:
    answer = distill("generate", spoken, "--recordings", tmp_path / "recordings", "--seconds", 2)
    assert "made of" in answer.err + answer.out
    assert "longest 0." in answer.err + answer.out
    (piece,) = Path.cwd().glob("*.wav")
    with soundfile.SoundFile(piece) as file:
        assert "made of" in file.comment


@pytest.mark.parametrize("kind", [("--loop",), ("--prompt",), ("--infill", "--from", 0.4, "--to", 0.6)])
def test_everything_can_be_made_in_the_recordings_voice_and_again(
    distill: Distill, spoken: Path, tmp_path: Path, kind: tuple[object, ...]
) -> None:
    """Loops, prompts, passages; each is made again from the library, sample for sample."""
    folder = tmp_path / "recordings"
    words = [*kind[:1], *([] if kind[0] == "--loop" else [folder / "take-0.wav"]), *kind[1:]]
    if kind[0] != "--infill":
        words += ["--seconds", 1]
    _, said = generated(distill, spoken, *words, "--voice", "recordings", "--recordings", folder)
    assert said["voices"] == ["recordings"]
    answer = distill("regenerate", said["ids"][0], "--json")
    assert answer.code == 0, answer.err
    assert answer.json["identical"]


def test_a_passage_is_not_replaced_by_itself(distill: Distill, spoken: Path, tmp_path: Path) -> None:
    """Its own grains go on for free, so they were what was heard."""
    folder = tmp_path / "recordings"
    for other in (1, 2):  # so that no other recording can be nearer
        (folder / f"take-{other}.wav").unlink()
    begin, end = 2.3, 2.5
    words = ("--infill", folder / "take-0.wav", "--from", begin, "--to", end, "--recordings", folder)
    _, said = generated(distill, spoken, *words, "--count", 8)
    grains = [one for file in said["sidecars"] for one in json.loads(Path(file).read_text(encoding="utf-8"))["grains"]]
    edge = (1024 + 2 * ROOM) / RATE  # what fades out there, from beside the passage
    assert grains
    for grain in grains:
        inside = min(grain["place"] + grain["seconds"], end) - max(grain["place"], begin)
        assert grain["recording"] != "take-0.wav" or inside <= edge, grain


@pytest.mark.parametrize(
    ("begin", "end", "left"),
    [
        (0.0, 1.0, [("a", 11, 30), ("other", 0, 30)]),
        (0.25, 0.55, [("a", 0, 2), ("a", 6, 30), ("other", 0, 30)]),
        (0.21, 0.59, [("a", 0, 1), ("a", 7, 30), ("other", 0, 30)]),
        (2.9, 3.0, [("a", 0, 28), ("other", 0, 30)]),
        (0.0, 3.0, [("other", 0, 30)]),
        (4.0, 9.0, [("a", 0, 30), ("other", 0, 30)]),
    ],
)
def test_what_is_left_beside_a_passage(begin: float, end: float, left: list[tuple[str, int, int]]) -> None:
    """Guards against what is replaced, in grains that reach into it by a fade, and in a take that begins at another moment; at
    ten positions a second."""
    codes = torch.arange(30)[:, None]
    stretches = [
        Stretch(name, np.zeros((1, 144_000), np.float32), 0, codes, take, sha256=name, tolls=np.arange(30.0))
        for name, take in (("a", 4), ("copy", 4), ("other", -1))
    ]
    found = without(stretches, Replaced("a", begin, end), rate=48_000, hop=4_800)
    assert [(one.name, int(one.codes[0]), int(one.codes[-1]) + 1) for one in found] == left
    assert all(one.begin == 4_800 * int(one.codes[0]) for one in found)
    assert all(one.tolls is not None and one.tolls.tolist() == one.codes[:, 0].tolist() for one in found)


def test_where_nothing_else_is_left_a_near_copy_is_used_without_the_passage() -> None:
    """Guards against the codec's voice in place of grains, where all of a recording is replaced of which there are takes."""
    stretches = [
        Stretch(name, np.zeros((1, 144_000), np.float32), 0, torch.arange(count)[:, None], 4, sha256=name)
        for name, count in (("a", 30), ("copy", 40))
    ]
    (left,) = without(stretches, Replaced("a", 0.0, 3.0), rate=48_000, hop=4_800)
    assert (left.name, left.begin, len(left.codes)) == ("copy", 31 * 4_800, 9)


def test_auto_takes_the_nearer_voice(distill: Distill, spoken: Path, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    assert generated(distill, spoken, "--recordings", folder, "--seconds", 1)[1]["voices"] == ["recordings"]
    assert generated(distill, spoken, "--voice", "codec", "--seconds", 1)[1]["voices"] == ["codec"]
    assert generated(distill, tiny, "--seconds", 1)[1]["voices"] == ["codec"], "nothing was compared"


@pytest.mark.parametrize("is_older", [False, True])
def test_what_came_out_in_the_codecs_voice_is_made_again(
    distill: Distill, spoken: Path, tiny: Path, tmp_path: Path, is_older: bool
) -> None:
    """Guards against a piece that can never be made again, or not without a warning, as grains had been hoped for; earlier
    versions noted that they were."""
    _, said = generated(distill, tiny, "--recordings", tmp_path / "recordings", "--seconds", 1, "--edl")
    assert said["voices"] == ["codec"]
    if is_older:
        with closing(sqlite3.connect(home() / "library.db")) as library, library:
            hoped = json.dumps(str(tmp_path / "recordings"))
            library.execute(
                "UPDATE generations SET request = json_set(request, '$.edit_list', json('true'), '$.recordings', json(?))",
                (hoped,),
            )
    answer = distill("regenerate", said["ids"][0])
    assert answer.code == 0, answer.err
    assert "Identical" in answer.err
    assert "no effect" not in answer.err


def test_without_any_recording_a_piece_of_grains_is_not_made_again(
    distill: Distill, spoken: Path, tmp_path: Path
) -> None:
    """Guards against the advice of an option that regenerate does not have."""
    _, said = generated(distill, spoken, "--recordings", tmp_path / "recordings", "--seconds", 1)
    shutil.rmtree(tmp_path / "recordings")
    shutil.rmtree(cache_folder())
    distill("regenerate", said["ids"][0]).refused("--recordings FOLDER, or make new audio with --voice codec.")


def test_other_recordings_at_hand_are_said_to_make_other_sound(distill: Distill, spoken: Path, tmp_path: Path) -> None:
    """Guards against blaming the arithmetic for a piece that has to do with fewer recordings."""
    _, said = generated(distill, spoken, "--recordings", tmp_path / "recordings", "--seconds", 4)
    (tmp_path / "recordings" / "take-0.wav").unlink()
    shutil.rmtree(cache_folder())
    answer = distill("regenerate", said["ids"][0])
    assert "take-0.wav is gone or changed" in answer.err
    assert "Some samples differ: other recordings" in answer.err


def test_recordings_are_found_by_what_is_in_them(distill: Distill, spoken: Path, tmp_path: Path) -> None:
    """Renamed and in another folder, then only in the cache."""
    moved = tmp_path / "elsewhere" / "deep"
    moved.mkdir(parents=True)
    for number, file in enumerate(sorted((tmp_path / "recordings").iterdir())):
        file.rename(moved / f"renamed {number}.wav")
    first, _ = generated(distill, spoken, "--recordings", tmp_path / "elsewhere", "--seconds", 1)
    shutil.rmtree(tmp_path / "elsewhere")
    second, said = generated(distill, spoken, "--seconds", 1)
    assert said["voices"] == ["recordings"]
    np.testing.assert_array_equal(read_audio(first), read_audio(second))


def test_missing_recordings_are_named_and_the_others_speak(distill: Distill, spoken: Path, tmp_path: Path) -> None:
    (tmp_path / "recordings" / "take-1.wav").unlink()
    answer = distill("generate", spoken, "--recordings", tmp_path / "recordings", "--seconds", 1, "--json")
    assert answer.code == 0
    assert "take-1.wav" in answer.err
    assert "gone or changed" in answer.err
    grains = json.loads(Path(answer.json["sidecars"][0]).read_text(encoding="utf-8"))["grains"]
    assert {grain["recording"] for grain in grains} <= {"take-0.wav", "take-2.wav"}


def test_without_any_recording_auto_falls_back_and_says_so(distill: Distill, spoken: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "recordings")
    answer = distill("generate", spoken, "--seconds", 1, "--json")
    assert answer.code == 0
    assert answer.json["voices"] == ["codec"]
    assert "--recordings FOLDER" in answer.err
    distill("generate", spoken, "--voice", "recordings", "--seconds", 1).refused("--voice codec")
    distill("generate", spoken, "--recordings", tmp_path / "nowhere", "--seconds", 1).refused("nowhere")


def test_a_changed_recording_is_not_quoted(distill: Distill, spoken: Path, tmp_path: Path) -> None:
    """Whatever its name: guards against taking a file for the one that was learned from."""
    soundfile.write(tmp_path / "recordings" / "take-0.wav", np.zeros(3 * RATE) + 0.1, RATE)
    answer = distill("generate", spoken, "--recordings", tmp_path / "recordings", "--seconds", 1)
    assert "take-0.wav is gone or changed" in answer.err


def test_a_daw_gets_every_grain(distill: Distill, spoken: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    _, said = generated(distill, spoken, "--recordings", folder, "--seconds", 2, "--edl")
    project = Path(said["edit_lists"][0]).read_text(encoding="utf-8")
    grains = json.loads(Path(said["sidecars"][0]).read_text(encoding="utf-8"))["grains"]
    assert project.count("SOFFS") == len(grains)
    assert project.count(str(folder.resolve())) == len(grains), "each names its file"
    blocks = [line.strip() for line in project.splitlines()]
    assert sum(line.startswith("<") for line in blocks) == blocks.count(">")
    distill("generate", spoken, "--voice", "codec", "--edl", "--seconds", 1).refused("--edl")


def test_the_cache_alone_is_enough(distill: Distill, spoken: Path, tmp_path: Path) -> None:
    generated(distill, spoken, "--recordings", tmp_path / "recordings", "--seconds", 1)
    assert len(list(cache_folder().glob("*.npy"))) == 3


def test_a_model_given_away_speaks_with_the_recordings_voice_without_the_folder(
    distill: Distill, spoken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "recordings"
    at_home, _ = generated(distill, spoken, "--recordings", folder, "--seconds", 2, "--voice", "recordings")
    answer = distill(
        "models", "export", spoken, "--with-recordings", "--recordings", folder, "--out", tmp_path / "gift"
    )
    assert answer.code == 0, answer.err
    assert "3 recordings" in answer.out + answer.err
    assert "Whoever has this file has these recordings" in answer.out + answer.err
    plain = distill("models", "export", spoken, "--out", tmp_path / "plain", "--json").json["model"]
    gift = tmp_path / "gift" / spoken.name
    assert gift.stat().st_size > Path(plain).stat().st_size + 100_000
    before = at_home.read_bytes()

    # Another computer: neither folder nor cache nor library.
    shutil.rmtree(folder)
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "elsewhere"))
    shutil.rmtree(cache_folder(), ignore_errors=True)
    distill("generate", plain, "--voice", "recordings", "--seconds", 2).refused("in its place", "--voice codec")
    taken = distill("models", "import", gift, "--json").json["models"][0]
    there, said = generated(distill, taken["path"], "--seconds", 2, "--voice", "recordings")
    assert said["voices"] == ["recordings"]
    np.testing.assert_allclose(read_audio(there), soundfile.read(at_home, always_2d=True)[0].T, atol=1e-4)
    assert at_home.read_bytes() == before
    assert "3 recordings" in distill("info", taken["path"]).err
    assert not list(cache_folder().glob("*.npy")), "what a stranger calls a recording must not pass for it later"

    # It keeps them through another name, and gives them on.
    renamed = distill("models", "rename", taken["path"], "given", "--json").json["model"]["path"]
    assert generated(distill, renamed, "--seconds", 1, "--voice", "recordings")[1]["voices"] == ["recordings"]


def test_a_model_is_not_given_away_with_recordings_that_are_gone(
    distill: Distill, spoken: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    (folder / "take-1.wav").unlink()
    words = ("models", "export", spoken, "--recordings", folder, "--out", tmp_path / "gift")
    distill(*words, "--with-recordings").refused("take-1.wav is gone or changed", "--recordings FOLDER")
    assert not list((tmp_path / "gift").glob("*"))
    distill(*words).refused("--recordings has no effect", "--with-recordings")
