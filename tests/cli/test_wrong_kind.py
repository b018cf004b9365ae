"""Files and folders given the wrong way round, and words that are empty: what is wrong is said, and nothing is begun."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Distill = Callable[..., Any]


@pytest.mark.parametrize(
    "words",
    [
        ("check", ""),
        ("run", "", "--minutes", 0.1),
        ("check", ".", "--json="),
        ("info", ""),
        ("ui", "--host", ""),
        ("models", "rename", "", "new"),
    ],
)
def test_an_empty_word_is_not_the_folder_one_stands_in(
    distill: Distill, save: Callable[..., Path], noise: Callable[..., Any], words: tuple[object, ...]
) -> None:
    """Guards against ``distill run "$TAKES"``, with TAKES not set, that learns all that lies around."""
    save(Path("a.wav"), noise(1.0))
    distill(*words).refused("is empty", "variable that is not set")
    assert [one.name for one in Path().iterdir()] == ["a.wav"]


@pytest.fixture
def given(
    distill: Distill, tiny: Path, save: Callable[..., Path], noise: Callable[..., Any], tmp_path: Path
) -> dict[str, Path]:
    """A model, a sound, its codes and a folder, by name."""
    sound = save(tmp_path / "a.wav", noise(1.0))
    assert distill("encode", tiny, sound, "--out", tmp_path / "a.codes").code == 0
    (tmp_path / "b.wav").mkdir()
    return {"model": tiny, "sound": sound, "codes": tmp_path / "a.codes", "folder": tmp_path / "b.wav"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("encode", "model", "codes"), ("holds codes, not sound", "distill decode MODEL")),
        (("encode", "model", "model"), ("is a model, not a recording",)),
        (("generate", "model", "--prompt", "codes"), ("holds codes, not sound", "distill decode MODEL")),
        (("edit", "model", "codes", "--graft", "model"), ("is a model, not a recording",)),
        (("decode", "model", "sound"), ("is not a .codes file", "distill encode MODEL AUDIO")),
        (("decode", "model", "model"), ("is not a .codes file", "distill encode MODEL AUDIO")),
        (("decode", "model", "folder"), ("it is a folder",)),
        (("info", "sound"), ("not a usable model file", "Give a .distill file", "distill models list")),
        (("decode", "codes", "codes"), ("not a usable model file", "Give a .distill file")),
        (("info", "folder"), ("it is a folder", ".distill file")),
    ],
)
def test_what_is_not_what_is_needed_is_called_what_it_is(
    distill: Distill, given: dict[str, Path], words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    distill(words[0], *(given.get(word, word) for word in words[1:])).refused(*said)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("'my takes'", "leave them out"),
        ("“my takes”", "leave them out"),
        ("~/takes", "Within quotes ~"),
        ("takes/*.wav", "give the folder"),
        ("takes", "Check"),
        ("it's", "Check"),
    ],
)
def test_a_path_that_leads_nowhere_is_looked_at_as_it_was_written(
    distill: Distill, tiny: Path, name: str, advice: str
) -> None:
    """Guards against a pasted path whose quotes are taken for a part of its name, without a word about them."""
    distill("check", name).refused("does not exist", advice)
    distill("encode", tiny, name).refused("does not exist", advice)


@pytest.mark.parametrize(
    "words",
    [
        ("check", "LINK"), ("train", "LINK", "--minutes", 0.1), ("evaluate", "MODEL", "LINK"), ("info", "LINK"),
        ("generate", "LINK", "--seconds", 1), ("encode", "MODEL", "LINK"), ("reconstruct", "MODEL", "LINK", "--out", "new"),
        ("generate", "MODEL", "--prompt", "LINK", "--seconds", 1),
        ("generate", "MODEL", "--infill", "LINK", "--from", 0.1, "--to", 0.2),
    ],
    ids=lambda words: " ".join(map(str, words)),
)  # fmt: skip
def test_a_link_that_leads_to_nothing_is_called_one(
    distill: Distill, tiny: Path, tmp_path: Path, words: tuple[object, ...]
) -> None:
    """Guards against a link called a folder that does not exist, or a file to be copied again."""
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "dead").symlink_to("/Volumes/Unplugged/takes")
    for name, said in (
        ("round", "is a link that leads back to itself"),
        ("dead", "Unplugged/takes, which is not there"),
    ):
        given = {"LINK": tmp_path / name, "MODEL": tiny}
        distill(*(given.get(str(word), word) for word in words)).refused(said)


@pytest.mark.parametrize("name", ["piece.json", "piece-2.json", "piece.rpp"])
def test_what_tells_of_a_piece_names_it(
    distill: Distill, tiny: Path, save: Callable[..., Path], noise: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    """Guards against the JSON file of a piece that is "of a kind that cannot be read", and a piece that is not there."""
    sound, beside = save(tmp_path / "piece.wav", noise(1.0)), tmp_path / name
    beside.write_text('{"format": "distill-grains", "piece": "piece.wav"}')
    for words in (
        ("encode", tiny, beside),
        ("generate", tiny, "--prompt", beside),
        ("edit", tiny, beside, "--mirror", "all"),
    ):
        distill(*words).refused(f"{name} describes the piece piece.wav", f"Give {sound}")
    for words in (("regenerate", beside), ("pieces", "delete", beside)):
        distill(*words).refused(f"{name} describes a piece", f"Give the piece: {sound}")
    sound.unlink()
    distill("encode", tiny, beside).refused("of a kind that cannot be read")


@pytest.mark.parametrize("content", ["[1, 2", '{"piece": "../x.wav", "format": "distill-grains"}', "[" * 100_000])
def test_another_json_file_is_no_sidecar(distill: Distill, tiny: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content)
    distill("encode", tiny, tmp_path / "other.json").refused("of a kind that cannot be read")


@pytest.mark.parametrize(
    "words",
    [("info", "x/*.distill"), ("info", "*.distill"), ("models", "rename", "t?ny", "a"), ("pieces", "delete", "*")],
)
def test_a_pattern_that_no_shell_filled_in_is_called_one(
    distill: Distill, tiny: Path, words: tuple[object, ...]
) -> None:
    """Guards against "No such file" for ``'models/*.distill'`` within quotes."""
    distill(*words).refused("that pattern", "within quotes", "one ")


def test_a_number_out_of_range_is_told_in_plain_words(distill: Distill) -> None:
    """Guards against "Input should be greater than or equal to 1"."""
    distill("ui", "--port", 0).refused("the minimum is 1")
    distill("ui", "--port", 70000).refused("the maximum is 65535")
