"""Damaged Ogg: what is whole is used, and what is lost is told with its place."""

import re
import struct

import numpy as np
import pytest

from distill.errors import AudioFileError
from distill.formats.containers import spliced
from distill.formats.files import probe, read_audio, samples_at_48k
from distill.formats.ogg_pages import page_with

RATE = 48_000


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


@pytest.mark.parametrize("between", [b"", b"?"])
def test_pages_of_a_header_times_holes_in_the_sound_take_no_memory(tmp_path, between):
    """Guards against an Ogg of a megabyte that takes 20 GB: each stretch of sound was read behind every page of the header."""
    most, pages, holes = 50_000, 400, 400
    described = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 1, 44_100, 0, 0, 0, 0xB8, 1)
    header = [_page(0, described, flags=2) + _page(1, b"\1", b"\2"), *(_page(2 + number) for number in range(pages))]
    sound = [_page(pages + 3 + 2 * number, b"\0", granule=1000 * (number + 1)) for number in range(holes)]
    (tmp_path / "a.ogg").write_bytes(between.join(header) + b"".join(sound))
    parts, links = spliced(tmp_path / "a.ogg")
    parts[0].close()
    assert sum(map(len, links.parts)) < most
    assert (len(links.parts) == holes) == (not between)


def _page(number, *packets, flags=0, granule=0):
    head = struct.pack("<4sBBq4sII", b"OggS", 0, flags, granule, b"take", number, 0)
    return page_with(head, bytes(map(len, packets)), b"".join(packets))
