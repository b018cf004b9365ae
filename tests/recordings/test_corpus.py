"""The import of a folder, and which recordings are one take."""

import dataclasses
import errno
import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from distill.errors import AudioFileError, CorpusError, OutputError, SettingError
from distill.formats.files import read_audio
from distill.recordings.corpus import import_corpus
from distill.recordings.verdicts import FileVerdict
from distill.sizes import codec_config_for, explain_codec


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("value", [0.5, -0.001])
def test_a_constant_value_is_none_to_learn_from_at_any_rate(tmp_path, noise, save, rate, value):
    """Guards against an input that was open, or a cable that is broken, learned from as the ringing of a resampler; and against
    a hit before silence, or above an offset, that is taken for one."""
    save(tmp_path / "constant.wav", np.full((2, 2 * rate), value, np.float32), rate, "PCM_24")
    hit = np.zeros((2, rate), np.float32)
    hit[:, : rate // 40] = 0.3
    save(tmp_path / "hit.wav", hit, rate, "PCM_24")
    save(tmp_path / "hit and offset.wav", hit + value / 10, rate, "PCM_24")
    found = {file.name: file for file in import_corpus(tmp_path).files}
    assert found["constant.wav"].reason == "It holds one constant value."
    assert found["hit.wav"].verdict == FileVerdict.USED
    assert found["hit and offset.wav"].verdict != FileVerdict.SILENT


def test_every_file_gets_a_verdict(tmp_path, noise, save):
    """Guards against one corrupt file ending an import, and against files that vanish without a word."""
    good = save(tmp_path / "b" / "good.wav", noise(1.0, channels=2), subtype="FLOAT")
    shutil.copy(good, tmp_path / "c copy.wav")
    save(tmp_path / "d same.flac", noise(1.0, seed=5), subtype="PCM_16")
    shutil.copy(tmp_path / "d same.flac", tmp_path / "source.flac")
    quiet = noise(1.0, seed=1)
    quiet[:, 24_000:] = 0
    save(tmp_path / "e half.WAV", quiet)
    save(tmp_path / "f blip.wav", noise(0.02))
    save(tmp_path / "g silent.wav", np.zeros((1, 9600), np.float32))
    save(tmp_path / "h constant.wav", np.full((1, 9600), 0.5, np.float32))
    nan = noise(0.3)
    nan[:, 7] = np.inf
    save(tmp_path / "i nan.wav", nan, subtype="FLOAT")
    (tmp_path / "j text.mp3").write_text("a letter" * 100)
    (tmp_path / "notes.txt").write_text("not audio")
    (tmp_path / "._b.wav").write_text("macOS")
    (tmp_path / ".hidden").mkdir()
    shutil.copy(good, tmp_path / ".hidden" / "x.wav")
    calls = []
    corpus = import_corpus(tmp_path, progress=lambda *call: calls.append(call))
    verdicts = {report.name: report.verdict for report in corpus.files}
    assert verdicts == {
        ".hidden/": FileVerdict.UNREADABLE,
        "b/good.wav": FileVerdict.USED,
        "c copy.wav": FileVerdict.DUPLICATE,
        "d same.flac": FileVerdict.USED,
        "e half.WAV": FileVerdict.USED,
        "f blip.wav": FileVerdict.SHORT,
        "g silent.wav": FileVerdict.SILENT,
        "h constant.wav": FileVerdict.SILENT,
        "i nan.wav": FileVerdict.UNREADABLE,
        "j text.mp3": FileVerdict.UNREADABLE,
        "source.flac": FileVerdict.DUPLICATE,
    }
    reports = {report.name: report for report in corpus.files}
    assert list(reports) == sorted(reports)
    assert reports["c copy.wav"].duplicate_of == "b/good.wav"
    assert "not numbers" in reports["i nan.wav"].reason
    assert reports["e half.WAV"].silence == pytest.approx(0.5, abs=0.11)
    assert reports["b/good.wav"].peak_db == pytest.approx(20 * np.log10(np.abs(noise(1.0, channels=2)).max()))
    for report in corpus.files:
        assert bool(report.reason) == bool(report.fix) == (report.verdict != FileVerdict.USED)
    assert calls[0] == (0, 10, "b/good.wav")
    assert calls[-1] == (10, 10, "")
    assert [recording.name for recording in corpus.recordings] == ["b/good.wav", "d same.flac", "e half.WAV"]
    assert corpus.file_count == 3
    assert corpus.seconds == pytest.approx(3.0)
    assert len({recording.group for recording in corpus.recordings}) == 3


def test_a_short_hit_is_not_half_silent(tmp_path, save):
    """Guards against one sample more than 50 ms counted as a second 50 ms, and those as silent."""
    hit = np.concatenate([0.3 * np.random.default_rng(0).standard_normal(2400), [0.0]]).astype(np.float32)
    save(tmp_path / "hit.wav", hit[None])
    (report,) = import_corpus(tmp_path).files
    assert report.silence == pytest.approx(1 / 2401, abs=1e-6)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.8, "0.80 s of sound is 38 positions"), (20.0, "20 s of sound is 938 positions")]
)
def test_the_sizes_are_explained_in_words_that_can_be_read(tmp_path, noise, save, seconds, words):
    """Guards against "1 s are 38 positions" of 0.8 s, and an entry that is used "1 times"."""
    save(tmp_path / "a.wav", noise(seconds))
    corpus = import_corpus(tmp_path)
    said = explain_codec(corpus, codec_config_for(corpus))
    assert said.startswith(words)
    assert (" once on average" in said) == (seconds < 1)


def test_the_largest_codebooks_are_not_promised_larger_ones(tmp_path, noise, save):
    """Guards against "codebooks of 256 entries … more sound gets larger ones, up to 256"."""
    save(tmp_path / "a.wav", noise(2.0))
    corpus = import_corpus(tmp_path)
    small = codec_config_for(corpus)
    assert "More sound gets larger codebooks, up to 256" in explain_codec(corpus, small)
    said = explain_codec(corpus, dataclasses.replace(small, codebook_size=256))
    assert "larger codebooks" not in said
    assert said.endswith("on average. Codebooks get no larger than that by themselves.")


def test_the_same_samples_in_another_file_format_are_a_duplicate(tmp_path, noise, save):
    """Guards against a WAV and its FLAC counted as two recordings."""
    samples, rate = soundfile.read(save(tmp_path / "a.flac", noise(0.5), subtype="PCM_16"), dtype="int16")
    soundfile.write(tmp_path / "b.wav", samples, rate)
    corpus = import_corpus(tmp_path)
    assert [report.verdict for report in corpus.files] == [FileVerdict.USED, FileVerdict.DUPLICATE]


def test_folders_with_nothing_to_learn_from_say_why(tmp_path, save):
    """Guards against an empty corpus that fails only in training."""
    with pytest.raises(CorpusError, match="does not exist"):
        import_corpus(tmp_path / "missing")
    with pytest.raises(CorpusError, match="empty"):
        import_corpus(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(CorpusError, match="is a file"):
        import_corpus(tmp_path / "a.txt")
    with pytest.raises(CorpusError, match="no audio; 1 other file is") as told:
        import_corpus(tmp_path)
    assert told.value.fix == "Put recordings in it: WAV, AIFF, FLAC, OGG, MP3 and others.", (
        "not a list of twenty endings"
    )
    for number in range(5):
        save(tmp_path / f"{number}.wav", np.zeros((1, 9600 + number), np.float32))
    with pytest.raises(CorpusError) as caught:
        import_corpus(tmp_path)
    assert caught.value.what.count(".wav:") == 3
    assert "And 2 more" in caught.value.what
    with pytest.raises(SettingError):
        import_corpus(tmp_path, channels=3)


def test_a_link_that_leads_back_is_not_followed(tmp_path, noise, save):
    """Guards against an import that never ends, or that brings in the folder above."""
    save(tmp_path / "outside.wav", noise(0.2, seed=9))
    save(tmp_path / "mine" / "a.wav", noise(0.2))
    save(tmp_path / "library" / "b.wav", noise(0.2, seed=1))
    try:
        for name, target in [("loop", "mine"), ("up", "."), ("linked", "library")]:
            (tmp_path / "mine" / name).symlink_to(tmp_path / target, target_is_directory=True)
    except OSError:
        pytest.skip("links may not be made here")
    corpus = import_corpus(tmp_path / "mine")
    assert [report.name for report in corpus.files] == ["a.wav", "linked/b.wav"]


def test_stereo_is_chosen_by_what_is_heard(tmp_path, noise, save):
    """Guards against learning two equal channels because a mono sound was exported as stereo."""
    save(tmp_path / "a.wav", np.repeat(noise(1.0), 2, axis=0))
    assert import_corpus(tmp_path).channels == 1
    save(tmp_path / "b.wav", noise(1.1, seed=1, channels=2))
    assert import_corpus(tmp_path).channels == 2
    assert import_corpus(tmp_path, channels=1).channels == 1
    save(tmp_path / "c.wav", noise(3.0, seed=2))
    assert import_corpus(tmp_path).channels == 1


def test_the_fingerprint_is_of_the_sound_not_of_the_names(tmp_path, noise, save):
    """Guards against a renamed folder taken for another corpus, and against a changed one taken for the same."""
    for number, name in enumerate("abc"):
        save(tmp_path / "one" / f"{name}.wav", noise(0.3, seed=number))
        save(tmp_path / "two" / f"{'cab'[number]}.wav", noise(0.3, seed=number))
    assert import_corpus(tmp_path / "one").fingerprint == import_corpus(tmp_path / "two").fingerprint
    save(tmp_path / "two" / "d.wav", noise(0.3, seed=9))
    assert import_corpus(tmp_path / "one").fingerprint != import_corpus(tmp_path / "two").fingerprint


def test_a_long_file_is_imported_in_little_memory(tmp_path, noise, save):
    """Guards against a two-hour recording that does not fit; two minutes stand in for it."""
    audio = np.tile(noise(10.0), (1, 12))
    save(tmp_path / "a.wav", audio, subtype="PCM_16")
    size = audio.nbytes
    del audio
    tracemalloc.start()
    import_corpus(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # What is compared is reduced to a sixth.
    assert peak < 0.8 * size


def test_loops_that_share_a_kick_are_not_one_take(tmp_path, noise, save):
    """Guards against a corpus of loops from one drum machine that becomes one single group."""
    time = np.arange(4_000) / 48_000
    kick = (0.8 * np.exp(-20 * time) * np.sin(2 * np.pi * 60 * time)).astype(np.float32)
    for seed in range(6):
        loop = noise(2.0, seed=seed)
        for beat in (0, 24_000, 48_000, 72_000):
            loop[0, beat : beat + 4_000] += kick
        save(tmp_path / f"{seed}.wav", loop)
    assert len({recording.group for recording in import_corpus(tmp_path).recordings}) == 6


def test_the_highest_frequency_is_found(tmp_path, noise, save):
    """Guards against a hiss where MP3s and old samplers have nothing, and against edges of blocks taken for sound."""
    for number, rate in enumerate((22_050, 32_000)):
        save(tmp_path / f"{number}.wav", noise(12, seed=number, rate=rate), rate)
    corpus = import_corpus(tmp_path)
    low, high = (file.bandwidth for file in corpus.files)
    assert 10_000 < low < 11_500
    assert 15_000 < high < 16_500
    assert corpus.bandwidth == high


def test_a_folder_that_cannot_be_read_is_named_and_left_out(tmp_path, noise, save, monkeypatch):
    """Guards against one locked folder that ends the import of all others."""
    save(tmp_path / "mine" / "a.wav", noise(0.5))
    save(tmp_path / "mine" / "locked" / "b.wav", noise(0.5, 1))
    plain = Path.iterdir

    def iterdir(folder):
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return plain(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    corpus = import_corpus(tmp_path / "mine")
    assert corpus.file_count == 1
    locked = next(file for file in corpus.files if file.name == "locked/")
    assert locked.verdict == FileVerdict.UNREADABLE
    assert "cannot be read without permission" in locked.reason
    assert any("locked/" in sentence for sentence in corpus.left_out)


def test_what_can_be_listed_and_not_looked_at_has_a_row(tmp_path, noise, save, unreachable):
    """Guards against a disk that is not connected any more, or a folder that may not be entered, that ends the import of all
    others."""
    mine = tmp_path / "mine"
    for name in ("a.wav", "usb/b.wav", "locked/c.wav", ".hidden/d.wav"):
        save(mine / name, noise(0.5, ord(name[-5])))
    unreachable(mine / "usb", errno.ENOTCONN)
    unreachable(mine / ".hidden", errno.ENOTCONN)
    unreachable(mine / "locked" / "c.wav", errno.EACCES)
    files = {file.name: file for file in import_corpus(mine).files}
    assert set(files) == {"a.wav", "usb", "locked/c.wav"}
    assert files["usb"].reason == f"It cannot be read ({os.strerror(errno.ENOTCONN)})."
    assert files["locked/c.wav"].reason == "It cannot be read without permission."
    with pytest.raises(CorpusError):
        import_corpus(mine / "usb")
    with pytest.raises(AudioFileError):
        read_audio(mine / "locked" / "c.wav")


def test_two_spellings_of_one_name_are_two_files(tmp_path, noise, save):
    """Guards against a file lost because its name, composed, is that of another."""
    save(tmp_path / "tra\u0308ume.wav", noise(0.5))
    save(tmp_path / "n\u0061chts.wav", noise(0.5, 1))
    assert {file.name for file in import_corpus(tmp_path).files} == {"tr\u00e4ume.wav", "nachts.wav"}
    save(tmp_path / "tr\u00e4ume.wav", noise(0.5, 2))
    assert import_corpus(tmp_path).file_count == 3


@pytest.mark.parametrize(("number", "fix"), [(errno.EROFS, "written to"), (errno.ENOSPC, "Free some space")])
def test_what_keeps_the_cache_from_being_written_decides_the_advice(tmp_path, noise, save, monkeypatch, number, fix):
    """Guards against "free some space" on a disk that is read-only."""

    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    save(tmp_path / "a.wav", noise(0.5))
    monkeypatch.setattr("distill.recordings.cache.os.fsync", full)
    if number == errno.EROFS:  # which also refuses to remove what is not there
        monkeypatch.setattr(Path, "unlink", full)
    with pytest.raises(OutputError) as caught:
        import_corpus(tmp_path)
    assert fix in caught.value.fix


def test_the_same_samples_as_a_copy_are_not_said_to_be_used(tmp_path, noise, save):
    """Guards against "one of the two is used" where neither is, but a third file that holds both."""
    for seed in range(3):
        save(tmp_path / f"{seed} take.wav", noise(3.0, seed))
    cut = save(tmp_path / "x cut.wav", noise(3.0)[:, 24_000:120_000])
    shutil.copy(cut, tmp_path / "y again.wav")
    files = {file.name: file for file in import_corpus(tmp_path).files}
    assert files["x cut.wav"].verdict == FileVerdict.COPY
    assert files["y again.wav"].verdict == FileVerdict.DUPLICATE
    for name in ("x cut.wav", "y again.wav"):
        assert files[name].duplicate_of == "0 take.wav"
        assert "the same take as 0 take.wav" in files[name].reason
        assert "0 take.wav is used" in files[name].fix
    assert "x cut.wav" in files["y again.wav"].reason


def test_what_cannot_be_read_is_told_for_what_it_is(tmp_path, noise, save, monkeypatch):
    """Guards against advice that does not fit: permissions of a broken disk, a format that could be read, one of a link."""
    save(tmp_path / "mine" / "a.wav", noise(0.5))
    shutil.copy(tmp_path / "mine" / "a.wav", tmp_path / "mine" / "b.wav")
    (tmp_path / "mine" / "zeros.m4a").write_bytes(bytes(1000))
    unknown = ("song.mid", "film.eac3", "tape.SHN", "headerless.raw", "voice.pcm")
    for name in unknown:
        (tmp_path / "mine" / name).write_bytes(b"MThd" + bytes(100))
    (tmp_path / "mine" / "self.wav").symlink_to("self.wav")
    (tmp_path / "mine" / "broken").mkdir()
    plain = Path.iterdir

    def iterdir(folder):
        if folder.name == "broken":
            raise OSError(errno.EIO, "Input/output error")
        return plain(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    corpus = import_corpus(tmp_path / "mine")
    files = {file.name: file for file in corpus.files}
    assert "permissions" not in files["broken/"].fix
    assert files["zeros.m4a"].reason == "It holds only zeros where its sound should begin: a copy of it went wrong."
    assert all("of a kind that cannot be read" in files[name].reason for name in unknown), "none is left out in silence"
    assert files["self.wav"].reason == "It is a link that leads back to itself."
    assert any("All 2 usable files are the same sound" in warning for warning in corpus.warnings)
    (tmp_path / "mine" / "a.wav").unlink()
    (tmp_path / "mine" / "b.wav").unlink()
    with pytest.raises(CorpusError, match=r"^Nothing in .* can be used"):
        import_corpus(tmp_path / "mine")


def test_a_knock_on_the_microphone_is_told_and_a_folder_of_hits_is_not(tmp_path, noise, save):
    """Guards against a quiet walk that is called 97 % silence for one bang, and against advice to cut out all there is."""
    knock = np.exp(-np.arange(2_000) / 400) * np.sin(np.arange(2_000) / 20)
    for number in range(5):
        walk = 0.01 * noise(6.0, number)
        if number == 2:
            walk[0, 100_000:102_000] += 0.8 * knock
        save(tmp_path / "walks" / f"walk {number}.wav", walk, subtype="PCM_24")
        hit = np.pad(0.8 * knock, (1_000, 285_000))[None] + 1e-4 * noise(6.0, number)
        save(tmp_path / "hits" / f"hit {number}.wav", hit, subtype="PCM_24")
    told = [one for one in import_corpus(tmp_path / "walks").warnings if "a moment" in one]
    assert len(told) == 1
    assert "below the peak: walk 2.wav." in told[0]
    assert not any("a moment" in one for one in import_corpus(tmp_path / "hits").warnings)
