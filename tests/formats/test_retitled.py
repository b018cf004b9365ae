"""A file under another title."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distill.errors import OutputError
from distill.formats.retitled import retitle
from distill.formats.writing import write_audio

FORMATS = [("wav", 16), ("wav", 24), ("wav", 32), ("flac", 24), ("ogg", 24), ("mp3", 24)]
Noise = Callable[[float], np.ndarray]


def written(path: Path, sound: np.ndarray, depth: int, title: str) -> Path:
    tags = {"title": title, "comment": f"Träume {'x' * 300}", "software": "distill"}
    return write_audio(path, sound, format=path.suffix[1:], bit_depth=depth, channels=1, tags=tags)


@pytest.mark.parametrize(("form", "depth"), FORMATS)
@pytest.mark.parametrize(
    ("was", "title"), [("mine-0", "rain"), ("b", "Träume हिन्दी 日本"), ("long" * 70, "b"), ("odd", "even")]
)
def test_it_is_as_if_it_had_had_that_title_from_the_start(
    tmp_path: Path, noise: Noise, form: str, depth: int, was: str, title: str
) -> None:
    """Byte for byte, and so with every count and checksum; what is before, in and behind the sound stays."""
    path = written(tmp_path / f"a.{form}", noise(0.3), depth, was)
    there = path.read_bytes()
    wanted = written(tmp_path / f"b.{form}", noise(0.3), depth, title).read_bytes()
    assert retitle(path, was, title)
    assert path.read_bytes() == wanted
    assert retitle(path, title, was)
    assert path.read_bytes() == there


@pytest.mark.parametrize(("form", "depth"), FORMATS)
def test_somebodys_own_title_stays(tmp_path: Path, noise: Noise, form: str, depth: int) -> None:
    path = written(tmp_path / f"a.{form}", noise(0.1), depth, "Rain on tin")
    there = path.read_bytes()
    assert not retitle(path, "mine-0", "rain")
    assert path.read_bytes() == there


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3"])
def test_what_is_not_as_distill_writes_it_stays(tmp_path: Path, noise: Noise, form: str) -> None:
    """Cut or changed anywhere in front of the sound it is left alone, or has the new title; nothing is raised."""
    path = written(tmp_path / f"a.{form}", noise(0.05), 24 if form != "wav" else 16, "mine-0")
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for number in range(400):
        spoilt = bytearray(whole)
        if number % 2:
            spoilt = spoilt[: number * 3]
        else:
            spoilt[int(random.integers(0, 900))] = int(random.integers(0, 256))
        path.write_bytes(spoilt)
        if not retitle(path, "mine-0", "rain"):
            assert path.read_bytes() == spoilt


def test_what_cannot_be_written_is_as_it_was(tmp_path: Path, noise: Noise, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.wav", noise(0.1), 24, "mine-0")
    there = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(OutputError, match="disk is full"):
        retitle(path, "mine-0", "rain")
    assert path.read_bytes() == there
    assert [one.name for one in tmp_path.iterdir()] == ["a.wav"]


def test_what_is_no_sound_is_not_touched(tmp_path: Path) -> None:
    for name, content in (("a.json", b"{}"), ("a.wav", b""), ("b.wav", b"RIFF" + struct.pack("<I", 4) + b"WAVE")):
        (tmp_path / name).write_bytes(content)
        assert not retitle(tmp_path / name, "a", "b")
        assert (tmp_path / name).read_bytes() == content
    with pytest.raises(OutputError):
        retitle(tmp_path / "gone.wav", "a", "b")
