"""Text is compared, searched and made into names as people read it, whatever bytes a system chose for it."""

import unicodedata
from pathlib import Path

import pytest

from distill.files.names import new_model_path, normalised, searchable, stem_from

APART = unicodedata.normalize("NFD", "Träume für später")


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        (APART, "Träume-für-später"),
        ("हिन्दुस्तान", "हिन्दुस्तान"),
        ("தமிழ் இசை", "தமிழ்-இசை"),
        ("日本の音", "日本の音"),
        ("עִבְרִית", unicodedata.normalize("NFC", "עִבְרִית")),
        ("  ..a/b:c?*\n", "a-b-c"),
        ("...", ""),
        ("👩‍🚀", ""),
    ],
)
def test_letters_of_every_script_survive(text: str, stem: str) -> None:
    """Guards against Tra-ume and ह-न-द-स-ग-त."""
    assert stem_from(text) == stem


def test_a_long_name_is_cut_between_letters() -> None:
    """Guards against a mark without its letter, and names that a disk cannot hold."""
    assert stem_from("x" * 39 + "नि" + "y") == "x" * 39
    assert len(stem_from("日" * 200).encode()) <= 80
    assert stem_from("a" * 200) == "a" * 40


def test_a_model_is_called_as_its_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / APART).mkdir()
    assert new_model_path(tmp_path, None, tmp_path / APART).name == "Träume-für-später.distill"
    assert new_model_path(tmp_path, APART, tmp_path).name == f"{normalised(APART)}.distill"


def test_both_spellings_are_found() -> None:
    assert searchable("TRÄUME") in searchable(APART)
    assert searchable(APART) == searchable("träume FÜR später")
