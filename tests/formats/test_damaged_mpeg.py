"""Damaged MP3: what is whole is used, and what is lost is told with its place."""

import re

import numpy as np
import pytest

from distill.formats.files import probe, read_audio, samples_at_48k

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


@pytest.mark.parametrize("most", [None, 500])
def test_an_mp3_with_thousands_of_gaps_is_used(tmp_path, encoded, monkeypatch, most):
    """Guards against a recorded web stream that is refused as it has many small holes: what is whole is used, and all else
    is told as lost, what lies behind the last hole that is looked at, too."""
    from distill.formats import mpeg

    if most is not None:
        monkeypatch.setattr(mpeg, "_MOST_GAPS", most)
    content = mp3_of(encoded, seconds=60.0)
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


def test_a_tag_that_claims_more_than_the_file_hides_no_sound(tmp_path, encoded):
    """Guards against a length in a tag that is believed: nothing was left behind it."""
    content = mp3_of(encoded)
    (tmp_path / "a.mp3").write_bytes(content)
    (tmp_path / "b.mp3").write_bytes(b"ID3\4\0\0" + bytes([95, 47, 8, 0]) + content)
    assert probe(tmp_path / "b.mp3").frames == probe(tmp_path / "a.mp3").frames
    np.testing.assert_array_equal(read_audio(tmp_path / "b.mp3"), read_audio(tmp_path / "a.mp3"))
