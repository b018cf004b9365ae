"""Recordings of more than two channels: from surround recorders, field recorders and mixing desks."""

import io

import av
import numpy as np
import pytest
import soundfile

from distill.formats.files import probe, read_audio, read_blocks, samples_at_48k
from distill.formats.ogg_pages import page_with
from distill.recordings.cache import cache_folder, cached
from distill.recordings.corpus import import_corpus
from distill.recordings.verdicts import FileVerdict
from distill.web.sound import playable

RATE = 48_000
HALF = 0.5**0.5


def tones(places: list[int], channels: int, seconds: float = 1.0) -> np.ndarray:
    """Float32 ``[N, C]``: each channel a tone of its own, 300 Hz apart; silent but for ``places``."""
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros((len(time), channels), np.float32)
    for place in places:
        sound[:, place] = 0.5 * np.sin(2 * np.pi * 300 * (place + 1) * time)
    return sound


def parts(heard: np.ndarray, channels: int) -> np.ndarray:
    """How much of each channel's tone is in the left and the right, ``[2, C]``."""
    time = np.arange(heard.shape[1]) / RATE
    waves = np.stack([np.sin(2 * np.pi * 300 * (place + 1) * time) for place in range(channels)])
    return 2 * heard @ waves.T / heard.shape[1] / 0.5


@pytest.mark.parametrize(
    ("name", "form", "subtype", "channels", "left", "right", "words"),
    [
        ("h.wav", "WAV", "PCM_24", 4, [1, 0, 1, 0], [0, 1, 0, 1], "odd ones to the left, even ones to the right."),
        ("f.wav", "WAV", "FLOAT", 3, [1, 0, 1], [0, 1, 1], "to the right, the last one to both."),
        ("x.wav", "WAV", "PCM_16", 32, [1, 0] * 16, [0, 1] * 16, "Its 32 channels are mixed"),
        ("x.aif", "AIFF", "PCM_16", 8, [1, 0] * 4, [0, 1] * 4, "Its 8 channels are mixed"),
        ("x.w64", "W64", "PCM_16", 4, [1, 0] * 2, [0, 1] * 2, "Its 4 channels are mixed"),
        ("5.wav", "WAVEX", "PCM_16", 6, [1, 0, HALF, HALF, HALF, 0], [0, 1, HALF, HALF, 0, HALF], "surround"),
        ("5.flac", "FLAC", "PCM_16", 6, [1, 0, HALF, HALF, HALF, 0], [0, 1, HALF, HALF, 0, HALF], "surround"),
        ("5.ogg", "OGG", "VORBIS", 5, [1, HALF, 0, HALF, 0], [0, HALF, 1, 0, HALF], "surround"),
    ],
)  # fmt: skip
def test_every_channel_is_heard(tmp_path, name, form, subtype, channels, left, right, words):
    """Guards against a field recorder's or a mixing desk's file that is refused, or of which two channels are taken."""
    soundfile.write(tmp_path / name, tones([*range(channels)], channels), RATE, subtype, format=form)
    info = probe(tmp_path / name)
    assert (info.channels, info.own_channels) == (2, channels)
    assert words in info.remark
    heard = read_audio(tmp_path / name)
    assert heard.shape == (2, samples_at_48k(info))
    expected = np.array([left, right])
    expected = expected / expected.sum(axis=1).max()
    np.testing.assert_allclose(parts(heard, channels), expected, atol=0.02)
    corpus = import_corpus(tmp_path)
    (report,) = corpus.files
    assert (report.verdict, report.channels) == (FileVerdict.USED, channels)
    assert words in report.remark
    assert any(words in sentence for sentence in corpus.left_out)
    assert corpus.channels == 2


@pytest.mark.parametrize(
    ("form", "signs", "inverted"),
    [
        ("WAV", [1, -1, 1], "channel 2 is"),
        ("WAV", [1, 1, -1, -1], "channels 3 and 4 are"),
        ("WAV", [1, 1, -1, -1, 1, 1, -1, -1], "channels 3, 4, 7 and 8 are"),
        ("WAV", [1, -1, -1, 1, 1, 1], ""),
        ("FLAC", [1, 1, -1, 1, -1, -1], "channels 1, 2 and 4 are"),
    ],
)  # fmt: skip
def test_channels_that_cancel_each_other_are_no_silence(tmp_path, noise, form, signs, inverted):
    """Guards against a microphone that was wired the wrong way round: the mix of it and another was called silent."""
    sound = 0.5 * noise(1.0)[0] / np.abs(noise(1.0)).max()
    path = tmp_path / f"a.{form}"
    soundfile.write(path, np.outer(sound, signs), RATE, "PCM_24", format=form)
    info = probe(path)
    words = f"Some cancel each other (opposite polarity), so {inverted} inverted first."
    assert (words in info.remark) == bool(inverted)
    (report,) = import_corpus(tmp_path).files
    assert report.verdict == FileVerdict.USED
    heard = read_audio(path)
    level = np.sqrt((heard**2).mean(axis=1) / (sound**2).mean())
    assert (level > 0.3).all()
    assert "silent" not in report.remark


def test_channels_that_have_nothing_in_common_are_not_inverted(tmp_path, noise):
    soundfile.write(tmp_path / "a.wav", 0.1 * noise(1.0, channels=6).T, RATE, "FLOAT")
    assert "inverted" not in probe(tmp_path / "a.wav").remark


def test_a_flac_of_loud_noise_in_many_channels_is_whole(tmp_path, noise):
    """Guards against frames taken for damaged as they are longer than those of two channels can be."""
    soundfile.write(
        tmp_path / "a.flac", 0.99 * noise(0.5, channels=8).T / np.abs(noise(0.5, channels=8)).max(), RATE, "PCM_24"
    )
    info = probe(tmp_path / "a.flac")
    assert info.frames == RATE // 2
    assert "damaged" not in info.remark


def test_full_channels_do_not_clip(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.ones((9600, 6), np.float32) * 0.99, RATE, "PCM_16", format="WAVEX")
    assert 0.9 < np.abs(read_audio(tmp_path / "a.wav")).max() <= 1


def test_b_format_is_made_two_microphones(tmp_path):
    """Guards against W and Y taken for the left, and X and Z for the right."""
    file = io.BytesIO()
    sound = tones([0], 4)
    sound[:, 2] = sound[:, 0] * 2**0.5  # from the left: as loud in Y, and W 3 dB below
    soundfile.write(file, sound, RATE, "PCM_16", format="WAVEX")
    content = bytearray(file.getvalue())
    at = content.find(b"fmt ") + 8
    content[at + 20 : at + 40] = bytes(4) + bytes.fromhex("010000002107d3118644c8c1ca000000")
    (tmp_path / "a.wav").write_bytes(content)
    assert "B-format" in probe(tmp_path / "a.wav").remark
    left, right = np.abs(read_audio(tmp_path / "a.wav")).max(axis=1)
    assert left > 0.5
    assert right < 0.01


@pytest.mark.parametrize(
    ("family", "channels", "left", "right", "words"),
    [
        (1, 4, [1, 0, HALF, 0], [0, 1, 0, HALF], "surround"),
        (2, 4, [1, 1, 0, 0], [1, -1, 0, 0], "Ambisonic"),
        (2, 6, [0.5, 0.5, 0, 0, 1, 0], [0.5, -0.5, 0, 0, 0, 1], "Ambisonic"),
        (255, 3, [1, 0, 1], [0, 1, 1], "odd ones to the left"),
    ],
)  # fmt: skip
def test_an_opus_file_says_what_its_channels_are(tmp_path, family, channels, left, right, words):
    """Guards against Ambisonics and plain tracks that are mixed as if they were a surround recording."""
    sound = tones([*range(channels)], channels)
    with av.open(str(tmp_path / "a.opus"), "w", format="ogg") as container:
        layout = {4: "4.0", 6: "5.1", 3: "3.0"}[channels] if family != 1 else "quad"
        options = {"mapping_family": str(family if family == 1 else 255), "b": "512000"}
        stream = container.add_stream("libopus", rate=RATE, layout=layout, options=options)
        for start in range(0, len(sound), 960):
            frame = av.AudioFrame.from_ndarray(sound[start : start + 960].reshape(1, -1), format="flt", layout=layout)
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = bytearray((tmp_path / "a.opus").read_bytes())
    at = content.index(b"OpusHead") + 18
    assert content[at] == (family if family == 1 else 255)
    content[at] = family
    second = content.index(b"OggS", 4)
    first = page_with(bytes(content[:26]), bytes([second - 28]), bytes(content[28:second]))
    (tmp_path / "a.opus").write_bytes(first + content[second:])
    assert words in probe(tmp_path / "a.opus").remark
    expected = np.array([left, right])
    expected = expected / np.abs(expected).sum(axis=1).max()
    np.testing.assert_allclose(parts(read_audio(tmp_path / "a.opus"), channels), expected, atol=0.05)


def test_sound_read_through_pyav(tmp_path):
    """Guards against a telephone's or a film's surround sound that is refused."""
    sound = tones([*range(6)], 6)
    with av.open(str(tmp_path / "a.m4a"), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=RATE, layout="5.1")
        stream.bit_rate = 500_000
        for start in range(0, len(sound), 1024):
            planes = np.ascontiguousarray(sound[start : start + 1024].T)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="5.1")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    info = probe(tmp_path / "a.m4a")
    assert (info.channels, info.own_channels) == (2, 6)
    assert "surround" in info.remark
    heard = read_audio(tmp_path / "a.m4a")[:, :RATE]
    spectrum = np.abs(np.fft.rfft(heard[:, 4800:43_200] * np.hanning(38_400)))
    found = spectrum[:, [240 * (place + 1) for place in range(6)]]
    assert (found[0, [0, 2, 4]] > 20 * found[0, [1, 1, 5]]).all()
    assert (found[1, [1, 2, 5]] > 20 * found[1, [0, 0, 4]]).all()


def test_many_channels_in_bounded_memory(tmp_path):
    """Guards against blocks of ten seconds of 32 channels."""
    soundfile.write(tmp_path / "a.wav", tones([1], 32, 6.0), RATE, "PCM_16")
    assert max(block.shape[1] for block in read_blocks(tmp_path / "a.wav")) <= RATE


def test_a_stereo_mix_stands_for_its_surround_mix(tmp_path, noise):
    """Guards against the quieter mix of six channels taken where the musician's own stereo mix is there."""
    sound = 0.5 * noise(2.1, channels=2).T / np.abs(noise(2.1, channels=2)).max()
    six = np.concatenate([sound, np.zeros((len(sound), 4), np.float32)], axis=1)
    soundfile.write(tmp_path / "a surround.wav", np.concatenate([six, six[-500:]]), RATE, "PCM_24", format="WAVEX")
    soundfile.write(tmp_path / "b stereo.wav", sound, RATE, "PCM_24")
    (used,) = import_corpus(tmp_path).recordings
    assert used.name == "b stereo.wav"


def test_the_page_plays_what_is_learned_from(tmp_path, monkeypatch):
    """Guards against a browser's own mix of six channels: it knows nothing of microphones, and drops the low frequencies."""
    monkeypatch.setenv("DISTILL_HOME", str(tmp_path / "home"))
    soundfile.write(tmp_path / "a.wav", tones([3], 6), RATE, "PCM_16", format="WAVEX")
    played, _ = playable(tmp_path / "a.wav")
    heard, _ = soundfile.read(played, dtype="float32", always_2d=True)
    assert heard.shape == (RATE, 2)
    np.testing.assert_allclose(heard.T, read_audio(tmp_path / "a.wav"), atol=1e-4)


def test_a_mix_that_an_earlier_version_kept_is_not_met_again(tmp_path):
    """Guards against four channels of which two are trained on, as a version that took the first two has decoded the file."""
    folder = tmp_path / "mine"
    folder.mkdir()
    soundfile.write(folder / "four.wav", tones([2], 4), RATE, "PCM_16")
    soundfile.write(folder / "two.wav", tones([0], 2), RATE, "PCM_16")
    first = {one.name: one for one in import_corpus(folder).recordings}
    (kept,) = cache_folder().glob(f"{first['four.wav'].sha256}.*.npy")
    earlier = cache_folder() / f"{first['four.wav'].sha256}.npy"
    kept.unlink()
    np.save(earlier, 0.1 * np.ones((2, RATE), np.float32))
    plain = cache_folder() / f"{first['two.wav'].sha256}.npy"
    before = plain.stat().st_ino
    again = {one.name: one for one in import_corpus(folder).recordings}
    np.testing.assert_array_equal(again["four.wav"].audio, read_audio(folder / "four.wav"))
    np.testing.assert_array_equal(cached(first["four.wav"].sha256), read_audio(folder / "four.wav"))
    assert not earlier.exists()
    assert plain.stat().st_ino == before, "what is not mixed is not decoded again"
