"""M4A files out of which bytes are missing: what is certain is used, and nothing else."""

import re
from fractions import Fraction

import numpy as np
import pytest

from distill.errors import AudioFileError
from distill.formats.files import probe, read_audio

RATE = 48_000
FRAME = {"aac": 1024, "alac": 4096}


def write(path, sound, codec, options=None):
    """Writes float32 ``[1, N]``; returns the bytes."""
    import av

    with av.open(str(path), "w", format="ipod" if codec != "pcm_s16le" else "mov", options=options or {}) as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        if codec == "aac":  # without noise that the decoder draws, and draws anew behind a gap
            stream.codec_context.options = {"aac_pns": "0"}
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        wide = av.AudioResampler(
            format=stream.codec_context.format.name,
            layout="mono",
            rate=RATE,
            frame_size=stream.codec_context.frame_size or 4096,
        )
        for piece in (*wide.resample(frame), *wide.resample(None)):
            for packet in stream.encode(piece):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize("codec", ["aac", "alac"])
@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}])
@pytest.mark.parametrize("missing", [1, 700, 9000])
def test_what_is_whole_before_and_behind_missing_bytes_is_used(tmp_path, melody, codec, options, missing):
    """Guards against a telephone's recording of an hour refused for one byte, and against noise behind the place."""
    path = tmp_path / "a.m4a"
    whole = write(path, melody(12.0, 1), codec, options)
    played = read_audio(path)[0]
    at = int(0.4 * len(whole))
    path.write_bytes(whole[:at] + whole[at + missing :])
    info = probe(path)
    told = re.fullmatch(
        r"It is damaged at ([0-9.]+) s: about ([0-9.]+) s are lost there; the other .* s are used.", info.remark
    )
    assert told, info.remark
    lost = round(float(told[2]) * RATE)
    expected = missing * 12 * RATE / len(whole)
    assert lost == pytest.approx(12 * RATE - info.frames, abs=0.06 * RATE)
    assert expected - FRAME[codec] <= lost <= expected + 8 * FRAME[codec], "at most some frames more than there were"
    heard = read_audio(path)[0]
    assert len(heard) == info.frames
    end = len(played) - len(heard)
    same_before = np.flatnonzero(np.abs(heard - played[: len(heard)]) > 1e-3)
    same_behind = np.flatnonzero(np.abs(heard - played[end:]) > 1e-3)
    # Only where the one goes over into the other is there anything else: a frame of AAC overlaps with the next.
    assert same_behind[-1] - same_before[0] <= 2 * FRAME[codec]


@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}])
def test_half_of_a_file_is_no_gap(tmp_path, melody, options):
    """Guards against the end of a download that broke off taken for what comes behind a gap."""
    path = tmp_path / "a.m4a"
    whole = write(path, melody(6.0, 1), "aac", options)
    path.write_bytes(whole[: len(whole) // 2])
    if not options:
        with pytest.raises(AudioFileError, match="the table of its sound, which is often at its end, is missing"):
            probe(path)
        return
    assert "damaged" not in probe(path).remark
    assert probe(path).seconds == pytest.approx(2.8, abs=0.4)


def test_where_nothing_is_certain_the_file_is_refused(tmp_path, melody):
    """Guards against noise: samples that are not packed can be decoded wherever one begins, so the place is not found."""
    path = tmp_path / "a.mov"
    whole = write(path, melody(3.0, 1), "pcm_s16le")
    assert probe(path).frames == 3 * RATE
    path.write_bytes(whole[:100_000] + whole[100_001:])
    with pytest.raises(AudioFileError, match="is missing or not in its place"):
        probe(path)
