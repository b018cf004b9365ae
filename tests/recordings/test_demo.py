"""The corpus that the project makes itself."""

import errno
import os

import pytest
import soundfile

from distill.errors import OutputError
from distill.recordings.corpus import import_corpus
from distill.recordings.demo import write_demo_corpus
from distill.recordings.split import split_corpus


def test_the_demo_is_varied_usable_and_always_the_same(tmp_path):
    """Guards against other bytes on every run, and so another split, and against takes that all sound alike."""
    paths = write_demo_corpus(tmp_path / "one")
    again = write_demo_corpus(tmp_path / "two")
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert len(paths) >= 18
    infos = [soundfile.info(path) for path in paths]
    assert {info.samplerate for info in infos} == {44_100, 48_000, 96_000}
    assert {info.channels for info in infos} == {1, 2}
    assert {info.format for info in infos} == {"WAV", "FLAC", "OGG"}
    corpus = import_corpus(tmp_path / "one")
    assert corpus.file_count == len(paths)
    assert 60 <= corpus.seconds <= 90
    assert len({recording.group for recording in corpus.recordings}) == len(paths)
    assert all(-6 < report.peak_db < 0 for report in corpus.files)
    assert split_corpus(corpus).kind == "recordings"
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_disk_that_is_full_is_said_in_words(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(OutputError, match="the disk is full"):
        write_demo_corpus(tmp_path)
