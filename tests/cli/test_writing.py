"""Where results go, and what is left when they cannot be written."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from torch.nn.modules.module import register_module_forward_pre_hook

from distill.files.names import claimed
from distill.models import load_model

Distill = Callable[..., Any]
Tree = Callable[[Path], dict[str, int]]


@pytest.fixture
def refuse_writing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``refuse_writing(code, beyond)``: the disk takes no file of more than ``beyond`` bytes from now on."""

    def begin(code: int, beyond: int = -1) -> None:
        def write_bytes(path: Path, data: bytes) -> int:
            if len(data) > beyond:
                path.touch()
                raise OSError(code, os.strerror(code))
            return write(path, data)

        write = Path.write_bytes
        monkeypatch.setattr(Path, "write_bytes", write_bytes)

    return begin


@pytest.mark.parametrize(
    ("code", "found", "fix"),
    [
        (errno.ENOSPC, "the disk is full", "Free some space"),
        (errno.EROFS, "the disk is read-only", "that can be written to"),
        (errno.EACCES, "writing is not allowed there", "that can be written to"),
    ],
)
def test_a_disk_that_takes_nothing(
    code: int,
    found: str,
    fix: str,
    distill: Distill,
    small_corpus: Path,
    refuse_writing: Any,
    tmp_path: Path,
    tree: Tree,
) -> None:
    before = tree(tmp_path)
    refuse_writing(code)
    distill("train", small_corpus, "--out", tmp_path / "new").refused("new", found, fix)
    assert tree(tmp_path) == before


@pytest.mark.usefixtures("tiny_training")
def test_a_disk_that_fills_up_while_the_model_is_written(
    distill: Distill, small_corpus: Path, refuse_writing: Any, tmp_path: Path, tree: Tree
) -> None:
    """Guards against half a model under the name of a whole one."""
    before = tree(tmp_path)
    refuse_writing(errno.ENOSPC, beyond=10_000)
    answer = distill("train", small_corpus, "--epochs", 1, "--out", tmp_path)
    assert answer.code == 2
    assert f"{tmp_path / 'small.distill'} cannot be written: the disk is full." in answer.err
    assert tree(tmp_path) == before


@pytest.mark.usefixtures("tiny_training")
def test_a_prior_that_cannot_be_kept_leaves_the_codec(
    distill: Distill, tiny: Path, small_corpus: Path, refuse_writing: Any, tmp_path: Path, tree: Tree
) -> None:
    before, content = tree(tmp_path), tiny.read_bytes()
    refuse_writing(errno.ENOSPC, beyond=10_000)
    answer = distill("train-prior", tiny, small_corpus, "--epochs", 1)
    assert answer.code == 2
    assert "tiny.distill cannot be written: the disk is full." in answer.err
    assert tree(tmp_path) == before
    assert tiny.read_bytes() == content


def test_a_disk_that_fills_up_while_audio_is_written(
    distill: Distill, tiny: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tree: Tree
) -> None:
    before = tree(tmp_path)

    def write(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(soundfile.SoundFile, "write", write)
    distill("generate", tiny, "--seconds", "0.5", "--out", tmp_path).refused("tiny-0.wav", "the disk is full", "Free")
    assert tree(tmp_path) == before


@pytest.mark.usefixtures("tiny_training")
def test_a_disk_that_fills_up_while_events_are_logged(
    distill: Distill, small_corpus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tree: Tree
) -> None:
    """Guards against a full disk that is called a fault of Distill's because it showed in an unexpected place."""

    def log(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = tree(tmp_path)
    monkeypatch.setattr("distill.runs.events.EventLog.__call__", log)
    answer = distill("train", small_corpus, "--epochs", 1, "--out", tmp_path / "new")
    assert answer.code == 2
    assert "the disk is full" in answer.err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("verb", ["train", "run", "generate", "reconstruct"])
def test_an_output_folder_that_is_a_file(
    verb: str, distill: Distill, tiny: Path, small_corpus: Path, tmp_path: Path, tree: Tree
) -> None:
    (tmp_path / "new").write_text("a file")
    before = tree(tmp_path)
    words = {"generate": [tiny], "reconstruct": [tiny, small_corpus]}.get(verb, [small_corpus])
    for out in (tmp_path / "new", tmp_path / "new" / "deeper"):
        distill(verb, *words, "--out", out).refused(str(out), "file", "Choose another")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("verb", ["train", "run", "generate", "regenerate", "reconstruct", "evaluate", "sweep", "demo"])
@pytest.mark.parametrize("name", ["rain.wav", "Rain.FLAC", "mine.distill", "page.html"])
def test_an_output_folder_that_is_named_like_a_file(
    verb: str, name: str, distill: Distill, tiny: Path, small_corpus: Path, tmp_path: Path, tree: Tree
) -> None:
    """Guards against a folder called rain.wav, in which the person's piece has another name."""
    before = tree(tmp_path)
    given: dict[str, list[object]] = {"generate": [tiny], "regenerate": [1], "demo": []}
    words = given.get(verb, [tiny, small_corpus] if verb in ("reconstruct", "evaluate") else [small_corpus])
    distill(verb, *words, "--out", name).refused(f"--out {name} is named like a", "folder")
    assert tree(tmp_path) == before


def test_a_folder_that_is_there_may_be_called_anything(distill: Distill, tiny: Path) -> None:
    Path("takes.wav").mkdir()
    assert distill("generate", tiny, "--seconds", 0.5, "--out", "takes.wav").code == 0
    assert list(Path("takes.wav").glob("*.wav"))


@pytest.mark.parametrize("verb", ["encode", "decode", "edit"])
def test_one_file_whose_name_does_not_say_what_it_is(
    verb: str, distill: Distill, tiny: Path, small_corpus: Path, tmp_path: Path, tree: Tree
) -> None:
    """Guards against codes in a file called take.wav, sound in one without an ending, and "'' is not a format"."""
    assert distill("encode", tiny, small_corpus / "take-0.wav", "--out", "a.codes").code == 0
    Path("new").mkdir()
    before = tree(tmp_path)
    source = small_corpus / "take-0.wav" if verb == "encode" else "a.codes"
    words = ["--mirror", "0-0.2"] if verb == "edit" else []
    wrong = "b.wav" if verb == "encode" else "b.m4a"
    distill(verb, tiny, source, *words, "--out", "new").refused(
        "new is a folder; a file is needed.", "Give a file in it: "
    )
    distill(verb, tiny, source, *words, "--out", "b").refused(
        "b has no ending", ".codes" if verb != "decode" else ".wav"
    )
    distill(verb, tiny, source, *words, "--out", wrong).refused(f"{wrong} ends in {Path(wrong).suffix}", "ends in .")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["a/b", "../up", "a\\b", "c:d", "", ".", "..", ".distill", "a\x1bb", "a\nb", "x" * 101]
)
@pytest.mark.parametrize("verb", ["train", "run"])
def test_names_that_are_none(
    name: str, verb: str, distill: Distill, small_corpus: Path, tmp_path: Path, tree: Tree
) -> None:
    before = tree(tmp_path)
    distill(verb, small_corpus, "--name", name, "--out", tmp_path / "new").refused("name", "Choose")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("verb", ["train", "run"])
def test_a_name_that_is_there_already(verb: str, distill: Distill, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against minutes of somebody's training overwritten by a name used twice."""
    (tmp_path / "mine.distill").write_text("precious")
    for name in ("mine", "mine.distill"):
        answer = distill(verb, small_corpus, "--name", name, "--out", tmp_path, "--minutes", "1e-4")
        answer.refused("mine.distill already exists", "another --name")
    assert (tmp_path / "mine.distill").read_text() == "precious"


@pytest.mark.usefixtures("tiny_training")
def test_without_a_name_the_next_free_one_is_taken(distill: Distill, small_corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "small.distill").write_text("precious")
    assert distill("train", small_corpus, "--epochs", 1, "--out", tmp_path).code == 0
    assert (tmp_path / "small.distill").read_text() == "precious"
    assert load_model(tmp_path / "small-2.distill").header.name == "small-2"


def test_two_runs_that_write_the_same_name(distill: Distill, small_corpus: Path, tiny: Path, tmp_path: Path) -> None:
    with claimed(tmp_path / "mine.distill"):
        for verb in ("train", "run"):
            answer = distill(verb, small_corpus, "--name", "mine", "--out", tmp_path, "--minutes", "1e-4")
            answer.refused("mine.distill", "Another run", "Wait")
    with claimed(tiny):
        distill("train-prior", tiny, small_corpus, "--minutes", "1e-4").refused("tiny.distill", "Another run", "Wait")


def test_distills_own_folder_is_a_file(
    distill: Distill, small_corpus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "home"))
    distill("train", small_corpus, "--out", tmp_path / "new").refused(str(tmp_path / "home"), "DISTILL_HOME")


def test_new_audio_never_replaces_a_file(distill: Distill, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    for _ in range(2):
        assert distill("generate", tiny, "--seconds", "0.5", "--count", 2, "--out", out).code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "tiny-0-2.wav", "tiny-0.wav", "tiny-1-2.wav", "tiny-1.wav",
    ]  # fmt: skip


def test_decoding_does_not_replace_the_recording(distill: Distill, tiny: Path, noise: Any, save: Any) -> None:
    """Guards against ``encode a.wav`` then ``decode a.codes`` in the same folder: the default name was a.wav."""
    recording = save(Path("a.wav"), noise(0.5))
    before = recording.read_bytes()
    assert distill("encode", tiny, "a.wav").code == 0
    assert "a-2.wav" in distill("decode", tiny, "a.codes").err
    assert recording.read_bytes() == before


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_a_result_does_not_replace_what_it_is_made_from(
    verb: str, distill: Distill, tiny: Path, noise: Any, save: Any, tmp_path: Path, tree: Tree
) -> None:
    recording = save(tmp_path / "a.wav", noise(0.5))
    before = tree(tmp_path)
    for target in (recording, tiny):
        distill(verb, tiny, recording, "--out", target).refused(target.name, "overwritten", "another --out")
    assert tree(tmp_path) == before


def test_reconstructions_do_not_replace_the_recordings(
    distill: Distill, tiny: Path, small_corpus: Path, tmp_path: Path, tree: Tree
) -> None:
    """Guards against ``reconstruct m recordings --out recordings``, which would destroy the person's own files."""
    folder = Path(shutil.copytree(small_corpus, tmp_path / "mine"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    distill("reconstruct", tiny, folder, "--out", folder).refused("one of your recordings", "another --out")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_recordings_that_differ_in_their_suffix_only(
    distill: Distill, tiny: Path, noise: Any, save: Any, tmp_path: Path
) -> None:
    """Guards against a reconstruction of a.flac that silently replaces that of a.wav."""
    save(tmp_path / "mine" / "a.wav", noise(0.5, 1))
    save(tmp_path / "mine" / "a.flac", noise(0.5, 2))
    save(tmp_path / "mine" / "deep" / "b.flac", noise(0.5, 3))
    answer = distill("reconstruct", tiny, tmp_path / "mine", "--out", tmp_path / "new", "--json")
    written = sorted(Path(path).relative_to(tmp_path / "new").as_posix() for path in answer.json["audio"])
    assert written == ["a.flac.wav", "a.wav.wav", "deep/b.wav"]


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3"])
def test_a_folder_whose_name_is_no_text(form: str, distill: Distill, tiny: Path, tmp_path: Path) -> None:
    """Guards against a traceback where an old disk, or a locale of before Unicode, has names that are no UTF-8."""
    out = tmp_path / os.fsdecode(b"nl\xff")
    answer = distill("generate", tiny, "--seconds", 0.5, "--format", form, "--out", out)
    assert answer.code == 0, answer.err
    assert [path.suffix for path in out.iterdir()] == [f".{form}"]
    assert "its name is not valid text" in answer.err


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3"])
def test_a_passage_of_a_recording_whose_name_is_no_text(
    form: str, distill: Distill, tiny: Path, tmp_path: Path, noise: Callable[..., np.ndarray], save: Callable[..., Path]
) -> None:
    """Guards against a traceback after the passage was drawn: the tags of the new file name the recording."""
    take = save(tmp_path / "take.wav", noise(1.0)).rename(tmp_path / os.fsdecode(b"caf\xe9.wav"))
    answer = distill("generate", tiny, "--infill", take, "--from", 0.3, "--to", 0.5, "--format", form, "--json")
    assert answer.code == 0, answer.err
    with soundfile.SoundFile(answer.json["audio"][0]) as file:
        assert "0.3 to 0.5 s of caf\\xe9.wav replaced" in file.comment


def test_out_may_be_the_current_folder(distill: Distill, small_corpus: Path, tree: Tree) -> None:
    """Guards against ``run --out .`` being taken for no --out at all."""
    with claimed(Path("small.distill")):
        distill("run", small_corpus, "--out", ".", "--minutes", "1e-4").refused("Another run is writing small.distill")


def test_results_among_the_recordings_are_warned_of(distill: Distill, small_corpus: Path) -> None:
    answer = distill("run", small_corpus, "--out", small_corpus / "new", "--minutes", 0)
    assert "would be read as recordings the next time" in answer.err


@pytest.mark.usefixtures("tiny_training", "hopeless_training")
def test_training_that_cannot_go_on_is_not_the_persons_mistake(
    distill: Distill, small_corpus: Path, tmp_path: Path, tree: Tree
) -> None:
    before = tree(tmp_path)
    answer = distill("train", small_corpus, "--out", tmp_path / "new")
    assert answer.code == 1
    assert "not finite" in answer.err
    assert tree(tmp_path) == before


def test_an_unforeseen_fault(distill: Distill, tiny: Path, small_corpus: Path) -> None:
    """Guards against a traceback in front of a person who did not ask for one, and against none for one who did."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    encode = ["encode", tiny, small_corpus / "take-0.wav"]
    with register_module_forward_pre_hook(fail):
        distill(*encode).refused("should not have (ZeroDivisionError: by nothing)", "--debug", code=1)
        for words in ([*encode, "--debug"], ["--debug", *encode]):
            answer = distill(*words)
            assert answer.code == 1
            assert "Traceback" in answer.err
            assert "by nothing" in answer.err


def test_a_foreseen_fault_with_debug(distill: Distill, tmp_path: Path) -> None:
    answer = distill("info", tmp_path / "none.distill", "--debug")
    assert answer.code == 2
    assert "Traceback" in answer.err
    assert "ModelFileError" in answer.err
    assert answer.err.rstrip().endswith("made by distill train.")
