"""Tags are read back by another reader."""

import struct

import numpy as np
import pytest
import soundfile

from distill.formats.files import read_audio
from distill.formats.writing import write_audio

TITLE = "Träume हिन्दी 日本"


def _id3_texts(data: bytes) -> dict[bytes, str]:
    """The text frames of an ID3v2.3 tag, by its specification."""
    assert data[:5] == b"ID3\3\0"
    end = 10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9])
    found, at = {}, 10
    while at < end:
        name, size = data[at : at + 4], struct.unpack(">I", data[at + 4 : at + 8])[0]
        assert data[at + 10] == 1
        found[name] = data[at + 11 + (7 if name == b"COMM" else 0) : at + 10 + size].decode("utf-16")
        at += 10 + size
    return found


@pytest.mark.parametrize(
    ("form", "depth"), [("wav", 16), ("wav", 24), ("wav", 32), ("flac", 24), ("ogg", 24), ("mp3", 24)]
)
def test_tags_in_every_format_and_script(tmp_path, noise, form, depth):
    """Guards against TrÃ¤ume in MP3 files and nothing in WAV files, as other programs read them."""
    tags = {"title": TITLE.replace("ä", "a\u0308"), "comment": "made: ü", "software": "distill"}
    sound = noise(1.0)
    path = write_audio(tmp_path / f"a.{form}", sound, format=form, bit_depth=depth, channels=1, tags=tags)
    content = path.read_bytes()
    assert read_audio(path).shape == sound.shape
    if form in ("mp3", "wav"):
        at = 0 if form == "mp3" else content.find(b"id3 ") + 8
        texts = _id3_texts(content[at:])
        assert texts[b"TIT2"] == TITLE
        assert texts[b"COMM"] == "made: ü"
    else:
        assert TITLE.encode() in content
    if form == "wav":
        assert struct.unpack("<I", content[4:8])[0] == len(content) - 8
        np.testing.assert_allclose(read_audio(path), sound, atol=1e-4)
        with soundfile.SoundFile(path) as file:
            assert file.title == TITLE


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3"])
def test_another_reader_agrees(tmp_path, noise, form):
    """Guards against a specification read wrong: FFmpeg reads the same."""
    import av

    path = write_audio(tmp_path / f"a.{form}", noise(1.0), format=form, channels=1, tags={"title": TITLE})
    with av.open(str(path)) as file:
        tags = {**file.metadata, **file.streams.audio[0].metadata}
    assert TITLE in (tags.get("title"), tags.get("TITLE"))
