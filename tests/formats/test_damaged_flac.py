"""Damaged FLAC: what is whole is used, what is lost is told with its place, and sound that was changed is told of."""

import io
import re
import struct

import numpy as np
import pytest
import soundfile

from distill.durations import duration
from distill.errors import AudioFileError
from distill.formats.files import probe, read_audio
from distill.formats.flac_frames import frames_begin_at
from distill.recordings.checksum import CHANGED, remark_on
from distill.recordings.corpus import import_corpus

RATE = 48_000


def test_a_tag_before_a_flac_hides_no_wrong_length(tmp_path, encoded, noise):
    """Guards against half the sound, without a word, as the length behind a tag was believed."""
    flac = bytearray(encoded("FLAC", "PCM_16", 2.0))
    flac[22:26] = struct.pack(">I", RATE)
    (tmp_path / "a.flac").write_bytes(b"ID3\3\0\0\0\0\0\x0a" + bytes(10) + flac)
    np.testing.assert_allclose(read_audio(tmp_path / "a.flac"), noise(2.0), atol=1e-4)
    assert probe(tmp_path / "a.flac").remark == "Its header says 1 s; all 2 s that are in it are used."


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


@pytest.mark.parametrize("bits", [12, 20, 32])
def test_a_flac_of_rare_samples_is_not_called_damaged(tmp_path, bits):
    """Guards against a sound recording that a person copies again and again: libsndfile has no such samples."""
    head = (RATE << 44 | (bits - 1) << 36 | RATE).to_bytes(8, "big")
    flac = b"fLaC\x80\0\0\x22" + struct.pack(">HH", 4096, 4096) + bytes(6) + head + bytes(16 + 500)
    for content in (flac, b"ID3\3\0\0\0\0\0\x0a" + bytes(10) + flac):
        (tmp_path / "a.flac").write_bytes(content)
        with pytest.raises(
            AudioFileError, match=rf"encoded in a way that cannot be read \(samples of {bits} bits\)"
        ) as one:
            probe(tmp_path / "a.flac")
        assert "16 or 24 bits" in one.value.fix


@pytest.mark.parametrize("blank", [slice(8, None), slice(8, 200)])
def test_a_flac_whose_header_is_damaged_is_not_said_to_have_rare_samples(tmp_path, encoded, blank):
    """Guards against "samples of 1 bits" for a header of zeros."""
    whole = bytearray(encoded("FLAC", "PCM_16", seconds=0.2))
    whole[blank] = bytes(len(whole[blank]))
    whole[len(whole) // 2 :] = b""
    (tmp_path / "a.flac").write_bytes(whole)
    with pytest.raises(AudioFileError, match="is damaged"):
        probe(tmp_path / "a.flac")


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
