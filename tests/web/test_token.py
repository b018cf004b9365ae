"""Where the token of ``distill serve`` comes from, and what is none."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import OutputError, SettingError
from distill.web.token import token_from


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "0 characters"),
        (b"x\n", "1 character\\."),
        ("\N{LATIN SMALL LETTER U WITH DIAERESIS}".encode() * 20, "accented letter"),
        (b"two words of good length\n", "such as a blank"),
        (b"\xff\xfe" * 20, "it is not text"),
        (None, "is a directory"),
    ],
)
def test_what_is_no_token(tmp_path: Path, content: bytes | None, why: str) -> None:
    """Guards against "is no token: 21 characters" for one that is long enough, and against Python's own words."""
    file = tmp_path / "token"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(SettingError, match=why) as refused:
        token_from(file)
    assert "Errno" not in refused.value.what


@pytest.mark.skipif(sys.platform == "win32", reason="no such devices")
def test_a_file_without_an_end_is_not_read_to_its_end() -> None:
    with pytest.raises(SettingError, match="it is not text"):
        token_from(Path("/dev/zero"))


def test_a_file_that_another_system_wrote(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xef\xbb\xbf0123456789abcdef\r\nsecond line\r\n")
    assert token_from(file) == ("0123456789abcdef", False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_will_do(tmp_path: Path) -> None:
    """``--token-file <(pass show studio)``"""
    read, write = os.pipe()
    os.write(write, b"0123456789abcdef\n")
    os.close(write)
    assert token_from(Path(f"/dev/fd/{read}")) == ("0123456789abcdef", False)
    os.close(read)


def test_a_token_without_room_leaves_nothing(tmp_path: Path, full_disk: Callable[[int | None], None]) -> None:
    """Guards against half a token in its place: once there is room again it would be refused as too short."""
    file = tmp_path / "token"
    full_disk(10)
    with pytest.raises(OutputError, match="cannot be written"):
        token_from(file)
    full_disk(None)
    assert token_from(file)[1]
