"""Files that nobody should have to trust: each gets a verdict, in bounded memory and time."""

import os
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from distill.errors import AudioFileError, CorpusError
from distill.formats.files import probe, read_blocks
from distill.recordings import inspection
from distill.recordings.cache import cache_folder
from distill.recordings.corpus import import_corpus
from distill.recordings.verdicts import FileVerdict

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def wav(path: Path, *, rate: int = 48_000, channels: int = 1, bits: int = 16, data: bytes = bytes(9600)) -> Path:
    """A WAV file whose header says whatever it is told to."""
    frame = channels * bits // 8
    sizes = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * frame % 2**32, frame % 2**16, bits)
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + sizes
    path.write_bytes(head + b"data" + struct.pack("<I", len(data)) + data)
    return path


@pytest.fixture
def folder(tmp_path, noise, save):
    """A folder with one good recording, which nothing beside it may spoil."""
    save(tmp_path / "mine" / "good.wav", noise(0.5))
    return tmp_path / "mine"


def verdict(folder: Path, name: str) -> tuple[FileVerdict, str]:
    """Of one file; the good one must be used whatever the verdict is."""
    files = {file.name: file for file in import_corpus(folder).files}
    assert files["good.wav"].verdict == FileVerdict.USED
    return files[name].verdict, files[name].reason


def test_a_day_of_nothing(folder):
    """Guards against an import that fills the disk with what a sparse file claims to hold."""
    path = wav(folder / "day.wav", rate=8_000, bits=8, data=b"")
    size = 24 * 3600 * 8_000
    with path.open("r+b") as file:
        file.seek(40)
        file.write(struct.pack("<I", size))
        file.truncate(44 + size)
    started = time.process_time()
    tracemalloc.start()
    judged, reason = verdict(folder, "day.wav")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert judged == FileVerdict.LONG
    assert "24 h; at most 6 h" in reason
    assert time.process_time() - started < 2
    assert peak < 50e6
    assert sum(file.stat().st_size for file in cache_folder().iterdir()) < 1e6


def test_a_header_that_promises_hours_spoils_nothing_else(folder, noise, save):
    """Guards against an MP3 whose header claims years: the import of the whole folder ended in an error about the disk, and
    later the half second that is in it was thrown away."""
    content = bytearray(save(folder / "liar.mp3", noise(0.5, 3)).read_bytes())
    place = next(at for tag in (b"Xing", b"Info") if (at := content.find(tag)) >= 0)
    content[place + 8 : place + 12] = b"\xff\xff\xff\x7f"
    (folder / "liar.mp3").write_bytes(content)
    assert verdict(folder, "liar.mp3")[0] == FileVerdict.USED
    info = probe(folder / "liar.mp3")
    assert info.seconds == pytest.approx(0.5, abs=0.1)
    assert info.remark.startswith("Its header says 28633 h")
    assert "that are in it are used" in info.remark


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channels": 200}, "200 channels"),
        ({"channels": 65_535}, "not readable as audio"),
        ({"channels": 0}, "not readable as audio"),
        ({"rate": 1}, "sample rate is 1 Hz"),
        ({"rate": 0}, "not readable as audio"),
        ({"rate": 4_000_000_000}, "not readable as audio"),
        ({"rate": 2**31 - 1}, "sample rate is 2147483647 Hz"),
        ({"bits": 0}, "not readable as audio"),
    ],
)
def test_headers_beyond_reason(folder, changes, words):
    wav(folder / "odd.wav", **changes)
    judged, reason = verdict(folder, "odd.wav")
    assert judged == FileVerdict.UNREADABLE
    assert words in reason


def test_a_file_that_grows_while_it_is_read(folder, noise, save, monkeypatch):
    """Guards against a recording still going on that is kept cut off under the checksum of the whole."""
    path = save(folder / "growing.au", noise(1.0, 5))
    whole = inspection.decoded

    def decoded(one, sha256):
        found = whole(one, sha256)
        if one.path == path:
            with path.open("ab") as file:
                file.write(bytes(1000))
        return found

    with monkeypatch.context() as growing:
        growing.setattr(inspection, "decoded", decoded)
        judged, reason = verdict(folder, "growing.au")
        assert judged == FileVerdict.UNREADABLE
        assert "changed while it was read" in reason
        assert len(list(cache_folder().glob("*.npy"))) == 1
    assert verdict(folder, "growing.au")[0] == FileVerdict.USED


def test_reading_ends_though_the_file_grows_for_ever(tmp_path, noise, save):
    """Guards against an import that runs after a recorder: the length at the beginning counts."""
    path = save(tmp_path / "a.au", noise(1.0))
    (tmp_path / "more").write_bytes(path.read_bytes()[-96_000:])
    done = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            while not done.is_set() and file.tell() < 100e6:
                file.write((tmp_path / "more").read_bytes())
                file.flush()

    writer = threading.Thread(target=grow)
    blocks = read_blocks(path, block_seconds=0.1)
    try:
        next(blocks)
        writer.start()
        assert sum(block.shape[1] for block in blocks) < 47_999
    except AudioFileError:
        pass  # as good an answer
    finally:
        done.set()
        writer.join()


def test_links_that_lead_in_circles(folder):
    (folder / "round.wav").symlink_to(folder / "round.wav")
    (folder / "to.wav").symlink_to(folder / "fro.wav")
    (folder / "fro.wav").symlink_to(folder / "to.wav")
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")
    (folder / "below").symlink_to(folder, target_is_directory=True)
    (folder / "other disk").symlink_to(folder / "unplugged", target_is_directory=True)
    (folder / "project.als").symlink_to(folder / "unplugged" / "project.als")
    for name in ("round.wav", "to.wav", "fro.wav"):
        judged, reason = verdict(folder, name)
        assert judged == FileVerdict.UNREADABLE
        assert "is a link that leads back to itself" in reason
    assert f"is a link to {folder / 'nowhere.wav'}, which is not there" in verdict(folder, "gone.wav")[1]
    away = f"It is a link to {folder / 'unplugged'}, which is not there."
    assert verdict(folder, "other disk")[1] == away, "recordings on a disk that is not connected are missing in silence"
    assert len(import_corpus(folder).files) == 6


def test_folders_in_folders_without_end(folder, noise, save):
    """Guards against a stack that overflows: an unpacked archive may hold a thousand folders in each other."""
    here = Path.cwd()
    try:
        os.chdir(folder)
        for _ in range(1_100):
            Path("a").mkdir()
            os.chdir("a")
        save(Path("deep.wav"), noise(0.5, 7))
    finally:
        os.chdir(here)
    try:
        names = [file.name for file in import_corpus(folder).files]
    finally:
        # pytest removes old temporary folders by recursion, and this one would end every fourth run of the tests with an error.
        while (inner := folder / "a" / "a").is_dir():
            inner.rename(folder / "inner")
            (folder / "a").rmdir()
            (folder / "inner").rename(folder / "a")
    assert names == ["a/" * 1_100 + "deep.wav", "good.wav"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_pipe_or_a_device_among_the_recordings(folder):
    """Guards against an import that waits for ever, or that never comes to an end."""
    os.mkfifo(folder / "pipe.wav")
    (folder / "endless.wav").symlink_to("/dev/zero")
    for name in ("pipe.wav", "endless.wav"):
        judged, reason = verdict(folder, name)
        assert judged == FileVerdict.UNREADABLE
        assert "a pipe, a socket or a device" in reason


def test_names_as_odd_as_a_disk_can_hold(folder, noise, save):
    """Guards against names that cannot be printed, stored as UTF-8, or told apart."""
    odd = [
        "two\nlines.wav",
        "👩‍🚀🎵.wav",
        "x" * 251 + ".wav",
        "ü" * 125 + ".flac",
        " .wav",
        "-rf.wav",
        "$(reboot).wav",
        "'\".wav",
    ]
    for number, name in enumerate(odd):
        save(folder / name, noise(0.3, 10 + number))
    for number, name in enumerate([b"\xff.wav", b"\xfe.wav"]):
        save(folder / "raw.wav", noise(0.3, 30 + number)).rename(folder / os.fsdecode(name))
    corpus = import_corpus(folder)
    assert {file.verdict for file in corpus.files} == {FileVerdict.USED}
    names = {file.name for file in corpus.files}
    assert names == {"good.wav", "\\xff.wav", "\\xfe.wav", *odd}
    for name in names:
        name.encode("utf-8")
    assert [name for name, one in zip(sorted(names), corpus.recordings, strict=True) if name != one.name] == []


def test_nothing_but_a_day_is_nothing_to_learn_from(tmp_path):
    """Guards against a day of nothing that is decoded before it is looked at; on the disk it takes no room."""
    eight_bits = 2
    with (tmp_path / "a.au").open("wb") as file:
        file.write(b".snd" + struct.pack(">5I", 24, 24 * 3600 * 1000, eight_bits, 1000, 1))
        file.truncate(24 + 24 * 3600 * 1000)
    assert probe(tmp_path / "a.au").seconds == pytest.approx(24 * 3600)
    with pytest.raises(CorpusError, match="lasts 24 h; at most 6 h"):
        import_corpus(tmp_path)


def test_spoilt_files():
    """A small part of ``python benchmarks/fuzz_audio.py``, with another seed: no crash, no hang, no sound that lies."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "fuzz_audio.py", "--count", "400", "--seed", "1"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "400 files" in done.stdout
