"""What is judged is the sound that is trained on."""

from pathlib import Path

import numpy as np
import pytest

from distill.audio.mixing import Balance, Mix, as_trained, in_channels
from distill.formats.files import read_audio
from distill.recordings.corpus import Recording, import_corpus
from distill.recordings.passages import whole_recordings


def balanced(audio):
    balance = Balance()
    for start in range(0, audio.shape[1], 10_000):
        balance.take(audio[:, start : start + 10_000])
    return balance


def test_channels(tone):
    """Guards against a mono mix that is twice as loud, and stereo from mono with an empty side."""
    both = np.concatenate([tone(0.1), -0.5 * tone(0.1)])
    np.testing.assert_allclose(in_channels(both, 1, "mean"), 0.25 * tone(0.1), atol=1e-7)
    np.testing.assert_array_equal(in_channels(tone(0.1), 2, "mean"), np.repeat(tone(0.1), 2, axis=0))


def test_the_mix_keeps_the_sound(noise):
    """Guards against stereo that cancels in mono, a dead channel, and offsets taken for sound."""
    one, other = noise(1.0), noise(1.0, 1)
    nothing = np.zeros_like(one)
    for left, right, mix, is_stereo in (
        (one, one, "mean", False),
        (one, other, "mean", True),
        (one, -one, "difference", True),
        (one, 0.1 * other - one, "difference", True),
        (one, nothing, "left", False),
        (nothing + 0.2, one, "right", False),
        (one + 0.1, one - 0.1, "mean", False),
        (one + 0.3, -one + 0.3, "difference", True),
    ):
        found = balanced(np.concatenate([left, right]))
        assert (found.mix, found.is_stereo) == (mix, is_stereo)
    assert balanced(one).mix == "mean"
    assert balanced(np.concatenate([one + 0.1, one - 0.1])).offsets == pytest.approx([0.1, -0.1], abs=0.01)


def test_what_cancels_in_mono_is_trained_on_all_the_same(tmp_path, noise, save):
    """Guards against three files of eleven trained on as silence."""
    for seed in range(8):
        save(tmp_path / f"mono{seed}.wav", noise(1.0, seed))
    for seed in range(8, 11):
        save(tmp_path / f"wide{seed}.wav", np.concatenate([noise(1.0, seed), -noise(1.0, seed)]))
    save(tmp_path / "x dead.wav", np.concatenate([noise(1.0, 11), 0 * noise(1.0)]))
    corpus = import_corpus(tmp_path)
    assert corpus.channels == 1
    for passage in whole_recordings(corpus.recordings):
        assert np.abs(passage.read(0, passage.samples, 1)).max() == pytest.approx(0.4, abs=0.01)
    remarks = {file.name: file.remark for file in corpus.files if file.remark}
    assert set(remarks) == {"wide8.wav", "wide9.wav", "wide10.wav", "x dead.wav"}
    assert "cancel" in remarks["wide8.wav"]
    dead = next(one for one in corpus.recordings if one.name == "x dead.wav")
    left, right = dead.read(0, 1000, 2)
    assert np.abs(left).max() > 0.1
    assert not right.any(), "in stereo what was panned hard stays where it was"
    assert np.abs(read_audio(tmp_path / "wide8.wav", 1)).max() > 0.3


def test_loud_floats_are_brought_down_and_quiet_sound_is_no_silence(tmp_path, noise, save):
    """Guards against floats above full scale called clipped, and -55 dBFS called silence."""
    save(tmp_path / "hot.wav", 10 * noise(1.0), subtype="FLOAT")
    hair = noise(1.0, 3)
    save(tmp_path / "hair.wav", 1.001 * hair / np.abs(hair).max(), subtype="FLOAT")
    for seed, name in ((4, "between.wav"), (5, "edges.flac")):
        save(tmp_path / name, 0.999 * np.sign(noise(1.0, seed)), 44_100, subtype="PCM_24")
    save(tmp_path / "phone.wav", 0.999 * np.sign(noise(1.0, 6)), 8_000, subtype="ULAW")
    save(tmp_path / "quiet.flac", 0.0045 * noise(1.0, 1), subtype="PCM_24")
    flat = np.clip(30 * noise(1.0, 2), -1, 1)
    save(tmp_path / "clipped.wav", flat)
    corpus = import_corpus(tmp_path)
    files = {file.name: file for file in corpus.files}
    assert files["hot.wav"].clipped < 0.001
    assert "12.0 dB above full scale" in files["hot.wav"].remark
    assert "It peaks less than 0.1 dB above full scale" in files["hair.wav"].remark
    resampled = "Peaks pass full scale once resampled to 48 kHz, so the level is turned down to fit."
    assert files["between.wav"].remark == resampled, "whole numbers cannot peak above full scale"
    assert files["phone.wav"].remark == resampled, "neither can what is decoded to whole numbers"
    assert f"Each of between.wav, edges.flac and phone.wav: {resampled}" in corpus.left_out, (
        "what goes for several is said once"
    )
    assert files["clipped.wav"].clipped > 0.01
    assert files["quiet.flac"].silence < 0.5
    assert files["quiet.flac"].bandwidth > 15_000
    hot = next(one for one in corpus.recordings if one.name == "hot.wav")
    assert np.abs(hot.read(0, hot.samples, 1)).max() == pytest.approx(1)
    warnings = " ".join(corpus.warnings)
    assert "Quiet" in warnings
    assert "quiet.flac" in warnings
    assert "silence" not in warnings


def test_a_hair_too_short_reads_right(tmp_path, noise, save):
    """Guards against "It lasts 50 ms; 50 ms are needed"."""
    save(tmp_path / "a.wav", noise(2_203 / 44_100, rate=44_100), 44_100)
    save(tmp_path / "b.wav", noise(1.0))
    assert "49.95 ms; 50 ms are" in import_corpus(tmp_path).files[0].reason


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mix", ["mean", "left", "right", "difference"])
@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_a_whole_recording_as_it_is_trained_on(channels: int, mix: Mix, gain: float) -> None:
    """Guards against quoting the file on disk where another sound was learned: silence where channels cancel."""
    audio = np.random.default_rng(0).standard_normal((2, 480)).astype(np.float32)
    recording = Recording("a", Path("a"), "0" * 64, 0.01, 480, 2, 0, audio, gain, mix)
    whole = as_trained(audio, channels, gain, mix)
    np.testing.assert_allclose(in_channels(whole, channels, "mean"), recording.read(0, 480, channels), rtol=1e-5)


def test_a_recording_that_is_as_it_should_be_is_not_copied() -> None:
    audio = np.ones((2, 480), np.float32)
    assert as_trained(audio, 1, 1.0, "mean") is audio
