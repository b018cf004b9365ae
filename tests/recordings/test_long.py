"""Long corpora: memory that does not grow with them, starts that read nothing again, and what the first reading takes, told."""

import functools
import os
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from distill.formats import files, more_formats
from distill.formats.files import read_audio
from distill.recordings import alike, seen
from distill.recordings.ahead import first_reading
from distill.recordings.alike import find_alike
from distill.recordings.cache import cache_folder, decoded, trim_cache
from distill.recordings.corpus import Recording, import_corpus
from distill.recordings.measure import measure
from distill.recordings.remembered import remembered
from distill.training.codec_data import MOST_COUNTED, counted

RATE = 48_000


@pytest.fixture
def settled(monkeypatch):
    """Files count as settled at once."""
    monkeypatch.setattr(seen, "_SETTLED_S", -10.0)


@pytest.fixture
def folder(tmp_path, noise, save):
    """Three recordings, one of them a louder copy with another beginning."""
    take = noise(3.0, seed=1)
    save(tmp_path / "mine" / "a.wav", take)
    save(tmp_path / "mine" / "b.wav", noise(2.0, seed=2))
    save(tmp_path / "mine" / "c.wav", 0.5 * take[:, RATE // 2 :])
    return tmp_path / "mine"


def test_a_later_start_reads_no_sound(folder, settled, monkeypatch):
    """Guards against starts that take as long as the corpus: hashing, measuring, comparing, or counting shared parts again."""
    first = import_corpus(folder)

    def never(*_, **__):
        pytest.fail("sound was read again")

    readers = (
        "cache._decode_to",
        "seen.file_digest",
        "seen.probe",
        "measure.measure",
        "alike.find_alike",
        "takes._levels",
    )
    for reader in readers:
        monkeypatch.setattr(f"distill.recordings.{reader}", never)
    again = import_corpus(folder)
    assert again.files == first.files
    assert again.alike == first.alike
    assert [one.group for one in again.recordings] == [one.group for one in first.recordings]
    assert [file.duplicate_of for file in again.files] == ["", "", "a.wav"]


def test_a_file_that_was_written_to_is_read_again(folder, settled, noise, save):
    """Guards against sound that is known by size and date alone, which programs set as they like."""
    path = folder / "b.wav"
    before = path.stat()
    digest = seen.digest_of(path)
    save(path, noise(2.0, seed=3))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert seen.digest_of(path) != digest


def test_what_was_written_just_now_is_not_trusted(folder, monkeypatch):
    monkeypatch.setattr(seen, "_SETTLED_S", 3600.0)  # a busy machine takes its time from there to here
    seen.digest_of(folder / "a.wav")
    assert seen.known_digest(folder / "a.wav") is None


def test_trimming_spares_what_was_measured(folder):
    """Guards against a corpus larger than the cache that is compared anew at every start."""
    import_corpus(folder)
    measures = sorted(file.name for file in cache_folder().glob("*.json"))
    trim_cache(0)
    assert sorted(file.name for file in cache_folder().glob("*.json")) == measures
    assert not list(cache_folder().glob("*.npy"))
    old = cache_folder() / "old.json"
    remembered("old", lambda: 1)
    os.utime(old, (time.time() - 100 * 86_400,) * 2)
    trim_cache(0)
    assert not old.exists()


def test_the_first_reading_is_announced_once_and_before_it_begins(folder, settled, monkeypatch):
    monkeypatch.setattr("distill.recordings.ahead.WORTH_TELLING_S", 1.0)
    told = []
    import_corpus(folder, ahead=told.append, progress=lambda done, total, name: told.append(done))
    assert "8 s of sound in 3 files are read for the first time" in told[0]
    assert "GB are free" in told[0]
    again = []
    import_corpus(folder, ahead=again.append)
    assert again == []


def test_the_pace_is_that_of_half_a_minute_in_blocks_of_any_size(tmp_path, noise, save, monkeypatch):
    """Guards against "about 20 minutes" for what takes three seconds: three frames of AAC are a fifteenth of a second."""
    path = save(tmp_path / "phone.wav", noise(40.0))
    asked, heard = [], []

    def in_frames(recording):
        asked.append(recording)
        whole = read_audio(path)
        return (whole[:, start : start + 1024] for start in range(0, whole.shape[1], 1024))

    def measured(sound, subtype):
        heard.append(sound.shape[1] / RATE)
        return measure(sound, subtype)

    monkeypatch.setattr("distill.recordings.ahead.read_blocks", in_frames)
    monkeypatch.setattr("distill.recordings.ahead.measure", measured)
    monkeypatch.setattr("distill.recordings.ahead.WORTH_TELLING_S", 1.0)
    assert "at the pace of their first half minute" in first_reading([path])
    assert heard == [pytest.approx(30.0, abs=0.1)]
    assert asked != [path], "it is known what it holds, and need not be looked at again"


def test_a_recording_is_gone_through_twice_at_most(tmp_path, noise, monkeypatch):
    """Guards against an import that takes twice as long as it need: once to look at a file and once to decode it is enough."""
    import av

    passes = dict.fromkeys(("six.wav", "phone.m4a"), 0)
    soundfile.write(tmp_path / "six.wav", noise(1.0, channels=6).T, RATE)
    with av.open(str(tmp_path / "phone.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise(1.0, seed=1), format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    native, through_av = files._native_blocks, more_formats._Reading.blocks

    def blocks(path, *how):
        passes[path.name] += 1
        return native(path, *how)

    def av_blocks(reading):
        passes[reading._path.name] += 1
        return through_av(reading)

    monkeypatch.setattr(files, "_native_blocks", blocks)
    monkeypatch.setattr(more_formats._Reading, "blocks", av_blocks)
    assert import_corpus(tmp_path).file_count == 2
    assert max(passes.values()) <= 2, passes
    passes.update(dict.fromkeys(passes, 0))
    for name in passes:
        read_audio(tmp_path / name, 1)
    assert passes == {"six.wav": 3, "phone.m4a": 2}, "of two channels, the mix is found out first"


def test_what_a_folder_holds_twice_is_decoded_once(folder, settled, noise, save, monkeypatch):
    """Guards against copies, duplicates and silence that are decoded, and announced as read for the first time, at every start
    of a folder that fills the cache."""
    for name in ("b.wav", "same.aiff"):
        save(folder / name, noise(2.0, seed=2), subtype="PCM_16")
    save(folder / "silent.wav", np.zeros((1, RATE), np.float32))
    save(folder / "elsewhere" / "other.wav", noise(1.0, seed=9))
    monkeypatch.setattr("distill.recordings.ahead.WORTH_TELLING_S", 1.0)
    monkeypatch.setattr("distill.recordings.corpus.trim_cache", functools.partial(trim_cache, 0))
    import_corpus(folder / "elsewhere")
    (folder / "elsewhere" / "other.wav").unlink()
    verdicts = [file.verdict for file in import_corpus(folder).files]
    assert sorted(verdicts) == ["copy", "duplicate", "silent", "used", "used"]
    again = []
    monkeypatch.setattr("distill.recordings.cache._decode_to", lambda *_: pytest.fail("decoded again"))
    import_corpus(folder, ahead=again.append)
    assert again == []
    assert len(list(cache_folder().glob("*.npy"))) == 5, "what is of other folders goes"


def test_what_is_never_read_counts_into_no_estimate(folder, settled, monkeypatch):
    """Guards against hours and gigabytes that are announced at every start for a file too long to be learned from."""
    size = 7 * 3600 * 8000
    with (folder / "night.wav").open("wb") as file:  # a byte a sample; on the disk it takes no room
        file.write(
            struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", size + 36, b"WAVEfmt ", 16, 1, 1, 8000, 8000, 1, 8, b"data", size)
        )
        file.truncate(44 + size)
    monkeypatch.setattr("distill.recordings.ahead.WORTH_TELLING_S", 1.0)
    told = []
    for _ in range(2):
        import_corpus(folder, ahead=told.append)
    assert len(told) == 1
    assert "8 s of sound in 3 files" in told[0]


def test_silence_takes_no_room(tmp_path, tone, save):
    sound = np.concatenate([tone(1.0), np.zeros((1, 60 * RATE), np.float32), tone(1.0)], axis=1)
    path = save(tmp_path / "gated.wav", sound, subtype="FLOAT")
    found = decoded(path, "0" * 64)
    assert np.array_equal(found, sound)
    state = (cache_folder() / f"{'0' * 64}.npy").stat()
    assert state.st_size > 4 * 60 * RATE
    if hasattr(state, "st_blocks"):
        assert 512 * state.st_blocks < state.st_size / 2


def test_what_is_compared_does_not_lie_in_memory(noise, monkeypatch):
    """Guards against 120 MB of it an hour, as there were: 12 GB for a hundred hours."""
    monkeypatch.setattr(alike, "_MOST_WORK", 0)
    peaks = []
    for count in (2, 8):
        sounds = [(noise(60.0, seed=number), "mean") for number in range(count)]
        monkeypatch.setattr(alike, "_LONG_SECONDS", 0.0)
        tracemalloc.start()
        find_alike(sounds)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        del sounds
    assert peaks[1] < 1.4 * peaks[0], peaks


def test_on_disk_the_same_is_found(piece, monkeypatch):
    sounds = [(piece(14.0, "AABA", 1), "mean"), (piece(9.0, "BACA", 1), "mean")]
    in_memory = find_alike(sounds)
    assert in_memory
    monkeypatch.setattr(alike, "_LONG_SECONDS", 0.0)
    assert find_alike(sounds) == in_memory
    assert not list(cache_folder().iterdir()), "a file was left"


def test_what_is_heard_is_let_go(tmp_path):
    """Guards against training that maps more and more of the corpus, until all of it counts as this process's memory."""
    resident = Path("/proc/self/statm")
    if not resident.exists():
        pytest.skip("there is no /proc here to see it in")

    def pages() -> int:
        return int(resident.read_text().split()[1])

    np.save(tmp_path / "long.npy", np.ones((1, 16_000_000), np.float32))
    audio = np.load(tmp_path / "long.npy", mmap_mode="r")
    one = Recording("long", tmp_path, "0" * 64, 333.0, audio.shape[1], 1, 0, audio)
    before = pages()
    for start in range(0, one.samples, 100_000):
        assert one.read(start, start + 100_000, 1).all()
    assert (pages() - before) * os.sysconf("SC_PAGE_SIZE") < 16_000_000  # of 64 MB


def test_codes_are_counted_of_twenty_minutes_at_most():
    """Guards against encoding a hundred hours after a training of five minutes, and against 120 hits that stand for 2 400."""
    nothing = np.zeros((1, 1), np.float32)
    hours = [Recording(f"{n}", Path(), f"{n}", 1800.0, 1800 * RATE, 1, n, nothing) for n in range(20)]
    passages = counted(hours)
    assert sum(one.samples for one in passages) <= MOST_COUNTED
    assert {one.recording.name for one in passages} == {one.name for one in hours}
    assert passages == counted(hours)
    assert len(counted(hours[:1])) == 120
    short = Recording("short", Path(), "0", 5.0, 5 * RATE, 1, 0, nothing)
    assert [one.samples for one in counted([short])] == [short.samples]
    hits = [Recording(f"{n}", Path(), f"{n}", 1.0, RATE, 1, n, nothing) for n in range(2400)]
    assert len(counted(hits)) == 1200
