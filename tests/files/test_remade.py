"""Files that can be made again: their dates, and which of them go first."""

import errno
import os
from pathlib import Path

import pytest

from distill.files.remade import deleted, make_room, used_now


@pytest.mark.parametrize(("number", "is_let_be"), [(errno.EROFS, True), (errno.EACCES, True), (errno.EIO, False)])
def test_only_a_disk_that_is_only_read_is_let_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_let_be: bool
) -> None:
    """Guards against a broken disk that nobody hears of."""

    def refused(path: Path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "utime", refused)
    if is_let_be:
        used_now(tmp_path)
    else:
        with pytest.raises(OSError, match="error"):
            used_now(tmp_path)


@pytest.mark.parametrize(("number", "is_let_be"), [(errno.EROFS, True), (errno.EACCES, True), (errno.EIO, False)])
def test_what_may_only_be_read_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_let_be: bool
) -> None:
    """Guards against a cache on a disk that is only read, out of which nothing can be used once something in it is old."""

    def refused(path: Path, **_: bool) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "unlink", refused)
    if is_let_be:
        assert deleted(tmp_path / "old.json", 100) == 0
    else:
        with pytest.raises(OSError, match="error"):
            deleted(tmp_path / "old.json", 100)


def test_the_least_recently_used_go_first_and_what_is_kept_stays(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "abc"]
    for age, file in enumerate(files):
        file.write_bytes(bytes(8192))
        os.utime(file, (age, age))
    size = min(8192, 512 * files[0].stat().st_blocks)
    assert make_room([*files, tmp_path / "gone"], 2 * size, lambda file: file.name == "a") == size
    assert [file.name for file in files if file.exists()] == ["a", "c"]
    assert make_room(files, 3 * size, lambda _: False) == 0
