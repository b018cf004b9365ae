"""A length from a header is a claim: all the sound is used, or it is said how much is not."""

import contextlib
import struct
import zipfile
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile

from distill.errors import AudioFileError, CorpusError
from distill.formats.containers import kind_of
from distill.formats.files import probe, read_audio
from distill.recordings.corpus import import_corpus
from distill.recordings.verdicts import FileVerdict

RATE = 48_000


def changed(content, place, number):
    return content[:place] + number + content[place + len(number) :]


def claims(encoded, kind):
    """A file of a second whose header says 0, half a second, or leaves it open."""
    wav, aiff, caf, au = (encoded(form, "PCM_16") for form in ("WAV", "AIFF", "CAF", "AU"))
    flac = encoded("FLAC", "PCM_16")
    sound, shape, chunk = aiff.find(b"SSND"), aiff.find(b"COMM"), caf.find(b"data")
    return {
        "wav zero": changed(wav, 40, bytes(4)),
        "wav half": changed(wav, 40, struct.pack("<I", 48_000)),
        "wav open": changed(wav, 40, b"\xff" * 4),
        "wav two": changed(changed(wav, 40, struct.pack("<I", 48_000)), 44 + 48_000, b"data\x78\xbb\0\0"),
        "wav BW64": b"BW64" + b"\xff" * 4 + b"WAVEds64" + struct.pack("<IQQQI", 28, 0, 96_000, 48_000, 0) + wav[12:36]
        + b"data" + b"\xff" * 4 + wav[44:],
        "aiff zero": changed(changed(aiff, sound + 4, struct.pack(">I", 8)), shape + 10, bytes(4)),
        "aiff half": changed(aiff, sound + 4, struct.pack(">I", 48_008)),
        "caf open": changed(caf, chunk + 4, struct.pack(">q", -1)),
        "caf half": changed(caf, chunk + 4, struct.pack(">q", 48_004)),
        "au half": changed(au, 8, struct.pack(">I", 48_000)),
        "flac half": changed(flac, 22, struct.pack(">I", 24_000)),
    }[kind]  # fmt: skip


KINDS = [
    "wav zero",
    "wav half",
    "wav open",
    "wav two",
    "wav BW64",
    "aiff zero",
    "aiff half",
    "caf open",
    "caf half",
    "au half",
]


@pytest.mark.parametrize("kind", [*KINDS, "flac half"])
def test_all_the_sound_is_used(tmp_path, encoded, noise, kind):
    """Guards against half the sound or none: a recorder that lost power, a stream, a broadcast wave."""
    path = tmp_path / f"a.{kind.split()[0]}"
    path.write_bytes(claims(encoded, kind))
    heard = read_audio(path)
    assert heard.shape[1] == pytest.approx(RATE, abs=8)
    if kind != "wav two":
        np.testing.assert_allclose(heard, noise(1.0)[:, : heard.shape[1]], atol=1e-4)
    remark = probe(path).remark
    assert ("all 1 s that are in it are used" in remark) == (kind.split()[1] in ("zero", "half")), remark


def test_what_comes_behind_the_sound_is_no_sound(tmp_path, encoded):
    """Guards against tags and markers played as noise."""
    wav = encoded("WAV", "PCM_16")
    for name, behind in {"list": b"LIST\4\0\0\0INFO", "pad": b"\0\0\0", "two": b"bext\2\0\0\0abcue \0\0\0\0"}.items():
        (tmp_path / f"{name}.wav").write_bytes(wav + behind)
        assert probe(tmp_path / f"{name}.wav").frames == RATE
        assert not probe(tmp_path / f"{name}.wav").remark


def test_a_file_that_broke_off_says_so(tmp_path, encoded):
    """Guards against a download of half a file that is used as if it were whole."""
    (tmp_path / "a.wav").write_bytes(encoded("WAV", "PCM_16", 2.0)[: 44 + 96_000])
    info = probe(tmp_path / "a.wav")
    assert info.frames == RATE
    assert info.remark == "Its header says 2 s; all 1 s that are in it are used."


@pytest.mark.parametrize(("form", "subtype"), [("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("MP3", "MPEG_LAYER_III")])
def test_what_there_is_of_a_file_that_broke_off_is_used(tmp_path, encoded, noise, form, subtype):
    """Guards against a good second thrown away as "damaged: it cannot be read beyond 0.00 s" for the one that is missing."""
    whole = encoded(form, subtype, 2.0)
    path = tmp_path / f"a.{form.lower()}"
    for size in (len(whole) // 2, len(whole) // 2 + 1, len(whole) - 2):
        path.write_bytes(whole[:size])
        info = probe(path)
        assert info.seconds == pytest.approx(2 * size / len(whole), abs=0.15)
        heard = read_audio(path)
        assert heard.shape[1] == info.frames
        if form == "FLAC":
            np.testing.assert_allclose(heard, noise(2.0)[:, : heard.shape[1]], atol=1e-4)
        if size < len(whole) - 1000:
            assert "Its header says 2 s; all " in info.remark
    path.write_bytes(whole[:-400] if form == "MP3" else whole)
    assert "says 2 s; all 2 s" not in probe(path).remark, "two figures that read alike say nothing"
    path.write_bytes(whole)
    assert form == "MP3" or info.frames < probe(path).frames
    assert not probe(path).remark


@pytest.mark.parametrize("form", ["AIFF", "AU", "W64", "CAF"])
def test_half_of_a_file_says_how_much_is_missing(tmp_path, encoded, form):
    """Guards against half a download used without a word, in formats where only WAV was looked at."""
    whole = encoded(form, "PCM_16", 2.0)
    path = tmp_path / f"a.{form.lower()}"
    path.write_bytes(whole[: len(whole) // 2])
    assert probe(path).seconds == pytest.approx(1.0, abs=0.1)
    assert probe(path).remark.startswith("Its header says 2 s; all ")
    path.write_bytes(whole)
    assert not probe(path).remark


def test_a_flac_of_open_length_that_broke_off_is_used(tmp_path, encoded, noise):
    """Guards against a recorder that lost power, whose file was "damaged: its beginning is not readable"."""
    whole = bytearray(encoded("FLAC", "PCM_16", 2.0))
    whole[21] &= 0xF0
    whole[22:26] = bytes(4)
    path = tmp_path / "a.flac"
    path.write_bytes(whole[: len(whole) // 2])
    heard = read_audio(path)
    assert heard.shape[1] == pytest.approx(RATE, abs=0.15 * RATE)
    np.testing.assert_allclose(heard, noise(2.0)[:, : heard.shape[1]], atol=1e-4)
    assert probe(path).remark.startswith("Its header was never finished; all ")
    path.write_bytes(whole)
    assert probe(path).frames == 2 * RATE
    assert not probe(path).remark


def test_tags_and_rubbish_around_flac_and_ogg(tmp_path, encoded, noise):
    """Guards against a whole FLAC refused as "it cannot be read beyond 2 s of 2 s" for the tag behind it."""
    flac, ogg = encoded("FLAC", "PCM_16", 2.0), encoded("OGG", "VORBIS", 2.0)
    tag = b"ID3\3\0\0\0\0\0\x0a" + bytes(10)
    for name, content in {
        "tag.flac": flac + b"TAG" + bytes(125), "ape.flac": flac + b"APETAGEX" + bytes(24),
        "rubbish.flac": flac + b"\xff\xf8" * 500,
        "before.flac": tag + flac, "before.ogg": tag + ogg,
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
        assert probe(tmp_path / name).frames == 2 * RATE, name
        assert read_audio(tmp_path / name).shape[1] == 2 * RATE
    np.testing.assert_allclose(read_audio(tmp_path / "rubbish.flac"), noise(2.0), atol=1e-4)


def test_a_last_flac_frame_is_no_chance(tmp_path, noise):
    """Guards against a good file cut where its own sound happens to look like the beginning of a frame."""
    for seed in range(30):
        soundfile.write(tmp_path / "a.flac", noise(0.7, seed).T, RATE, "PCM_24")
        assert probe(tmp_path / "a.flac").frames == round(0.7 * RATE)
        assert not probe(tmp_path / "a.flac").remark


def test_a_wav_of_a_kind_that_cannot_be_read_is_not_called_damaged(tmp_path, encoded):
    """Guards against three faults with one sentence: unsupported, damaged, empty."""
    wav = bytearray(encoded("WAV", "PCM_16"))
    wav[20:22] = struct.pack("<H", 0x0055)
    (tmp_path / "a.wav").write_bytes(wav)
    with pytest.raises(AudioFileError, match=r"encoded in a way that cannot be read \(format 0x0055\)"):
        probe(tmp_path / "a.wav")


def test_an_ogg_that_broke_off_says_so(tmp_path, encoded):
    """Guards against the first pages of a stream taken for all of it, without a word."""
    for form in ("VORBIS", "OPUS"):
        whole = encoded("OGG", form, 3.0)
        (tmp_path / "a.ogg").write_bytes(whole[: len(whole) * 2 // 3])
        assert probe(tmp_path / "a.ogg").remark.startswith("It breaks off before its end; all ")
        (tmp_path / "b.ogg").write_bytes(whole)
        assert not probe(tmp_path / "b.ogg").remark
        assert probe(tmp_path / "a.ogg").frames < probe(tmp_path / "b.ogg").frames


def test_a_chunk_of_odd_length_with_and_without_its_last_byte(tmp_path, encoded, noise):
    """Guards against "damaged" for a program that counts differently."""
    wav = encoded("WAV", "PCM_16")
    for chunk in (b"junk\5\0\0\0abcde", b"junk\5\0\0\0abcde\0", b"note\1\0\0\0x"):
        (tmp_path / "a.wav").write_bytes(wav[:12] + chunk + wav[12:])
        np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), noise(1.0), atol=1e-4)
        assert not probe(tmp_path / "a.wav").remark


def test_rubbish_and_tags_behind_a_counted_sound_are_no_sound(tmp_path, encoded):
    """Guards against a burst of noise at full scale at the end, which is trained on."""
    wav = encoded("WAV", "PCM_16")
    behind = {"rubbish": bytes(range(3, 256)) * 12, "id3v1": b"TAG" + b"x" * 125, "ape": b"APETAGEX" + b"\xff" * 9000,
              "id3v2": b"ID3\4\0\0\0\0\x7f\x7f" + b"\xfe" * 16_384}  # fmt: skip
    for name, tag in behind.items():
        (tmp_path / f"{name}.wav").write_bytes(wav + tag)
        assert probe(tmp_path / f"{name}.wav").frames == RATE, name
        assert not probe(tmp_path / f"{name}.wav").remark


def test_tags_around_an_mp3_leave_no_words_of_the_library_on_the_screen(tmp_path, encoded, capfd):
    """Guards against "Warning: Xing stream size off by more than 1%, fuzzy seeking may be even more fuzzy than by design!"."""
    mp3 = encoded("MP3", "MPEG_LAYER_III")
    for name, content in {
        "behind": mp3 + b"APETAGEX" + bytes(24) + b"x" * 900 + b"TAG" + bytes(125),
        "before": b"ID3\4\0\0\0\0\x40\0" + bytes(8192) + mp3,
    }.items():
        (tmp_path / f"{name}.mp3").write_bytes(content)
        assert read_audio(tmp_path / f"{name}.mp3").shape[1] == pytest.approx(RATE, abs=100)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("form", ["VOC", "NIST", "IRCAM", "PAF", "AVR", "PVF", "SVX"])
def test_what_old_samplers_wrote_has_a_row_too(tmp_path, encoded, form):
    """Guards against ten files of a sampler's disk that are passed over in silence, as they are called otherwise."""
    (tmp_path / "take.x").write_bytes(encoded(form, "PCM_16", rate=22_050))
    assert kind_of(tmp_path / "take.x")
    (report,) = import_corpus(tmp_path).files
    assert (report.name, report.verdict) == ("take.x", FileVerdict.USED)


@pytest.mark.parametrize("form", ["WAV", "RF64", "AIFF", "CAF", "AU", "W64", "FLAC", "OGG", "MP3"])
def test_a_file_that_broke_off_anywhere_in_its_header_gets_a_verdict(tmp_path, encoded, form):
    """Guards against a traceback over a download of 31 bytes: a length field that is cut in two."""
    subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(form, "PCM_16")
    content = encoded(form, subtype, 0.1)
    for size in range(1, 130):
        path = tmp_path / f"a.{form.lower()}"
        path.write_bytes(content[:size])
        with contextlib.suppress(AudioFileError):  # the verdict of most; any other error fails here
            assert probe(path).frames >= 0


def test_joined_files_are_read_to_the_end(tmp_path, encoded):
    """Guards against the first track of a stream taken for all of it."""
    for suffix, form, subtype in (("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS"), ("mp3", "MP3", "MPEG_LAYER_III"),
                                 ("flac", "FLAC", "PCM_16"), ("wav", "WAV", "PCM_16")):  # fmt: skip
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(encoded(form, subtype, 1.0) + encoded(form, subtype, 2.0, seed=1))
        heard = read_audio(path)
        assert heard.shape[1] == pytest.approx(3 * RATE, abs=0.1 * RATE)
        assert np.abs(heard[:, -RATE // 2 :]).max() > 0.01


def test_a_table_that_seems_to_hold_sound_is_no_sound(tmp_path, encoded):
    """Guards against the 26 ms that the library plays before such an MP3, which are others each time it is read."""
    whole = encoded("MP3", "MPEG_LAYER_III")
    place = next(at for tag in (b"Xing", b"Info") if (at := whole.find(tag)) >= 0)
    begin = whole.rindex(whole[:2], 0, place)
    (tmp_path / "a.mp3").write_bytes(whole)
    (tmp_path / "b.mp3").write_bytes(whole[: begin + 7] + b"\x7f\0\x18\x26\x1a\x69" + whole[begin + 13 :])
    np.testing.assert_array_equal(read_audio(tmp_path / "b.mp3"), read_audio(tmp_path / "a.mp3"))


def test_an_mp3_without_its_table_is_counted(tmp_path, encoded, noise):
    """Guards against a length guessed from the bitrate of the first frame."""
    whole = encoded("MP3", "MPEG_LAYER_III", 3.0)
    place = next(at for tag in (b"Xing", b"Info") if (at := whole.find(tag)) >= 0)
    second = whole.find(whole[:2], place)
    (tmp_path / "a.mp3").write_bytes(b"ID3\4\0\0\0\0\0\5hello" + whole[second:] + b"TAG" + bytes(125))
    heard = read_audio(tmp_path / "a.mp3")
    assert heard.shape[1] == pytest.approx(3 * RATE, abs=0.1 * RATE)
    (tmp_path / "b.mp3").write_bytes(whole)
    np.testing.assert_allclose(read_audio(tmp_path / "b.mp3"), noise(3.0), atol=0.2)


def test_a_link_to_nothing_says_where_it_leads(tmp_path, encoded):
    """Guards against "It does not exist" beside a name that is in the folder."""
    (tmp_path / "a.wav").write_bytes(encoded("WAV", "PCM_16"))
    (tmp_path / "b.wav").symlink_to("gone.wav")
    (report,) = [one for one in import_corpus(tmp_path).files if one.name == "b.wav"]
    assert report.reason == "It is a link to gone.wav, which is not there."


def test_kinds_are_told_by_content(tmp_path, encoded):
    """Guards against names being believed."""
    for number, (begin, kind) in enumerate(
        {
            encoded("WAV", "PCM_16", 0.1): "WAV", encoded("AIFF", "PCM_16", 0.1): "AIFF",
            encoded("FLAC", "PCM_16", 0.1): "FLAC",
            encoded("OGG", "VORBIS", 0.2): "Ogg", encoded("MP3", "MPEG_LAYER_III", 0.5): "MP3", b"\0\0\0\x1cftypM4A ": "AAC",
            b"\xff\xf1\x50\x80\0": "AAC", b"#!AMR\n": "AMR", b"a letter": "", b"": "", b"\xff\xfbno": "",
        }.items()
    ):  # fmt: skip
        (tmp_path / str(number)).write_bytes(begin)
        assert kind_of(tmp_path / str(number)) == kind


@pytest.mark.parametrize("brand", ["heic", "heix", "mif1", "msf1", "avif", "avis", "crx "])
def test_photographs_among_recordings_are_no_sound(tmp_path, encoded, brand):
    """Guards against the pictures of a telephone that have a row, with the advice to install a package for them."""
    (tmp_path / "good.wav").write_bytes(encoded("WAV", "PCM_16", 0.5))
    (tmp_path / "IMG_0001.HEIC").write_bytes(b"\0\0\0\x1cftyp" + brand.encode() + b"\0\0\0\0mif1miaf" + bytes(5000))
    assert [file.name for file in import_corpus(tmp_path).files] == ["good.wav"]


def test_everything_that_looks_like_sound_has_a_row(tmp_path, encoded):
    """Guards against ten telephone recordings left out without a word, and other spellings of a suffix."""
    for number, name in enumerate(("a.BWF", "b.wave", "c.rf64", "d.AIF", "no suffix", "e.dat")):
        (tmp_path / name).write_bytes(encoded("AIFF" if name == "d.AIF" else "WAV", "PCM_16", 0.5, seed=number))
    (tmp_path / "voice.m4a").write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "rubbish.wav").write_bytes(b"RIFF\0\0\0\0WAVErubbish")
    (tmp_path / "odd.wma").write_bytes(b"no such thing")
    (tmp_path / ".far.wav.icloud").write_bytes(b"bplist00")
    (tmp_path / "letter.txt").write_bytes(b"not a sound")
    files = {file.name: file for file in import_corpus(tmp_path).files}
    assert {name for name, file in files.items() if file.verdict == FileVerdict.USED} == {
        "a.BWF", "b.wave", "c.rf64", "d.AIF", "no suffix", "e.dat",
    }  # fmt: skip
    others = {name: file for name, file in files.items() if file.verdict != FileVerdict.USED}
    assert set(others) == {"voice.m4a", "empty.wav", "rubbish.wav", "odd.wma", "far.wav"}
    assert len({file.reason for file in others.values()}) == 5
    assert "cloud" in others["far.wav"].reason
    for name, file in others.items():
        assert name not in file.reason
        assert "libsndfile" not in file.reason
        assert file.fix


def test_what_takes_another_package_says_which(tmp_path):
    """Guards against "file format not recognised" for what every telephone records."""
    (tmp_path / "voice.m4a").write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0")
    with pytest.raises(AudioFileError) as caught:
        probe(tmp_path / "voice.m4a")
    assert "more-formats" in caught.value.fix or "damaged" in caught.value.what
    (tmp_path / "voice.mp3").write_bytes((tmp_path / "voice.m4a").read_bytes())
    with pytest.raises(AudioFileError, match=r"AAC|damaged"):
        probe(tmp_path / "voice.mp3")


def test_aac_is_read_where_the_package_is(tmp_path, noise):
    """Guards against a wrong rate, channels that are swapped, and a file that names other files."""
    import av

    sound = noise(2.0, channels=2)
    with av.open(str(tmp_path / "a.m4a"), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    heard = read_audio(tmp_path / "a.m4a")
    assert heard.shape[0] == 2
    assert heard.shape[1] == pytest.approx(2 * RATE, abs=4_000)
    (tmp_path / "list.m4a").write_text("#EXTM3U\na.m4a\n")
    with pytest.raises(AudioFileError):
        read_audio(tmp_path / "list.m4a")


def test_a_caf_that_telephones_write_is_read_and_not_called_damaged(tmp_path, encoded, noise):
    """Guards against "It is damaged" of ALAC as other programs than libsndfile write it, and of AAC in a CAF."""
    whole = changed(encoded("CAF", "ALAC_16"), 32, bytes(4))  # no word of how many bits there were
    (tmp_path / "memo.caf").write_bytes(whole)
    if find_spec("av") is None:
        with pytest.raises(AudioFileError, match="is compressed CAF audio, which takes one more package"):
            probe(tmp_path / "memo.caf")
        return
    found = read_audio(tmp_path / "memo.caf")[0]
    # FFmpeg takes the padding of the last packet off once more than is needed.
    assert RATE - 4096 < len(found) <= RATE
    assert np.abs(found - noise(1.0)[0, : len(found)]).max() < 1e-4
    (tmp_path / "half.caf").write_bytes(whole[: len(whole) // 2])
    assert "Its header says 1 s; all" in probe(tmp_path / "half.caf").remark


def test_a_rare_encoding_is_not_called_damaged(tmp_path, encoded):
    """Guards against "damaged" of a file that is whole, in an encoding that libsndfile does not know."""
    aiff = encoded("AIFF", "ULAW")
    at = aiff.find(b"ulaw")
    (tmp_path / "old.aifc").write_bytes(changed(aiff, at, b"MAC3"))
    with pytest.raises(AudioFileError, match=r"old\.aifc holds AIFF sound encoded in a way that cannot be read"):
        probe(tmp_path / "old.aifc")
    (tmp_path / "new.caf").write_bytes(changed(encoded("CAF", "PCM_16"), 28, b"what"))
    with pytest.raises(AudioFileError, match=r"CAF sound encoded in a way that cannot be read|one more package"):
        probe(tmp_path / "new.caf")


def test_an_archive_is_to_be_unpacked(tmp_path):
    """Guards against "Export it as WAV" of a pack of samples, and "Put recordings in it" of the folder it lies in."""
    (tmp_path / "packs").mkdir()
    with zipfile.ZipFile(tmp_path / "packs" / "kicks.zip", "w") as pack:
        pack.writestr("kick.wav", b"RIFF")
    with pytest.raises(AudioFileError, match=r"kicks\.zip is an archive") as caught:
        probe(tmp_path / "packs" / "kicks.zip")
    assert "Unpack it" in caught.value.fix
    with pytest.raises(CorpusError, match=r"Nothing in .*packs can be used\. kicks\.zip: It is an archive") as missing:
        import_corpus(tmp_path / "packs")
    assert missing.value.fix.startswith("Unpack it")


def test_what_is_called_like_sound_is_told_for_what_it_is(tmp_path):
    """Guards against "Export it again as WAV" of an archive that was renamed, and of a page in place of a download."""
    with zipfile.ZipFile(tmp_path / "pack.wav", "w") as pack:
        pack.writestr("kick.wav", b"RIFF")
    (tmp_path / "stems.flac").write_bytes(b"Rar!\x1a\x07\x01\0" + bytes(99))
    for name, suffix in (("pack.wav", ".zip"), ("stems.flac", ".rar")):
        with pytest.raises(AudioFileError, match=rf"{name} is an archive despite its name") as caught:
            probe(tmp_path / name)
        assert caught.value.fix.startswith(f"Rename it to end in {suffix}, unpack it")
    (tmp_path / "pack.wav").rename(tmp_path / "sound")  # as it is sent to a server
    with pytest.raises(AudioFileError, match=r"sound is an archive, and archives are not opened"):
        probe(tmp_path / "sound")
    (tmp_path / "song.mp3").write_bytes(b"\n<!DOCTYPE HTML><title>Please log in</title>")
    with pytest.raises(AudioFileError, match=r"song.mp3 is a web page despite its name"):
        probe(tmp_path / "song.mp3")
