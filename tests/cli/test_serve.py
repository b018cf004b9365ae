"""Under which names ``distill serve`` offers its models."""

import shutil
from pathlib import Path

import pytest

from distill.cli.serve import _named
from distill.errors import SettingError


def test_a_model_is_called_as_its_file_is(tiny: Path, tmp_path: Path) -> None:
    """Guards against "There is no model 'mine' here" for models/mine.distill, a copy of a model of another name."""
    copy = Path(shutil.copy(tiny, tmp_path / "mine.distill"))
    assert list(_named([tiny, copy])) == [tiny.stem, "mine"]


def test_two_of_one_name_are_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    copy = Path(shutil.copy(tiny, tmp_path / "other" / tiny.name))
    with pytest.raises(SettingError, match=f"both called '{tiny.stem}'"):
        _named([tiny, copy])
