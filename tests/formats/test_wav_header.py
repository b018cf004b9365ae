"""The beginning of a WAV file is the one that libsndfile writes."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from distill.audio.rate import SAMPLE_RATE
from distill.formats.wav_header import form_of, wav_header
from distill.formats.writing import write_audio


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_header_is_that_of_a_file_on_disk(tmp_path: Path, channels: int, bits: int) -> None:
    """Guards against a size that forgets the byte behind an odd number of them: of 24 bits, in mono."""
    written = write_audio(tmp_path / "a.wav", np.zeros((channels, 101)), bit_depth=bits, channels=channels)
    header = wav_header(form_of(channels, SAMPLE_RATE, bits), 101 * channels * bits // 8)
    assert written.read_bytes().startswith(header)
    assert len(header) == 44


def test_floats_are_read_as_they_were() -> None:
    audio = np.array([[0.5, -1.5, 0.25], [1e-9, 0.0, 3.0]], np.float32)
    samples = audio.T.astype("<f4").tobytes()
    read, rate = soundfile.read(
        io.BytesIO(wav_header(form_of(2, 44100, 32), len(samples)) + samples), dtype="float32", always_2d=True
    )
    assert rate == 44100
    assert np.array_equal(read.T, audio)


def test_what_32_bits_cannot_count_is_counted_in_64() -> None:
    held = 5 * 2**30
    header = wav_header(form_of(2, SAMPLE_RATE, 24), held)
    assert header[:4] == b"RF64"
    assert header[12:16] == b"ds64"
    assert int.from_bytes(header[20:28], "little") == len(header) - 8 + held
    assert int.from_bytes(header[28:36], "little") == held
    assert header.endswith(b"data\xff\xff\xff\xff")
