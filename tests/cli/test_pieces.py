"""``distill pieces``: what was made, and what comes of deleting it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from distill.files.home import home

Distill = Callable[..., Any]


@pytest.fixture
def made(distill: Distill, tiny: Path) -> list[Path]:
    """Two pieces, with the numbers 1 and 2."""
    return [Path(one) for one in distill("generate", tiny, "--seconds", 0.5, "--count", 2, "--json").json["audio"]]


def listed(distill: Distill, *words: object) -> list[int]:
    return [one["id"] for one in distill("pieces", "list", *words, "--json").json["pieces"]]


def test_every_piece_is_listed_with_its_number_and_its_file(distill: Distill, made: list[Path], tiny: Path) -> None:
    assert listed(distill) == listed(distill, tiny) == [2, 1]
    shown = distill("pieces", "list").out.splitlines()
    assert [line.split()[0] for line in shown] == ["number", "2", "1"]
    assert str(made[1]) in shown[1]
    made[1].unlink()
    assert f"gone from {made[1]}" in distill("pieces", "list").out


def test_every_list_says_which_pieces_are_gone(distill: Distill, made: list[Path], tiny: Path) -> None:
    """Guards against pieces that are shown with a model as if they were there, and against JSON that does not tell."""
    made[1].unlink()
    shown = distill("models", "info", tiny).err
    assert f" {made[0]}" in shown
    assert f"gone from {made[0]}" not in shown
    assert f"gone from {made[1]}" in shown
    for words, name in ((("models", "info", tiny), "generations"), (("pieces", "list"), "pieces")):
        told = distill(*words, "--json").json[name]
        assert {one["id"]: one["is_there"] for one in told} == {1: True, 2: False}


def test_an_empty_list_says_what_to_do(distill: Distill) -> None:
    answer = distill("pieces", "list")
    assert "No pieces yet" in answer.err
    assert "distill generate MODEL" in answer.err
    assert "empty" in distill("pieces", "list", "--trash").err


def test_what_is_deleted_comes_back_where_it_was(distill: Distill, made: list[Path], tiny: Path) -> None:
    content = made[0].read_bytes()
    answer = distill("pieces", "delete", 1)
    assert f"{made[0].stem} is in the trash" in answer.err
    (item,) = distill("pieces", "list", "--trash", "--json").json["trash"]
    assert f"distill pieces restore {item['key']}" in answer.err
    assert not made[0].exists()
    assert listed(distill) == [2]
    assert [one["id"] for one in distill("models", "info", tiny, "--json").json["generations"]] == [2]
    assert distill("pieces", "restore", item["key"], "--json").json == {"id": 1, "audio": str(made[0])}
    assert made[0].read_bytes() == content
    assert listed(distill) == [2, 1]
    assert distill("pieces", "list", "--trash", "--json").json["trash"] == []


def test_a_piece_is_deleted_by_its_name_too(distill: Distill, made: list[Path], tiny: Path) -> None:
    """Guards against "unable to parse string as an integer" for the name that restore takes."""
    assert distill("pieces", "delete", made[0].name, "--json").json["deleted"][0]["id"] == 1
    distill("pieces", "delete", 999).refused("no piece 999", "distill pieces list")
    distill("pieces", "delete", "never-made").refused("no piece 'never-made'", "distill pieces list")
    distill("pieces", "delete", "9" * 30).refused("no piece", "distill pieces list")
    elsewhere = distill("generate", tiny, "--seconds", 0.5, "--seed", 4, "--out", "a", "--json").json["audio"][0]
    same = distill("generate", tiny, "--seconds", 0.5, "--seed", 4, "--out", "b", "--json").json["audio"][0]
    assert Path(elsewhere).stem == Path(same).stem
    distill("pieces", "delete", Path(same).stem).refused(
        "any of 2 pieces", f"3   {elsewhere}", f"4   {same}", "its number"
    )
    assert listed(distill) == [4, 3, 2]
    assert distill("pieces", "delete", same, "--json").json["deleted"][0]["id"] == 4
    distill("pieces", "delete", Path(same)).refused("no piece")
    assert distill("pieces", "delete", Path(elsewhere).stem, "--json").json["deleted"][0]["id"] == 3


def test_a_piece_is_made_again_by_its_number_name_or_file(distill: Distill, made: list[Path], tiny: Path) -> None:
    """Guards against a name that delete takes and regenerate does not, and against two of one name that look alike."""
    content = made[0].read_bytes()
    for given in (1, made[0].stem, made[0].name, made[0]):
        again = distill("regenerate", given, "--out", "again", "--json").json
        assert again["id"] == 1
        assert Path(again["audio"]).read_bytes() == content
    distill("regenerate", "never-made").refused("no piece 'never-made'", "distill pieces list")
    twin = distill("generate", tiny, "--seconds", 0.5, "--seed", 0, "--out", "b", "--json").json["audio"][0]
    assert Path(twin).stem == made[0].stem
    distill("regenerate", made[0].stem).refused(
        "any of 2 pieces:\n", f"    1   {made[0]}\n", f"    3   {twin}\n", "its number"
    )
    distill("pieces", "delete", 3)
    distill("pieces", "delete", 1)
    (key,) = [
        item["key"] for item in distill("pieces", "list", "--trash", "--json").json["trash"] if item["piece"] == 1
    ]
    distill("regenerate", made[0].stem).refused("in the trash", "distill pieces restore")
    assert distill("regenerate", 1, "--out", "again", "--json").json["id"] == 1
    distill("pieces", "restore", key)
    assert distill("regenerate", made[0].stem, "--out", "again", "--json").json["id"] == 1


def test_a_renamed_piece_is_found_by_its_new_name(distill: Distill, made: list[Path]) -> None:
    answer = distill("pieces", "rename", made[0].name, "Rain on tin")
    rain = made[0].with_name("Rain on tin.wav")
    assert "It is now called Rain on tin" in answer.err
    assert str(rain) in answer.err
    with soundfile.SoundFile(rain) as file:
        assert file.title == "Rain on tin"
    again = distill("regenerate", "rain ON tin", "--out", "again", "--json")
    assert again.code == 2, "a name is meant as it is written"
    again = distill("regenerate", "Rain on tin", "--out", "again", "--json").json
    assert Path(again["audio"]).read_bytes() == rain.read_bytes()
    assert distill("pieces", "rename", 1, made[0].stem, "--json").json == {"id": 1, "audio": str(made[0])}
    distill("pieces", "rename", 1, made[1].stem).refused("there is a file", "another name")
    distill("pieces", "rename", "never-made", "x").refused("no piece 'never-made'", "distill pieces list")
    distill("pieces", "rename", "", "x").refused("is empty")
    distill("pieces", "rename", 1, "").refused("cannot be the name of a piece")
    made[0].unlink()
    distill("pieces", "rename", 1, "x").refused("is gone from")


def test_what_lies_beside_a_piece_goes_into_the_trash_with_it(distill: Distill, made: list[Path]) -> None:
    """Guards against a list of grains and a project that stay behind and tell of a file that is gone."""
    grains = made[0].with_suffix(".json")
    grains.write_text(json.dumps({"format": "distill-grains", "piece": made[0].name, "grains": []}))
    project = made[0].with_suffix(".rpp")
    project.write_text(f'  NAME "{made[0].name}"\n    FILE "{made[0].name}"\n')
    before = {path.name: path.read_bytes() for path in made[0].parent.iterdir()}
    answer = distill("pieces", "delete", 1)
    assert f"{grains.name}, {project.name}" in answer.err
    assert [path.name for path in made[0].parent.iterdir()] == [made[1].name]
    grains.write_text("precious")
    distill("pieces", "restore", made[0].stem).refused(f"{grains} already exists")
    assert not made[0].exists()
    assert grains.read_text() == "precious"
    grains.unlink()
    distill("pieces", "restore", made[0].stem)
    assert {path.name: path.read_bytes() for path in made[0].parent.iterdir()} == before
    assert not list((home() / "trash").iterdir())


def test_a_deleted_piece_can_still_be_made_again(distill: Distill, made: list[Path]) -> None:
    content = made[0].read_bytes()
    distill("pieces", "delete", 1)
    again = distill("regenerate", 1, "--out", "again", "--json").json
    assert Path(again["audio"]).read_bytes() == content


def test_what_is_made_again_is_listed_where_the_piece_was_not_there(distill: Distill, made: list[Path]) -> None:
    """Guards against a sound that no list has, as the piece had been deleted or its file was gone."""

    def files() -> dict[int, Path]:
        told = distill("pieces", "list", "--json").json["pieces"]
        return {one["id"]: Path(one["file"]) for one in told if Path(one["file"]).exists()}

    distill("pieces", "delete", 1)
    again = Path(distill("regenerate", 1, "--out", "again", "--json").json["audio"])
    assert files() == {1: again, 2: made[1]}
    again.unlink()
    second = Path(distill("regenerate", 1, "--out", "second", "--json").json["audio"])
    assert files() == {1: second, 2: made[1]}
    distill("pieces", "delete", 1)
    distill("regenerate", 1, "--out", second.parent)
    distill("regenerate", 2, "--out", "copy")
    assert files() == {1: second, 2: made[1]}, "a second copy is not listed"


def test_a_deleted_piece_stays_deleted_when_the_database_is_rebuilt(distill: Distill, made: list[Path]) -> None:
    distill("pieces", "delete", 1)
    (home() / "library.db").write_bytes(b"no database at all")
    assert listed(distill) == [2]


def test_restoring_overwrites_nothing(distill: Distill, made: list[Path], tmp_path: Path) -> None:
    distill("pieces", "delete", 1)
    made[0].write_text("precious")
    distill("pieces", "restore", made[0].stem).refused("already exists", "--out")
    assert made[0].read_text() == "precious"
    back = distill("pieces", "restore", made[0].stem, "--out", tmp_path / "elsewhere", "--json").json["audio"]
    assert Path(back) == tmp_path / "elsewhere" / made[0].name
    (shown,) = [one for one in distill("pieces", "list", "--json").json["pieces"] if one["id"] == 1]
    assert shown["file"] == back


def test_models_and_pieces_have_a_trash_each(distill: Distill, made: list[Path], tiny: Path) -> None:
    """Guards against one trash that is emptied with the other."""
    distill("pieces", "delete", 1)
    distill("models", "delete", tiny)
    assert distill("models", "delete", "--empty-trash", "--json").json["removed"] == ["tiny"]
    assert distill("pieces", "delete", "--empty-trash", "--json").json["removed"] == [made[0].stem]
    distill("pieces", "restore", made[0].stem).refused(f"no piece '{made[0].stem}'", "distill pieces list --trash")
    assert listed(distill) == [2]


def test_nothing_else_is_ever_put_back(distill: Distill, made: list[Path], tmp_path: Path) -> None:
    """Guards against a trash that somebody prepared so that restoring writes a start-up file."""
    distill("pieces", "delete", 1)
    (item,) = distill("pieces", "list", "--trash", "--json").json["trash"]
    note = home() / "trash" / item["key"] / "was.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "was": str(tmp_path / "profile")}))
    distill("pieces", "restore", item["key"]).refused("--out")
    assert not (tmp_path / "profile").exists()
    other = home() / "trash" / "other"
    other.mkdir()
    (other / "profile").write_text("evil")
    (other / "was.json").write_text(json.dumps({"was": str(tmp_path / "profile"), "deleted": "", "piece": 1}))
    distill("pieces", "restore", "other").refused("no piece 'other'")


def test_what_cannot_be_deleted(distill: Distill, made: list[Path]) -> None:
    distill("pieces", "delete").refused("--empty-trash")
    distill("pieces", "delete", 1, "--empty-trash").refused("--empty-trash alone")
    distill("pieces", "delete", 1, 9).refused("no piece 9")
    assert made[0].exists(), "one that is not there, and none is deleted"
    distill("pieces", "list", "mine", "--trash").refused("no effect")
    made[0].unlink()
    assert "already gone" in distill("pieces", "delete", 1).err
    assert listed(distill) == [2]
