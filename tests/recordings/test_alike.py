"""What sounds alike, what is a copy, and what becomes of it: a person's sound is not thrown away."""

import numpy as np
import pytest
import soundfile
import soxr

from distill.recordings.alike import find_alike
from distill.recordings.corpus import import_corpus
from distill.recordings.split import split_corpus
from distill.recordings.takes import copies, shared_parts
from distill.recordings.verdicts import FileVerdict

RATE = 48_000


def _seconds(passages):
    return sum(passage.seconds for passage in passages)


def _likest(passages, others):
    """The highest normalised correlation of any half second of ``passages`` with any place in ``others``, at 8 kHz."""
    silence = np.zeros(800, np.float32)
    parts = [part for one in others for part in (one.read(0, one.samples, 1)[0][::6], silence)]
    whole = np.concatenate(parts)
    size = 1 << (len(whole) + 4_000).bit_length()
    spectrum = np.fft.rfft(whole, size)
    energy = np.cumsum(np.concatenate([[0.0], np.square(whole, dtype=np.float64)]))
    local = energy[4_000:-1] - energy[:-4_001]
    highest = 0.0
    for passage in passages:
        sound = passage.read(0, passage.samples, 1)[0][::6]
        for start in range(0, len(sound) - 4_000, 2_000):
            short = sound[start : start + 4_000]
            cross = np.abs(np.fft.irfft(spectrum * np.conj(np.fft.rfft(short, size)), size)[: len(local)])
            score = cross / np.sqrt(np.maximum(local, 0.01 * local.max()) * np.square(short).sum(dtype=np.float64))
            highest = max(highest, float(score.max()))
    return highest


def test_twelve_clips_of_a_sequenced_piece_are_nearly_all_trained_on(tmp_path, piece, save):
    """Guards against bars that come back chaining all clips into one take, so that 41 of 60 seconds were never trained on."""
    for number, clip in enumerate(np.split(piece(60.0), 12, axis=1)):
        save(tmp_path / f"clip{number:02}.wav", clip)
    corpus = import_corpus(tmp_path)
    assert corpus.file_count == 12
    assert "share sound" in corpus.shared
    split = split_corpus(corpus)
    assert _seconds(split.train) > 40
    assert _seconds(split.held_out) > 4
    assert _likest(split.held_out, split.train) < 0.97  # the drums are the same in every bar


@pytest.mark.parametrize("decibels", [-12, 0, 12])
def test_a_loud_hum_makes_no_copy_of_the_music(melody, decibels):
    """Guards against six melodies over one hum being a single take, of which five are left out."""
    time = np.arange(5 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 60 * k * time) / k for k in (1, 2, 3))
    takes = []
    for seed in range(6):
        take = melody(5.0, seed)
        level = np.sqrt(np.square(take).mean() / np.square(hum).mean()) * 10 ** (decibels / 20)
        takes.append((0.3 * (take + level * hum)).astype(np.float32))
    sounds = [(take, "mean") for take in takes]
    parts = shared_parts(sounds, find_alike(sounds))
    assert max(parts.values(), default=0.0) < 0.3


def test_a_jingle_is_shared_and_makes_no_copy_of_the_rest(tmp_path, piece, melody, save):
    """Guards against recordings that begin alike taken for one take."""
    jingle = piece(3.0, seed=5)
    for seed in range(6):
        save(tmp_path / f"{seed}.wav", np.concatenate([jingle, melody(6.0, seed)], axis=1))
    corpus = import_corpus(tmp_path)
    assert [file.verdict for file in corpus.files] == [FileVerdict.USED] * 6
    assert len({recording.group for recording in corpus.recordings}) == 6
    split = split_corpus(corpus)
    assert _seconds(split.train) > 36
    assert _likest(split.held_out, split.train) < 0.9


def test_a_take_exported_many_times_counts_once(tmp_path, noise, save):
    """Guards against a corpus of one take in four files that is thought to be four times as long."""
    takes = [noise(2.5, seed) for seed in range(5)]
    for number, take in enumerate(takes):
        save(tmp_path / f"{number} take.wav", take)
        save(tmp_path / f"{number} quiet.wav", -0.3 * take)
        save(tmp_path / f"{number} resampled.wav", soxr.resample(take.T, RATE, 44_100).T, 44_100)
        save(tmp_path / f"{number} cut.wav", take[:, 25_123:100_000])
        save(tmp_path / f"{number} late.flac", np.concatenate([np.zeros((1, 7_777), np.float32), take], axis=1))
        save(tmp_path / f"{number} lossy.mp3", take)
        save(tmp_path / f"{number} stereo.ogg", np.repeat(take, 2, axis=0))
    corpus = import_corpus(tmp_path)
    assert corpus.file_count == 5
    assert corpus.seconds == pytest.approx(12.5, abs=1.0)
    assert {recording.name[0] for recording in corpus.recordings} == set("01234")
    for file in corpus.files:
        if file.verdict == FileVerdict.COPY:
            assert file.duplicate_of[0] == file.name[0]
            assert file.duplicate_of in file.reason
    assert sum(file.verdict == FileVerdict.COPY for file in corpus.files) == 30


@pytest.mark.parametrize("seconds", [5.0, 5.24])
@pytest.mark.parametrize("cutoff", [3_000, 18_000])
def test_of_the_copies_of_a_take_the_one_nearest_to_the_original_is_used(tmp_path, noise, save, seconds, cutoff):
    """Guards against the telephone's noise, or an MP3 that is a little longer, chosen before the recording itself."""
    take = np.stack([_dull(noise(seconds, seed)[0], cutoff) for seed in (1, 2)])
    longer = np.concatenate([take, take[:, : RATE // 20]], axis=1)
    save(tmp_path / "m take.wav", take)
    save(tmp_path / "a mono.wav", take.mean(axis=0, keepdims=True))
    save(tmp_path / "b lossy.mp3", longer)
    save(tmp_path / "z lossy.ogg", longer)
    for name, kind in (("c.wav", "PCM_U8"), ("d.wav", "ULAW"), ("y.aiff", "ALAW"), ("z.wav", "IMA_ADPCM")):
        soundfile.write(tmp_path / name, take.T, RATE, subtype=kind)
    assert [one.name for one in import_corpus(tmp_path).recordings] == ["m take.wav"]


def test_a_lossy_copy_with_the_highs_stands_before_an_exact_one_without(tmp_path, noise, save):
    """Guards against a sketch at 16 kHz, or a mono mix, kept in the place of the full sound."""
    take = np.stack([_dull(noise(5.0, seed)[0], 18_000) for seed in (1, 2)])
    save(tmp_path / "a full.ogg", take)
    save(tmp_path / "b dull.wav", soxr.resample(take.T, RATE, 16_000).T, 16_000)
    save(tmp_path / "c mono.wav", take.mean(axis=0, keepdims=True))
    assert [one.name for one in import_corpus(tmp_path).recordings] == ["a full.ogg"]


@pytest.mark.parametrize("fault", ["quiet", "displaced", "clipped"])
def test_a_take_that_was_mended_as_advised_is_the_one_that_is_used(tmp_path, noise, save, fault):
    """Guards against "Raise the level" for whoever did, as the quiet file counts as the take and the louder one as its copy."""
    for seed in range(6):
        good = 0.5 * noise(3.0, seed) / np.abs(noise(3.0, seed)).max()
        bad = {"quiet": 0.01 * good, "displaced": good + 0.05, "clipped": np.clip(9 * good, -1.0, 1.0)}[fault]
        save(tmp_path / f"{seed} as it was.wav", bad, subtype="PCM_24")
        save(tmp_path / f"{seed} mended.wav", good, subtype="PCM_24")
    corpus = import_corpus(tmp_path)
    assert [one.name for one in corpus.recordings] == [f"{seed} mended.wav" for seed in range(6)]
    assert corpus.warnings == ()


def test_one_loop_over_and_over_is_trained_on_and_the_check_called_weak(tmp_path, piece, save):
    """Guards against nothing being trained on where everything comes back."""
    loop = piece(24.0, form="A", drums=False)
    for number, start in enumerate((0.0, 0.9, 1.4)):
        first = round(start * RATE)
        save(tmp_path / f"{number}.wav", loop[:, first : first + 5 * RATE])
    split = split_corpus(import_corpus(tmp_path))
    assert _seconds(split.train) > 0.6 * _seconds(split.train + split.held_out)
    assert split.kind == "none" or "weak" in split.explanation


def test_copies_stand_behind_one_that_is_none():
    """Guards against a copy of a copy standing for both, or two copies standing for each other."""
    parts = {(0, 1): 1.0, (1, 0): 0.95, (2, 1): 0.92, (1, 2): 0.3}
    assert copies(parts, [0, 1, 2]) == {1: 0}
    assert copies(parts, [1, 0, 2]) == {0: 1, 2: 1}


def test_stretches_lie_where_they_are_said_to_lie(piece, melody):
    """Guards against a lag of the wrong sign, and stretches beyond the ends."""
    bar = piece(2.0, form="A", seed=3)
    first = np.concatenate([melody(3.0, 1), bar, melody(1.0, 2)], axis=1)
    second = np.concatenate([melody(1.0, 3), 0.5 * bar, melody(3.0, 4)], axis=1)
    found = [one for one in find_alike([(first, "mean"), (second, "mean")]) if one.one != one.other]
    assert found
    for one in found:
        start, stop = (one.start, one.stop) if one.one == 0 else (one.start + one.lag, one.stop + one.lag)
        assert abs(one.lag) == pytest.approx(2 * RATE, abs=20)
        assert start == pytest.approx(3 * RATE, abs=RATE / 5)
        assert stop == pytest.approx(5 * RATE, abs=RATE / 5)


def _dull(sound, cutoff):
    spectrum = np.fft.rfft(sound)
    spectrum[np.fft.rfftfreq(len(sound), 1 / RATE) > cutoff] = 0
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)
