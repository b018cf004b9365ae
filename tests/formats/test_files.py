"""Reading and writing one audio file."""

import os
import struct
import tracemalloc

import av
import numpy as np
import pytest
import soundfile
import soxr

from distill.errors import AudioFileError, DistillError, OutputError, SettingError
from distill.formats import writing
from distill.formats.files import probe, read_audio, read_blocks
from distill.formats.writing import check_output_format, write_audio


@pytest.mark.parametrize("rate", [8_000, 44_100, 47_999, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_give_the_same_as_resampling_at_once(tmp_path, noise, save, rate, channels):
    """Guards against a lost resampler tail, clicks at block borders and a length that is off by some samples."""
    audio = noise(1.3, rate=rate, channels=channels)
    path = save(tmp_path / "a.wav", audio, rate, "FLOAT")
    blocks = list(read_blocks(path, block_seconds=0.21))
    assert len(blocks) > 3
    assert all(block.dtype == np.float32 and block.shape[0] == channels for block in blocks)
    heard = np.concatenate(blocks, axis=1)
    assert heard.shape[1] == round(audio.shape[1] * 48_000 / rate)
    whole = soxr.resample(audio.T, rate, 48_000).T if rate != 48_000 else audio
    shared = min(whole.shape[1], heard.shape[1])
    np.testing.assert_allclose(heard[:, :shared], whole[:, :shared], atol=2e-4)


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".flac", ".ogg", ".mp3", ".w64", ".caf", ".au"])
def test_every_promised_format_is_read(tmp_path, tone, save, suffix):
    """Guards against promising a suffix that soundfile does not read, and against a codec's delay."""
    path = save(tmp_path / f"a{suffix}", tone(0.5, channels=2))
    heard = read_audio(path)
    assert heard.shape == (2, 24_000)
    assert np.abs(heard[:, 6000:18000] - tone(0.5, channels=2)[:, 6000:18000]).max() < 0.05


def test_a_flac_stream_without_a_length_is_read_whole(tmp_path, tone, save):
    """Guards against 2**63 samples being believed: encoders that write to a pipe leave the length open."""
    path = save(tmp_path / "a.flac", tone(0.5))
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # 36 bits of STREAMINFO: the number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert probe(path).frames == 24_000
    np.testing.assert_allclose(read_audio(path), tone(0.5), atol=1e-4)


def test_a_length_is_refused_as_soon_as_so_much_is_counted(tmp_path, tone):
    """Guards against hours of silence in a small file of a telephone, decoded only to say that they are too long."""
    with av.open(str(tmp_path / "a.m4a"), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(3.0), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    seen = []

    def check(seconds):
        seen.append(seconds)
        if seconds > 1:
            raise SettingError("It is too long.", "Cut it.")

    with pytest.raises(SettingError, match="too long"):
        probe(tmp_path / "a.m4a", check)
    assert 1 < seen[-1] < 1.1


def test_a_long_file_is_read_in_little_memory(tmp_path, save):
    """Guards against reading a file whole before the first block is given."""
    path = save(tmp_path / "a.wav", np.zeros((2, 60 * 44_100), np.float32), 44_100)
    tracemalloc.start()
    total = sum(block.shape[1] for block in read_blocks(path, block_seconds=1.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 60 * 48_000
    assert peak < 5e6


def test_unusable_files_are_refused_in_words(tmp_path, noise, save):
    """Guards against library errors reaching the person, and against garbage taken for sound."""
    good = save(tmp_path / "good.flac", noise(2.0), subtype="PCM_16").read_bytes()
    ogg = save(tmp_path / "good.ogg", noise(3.0, channels=2)).read_bytes()
    nan = noise(0.5)
    nan[0, 9000] = np.nan
    cases = {
        "text.wav": b"this is a letter, not a sound\n" * 40,
        "text.au": b"this is a letter, not a sound\n" * 40,
        "text.mp3": b"this is a letter, not a sound\n" * 40,
        "empty.flac": b"",
        "hole.flac": good[:42] + bytes(len(good) - 42),
        "hole.ogg": ogg[:100] + bytes(2000) + ogg[2100:],
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
    save(tmp_path / "nan.wav", nan, subtype="FLOAT")
    save(tmp_path / "huge.wav", 20_000 * noise(0.5), subtype="FLOAT")
    save(tmp_path / "many.wav", noise(0.5, channels=65))
    save(tmp_path / "slow.wav", noise(0.5), rate=500)
    save(tmp_path / "none.wav", np.zeros((1, 0), np.float32))
    (tmp_path / "folder.wav").mkdir()
    names = [*cases, "nan.wav", "huge.wav", "many.wav", "slow.wav", "none.wav", "folder.wav", "missing.wav"]
    for name in names:
        with pytest.raises(AudioFileError) as caught:
            read_audio(tmp_path / name)
        assert name in caught.value.what, name
        assert caught.value.fix.endswith("."), name
    with pytest.raises(AudioFileError, match="not numbers"):
        read_audio(tmp_path / "nan.wav")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    """Guards against an import that hangs for ever on a named pipe."""
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioFileError, match="is a pipe"):
        probe(tmp_path / "pipe.wav")


@pytest.mark.parametrize(
    ("name", "depth", "allowed"),
    [
        ("wav", 16, 1e-4),
        ("wav", 24, 1e-6),
        ("wav", 32, 0),
        ("flac", 16, 1e-4),
        ("flac", 24, 1e-6),
        ("ogg", 24, 0.1),
        ("mp3", 24, 0.1),
    ],
)
def test_what_is_written_is_read_back(tmp_path, tone, name, depth, allowed):
    """Guards against swapped channels, a lost last block, a wrong subtype, a crash on a long Vorbis block."""
    audio = np.concatenate([tone(3.2), tone(3.2, 660)])
    audio[:, :10] = 0
    path = write_audio(
        tmp_path / "new" / f"a.{name}",
        (audio[:, start : start + 50_001] for start in range(0, audio.shape[1], 50_001)),
        format=name,
        bit_depth=depth,
        channels=2,
        tags={"title": "Ännchen", "software": "distill"},
    )
    heard = read_audio(path)
    assert heard.shape == audio.shape
    assert np.abs(heard - audio).max() <= allowed
    with soundfile.SoundFile(path) as file:
        assert file.title == "Ännchen"
        assert file.samplerate == 48_000
    whole = write_audio(tmp_path / "b", audio, format=name, bit_depth=depth, channels=2)
    assert read_audio(whole).shape == audio.shape


@pytest.mark.parametrize(("name", "depth"), [("wav", 24), ("wav", 32), ("flac", 24), ("ogg", 24), ("mp3", 24)])
def test_equal_sound_gives_equal_bytes(tmp_path, noise, monkeypatch, name, depth):
    """Guards against clocks and dice in file headers: a float WAV holds the time, an Ogg stream a random number."""
    first = write_audio(tmp_path / "a", noise(1.5), format=name, bit_depth=depth, channels=1).read_bytes()
    # libsndfile's clock ticks in whole seconds; the raw writer shows what it would have left.
    with soundfile.SoundFile(tmp_path / "raw", "w", 48_000, 1, "FLOAT", format="WAV") as file:
        file.write(noise(0.1).T)
    raw = (tmp_path / "raw").read_bytes()
    assert raw[raw.find(b"PEAK") + 12 :][:4] != bytes(4)
    second = write_audio(tmp_path / "b", noise(1.5), format=name, bit_depth=depth, channels=1).read_bytes()
    assert first == second
    if name == "ogg":
        assert struct.unpack_from("<I", first, 14) == (0,)
    if depth == 32:
        assert first[first.find(b"PEAK") + 12 :][:4] == bytes(4)


@pytest.mark.parametrize("depth", [16, 24])
@pytest.mark.parametrize("name", ["wav", "flac"])
def test_samples_are_rounded_to_the_nearest_number(tmp_path, name, depth):
    """Guards against samples that are rounded down (half a bit of offset, twice the error), and not as in another format."""
    full = 2 ** (depth - 1)
    exact = np.append(np.arange(-full, full, full // 1000), [-2, -1, 0, 1, 2, full - 1])
    off = np.random.default_rng(0).uniform(-0.45, 0.45, len(exact)) * (np.abs(exact) < 2**15)
    for given in (exact, exact + off):
        audio = (given / full).astype(np.float32)[None]
        path = write_audio(tmp_path / "a", audio, format=name, bit_depth=depth, channels=1)
        np.testing.assert_array_equal(soundfile.read(path, dtype="int32")[0] >> (32 - depth), exact)


def test_integers_clip_and_floats_keep(tmp_path, tone):
    """Guards against loud samples that wrap around to the other sign."""
    loud = 3 * tone(0.2)
    clipped = read_audio(write_audio(tmp_path / "a.wav", loud, bit_depth=16, channels=1))
    np.testing.assert_allclose(clipped, np.clip(loud, -1, 1), atol=1e-4)
    lossy = read_audio(write_audio(tmp_path / "c.ogg", loud, format="ogg", channels=1))
    assert np.abs(lossy).max() < 1.3
    kept = read_audio(write_audio(tmp_path / "b.wav", loud, bit_depth=32, channels=1))
    np.testing.assert_array_equal(kept, loud)


def test_combinations_that_do_not_exist_are_refused():
    """Guards against a float FLAC that is silently written as something else."""
    for name, depth in [("flac", 32), ("ogg", 32), ("wav", 8), ("aac", 16)]:
        with pytest.raises(SettingError):
            check_output_format(name, depth)
    for name, depth in [("wav", 32), ("flac", 24), ("mp3", 24), ("ogg", 16)]:
        check_output_format(name, depth)


def test_a_failure_leaves_nothing_and_keeps_the_old_file(tmp_path, tone):
    """Guards against a half-written file that looks finished, and a good one lost to a failed rewrite."""

    def broken():
        yield tone(1.0)
        raise KeyboardInterrupt

    old = write_audio(tmp_path / "a.wav", tone(0.5), channels=1).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_audio(tmp_path / "a.wav", broken(), channels=1)
    with pytest.raises(DistillError, match="not numbers"):
        write_audio(tmp_path / "a.wav", np.full((1, 100), np.nan), channels=1)
    with pytest.raises(ValueError, match="shape"):
        write_audio(tmp_path / "a.wav", tone(0.1, channels=2), channels=1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == old


@pytest.mark.parametrize(("name", "depth"), [("wav", 24), ("flac", 24), ("ogg", 24), ("mp3", 24)])
def test_a_full_disk_is_said_in_words(tmp_path, noise, full_disk, name, depth):
    """Guards against a truncated file when the disk fills up: libsndfile may hear of it only at the end."""
    full_disk(10_000)
    with pytest.raises(OutputError) as caught:
        write_audio(tmp_path / "a", noise(4.0), format=name, bit_depth=depth, channels=1)
    assert str(tmp_path / "a") in caught.value.what
    assert not list(tmp_path.iterdir())


def test_sound_that_did_not_arrive_is_noticed(tmp_path, tone, monkeypatch):
    """Guards against an encoder that loses samples and reports success."""
    monkeypatch.setattr(writing.soundfile.SoundFile, "write", lambda file, piece: None)
    with pytest.raises(OutputError, match="arrived"):
        write_audio(tmp_path / "a.wav", tone(0.1), channels=1)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path, tone):
    """Guards against minutes of work that end in an error about the output folder."""
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file" / "a.wav", tmp_path):
        with pytest.raises(OutputError):
            write_audio(place, tone(0.1), channels=1)


def test_a_wav_beyond_four_gigabytes_is_refused(tmp_path, tone, monkeypatch):
    """Guards against a WAV whose 32-bit length has wrapped around."""
    monkeypatch.setattr(writing, "_WAV_LIMIT", 100_000)
    with pytest.raises(OutputError, match="FLAC"):
        write_audio(tmp_path / "a.wav", tone(1.0), channels=1)
    assert not list(tmp_path.iterdir())
