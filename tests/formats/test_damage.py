"""Damage, foreign parts, films and hidden files: what is left out is told, with its place."""

import io
import re
import struct
from fractions import Fraction

import numpy as np
import pytest
import soundfile

from distill.durations import duration
from distill.errors import AudioFileError
from distill.formats.files import probe, read_audio, samples_at_48k
from distill.formats.flac_frames import frames_begin_at
from distill.recordings.checksum import CHANGED, remark_on
from distill.recordings.corpus import import_corpus
from distill.recordings.verdicts import FileVerdict

RATE = 48_000


def mp3_of(encoded, **options):
    return encoded("MP3", "MPEG_LAYER_III", **options)


def without_table(content):
    """Without the first frame, which counts the others."""
    return content[content.find(content[:2], max(content.find(b"Xing"), content.find(b"Info"))) :]


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("hole", ["zeros", "rubbish", "gone"])
def test_a_hole_in_an_mp3_is_told_with_its_place(tmp_path, encoded, capfd, table, hole):
    """Guards against damaged frames that are passed over without a word, or with the library's own on the screen."""
    whole = mp3_of(encoded, seconds=4.0)
    whole = whole if table else without_table(whole)
    half, size = len(whole) // 2, len(whole) // 8
    noise = np.random.default_rng(0).bytes(size)
    middle = {"zeros": bytes(size), "rubbish": noise, "gone": b""}[hole]
    (tmp_path / "a.mp3").write_bytes(whole[:half] + middle + whole[half + size :])
    info = probe(tmp_path / "a.mp3")
    assert info.seconds == pytest.approx(3.5, abs=0.15)
    assert info.remark.startswith("It is damaged at 2 s: about 0."), info.remark
    assert info.remark.endswith(" are lost there; the other 3.5 s are used.") or hole == "gone"
    if hole != "gone" or table:
        assert 0.4 < float(info.remark.split("about ")[1].split(" ")[0]) < 0.65
    heard = read_audio(tmp_path / "a.mp3")
    assert heard.shape[1] == info.frames
    assert np.abs(heard[:, -RATE:]).max() > 0.01
    assert capfd.readouterr().err == ""


def test_an_mp3_that_is_whole_or_joined_is_not_called_damaged(tmp_path, encoded):
    """Guards against tags, and the beginning of the next of two joined files, taken for a hole."""
    one, two = (mp3_of(encoded, seconds=2.0, seed=seed) for seed in (1, 2))
    for content in (
        one,
        without_table(one),
        one + two,
        one + b"TAG" + bytes(125) + two,
        b"ID3\4\0\0\0\0\0\5hello" * 2 + one,
    ):
        (tmp_path / "a.mp3").write_bytes(content)
        assert "damaged" not in probe(tmp_path / "a.mp3").remark
        assert "breaks off" not in probe(tmp_path / "a.mp3").remark
    (tmp_path / "b.mp3").write_bytes(without_table(one)[: len(one) // 2 + 40])
    assert probe(tmp_path / "b.mp3").remark.startswith("It breaks off before its end; all ")


@pytest.mark.parametrize("form", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("hole", ["page", "bytes", "zeros", "flip"])
def test_all_that_is_whole_of_a_damaged_ogg_is_used(tmp_path, encoded, form, hole):
    """Guards against "it breaks off before its end" where a minute follows, a whole take refused, and damage that is played."""
    whole = encoded("OGG", form, 8.0)
    (tmp_path / "whole.ogg").write_bytes(whole)
    pages = [at for at in range(len(whole)) if whole[at : at + 4] == b"OggS"]
    half = len(pages) // 2
    begin, stop = (pages[half], pages[half + 1]) if hole == "page" else (len(whole) // 3, len(whole) // 2)
    stop = begin + 5 if hole == "flip" else stop
    put_in = b"" if hole in ("page", "bytes") else bytes(stop - begin)
    (tmp_path / "a.ogg").write_bytes(whole[:begin] + put_in + whole[stop:])
    info = probe(tmp_path / "a.ogg")
    told = re.fullmatch(
        r"It is damaged at ([0-9.]+) s: about ([0-9.]+) s are lost there; the other .* s are used.", info.remark
    )
    assert told, info.remark
    assert float(told[1]) > 1.0
    assert float(told[2]) == pytest.approx(8.0 - info.seconds, abs=0.2)
    assert info.seconds > (6.7 if hole in ("page", "flip") else 4.0)
    heard, played = read_audio(tmp_path / "a.ogg")[0], read_audio(tmp_path / "whole.ogg")[0]
    assert len(heard) == info.frames
    np.testing.assert_array_equal(heard[:RATE], played[:RATE])
    # Opus ends 6.5 ms earlier then: what its decoder needs at each beginning.
    ends = [np.abs(heard[-RATE:] - played[-RATE - early : len(played) - early]).max() for early in (0, 312)]
    assert min(ends) < 1e-4


def test_an_ogg_whose_description_is_damaged_is_refused(tmp_path, encoded):
    """Guards against sound decoded by tables that are not there."""
    whole = encoded("OGG", "VORBIS", 2.0)
    (tmp_path / "a.ogg").write_bytes(whole[:1000] + bytes(200) + whole[1200:])
    with pytest.raises(AudioFileError, match="is damaged"):
        probe(tmp_path / "a.ogg")


def test_a_tag_before_a_flac_hides_no_wrong_length(tmp_path, encoded, noise):
    """Guards against half the sound, without a word, as the length behind a tag was believed."""
    flac = bytearray(encoded("FLAC", "PCM_16", 2.0))
    flac[22:26] = struct.pack(">I", RATE)
    (tmp_path / "a.flac").write_bytes(b"ID3\3\0\0\0\0\0\x0a" + bytes(10) + flac)
    np.testing.assert_allclose(read_audio(tmp_path / "a.flac"), noise(2.0), atol=1e-4)
    assert probe(tmp_path / "a.flac").remark == "Its header says 1 s; all 2 s that are in it are used."


def test_a_wav_says_only_what_its_header_said(tmp_path, encoded):
    """Guards against "Its header says 12 h" for a length that was left open, and silence where the rate was empty."""
    wav = encoded("WAV", "PCM_16", 2.0)
    shape, sound = wav[12:36], wav[44:]
    is_open = b"RF64" + b"\xff" * 4 + b"WAVE"
    sizes = struct.pack("<IQQQI", 28, 2**64 - 1, 2**64 - 1, 0, 0)
    (tmp_path / "none.wav").write_bytes(is_open + shape + b"data" + b"\xff" * 4 + sound)
    (tmp_path / "open.wav").write_bytes(is_open + b"ds64" + sizes + shape + b"data" + b"\xff" * 4 + sound)
    (tmp_path / "twice.wav").write_bytes(wav[:12] + shape + shape + wav[36:])
    (tmp_path / "late.wav").write_bytes(wav[:12] + wav[36:] + shape)
    for name in ("none", "open", "twice", "late"):
        info = probe(tmp_path / f"{name}.wav")
        assert (info.frames, info.remark) == (2 * RATE, ""), name
    (tmp_path / "cut.wav").write_bytes(wav[:28] + bytes(4) + wav[32 : 44 + RATE * 2])
    assert probe(tmp_path / "cut.wav").remark == "Its header says 2 s; all 1 s that are in it are used."
    w64 = bytearray(encoded("W64", "PCM_16", 2.0))
    place = w64.find(b"data") + 16
    for size, words in ((0, "was never finished"), (24 + 2 * RATE, "says 1 s")):
        w64[place : place + 8] = struct.pack("<Q", size)
        (tmp_path / "a.w64").write_bytes(w64)
        assert probe(tmp_path / "a.w64").remark == f"Its header {words}; all 2 s that are in it are used."


def test_a_wav_that_cannot_be_unpacked_is_not_called_damaged(tmp_path, encoded):
    """Guards against three faults with one sentence: unsupported, damaged, empty."""
    wav = bytearray(encoded("WAV", "FLOAT", 0.5))
    at = wav.find(b"fmt ")
    wav[at + 22 : at + 24] = struct.pack("<H", 16)
    wide = bytearray(encoded("WAVEX", "PCM_16", 0.5))
    wide[wide.find(b"fmt ") + 34] ^= 0xFF
    for content, words in ((wav, "floats of 16 bits"), (wide, "a format of its maker's own")):
        (tmp_path / "a.wav").write_bytes(content)
        with pytest.raises(AudioFileError, match=rf"encoded in a way that cannot be read \({words}\)"):
            probe(tmp_path / "a.wav")


@pytest.mark.parametrize("kept", [24, 40, 44, 59])
def test_a_wav_of_which_only_a_part_of_the_header_is_there_is_damaged(tmp_path, encoded, kept):
    """Guards against "encoded in a format of its maker's own" for a download that broke off at once."""
    wide = encoded("WAVEX", "PCM_16", 0.5)
    assert wide.find(b"fmt ") + 8 + 40 == 60
    (tmp_path / "a.wav").write_bytes(wide[:kept])
    with pytest.raises(AudioFileError, match="is damaged: it begins as WAV"):
        probe(tmp_path / "a.wav")


def test_what_is_no_sound_at_all_leaves_no_words_of_the_library_on_the_screen(tmp_path, encoded, capfd):
    """Guards against "Note: Illegal Audio-MPEG-Header" for a file of zeros among the recordings."""
    (tmp_path / "good.wav").write_bytes(encoded("WAV", "PCM_16"))
    (tmp_path / "zeros.wav").write_bytes(bytes(50_000))
    (tmp_path / "zeros.mp3").write_bytes(bytes(50_000))
    (tmp_path / "rubbish.mp3").write_bytes(np.random.default_rng(1).bytes(50_000))
    (tmp_path / "front.mp3").write_bytes(mp3_of(encoded, seconds=3.0)[1001:])
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


def _encode(path, form, codec, tracks, layout="mono"):
    """Each of ``tracks`` is float32 ``[1, N]``."""
    import av

    with av.open(str(path), "w", format=form) as container:
        streams = [container.add_stream(codec, rate=RATE, layout=layout) for _ in tracks]
        for sound, stream in zip(tracks, streams, strict=True):
            wide = stream.codec_context.format.name
            frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
            frame.sample_rate = RATE
            frame.pts, frame.time_base = 0, Fraction(1, RATE)
            kept = av.AudioResampler(
                format=wide, layout="mono", rate=RATE, frame_size=stream.codec_context.frame_size or 4096
            )
            for piece in (*kept.resample(frame), *kept.resample(None)):
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


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_flac_whose_checksum_is_of_other_sound_says_so(tmp_path, encoded, subtype, channels):
    """Guards against sound that was changed, or lost a piece, and is used without a word."""
    one, two = (encoded("FLAC", subtype, seed=seed, channels=channels) for seed in (1, 2))
    spoilt = one[:26] + bytes(16) + one[42:], one[:26] + two[26:42] + one[42:]
    for name, content in {
        "whole": one, "joined": two + two,
        "tagged": b"ID3\4\0\0\0\0\0\5hello" + encoded("FLAC", subtype, seed=3) + b"TAG" + bytes(125),
        "without": spoilt[0], "other": spoilt[1],
    }.items():  # fmt: skip
        (tmp_path / f"{name}.flac").write_bytes(content)
    for _ in range(2):  # the second time from what is remembered
        remarks = {file.name: file.remark for file in import_corpus(tmp_path).files}
        assert remarks.pop("other.flac") == CHANGED
        assert remarks.pop("joined.flac") == "Its header says 1 s; all 2 s that are in it are used."
        assert set(remarks.values()) == {""}


def test_a_flac_that_is_damaged_is_not_called_changed(tmp_path, encoded):
    """Guards against two sentences on one fault: the checksum of all samples cannot be right then."""
    whole = bytearray(encoded("FLAC", "PCM_16", seconds=2.0))
    whole[len(whole) // 2] ^= 0xFF
    (tmp_path / "a.flac").write_bytes(whole)
    assert remark_on(probe(tmp_path / "a.flac")) == (
        "It is damaged at 0.94 s: about 0.09 s are lost there; the other 1.9 s are used."
    )


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("hole", ["zeros", "rubbish", "gone", "more", "two", "front", "rest"])
def test_all_that_is_whole_of_a_damaged_flac_is_used(tmp_path, encoded, noise, subtype, hole):
    """Guards against a take of an hour thrown away for one bad block of the disk, and damage that is played."""
    whole = encoded("FLAC", subtype, seconds=4.0, channels=2)
    half, size = len(whole) // 2, len(whole) // 8
    rubbish = np.random.default_rng(0).bytes(size)
    content, lost = {
        "zeros": (whole[:half] + bytes(size) + whole[half + size :], 0.5),
        "rubbish": (whole[:half] + rubbish + whole[half + size :], 0.5),
        "gone": (whole[:half] + whole[half + size :], 0.5),
        "more": (whole[:half] + rubbish + whole[half:], 0.09),
        "two": (whole[:size] + b"\0" * 9 + whole[size + 9 : half] + b"\0" * 9 + whole[half + 9 :], 0.17),
        "front": (whole[:9000] + bytes(9000) + whole[18_000:], 0.1),
        "rest": (whole[:half] + bytes(half), 2.0),
    }[hole]
    (tmp_path / "a.flac").write_bytes(content)
    info = probe(tmp_path / "a.flac")
    assert info.seconds == pytest.approx(4.0 - lost, abs=0.2)
    place = {"two": r"in 2 places, first at 0\.", "front": "at 0"}.get(hole, r"at (1\.9|2) s")
    assert re.match(f"It is damaged {place}", info.remark), info.remark
    assert float(info.remark.split("about ")[1].split(" ")[0]) == pytest.approx(4.0 - info.seconds, abs=0.051)
    heard, played = read_audio(tmp_path / "a.flac"), noise(4.0, channels=2)
    assert heard.shape[1] == info.frames
    for at in range(0, info.frames, 4096):  # each frame is one of those that were recorded, in their order
        frame = heard[:, at : at + 4096]
        begin = next(
            (
                place
                for place in range(at, played.shape[1], 4096)
                if np.abs(played[:, place : place + frame.shape[1]] - frame).max() < 1e-4
            ),
            None,
        )
        assert begin is not None, at


def test_a_flac_whose_description_is_damaged_has_all_its_sound(tmp_path, encoded, noise):
    """Guards against a whole take refused, as one byte is wrong in the length of a block of some program's own."""
    whole = encoded("FLAC", "PCM_16", seconds=2.0)
    block = b"\x02" + (20_000).to_bytes(3, "big") + b"prog" + np.random.default_rng(0).bytes(19_996)
    for name, place in (("whole", None), ("long", 43), ("short", 44)):
        content = bytearray(whole[:42] + block + whole[42:])
        if place is not None:
            content[place] ^= 0x0C
        (tmp_path / "a.flac").write_bytes(content)
        np.testing.assert_allclose(read_audio(tmp_path / "a.flac"), noise(2.0), atol=1e-4, err_msg=name)
        assert not probe(tmp_path / "a.flac").remark


def test_a_flac_cut_out_of_a_stream_is_not_called_damaged(tmp_path, encoded):
    """Guards against hours that are "lost" before the moment at which somebody began to record a radio."""
    whole = encoded("FLAC", "PCM_16", seconds=4.0)
    (tmp_path / "a.flac").write_bytes(whole[:18] + whole[18:21] + bytes([whole[21] & 0xF0]) + bytes(4) + whole[26:42])
    head = bytearray((tmp_path / "a.flac").read_bytes())
    head[4] |= 0x80
    frames = [at for at in range(42, len(whole)) if whole[at : at + 3] == b"\xff\xf8\xca"]
    (tmp_path / "a.flac").write_bytes(bytes(head) + whole[frames[5] :])
    info = probe(tmp_path / "a.flac")
    assert info.frames == 4 * RATE - 5 * 4096
    assert "damaged" not in info.remark
    assert read_audio(tmp_path / "a.flac").shape[1] == info.frames


def test_what_a_flac_misses_is_said_once(tmp_path, encoded):
    """Guards against two sentences on a file that breaks off, whose checksum cannot be right then."""
    (tmp_path / "a.flac").write_bytes(encoded("FLAC", "PCM_16", seconds=2.0)[:-20_000])
    remark = import_corpus(tmp_path).files[0].remark
    assert remark.startswith("Its header says 2 s; all ")
    assert CHANGED not in remark


@pytest.mark.parametrize("most", [None, 500])
def test_an_mp3_with_thousands_of_gaps_is_used(tmp_path, encoded, monkeypatch, most):
    """Guards against a recorded web stream that is refused as it has many small holes: what is whole is used, and all else
    is told as lost, what lies behind the last hole that is looked at, too."""
    from distill.formats import mpeg

    if most is not None:
        monkeypatch.setattr(mpeg, "_MOST_GAPS", most)
    content = encoded("MP3", "MPEG_LAYER_III", seconds=60.0)
    frames, at = [], content.find(b"\xff\xfb")
    while size := mpeg.mpeg_frame(content[at : at + 4])[0]:
        frames.append(content[at : at + size])
        at += size
    holed = b"".join(frame + (b"hole" if number % 2 else b"") for number, frame in enumerate(frames[1:]))
    (tmp_path / "a.mp3").write_bytes(holed)
    info = probe(tmp_path / "a.mp3")
    many = "1[0-9]{3}" if most is None else "50[01]"
    told = re.match(rf"It is damaged in {many} places, first at .*: about ([\d.]+) s are lost in all", info.remark)
    assert told is not None, info.remark
    assert info.seconds + float(told[1]) == pytest.approx(60, rel=0.05)
    assert info.seconds > (25 if most is None else 10)
    assert read_audio(tmp_path / "a.mp3").shape[1] == samples_at_48k(info)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_damaged_stream_among_good_ones_costs_only_itself(tmp_path, encoded, subtype):
    """Guards against hours of a radio that are refused as what describes one of its tracks is damaged."""
    tracks = [bytearray(encoded("OGG", subtype, seconds=2.0, seed=seed)) for seed in range(3)]
    tracks[1][tracks[1].index(b"OggS", 4) + 40] ^= 255
    (tmp_path / "middle.ogg").write_bytes(b"".join(tracks))
    (tmp_path / "last.ogg").write_bytes(tracks[0] + tracks[2] + tracks[1])
    tracks[0][-40] ^= 255
    (tmp_path / "end.ogg").write_bytes(tracks[0] + tracks[2])
    (tmp_path / "only.ogg").write_bytes(tracks[1])
    for name, place in (("middle", "2 s"), ("last", "4 s")):
        info = probe(tmp_path / f"{name}.ogg")
        assert info.seconds == pytest.approx(4, abs=0.05)
        assert info.remark.startswith(f"It is damaged at {place}: about 2 s are lost there; the other 4 s are used.")
        assert read_audio(tmp_path / f"{name}.ogg").shape[1] == samples_at_48k(info)
    info = probe(tmp_path / "end.ogg")
    assert 2 < info.seconds < 4
    assert "It is damaged at" in info.remark
    with pytest.raises(AudioFileError, match=r"only\.ogg is damaged: "):
        probe(tmp_path / "only.ogg")


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("place", [*range(8, 12), 18, 19, 20, 21, slice(8, 26), slice(8, 42)])
def test_a_flac_whose_header_is_damaged_is_read_by_its_frames(tmp_path, encoded, subtype, place):
    """Guards against a recording that is refused, or played seven times too fast, for one byte that describes it."""
    whole = encoded("FLAC", subtype, seconds=3.0, channels=2, rate=44_100)
    (tmp_path / "whole.flac").write_bytes(whole)
    content = bytearray(whole)
    if isinstance(place, slice):
        content[place] = bytes(place.stop - place.start)
    else:
        content[place] ^= 0x44
    (tmp_path / "a.flac").write_bytes(content)
    info = probe(tmp_path / "a.flac")
    assert (info.sample_rate, info.channels, info.subtype) == (44_100, 2, subtype)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.flac"), read_audio(tmp_path / "whole.flac"))


def test_the_last_segment_of_a_long_flac_is_not_damaged(tmp_path, encoded):
    """Guards against "about 30 min are lost" of a file into which FFmpeg wrote the end of a recording, in segments: its frames
    are numbered from the beginning of the first, and its header counts to the end of the last."""
    whole = encoded("FLAC", "PCM_16", seconds=4.0)
    begins = [*frames_begin_at(whole, 42, len(whole))]
    (tmp_path / "a.flac").write_bytes(whole[: begins[0]] + whole[begins[len(begins) // 2] :])
    info = probe(tmp_path / "a.flac")
    assert 1 < info.seconds < 3
    assert info.remark == f"Its header says 4 s; all {duration(info.seconds)} that are in it are used."


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


def test_the_frames_of_a_flac_with_many_holes_are_used_or_told_as_lost(tmp_path, encoded, monkeypatch):
    """Guards against a FLAC of open length whose rest is dropped without a word behind so many holes."""
    from distill.formats import flac

    content = bytearray(encoded("FLAC", "PCM_16", seconds=20.0))
    content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])
    begins = list(frames_begin_at(bytes(content), 42, len(content)))
    for begin in begins[1::2]:
        content[begin + 40] ^= 255
    (tmp_path / "a.flac").write_bytes(content)
    monkeypatch.setattr(flac, "_MOST_PARTS", 20)
    info = probe(tmp_path / "a.flac")
    told = re.search(r"about ([\d.]+) s are lost", info.remark)
    assert told is not None, info.remark
    assert info.seconds + float(told[1]) == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize(("subtype", "cut"), [("PCM_16", 4), ("PCM_16", 42), ("PCM_24", 4), ("PCM_16", 3000)])
def test_a_flac_without_its_first_bytes_is_read_by_its_frames(tmp_path, encoded, noise, subtype, cut):
    """Guards against "it is not an audio file despite its name" of a file that lacks four bytes of thousands."""
    content = encoded("FLAC", subtype)
    whole, _ = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    (tmp_path / "a.flac").write_bytes(content[cut:])
    info = probe(tmp_path / "a.flac")
    heard = read_audio(tmp_path / "a.flac")
    assert ("damaged at 0" in info.remark) == (cut == 3000)
    assert "header" not in info.remark
    assert heard.shape[1] > 0.7 * len(whole)
    np.testing.assert_array_equal(heard[0], whole[len(whole) - heard.shape[1] :, 0])


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


def test_a_tag_that_claims_more_than_the_file_hides_no_sound(tmp_path, encoded):
    """Guards against a length in a tag that is believed: nothing was left behind it."""
    content = encoded("MP3", "MPEG_LAYER_III")
    (tmp_path / "a.mp3").write_bytes(content)
    (tmp_path / "b.mp3").write_bytes(b"ID3\4\0\0" + bytes([95, 47, 8, 0]) + content)
    assert probe(tmp_path / "b.mp3").frames == probe(tmp_path / "a.mp3").frames
    np.testing.assert_array_equal(read_audio(tmp_path / "b.mp3"), read_audio(tmp_path / "a.mp3"))


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
