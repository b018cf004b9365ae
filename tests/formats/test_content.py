"""The bytes of a file as they are looked through, also where another program writes to it meanwhile."""

import errno
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distill.errors import AudioFileError
from distill.formats.content import FileContent, places_of
from distill.formats.files import probe

SHORTENED = """
import os, sys
from pathlib import Path
from distill.errors import AudioFileError
from distill.formats import containers
from distill.formats.files import probe

path, look = Path(sys.argv[1]), containers._of_kind

def meanwhile(*given):
    os.truncate(path, 40)
    return look(*given)

containers._of_kind = meanwhile
try:
    probe(path)
except AudioFileError as error:
    print(error.what)
"""


def test_it_is_like_bytes(tmp_path: Path) -> None:
    """Beside the bytes themselves, in a file of several parts: what is found, cut and indexed is the same."""
    draw = random.Random(0)
    whole = bytearray(draw.randbytes(2**17 * 20))
    for at in [*range(0, len(whole), 2**17), *range(2**20 - 70, 2**20 + 70, 4)]:
        whole[at - 1 : at + 2] = b"\xff\xff\xff"
    path = tmp_path / "a"
    path.write_bytes(whole)
    pattern = re.compile(rb"\xff[\xe2-\xff]")
    with path.open("rb") as file:
        content = FileContent(file)
        assert len(content) == len(whole)
        for _ in range(300):
            begin, size = draw.randrange(len(whole)), draw.choice([1, 4, 100, 2**16, 2**19])
            assert content[begin : begin + size] == whole[begin : begin + size]
            assert content[begin] == whole[begin]
            assert content[begin : begin - size] == whole[begin : begin - size]
            assert content.find(whole[begin : begin + 4], begin - 9) == whole.find(whole[begin : begin + 4], begin - 9)
        assert content.find(b"nowhere") == -1
        assert FileContent(file, 2**18, first=1000)[:] == whole[1000 : 1000 + 2**18]
        assert FileContent(file, first=1000).find(bytes(whole[-3:])) == whole.find(whole[-3:]) - 1000
        assert content.find(bytes(whole[-3:])) == whole.find(whole[-3:])
        for begin, stop in ((0, len(whole)), (17, 2**20 + 9), (5, 5), (1, 2**30)):
            found = [match.start() for match in pattern.finditer(whole, begin, stop)]
            assert list(places_of(pattern, content, begin, stop)) == found
            assert list(places_of(pattern, bytes(whole), begin, stop)) == found


def test_what_is_gone_meanwhile_reads_as_zeros(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc" * 100_000)
    with path.open("rb") as file:
        content = FileContent(file)
        os.truncate(path, 200_000)
        assert content[199_998:200_002] == b"ab\0\0"
        assert content[250_000] == 0
        assert len(content[150_000:]) == 150_000
        assert content.find(b"a", 200_001) == -1


@pytest.mark.parametrize("form", ["MP3", "FLAC", "OGG"])
def test_a_recording_that_is_shortened_while_it_is_looked_at(
    form: str, tmp_path: Path, encoded: Callable[..., bytes]
) -> None:
    """Guards against a process, which may be a server, that a bus error ends."""
    path = tmp_path / f"a.{form.lower()}"
    path.write_bytes(encoded(form, None, seconds=3.0))
    done = subprocess.run([sys.executable, "-c", SHORTENED, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert path.name in done.stdout


@pytest.mark.parametrize("name", ["a.mp3", "a.aac"])
def test_a_disk_that_fails_is_told_of_one_recording(
    name: str, tmp_path: Path, encoded: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against an import that ends at the first file that cannot be read to its end."""
    frame = bytes.fromhex("fff15080") + (500 << 13 | 0x1FFC).to_bytes(3, "big") + bytes(493)
    (tmp_path / name).write_bytes(encoded("MP3", None, seconds=3.0) if name == "a.mp3" else 100 * frame)

    def failing(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(FileContent, "__getitem__", failing)
    with pytest.raises(AudioFileError, match=name):
        probe(tmp_path / name)
