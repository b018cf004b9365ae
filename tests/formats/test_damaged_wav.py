"""Damaged WAV and its kin: a header that is wrong, cut off or of a kind that cannot be read."""

import struct

import pytest

from distill.errors import AudioFileError
from distill.formats.files import probe

RATE = 48_000


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
