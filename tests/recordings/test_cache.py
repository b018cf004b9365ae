"""The cache of decoded audio."""

import errno
import hashlib
import os
import threading
import time

import numpy as np
import pytest

from distill.errors import AudioFileError, OutputError
from distill.files.home import home
from distill.formats.files import read_audio
from distill.recordings import cache
from distill.recordings.cache import cache_folder, cached, decoded, trim_cache
from distill.recordings.corpus import import_corpus
from distill.recordings.remembered import remembered


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_cache_on_a_disk_that_is_only_read_is_usable(tmp_path, noise, save, monkeypatch):
    """Guards against an error for a date that cannot be set, where all that is needed is there."""
    path = save(tmp_path / "a.wav", noise(0.1), 48_000)
    decoded(path, _digest(path))

    def refuses(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "utime", refuses)
    assert decoded(path, _digest(path)).shape == cached(_digest(path)).shape == (1, 4800)


def test_decoded_once_and_the_same_as_reading(tmp_path, noise, save):
    """Guards against channels interleaved in the cache, and against decoding anew on every start."""
    path = save(tmp_path / "a.wav", noise(0.7, rate=44_100, channels=2), 44_100)
    first = decoded(path, _digest(path))
    assert isinstance(first, np.memmap)
    assert not first.flags.writeable
    np.testing.assert_array_equal(first, read_audio(path))
    digest = _digest(path)
    path.unlink()
    np.testing.assert_array_equal(decoded(path, digest), first)


@pytest.mark.parametrize(
    "change", [lambda data: data[:-4], lambda data: data + b"1234", lambda data: b"", lambda data: b"x"]
)
def test_a_file_of_the_wrong_size_is_made_again(tmp_path, noise, save, change):
    """Guards against training on the half of a cache file that a crash left behind."""
    path = save(tmp_path / "a.wav", noise(0.2))
    place = cache_folder() / f"{_digest(path)}.npy"
    good = np.array(decoded(path, _digest(path)))
    size = place.stat().st_size
    place.write_bytes(change(place.read_bytes()))
    np.testing.assert_array_equal(decoded(path, _digest(path)), good)
    assert place.stat().st_size == size


@pytest.mark.parametrize(("byte", "bit"), [(8, 6), (10, 0), (21, 4)])
def test_a_damaged_header_is_made_again(tmp_path, noise, save, byte, bit):
    """Guards against a start that ends with a SyntaxError for one flipped bit in a file that can be made again."""
    path = save(tmp_path / "a.wav", noise(0.2))
    place = cache_folder() / f"{_digest(path)}.npy"
    good = np.array(decoded(path, _digest(path)))
    whole = bytearray(place.read_bytes())
    whole[byte] ^= 1 << bit
    place.write_bytes(whole)
    np.testing.assert_array_equal(decoded(path, _digest(path)), good)


def test_a_damaged_recording_leaves_nothing(tmp_path, noise, save):
    """Guards against half-decoded audio that is found by the next import."""
    sound = noise(12.0)
    sound[0, -1] = np.nan  # behind the first ten seconds, which are written by then
    path = save(tmp_path / "a.wav", sound, subtype="FLOAT")
    with pytest.raises(AudioFileError):
        decoded(path, "0" * 64)
    assert not list(cache_folder().iterdir())


def test_two_at_once(tmp_path, noise, save, monkeypatch):
    """Guards against two processes writing into one file; threads stand in for them."""
    path = save(tmp_path / "a.wav", noise(0.5))
    both = threading.Barrier(2)
    plain = cache.read_blocks

    def together(path):
        both.wait(5)
        return plain(path)

    monkeypatch.setattr(cache, "read_blocks", together)
    results = []
    threads = [threading.Thread(target=lambda: results.append(decoded(path, "1" * 64))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, read_audio(path))
    assert [file.name for file in cache_folder().iterdir()] == ["1" * 64 + ".npy"]


def test_a_full_disk_is_said_in_words(tmp_path, noise, save, full_disk):
    """Guards against a process killed by a memory map on a full disk."""
    path = save(tmp_path / "a.wav", noise(2.0))
    full_disk(50_000)
    with pytest.raises(OutputError, match="DISTILL_HOME") as told:
        decoded(path, "2" * 64)
    assert not list(cache_folder().iterdir())
    assert f"move Distill's folder {home()}" in told.value.fix, "a new one would have no models and no runs"


def test_trimming_takes_the_oldest_and_spares_what_is_used(tmp_path, noise, save):
    """Guards against deleting what the running import maps, and against a cache that grows for ever."""
    for number in range(4):
        path = save(tmp_path / f"{number}.wav", noise(0.1, seed=number))
        decoded(path, str(number) * 64)
        os.utime(cache_folder() / f"{str(number) * 64}.npy", (1000 + number, 1000 + number))
    leftover = cache_folder() / "dead.tmp"
    leftover.write_bytes(b"x")
    os.utime(leftover, (1000, 1000))
    fresh = cache_folder() / "alive.tmp"
    fresh.write_bytes(b"x")
    decoded(tmp_path / "1.wav", "1" * 64)  # used now, so no longer among the oldest
    assert time.time() - (cache_folder() / f"{'1' * 64}.npy").stat().st_mtime < 60
    size = (cache_folder() / f"{'0' * 64}.npy").stat().st_size
    assert trim_cache(2 * size, keep={"0" * 64}) == 2 * size + 1
    left = {file.stem[:1] for file in cache_folder().glob("*.npy")}
    assert left == {"0", "1"}
    assert fresh.exists()
    assert not leftover.exists()


def test_measured_once(tmp_path, noise, save):
    """Guards against minutes of comparing on every start, and against the figures of an earlier file of that name."""

    def measures():
        """Without what files are known to hold by their dates, which is kept once they are some seconds old."""
        return {
            file.name
            for file in cache_folder().glob("*.json")
            if not file.name.partition(".")[2].startswith(("shape", "bytes"))
        }

    place = save(tmp_path / "mine" / "a.wav", noise(1.5))
    save(tmp_path / "mine" / "b.wav", noise(1.5, seed=1))
    first = import_corpus(tmp_path / "mine")
    kept = measures()
    assert len(kept) == 4, "two recordings, how they are alike, and how much of them"
    assert import_corpus(tmp_path / "mine").files == first.files
    assert measures() == kept
    save(place, 0.5 * noise(1.5))
    (changed, _) = import_corpus(tmp_path / "mine").files
    assert changed.peak_db == pytest.approx(first.files[0].peak_db - 20 * np.log10(2), abs=0.01)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[2.0]", b'[[1.4], "of another"]'])
def test_what_was_not_kept_whole_is_measured_again(content):
    (cache_folder()).mkdir(parents=True)
    (cache_folder() / "x.json").write_bytes(content)
    assert remembered("x", lambda: [1.5]) == [1.5]
    assert remembered("x", lambda: [2.5]) == [1.5]
    assert [file.name for file in cache_folder().iterdir()] == ["x.json"]


def test_measures_that_cannot_be_kept_are_no_failure(full_disk):
    cache_folder().mkdir(parents=True)
    full_disk(0)
    assert remembered("x", lambda: [1.5]) == [1.5]
    full_disk(None)
    assert list(cache_folder().iterdir()) == []
