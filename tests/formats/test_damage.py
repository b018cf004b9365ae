"""Damage in several formats, foreign parts, films and hidden files: what is left out is told, with its place."""

import re
import struct
from fractions import Fraction

import numpy as np
import pytest

from distill.errors import AudioFileError
from distill.formats.files import probe, read_audio, samples_at_48k
from distill.recordings.corpus import import_corpus
from distill.recordings.verdicts import FileVerdict

RATE = 48_000


def test_what_is_no_sound_at_all_leaves_no_words_of_the_library_on_the_screen(tmp_path, encoded, capfd):
    """Guards against "Note: Illegal Audio-MPEG-Header" for a file of zeros among the recordings."""
    (tmp_path / "good.wav").write_bytes(encoded("WAV", "PCM_16"))
    (tmp_path / "zeros.wav").write_bytes(bytes(50_000))
    (tmp_path / "zeros.mp3").write_bytes(bytes(50_000))
    (tmp_path / "rubbish.mp3").write_bytes(np.random.default_rng(1).bytes(50_000))
    (tmp_path / "front.mp3").write_bytes(encoded("MP3", "MPEG_LAYER_III", seconds=3.0)[1001:])
    files = {file.name: file for file in import_corpus(tmp_path).files}
    assert {name for name, file in files.items() if file.verdict == FileVerdict.USED} == {"good.wav", "front.mp3"}
    assert "holds only zeros" in files["zeros.wav"].reason
    assert capfd.readouterr().err == ""


def test_films_hidden_sound_and_placeholders_have_a_row(tmp_path, encoded, noise):
    """Guards against a rehearsal filmed with a telephone that is passed over in silence, and the sound in a film's form."""
    import av

    for name, form, video in (
        ("a.mp4", "mp4", True),
        ("b.mov", "mov", True),
        ("c.mkv", "matroska", True),
        ("d.mp4", "mp4", False),
    ):
        with av.open(str(tmp_path / name), "w", format=form) as container:
            stream = container.add_stream("aac", rate=RATE, layout="mono")
            if video:
                moving = container.add_stream("mpeg4", rate=25)
                moving.width = moving.height = 64
                moving.pix_fmt = "yuv420p"
                moving.time_base = Fraction(1, 25)
                picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                picture.pts, picture.time_base = 0, Fraction(1, 25)
                for packet in (*moving.encode(picture), *moving.encode(None)):
                    container.mux(packet)
            frame = av.AudioFrame.from_ndarray(noise(1.0, seed=ord(name[0])), format="fltp", layout="mono")
            frame.sample_rate = RATE
            frame.pts, frame.time_base = 0, Fraction(1, RATE)
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
    (tmp_path / ".hidden.wav").write_bytes(encoded("WAV", "PCM_16"))
    (tmp_path / "._d.wav").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (tmp_path / "far.wav.icloud").write_bytes(b"bplist00")
    (tmp_path / "bought.m4p").write_bytes(b"\0\0\0\x18ftypM4P " + bytes(99))
    (tmp_path / "old.avi").write_bytes(b"RIFF\0\0\0\0AVI " + bytes(99))
    files = {file.name: file for file in import_corpus(tmp_path).files}
    assert set(files) == {"a.mp4", "b.mov", "c.mkv", "d.mp4", ".hidden.wav", "far.wav", "bought.m4p", "old.avi"}
    assert files["d.mp4"].verdict == FileVerdict.USED
    assert all("is a video" in files[name].reason for name in ("a.mp4", "b.mov", "c.mkv", "old.avi"))
    assert "hidden" in files[".hidden.wav"].reason
    assert "cloud" in files["far.wav"].reason
    assert "protected" in files["bought.m4p"].reason


def _encode(path, form, codec, tracks):
    """Each of ``tracks`` is float32 ``[1, N]``."""
    import av

    with av.open(str(path), "w", format=form) as container:
        streams = [container.add_stream(codec, rate=RATE, layout="mono") for _ in tracks]
        for sound, stream in zip(tracks, streams, strict=True):
            frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
            frame.sample_rate = RATE
            frame.pts, frame.time_base = 0, Fraction(1, RATE)
            wanted = stream.codec_context
            suited = av.AudioResampler(wanted.format.name, "mono", RATE, frame_size=wanted.frame_size or 4096)
            for piece in (*suited.resample(frame), *suited.resample(None)):
                for packet in stream.encode(piece):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)


def test_what_broke_off_is_used_in_every_format(tmp_path, noise):
    """Guards against a good second thrown away in formats that libsndfile does not read, or used without a word."""
    for name, form, codec in (("a.aac", "adts", "aac"), ("a.mka", "matroska", "flac"), ("a.tta", "tta", "tta")):
        _encode(tmp_path / name, form, codec, [noise(3.0)])
        whole = probe(tmp_path / name)
        assert not whole.remark
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        info = probe(tmp_path / name)
        assert info.seconds == pytest.approx(1.5, abs=0.6)
        assert "that are in it are used." in info.remark, name
        assert read_audio(tmp_path / name).shape[1] == info.frames
    _encode(tmp_path / "two.m4a", "mp4", "aac", [noise(3.0), noise(3.0, 1)])
    unread = "It holds 2 tracks, of which only the first is read; export the others one by one."
    assert probe(tmp_path / "two.m4a").remark == unread
    _encode(tmp_path / "b.oga", "ogg", "flac", [noise(3.0)])
    assert probe(tmp_path / "b.oga").frames == 3 * RATE


@pytest.mark.parametrize(
    ("name", "form", "codec"),
    [
        ("a.m4a", "ipod", "aac"), ("a.aac", "adts", "aac"), ("a.mka", "matroska", "flac"), ("a.oga", "ogg", "flac"),
        ("a.tta", "tta", "tta"), ("a.wv", "wv", "wavpack"), ("alac.m4a", "ipod", "alac"), ("a.caf", "caf", "alac"),
    ],
)  # fmt: skip
def test_what_is_behind_damage_is_used_in_every_format(tmp_path, noise, name, form, codec):
    """Guards against a telephone's recording of an hour that is thrown away for one bad block."""
    _encode(tmp_path / name, form, codec, [noise(8.0)])
    whole = (tmp_path / name).read_bytes()
    half = len(whole) // 2
    (tmp_path / name).write_bytes(whole[:half] + bytes(4000) + whole[half + 4000 :])
    info = probe(tmp_path / name)
    told = re.fullmatch(
        r"It is damaged at ([0-9.]+) s: about ([0-9.]+) s are lost there; the other .* s are used.", info.remark
    )
    assert told, info.remark
    assert 2.5 < float(told[1]) < 5.0
    assert info.seconds > 5.0
    assert float(told[2]) == pytest.approx(8.0 - info.seconds, abs=0.15)
    assert read_audio(tmp_path / name).shape[1] == info.frames


def test_a_second_track_is_told_of_whatever_becomes_of_the_first(tmp_path, noise, save):
    """Guards against "Nothing needs doing" about a copy, or a silent file, in which a whole other track lies unread."""
    silence = np.full((1, 3 * RATE), 1e-6, np.float32)
    _encode(tmp_path / "copy.m4a", "mp4", "aac", [noise(3.0), noise(3.0, 1)])
    _encode(tmp_path / "silent.m4a", "mp4", "aac", [silence, noise(3.0, 2)])
    save(tmp_path / "take.wav", noise(3.0))
    files = {file.name: file for file in import_corpus(tmp_path).files}
    assert [files[name].verdict for name in ("copy.m4a", "silent.m4a")] == [FileVerdict.COPY, FileVerdict.SILENT]
    for name in ("copy.m4a", "silent.m4a"):
        assert files[name].fix.endswith(
            "It holds 2 tracks, of which only the first is read; export the others one by one."
        )
        assert "Nothing needs doing" not in files[name].fix


def test_a_part_that_is_longer_than_a_file_can_be_is_damage(tmp_path):
    """Guards against an error of the operating system, which ended the reading of the whole folder."""
    form = struct.pack(">d4sIIIII", 48_000.0, b"aac ", 0, 0, 1024, 2, 0)
    parts = [(b"desc", len(form), form), (b"free", 2**62 + 4016, bytes(4096))]
    packed = [name + struct.pack(">q", size) + content for name, size, content in parts]
    (tmp_path / "a.caf").write_bytes(b"caff\0\1\0\0" + b"".join(packed))
    with pytest.raises(AudioFileError, match=r"a.caf is damaged"):
        probe(tmp_path / "a.caf")


@pytest.mark.parametrize(("form", "most"), [("OGG", None), ("OGG", 100), ("FLAC", 100)])
@pytest.mark.parametrize("is_damaged", [False, True])
def test_more_parts_than_a_thousand_are_used_or_told_as_lost(tmp_path, encoded, monkeypatch, form, most, is_damaged):
    """Guards against weeks of a web radio of which the first tracks are used, and the rest is dropped without a word."""
    from distill.formats import flac, ogg

    if most is not None:
        monkeypatch.setattr(ogg if form == "OGG" else flac, "_MOST_PARTS", most)
    one = encoded(form, "VORBIS" if form == "OGG" else "PCM_16", seconds=0.2)
    first = bytearray(encoded(form, "VORBIS" if form == "OGG" else "PCM_16", seconds=2.0))
    if is_damaged:
        first[-2000 if form == "OGG" else -30_000] ^= 255
    path = tmp_path / f"a.{form.lower()}"
    path.write_bytes(first + (1200 if most is None else 200) * one)
    info = probe(path)
    told = re.match(r"It is damaged .*: about (?:([\d.]+) min )?([\d.]+) m?s are lost", info.remark)
    assert (told is not None) == (most is not None or is_damaged), info.remark
    lost = 0.0 if told is None else 60 * float(told[1] or 0) + float(told[2])
    assert info.seconds + lost == pytest.approx(242 if most is None else 42, rel=0.1)
    assert info.seconds > (235 if most is None else 20)
    assert read_audio(path).shape[1] == samples_at_48k(info)


@pytest.mark.parametrize("form", ["WAV", "RF64", "AIFF", "CAF", "FLAC", "OGG", "W64"])
@pytest.mark.parametrize(
    "before", [bytes(600), b"HTTP/1.1 200 OK\r\nContent-Type: audio\r\n\r\n", b"\xfe\x01\x80" * 7000]
)
def test_rubbish_before_a_header_hides_no_sound(tmp_path, encoded, form, before):
    """Guards against "it is not an audio file despite its name" of a sound with a few bytes in front of it."""
    subtype = "VORBIS" if form == "OGG" else "PCM_16"
    (tmp_path / "as it was").write_bytes(encoded(form, subtype))
    path = tmp_path / ("a.wav" if form == "RF64" else f"a.{form}")
    path.write_bytes(before + encoded(form, subtype))
    np.testing.assert_array_equal(read_audio(path), read_audio(tmp_path / "as it was"))


@pytest.mark.parametrize("part", ["no table", "a bit of the table", "half of the table"])
def test_an_m4a_without_its_table_says_what_is_missing(tmp_path, noise, part):
    """Guards against "holds no sound at all" and a bare "cannot be read at all" of a recording that was cut short."""
    _encode(tmp_path / "a.m4a", "ipod", "aac", [noise(3.0)])
    content = (tmp_path / "a.m4a").read_bytes()
    at = content.index(b"moov") - 4
    assert at > len(content) // 2
    half = (at + len(content)) // 2
    cut = {"no table": at, "a bit of the table": at + 40, "half of the table": half}
    (tmp_path / "a.m4a").write_bytes(content[: cut[part]])
    with pytest.raises(AudioFileError, match=r"a.m4a is damaged: .* table") as caught:
        probe(tmp_path / "a.m4a")
    assert "Copy or download it again" in caught.value.fix
