"""``distill models``: the library as a person uses it."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill.files.home import home
from distill.files.names import claimed
from distill.library import GenerationRecord, Library
from distill.library.records import origin_of
from distill.models import Model, load_model, save_model
from distill.models.sound import sound_from

Distill = Callable[..., Any]
Tree = Callable[[Path], dict[str, int]]


@pytest.fixture
def noted(distill: Distill, tiny: Path) -> Path:
    """A model in the person's own folder that the library knows."""
    assert distill("models", "import", tiny, "--in-place").code == 0
    return tiny


def listed(distill: Distill, *words: object) -> list[str]:
    return [model["name"] for model in distill("models", *(words or ("list",)), "--json").json["models"]]


def paths(distill: Distill) -> set[Path]:
    return {Path(model["path"]) for model in distill("models", "list", "--json").json["models"]}


def test_an_empty_library_says_what_to_do(distill: Distill) -> None:
    assert "distill run FOLDER" in distill("models", "list").err
    assert "empty" in distill("models", "list", "--trash").err
    for kind in ("models", "pieces"):  # and not "0 models gone for good"
        assert "The trash was empty." in distill(kind, "delete", "--empty-trash").err
    assert listed(distill) == []


def test_the_list_shows_what_one_chooses_by(distill: Distill, tmp_path: Path, make_model: Callable[..., Model]) -> None:
    for number, name in enumerate(("old", "new", "bare")):
        model = make_model(number, with_prior=name != "bare", name=name)
        model.header = model.header.model_copy(update={"created": f"2026-0{1 + number % 2}-01T00:00:0{number}+00:00"})
        save_model(tmp_path / f"{name}.distill", model)
    distill("models", "import", tmp_path, "--in-place")
    assert listed(distill) == ["new", "bare", "old"]
    lines = {line.split()[0]: line for line in distill("models", "list").out.splitlines()}
    for shown in ("2026-02-01", "6 s", "2.50", "20.0", "MB"):
        assert shown in lines["new"], shown
    assert "–" in lines["bare"]
    first = distill("models", "list", "--json").json["models"][0]
    assert (first["codec_distance"], first["perplexity"], first["path"]) == (2.5, 20.0, str(tmp_path / "new.distill"))


@pytest.mark.parametrize(
    "words",
    [
        ["train-prior", "yours", "FOLDER"], ["info", "yours"], ["generate", "yours"], ["originality", "yours"],
        ["encode", "yours", "a.wav"], ["decode", "yours", "a.codes"], ["reconstruct", "yours", "FOLDER", "--out", "out"],
        ["evaluate", "yours", "FOLDER"], ["train", "FOLDER", "--resume", "yours"],
        *(["models", verb, "yours"] for verb in ("info", "delete", "export")), ["models", "rename", "yours", "mine"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_verb_asks_the_library_for_a_name(words: list[str], distill: Distill, small_corpus: Path) -> None:
    """Guards against a verb that was forgotten when names came in."""
    answer = distill(*(small_corpus if word == "FOLDER" else word for word in words))
    answer.refused("no model 'yours'", "distill models list")


def test_a_file_wins_over_a_name_and_a_folder_does_not(
    distill: Distill, noted: Path, make_model: Callable[..., Model]
) -> None:
    """Guards against ``distill info loops`` which fails because the recordings' folder is called so too."""
    Path("tiny").mkdir()
    assert distill("info", "tiny", "--json").json["name"] == "tiny"
    Path("tiny").rmdir()
    save_model(Path("tiny"), make_model(2, name="another"))
    assert distill("info", "tiny", "--json").json["name"] == "another"


@pytest.fixture
def namesakes(distill: Distill, model_files: Path) -> None:
    """Two models called ``tiny``: of one of them more was measured."""
    distill("models", "import", model_files, "--in-place")
    distill("models", "import", model_files / "tiny.distill")
    copied = home() / "models" / "tiny.distill"
    save_model(copied, load_model(copied).with_header(beat_strength=0.5))


def test_a_name_that_two_could_mean(distill: Distill, namesakes: None, model_files: Path) -> None:
    answer = distill("generate", "ti")
    first, second = model_files / "tiny.distill", home() / "models" / "tiny.distill"
    answer.refused("could be any of 2 models:\n    tiny   ", f"tiny   {first}\n", f"tiny   {second}\n", "models rename")


def test_two_models_of_the_name_of_the_folder_that_one_stands_beside(
    distill: Distill, namesakes: None, model_files: Path
) -> None:
    """Guards against "tiny cannot be read: it is a folder": trained twice from one folder, two models bear its name."""
    Path("tiny").mkdir()
    distill("generate", "tiny").refused("could be any of 2 models:\n", str(model_files / "tiny.distill"))
    distill("models", "info", "tiny").refused("could be any of 2 models:\n", str(model_files / "tiny.distill"))
    Path("loops").mkdir()
    distill("generate", "loops").refused("loops cannot be read: it is a folder.")


def test_search_finds_by_recording_folder_and_date(distill: Distill, noted: Path, small_corpus: Path) -> None:
    for words in (["TAKE-2.wav"], ["tin", "20"], [noted.parent.name]):
        assert listed(distill, "search", *words) == ["tiny"], words
    for words in (["take-9"], ["tiny", "take-9"]):
        assert listed(distill, "search", *words) == [], words


def test_a_renamed_model_keeps_its_history_and_its_sound(distill: Distill, noted: Path) -> None:
    digest = load_model(noted).header.digest
    made = distill("generate", noted, "--seconds", 0.5, "--json").json["ids"]
    answer = distill("models", "rename", "ti", "other name", "--json")
    renamed = noted.with_name("other name.distill")
    assert answer.json["model"]["path"] == str(renamed)
    assert not noted.exists()
    assert load_model(renamed).header.name == "other name"
    assert load_model(renamed).header.digest == digest
    assert listed(distill) == ["other name"]
    assert [one["id"] for one in distill("models", "info", "other name", "--json").json["generations"]] == made


@pytest.mark.parametrize("name", ["taken", "../up", "a/b", ""])
def test_a_name_that_cannot_be_given(name: str, distill: Distill, noted: Path, tree: Tree) -> None:
    noted.with_name("taken.distill").write_text("precious")
    before = tree(noted.parent)
    distill("models", "rename", "tiny", name).refused("name")
    assert tree(noted.parent) == before


def test_a_name_that_is_taken_is_refused_in_the_words_of_renaming(distill: Distill, noted: Path) -> None:
    """Guards against "Choose another --name or --out", which renaming does not have, also of the name that it has."""
    noted.with_name("taken.distill").write_text("precious")
    distill("models", "rename", "tiny", "taken").refused(
        "there is a file taken.distill already", "Choose another name."
    )
    before = noted.stat().st_mtime_ns
    assert distill("models", "rename", "tiny", "tiny.distill", "--json").json["model"]["path"] == str(noted)
    assert noted.stat().st_mtime_ns == before


def test_what_is_deleted_comes_back_where_it_was(distill: Distill, noted: Path, tree: Tree) -> None:
    before, content = tree(noted.parent), noted.read_bytes()
    made = distill("generate", "tiny", "--seconds", 0.5, "--out", home() / "new", "--json").json["ids"]
    answer = distill("models", "delete", "tiny", "--json")
    key = answer.json["deleted"][0]["trash"]
    assert not noted.exists()
    assert listed(distill) == []
    assert key in distill("models", "list", "--trash").out
    distill("generate", "tiny").refused("no model 'tiny'", "in the trash", f"distill models restore {key}")
    distill("regenerate", made[0]).refused("in the trash", f"distill models restore {key}")
    assert distill("models", "restore", "tin", "--json").json["model"]["path"] == str(noted)
    assert noted.read_bytes() == content
    assert tree(noted.parent) == before
    assert [one["id"] for one in distill("models", "info", "tiny", "--json").json["generations"]] == made
    assert distill("models", "list", "--trash", "--json").json["trash"] == []


def test_restoring_overwrites_nothing(distill: Distill, noted: Path, tmp_path: Path) -> None:
    distill("models", "delete", noted)
    noted.write_text("precious")
    distill("models", "restore", "tiny").refused("tiny.distill already exists", "--out")
    assert noted.read_text() == "precious"
    assert len(distill("models", "list", "--trash", "--json").json["trash"]) == 1
    answer = distill("models", "restore", "tiny", "--out", tmp_path / "elsewhere", "--json")
    assert answer.json["model"]["path"] == str(tmp_path / "elsewhere" / "tiny.distill")


def test_restoring_makes_no_folder_that_nobody_named(distill: Distill, noted: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep" / "er"
    deep.mkdir(parents=True)
    distill("models", "import", shutil.move(noted, deep / "tiny.distill"), "--in-place")
    distill("models", "delete", deep / "tiny.distill")
    shutil.rmtree(tmp_path / "deep")
    distill("models", "restore", "tiny").refused("is gone", "--out")
    assert not (tmp_path / "deep").exists()


def test_a_tampered_note_cannot_send_a_model_just_anywhere(distill: Distill, noted: Path, tmp_path: Path) -> None:
    """Guards against a trash that somebody prepared so that restoring writes a start-up file."""
    key = distill("models", "delete", "tiny", "--json").json["deleted"][0]["trash"]
    note = home() / "trash" / key / "was.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "was": str(tmp_path / "profile")}))
    distill("models", "restore", "tiny").refused("--out")
    assert not (tmp_path / "profile").exists()


def test_a_file_that_is_no_model_is_not_deleted(distill: Distill, tmp_path: Path, tree: Tree) -> None:
    (tmp_path / "diary.txt").write_text("precious")
    before = tree(tmp_path)
    distill("models", "delete", tmp_path / "diary.txt").refused("not a usable model file")
    assert tree(tmp_path) == before
    assert not (home() / "trash").exists()


def test_two_deleted_models_of_one_name(distill: Distill, noted: Path, model_files: Path) -> None:
    first = distill("models", "delete", "tiny", "--json").json["deleted"][0]["trash"]
    shutil.copy(model_files / "tiny.distill", noted)
    second = distill("models", "delete", noted, "--json").json["deleted"][0]["trash"]
    distill("models", "restore", "tiny").refused("any of 2", first, second)
    assert distill("models", "restore", second).code == 0
    assert noted.exists()


def test_a_model_that_is_being_trained_stays(distill: Distill, noted: Path) -> None:
    with claimed(noted):
        distill("models", "delete", "tiny").refused("Another run")
        distill("models", "rename", "tiny", "new").refused("Another run")
    assert noted.exists()


def test_one_that_is_named_twice_is_deleted_once(distill: Distill, noted: Path) -> None:
    """Guards against "its file was already gone" of a model that has just gone into the trash."""
    answer = distill("models", "delete", "tiny", noted, "--json")
    assert [one["was"] for one in answer.json["deleted"]] == [str(noted)]
    assert answer.json["deleted"][0]["trash"]


def test_the_trash_is_emptied_only_when_it_is_said(distill: Distill, noted: Path) -> None:
    distill("models", "delete", "tiny")
    distill("models", "delete").refused("--empty-trash")
    assert distill("models", "delete", "--empty-trash", "--json").json["removed"] == ["tiny"]
    distill("models", "restore", "tiny").refused("no model 'tiny' in the trash")


def test_a_file_deleted_by_hand_is_shown_and_forgotten(distill: Distill, noted: Path) -> None:
    noted.unlink()
    assert "gone from" in distill("models", "list").out
    distill("generate", "tiny").refused("is gone from there", "--in-place")
    assert "removed from the list" in distill("models", "delete", "tiny").err
    assert listed(distill) == []


def test_a_model_that_was_moved_and_imported_again_is_listed_once(
    distill: Distill, noted: Path, tmp_path: Path
) -> None:
    """Guards against its old place, which stays in the list for good, and whose deletion would mean the living file."""
    (tmp_path / "moved").mkdir()
    moved = Path(shutil.move(noted, tmp_path / "moved"))
    copy = Path(shutil.copy(moved, moved.with_name("copy.distill")))
    distill("models", "import", moved, copy, "--in-place")
    assert paths(distill) == {moved, copy}
    shutil.copy(moved, noted)
    distill("models", "import", noted, "--in-place")
    assert paths(distill) == {moved, copy, noted}, "copies that are there stay"
    moved.unlink()
    copy.unlink()
    distill("models", "info", noted)
    assert paths(distill) == {noted, copy}, "one of another name may be missed"


def test_of_two_of_one_name_that_are_gone_each_is_taken_off_by_its_path(
    distill: Distill, tmp_path: Path, make_model: Callable[..., Model]
) -> None:
    """Guards against models that nothing takes off the list: the name could be both, and their files cannot be read."""
    first, second = (tmp_path / name / "tiny.distill" for name in "ab")
    for number, path in enumerate((first, second)):
        path.parent.mkdir()
        save_model(path, make_model(number))
        distill("models", "import", path, "--in-place")
        path.unlink()
    for verb in (("models", "delete"), ("generate",)):
        distill(*verb, "tiny").refused(
            "any of 2 models",
            str(first),
            str(second),
            "gone",
            "import ITS-FILE --in-place",
            "distill models delete PATH",
        )
    distill("models", "delete", tmp_path / "c" / "tiny.distill").refused("cannot be read")
    assert "removed from the list" in distill("models", "delete", first).err
    assert paths(distill) == {second}
    assert "removed from the list" in distill("models", "delete", "tiny").err
    assert paths(distill) == set()


def test_a_model_trained_on_by_another_program_is_looked_at_again(
    distill: Distill, noted: Path, make_model: Callable[..., Model]
) -> None:
    save_model(noted, make_model(3, with_prior=False))
    (model,) = distill("models", "list", "--json").json["models"]
    assert model["digest"] == load_model(noted).header.digest
    assert not model["has_prior"]


def test_export_and_import(distill: Distill, noted: Path, tmp_path: Path) -> None:
    first = distill("models", "export", "tiny", "--out", tmp_path / "give", "--json").json["model"]
    second = distill("models", "export", "tiny", "--out", tmp_path / "give", "--json").json["model"]
    assert [Path(path).name for path in (first, second)] == ["tiny.distill", "tiny-2.distill"]
    assert Path(first).read_bytes() == Path(second).read_bytes() == noted.read_bytes()
    distill("models", "export", "tiny", "--out", noted).refused("already exists")
    distill("models", "delete", "tiny")
    for _ in range(2):
        (model,) = distill("models", "import", first, "--json").json["models"]
    assert model["path"] == str(home() / "models" / "tiny.distill")
    shutil.rmtree(tmp_path / "give")
    assert distill("generate", "tiny", "--seconds", 0.5).code == 0


def test_no_folder_is_made_that_is_called_like_a_file(distill: Distill, noted: Path, tmp_path: Path) -> None:
    """Guards against a folder ``gift.DISTILL`` with the model in it, and one ``x.wav``."""
    gift = tmp_path / "gift.DISTILL"
    assert distill("models", "export", "tiny", "--out", gift).code == 0
    assert load_model(gift).header.name == "gift"
    for words in ((), ("--with-recordings",)):
        distill("models", "export", "tiny", "--out", tmp_path / "x.wav", *words).refused("x.wav", "a folder is needed")
    assert not (tmp_path / "x.wav").exists()


def test_a_piece_of_a_model_of_the_same_codec_is_called_so(distill: Distill, tiny: Path) -> None:
    """Guards against "an earlier version of the model" for what another of a sweep made, which has the same codec."""
    other = load_model(tiny).with_header(name="other")
    other.require_prior().start.data.add_(0.1)
    made_by = load_model(save_model(tiny.with_name("other.distill"), other)).header
    distill("models", "import", tiny, tiny.with_name("other.distill"), "--in-place")
    by_other = GenerationRecord(
        made="2026-01-01T00:00:00+00:00", model=None, digest=made_by.digest or "", origin=origin_of(made_by),
        file="/new/other-0.wav", sound="0" * 64, seed=0, verdict="Original", shares={}, request={},
    )  # fmt: skip
    Library(pytest.fail).add_generations([by_other])
    assert "seed 0; by other\n" in distill("models", "info", tiny).err
    distill("models", "delete", "other")
    assert "seed 0; by an earlier version of the model\n" in distill("models", "info", tiny).err


def test_a_model_is_given_away_without_the_sound_that_it_came_with(
    distill: Distill, tiny: Path, tmp_path: Path
) -> None:
    """Guards against somebody's recordings that are passed on unseen, as the model was given away with them."""
    alone = load_model(tiny)
    alone.sources = tuple(dataclasses.replace(source, sha256="a" * 64) for source in alone.sources)
    before = load_model(save_model(tmp_path / "alone.distill", alone)).header
    save_model(tiny, dataclasses.replace(alone, sounds=(sound_from("a" * 64, np.zeros((1, 48_000), np.float32)),)))
    answer = distill("models", "export", tiny, "--out", tmp_path / "given.distill")
    assert "left out" in answer.err
    assert f"distill models export {tiny} --with-recordings\n" in answer.err, "a command that can be typed"
    given = load_model(tmp_path / "given.distill")
    assert not given.sounds
    assert given.header == before.model_copy(update={"name": "given"}), "as it would be, had it come without"
    assert load_model(tiny).sounds
    answer = distill("models", "export", tiny, "--with-recordings", "--out", tmp_path / "whole.distill")
    assert "instead of" not in answer.err, "nothing is larger than it was"
    assert load_model(tmp_path / "whole.distill").sounds


def test_a_copy_calls_itself_what_it_was_called(distill: Distill, noted: Path, tmp_path: Path) -> None:
    """Guards against ``ours.distill`` that still calls itself by the old name, and pieces of it that bear that name."""
    ours = tmp_path / "give" / "ours.distill"
    assert distill("models", "export", "tiny", "--out", ours).code == 0
    assert load_model(ours).header.name == "ours"
    assert load_model(ours).header.digest == load_model(noted).header.digest
    assert load_model(noted).header.name == "tiny"


def test_a_model_that_was_measured_since_is_another(distill: Distill, tiny: Path) -> None:
    """Guards against an import that says it is there, and leaves the one whose new audio was not measured yet."""
    assert distill("generate", tiny, "--seconds", 0.5).code == 0
    assert distill("models", "import", tiny).code == 0
    assert "earlier version" not in distill("models", "info", tiny).err
    save_model(tiny, load_model(tiny).with_header(beat_strength=0.5))
    (model,) = distill("models", "import", tiny, "--json").json["models"]
    assert load_model(Path(model["path"])).header.beat_strength == 0.5
    assert "by an earlier version of the model" in distill("models", "info", tiny).err


def test_what_is_damaged_is_not_imported(distill: Distill, tiny: Path) -> None:
    content = bytearray(tiny.read_bytes())
    content[-1] ^= 1
    tiny.write_bytes(content)
    for words in ([tiny], [tiny, "--in-place"]):
        distill("models", "import", *words).refused("tiny.distill", "checksum")
    distill("models", "import", tiny.parent / "here").refused("no .distill file")
    assert listed(distill) == []


def test_one_that_is_damaged_keeps_no_other_from_being_imported(
    distill: Distill, tmp_path: Path, model_files: Path
) -> None:
    """Guards against a folder of which the files before a damaged one are imported unsaid, and those behind it never tried."""
    folder = Path(shutil.copytree(model_files, tmp_path / "folder"))
    damaged = folder / "other.distill"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    answer = distill("models", "import", folder, "--in-place", "--json")
    assert answer.code == 2
    assert "other.distill" in answer.err
    assert [one["name"] for one in answer.json["models"]] == ["bare", "tiny"]
    assert [one["file"] for one in answer.json["refused"]] == [str(damaged)]
    answer = distill("models", "import", damaged, folder / "tiny.distill")
    assert answer.code == 2
    assert "1 model is in the library now" in answer.err


def test_other_capitals_on_a_disk_that_does_not_tell_them_apart(distill: Distill, tiny: Path) -> None:
    """Guards against "already exists" where that file is the model itself. A link stands for such a disk."""
    other = tiny.with_name(f"{tiny.stem.upper()}.distill")
    other.hardlink_to(tiny)
    assert distill("models", "rename", tiny, other.stem).code == 0
    assert [path.name for path in tiny.parent.glob("*.distill")] == [other.name]
    assert load_model(other).header.name == other.stem
    assert [one["name"] for one in distill("models", "list", "--json").json["models"]] == [other.stem]


def test_a_library_on_a_read_only_disk_is_looked_at(
    distill: Distill, tiny: Path, tmp_path: Path, library_refused: Callable[[bool], None]
) -> None:
    """Guards against a backup of which a list can be had, and no more."""
    assert distill("generate", tiny, "--seconds", 0.5, "--out", tmp_path / "new").code == 0
    os.utime(tiny, (1, 1))
    library_refused(True)
    for words in (("models", "info", tiny), ("pieces", "list", tiny), ("models", "list")):
        answer = distill(*words, "--json")
        assert answer.code == 0, answer.err
    assert [one["name"] for one in answer.json["models"]] == ["tiny"], "its file has changed since it was noted"
    assert distill("models", "export", tiny, "--out", tmp_path / "copy.distill").code == 0
    distill("models", "rename", tiny, "other").refused("read-only")
    assert tiny.exists()
