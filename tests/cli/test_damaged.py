"""Model files and codes that are missing, damaged, foreign or of another model."""

import dataclasses
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.models import Model, save_model

Distill = Callable[..., Any]


def words_for(verb: str, model: Path, corpus: Path, out: Path) -> list[object]:
    return {
        "info": ["info", model],
        "generate": ["generate", model, "--out", out],
        "train-prior": ["train-prior", model, corpus],
        "encode": ["encode", model, corpus / "take-0.wav", "--out", out / "a.codes"],
        "decode": ["decode", model, corpus / "a.codes", "--out", out / "a.wav"],
        "reconstruct": ["reconstruct", model, corpus, "--out", out],
        "originality": ["originality", model],
    }[verb]


@pytest.mark.parametrize("verb", ["info", "generate", "train-prior", "encode", "decode", "reconstruct", "originality"])
@pytest.mark.parametrize("kind", ["missing", "a folder", "garbage", "empty"])
def test_no_model_at_all(
    kind: str, verb: str, distill: Distill, small_corpus: Path, tmp_path: Path, tree: Callable[..., Any]
) -> None:
    model = tmp_path / "mine.distill"
    if kind == "a folder":
        model.mkdir()
    elif kind != "missing":
        model.write_bytes(b"" if kind == "empty" else bytes(range(256)) * 100)
    before = tree(tmp_path)
    answer = distill(*words_for(verb, model, small_corpus, tmp_path / "new"))
    answer.refused("mine.distill", "distill train")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("place", [0, 9, 200, -1])
def test_one_flipped_byte(place: int, distill: Distill, tiny: Path) -> None:
    """Guards against a model that plays noise, or worse, because of a bad download."""
    content = bytearray(tiny.read_bytes())
    content[place] ^= 0x41
    tiny.write_bytes(content)
    distill("info", tiny).refused("tiny.distill", "not a usable model file", "another copy")


@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 0.999])
def test_a_truncated_model(share: float, distill: Distill, tiny: Path) -> None:
    content = tiny.read_bytes()
    tiny.write_bytes(content[: int(share * len(content))])
    distill("generate", tiny).refused("tiny.distill", "not a usable model file", "another copy")


def test_a_model_from_a_newer_version(
    distill: Distill, tmp_path: Path, make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr("distill.models.model_file.FORMAT_VERSION", (2, 0))
        later.setattr("distill.models.model_file.possible_header", str)  # what is possible is for that version to say
        save_model(tmp_path / "later.distill", make_model())
    distill("info", tmp_path / "later.distill").refused(
        "later.distill", "newer Distill", "format 2.0", "Update Distill: git pull"
    )


def test_a_model_without_a_prior(distill: Distill, model_files: Path, tmp_path: Path, tree: Callable[..., Any]) -> None:
    before = tree(tmp_path)
    answer = distill("generate", model_files / "bare.distill", "--out", tmp_path / "new")
    answer.refused("bare", "no prior yet", "distill train-prior")
    assert tree(tmp_path) == before


def test_a_model_whose_name_is_a_path(
    distill: Distill, tmp_path: Path, make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against somebody's model file that makes ``generate`` write outside the folder asked for."""
    model = make_model()
    hostile = model.with_header(name="../../elsewhere")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("distill.models.model_file.possible_header", str)
        save_model(tmp_path / "hostile.distill", hostile)
    distill("generate", tmp_path / "hostile.distill", "--seconds", "0.5").refused("hostile.distill", "not possible")
    assert not list(tmp_path.parent.glob("elsewhere*"))


_touched: list[str] = []
_watching: list[bool] = []
sys.addaudithook(lambda event, args: _touched.append(str(args[0])) if _watching and event in _FILE_EVENTS else None)
_FILE_EVENTS = frozenset({"open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir", "os.truncate"})


def test_recordings_named_like_paths_are_never_looked_for(
    distill: Distill, tmp_path: Path, make_model: Callable[..., Model], tree: Callable[..., Any]
) -> None:
    """Guards against somebody's model file whose recordings are called like files of yours."""
    model = make_model()
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"mine")
    names = ["../../etc/passwd", str(secret), "../secret.wav"]
    sources = tuple(dataclasses.replace(one, name=name) for one, name in zip(model.sources, names, strict=True))
    save_model(tmp_path / "hostile.distill", dataclasses.replace(model, sources=sources))
    before = tree(tmp_path)
    _watching.append(True)
    try:
        answers = [
            distill("info", tmp_path / "hostile.distill"),
            distill("originality", tmp_path / "hostile.distill"),
            distill("generate", tmp_path / "hostile.distill", "--seconds", "0.5", "--out", tmp_path / "new"),
        ]
    finally:
        _watching.clear()
    assert [answer.code for answer in answers] == [0, 0, 0], answers
    assert [path for path in _touched if path.endswith("hostile.distill")]
    assert not [path for path in _touched if "passwd" in path or "secret" in path]
    made = set(tree(tmp_path)) - set(before)
    assert all(name.split("/")[0] in {"new", "here"} for name in made)
    assert len([name for name in made if name.endswith(".wav")]) == 1


def test_figures_of_another_kind_do_not_break_info(
    distill: Distill, tmp_path: Path, make_model: Callable[..., Model]
) -> None:
    model = make_model()
    odd = dataclasses.replace(
        model, header=model.header.model_copy(update={"codec_training": {"best_val_loss": "low"}})
    )
    save_model(tmp_path / "odd.distill", odd)
    answer = distill("info", tmp_path / "odd.distill")
    assert answer.code == 0
    assert "unknown" in answer.err


def test_a_loss_that_was_not_finite_does_not_spoil_the_file(
    distill: Distill, tmp_path: Path, make_model: Callable[..., Model]
) -> None:
    """Guards against a trained model that is saved and can never be opened again because one figure was NaN."""
    model = make_model()
    figures = {"curves": {"a": [math.nan]}, "codec_training": {"best_val_loss": math.inf}}
    save_model(tmp_path / "odd.distill", model.with_header(**figures))
    answer = distill("info", tmp_path / "odd.distill", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["codec_training"]["best_val_loss"] is None


@pytest.fixture
def codes(distill: Distill, model_files: Path, small_corpus: Path, tmp_path: Path) -> Path:
    path = tmp_path / "take.codes"
    answer = distill("encode", model_files / "tiny.distill", small_corpus / "take-0.wav", "--out", path)
    assert answer.code == 0, answer.err
    return path


def test_codes_of_another_model(
    codes: Path, distill: Distill, model_files: Path, tmp_path: Path, tree: Callable[..., Any]
) -> None:
    before = tree(tmp_path)
    answer = distill("decode", model_files / "other.distill", codes, "--out", tmp_path / "a.wav")
    answer.refused("take.codes", "another model", "the model that made it")
    assert tree(tmp_path) == before
    # Guards against fingerprints that no command shows, so that nobody finds the model that made them.
    for name in ("tiny", "other"):
        told = distill("info", model_files / f"{name}.distill", "--json").json["codes_fingerprint"]
        assert told[:8] in answer.err
        assert told[:8] in distill("info", model_files / f"{name}.distill").err


@pytest.mark.parametrize("kind", ["missing", "garbage", "cut", "empty", "a model"])
def test_codes_that_are_none(
    kind: str, codes: Path, distill: Distill, tiny: Path, tmp_path: Path, tree: Callable[..., Any]
) -> None:
    content = {
        "garbage": bytes(range(256)),
        "cut": codes.read_bytes()[:-7],
        "empty": b"",
        "a model": tiny.read_bytes(),
    }
    codes.unlink()
    if kind != "missing":
        codes.write_bytes(content[kind])
    before = tree(tmp_path)
    distill("decode", tiny, codes, "--out", tmp_path / "a.wav").refused("take.codes", "distill encode MODEL AUDIO")
    assert tree(tmp_path) == before


def test_codes_become_an_audio_file_of_a_known_kind(
    codes: Path, distill: Distill, tiny: Path, tmp_path: Path, tree: Callable[..., Any]
) -> None:
    before = tree(tmp_path)
    distill("decode", tiny, codes, "--out", tmp_path / "a.aac").refused("aac", ".wav, .flac, .ogg or .mp3")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        ("encode", "MODEL", "round"),
        ("edit", "MODEL", "round", "--mirror", "all"),
        ("generate", "MODEL", "--prompt", "round"),
        ("generate", "MODEL", "--infill", "round", "--from", "0", "--to", "0.1"),
        ("decode", "MODEL", "round"),
        ("info", "round"),
        ("models", "info", "./round"),
        ("run", "round"),
        ("train", "round"),
        ("train", "--resume", "./round"),
        ("check", "round"),
        ("evaluate", "MODEL", "round"),
        ("serve", "./round"),
    ],
)
def test_a_link_in_a_circle_is_refused_in_words_wherever_it_is_given(
    words: tuple[str, ...], distill: Distill, tiny: Path
) -> None:
    """Guards against "Something went wrong that should not have (RuntimeError: Symlink loop …)"."""
    Path("round").symlink_to("round")
    distill(*(tiny if word == "MODEL" else word for word in words)).refused("round")
