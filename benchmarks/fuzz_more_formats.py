"""The same as ``fuzz_audio.py`` for what PyAV reads: AAC and ALAC as telephones record them, bare AAC, WavPack and others.

    python benchmarks/fuzz_more_formats.py --count 3000
    python benchmarks/fuzz_more_formats.py --only 1234 --keep spoilt     # one of them again, and the file itself

FFmpeg reads them, which like libsndfile is written in C. What counts as right is the same.
"""

import io
import random
import struct
import sys

import av
import numpy as np

from cage import Attempt, open_many
from fuzz_audio import NUMBERS, SPOILERS, attempt_on

KINDS = [
    ("m4a", "ipod", "aac", "fltp"), ("m4a", "ipod", "aac", "fltp"), ("m4a", "ipod", "alac", "s16p"),
    ("mp4", "mp4", "aac", "fltp"), ("mov", "mov", "pcm_s16le", "s16"), ("aac", "adts", "aac", "fltp"),
    ("wv", "wv", "wavpack", "s16p"), ("tta", "tta", "tta", "s16"), ("wma", "asf", "wmav2", "fltp"),
    ("mka", "matroska", "aac", "fltp"), ("caf", "caf", "adpcm_ima_qt", "s16p"),
]  # fmt: skip
"""A suffix, FFmpeg's names of the container and of the codec, and how the codec takes its samples."""
BOXES = [
    b"ftyp", b"moov", b"mvhd", b"trak", b"tkhd", b"edts", b"elst", b"mdia", b"mdhd", b"hdlr", b"minf", b"stbl", b"stsd",
    b"mp4a", b"esds", b"alac", b"stts", b"stsc", b"stsz", b"stco", b"co64", b"udta", b"meta", b"mdat", b"free",
]  # fmt: skip
"""What MPEG-4 files are made of (ISO 14496-12)."""


def a_number_in_a_box_changed(content: bytes, draw: random.Random) -> bytes:
    """Sizes, counts and places in the tables: four bytes in or before a box; any other file gets the number anywhere."""
    spoilt = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 4])):
        at = spoilt.find(draw.choice(BOXES))
        place = max(0, at + draw.choice([-4, 4, 8, 12, 16, 20, 24])) if at >= 0 else draw.randrange(len(spoilt))
        spoilt[place : place + 4] = struct.pack(">I", draw.choice([*NUMBERS, draw.randrange(1 << 32)]))
    return bytes(spoilt)


def boxes_in_another_order(content: bytes, draw: random.Random) -> bytes:
    """The boxes of the file itself shuffled, one perhaps left out or there twice; any other file is joined to itself."""
    boxes, at = [], 0
    while at + 8 <= len(content) and 8 <= (size := int.from_bytes(content[at : at + 4], "big")) <= len(content) - at:
        boxes.append(content[at : at + size])
        at += size
    if not boxes:
        return content + content
    return b"".join(draw.choices(boxes, k=len(boxes) + draw.randrange(2))) + content[at:]


WAYS = [*SPOILERS, a_number_in_a_box_changed, a_number_in_a_box_changed, boxes_in_another_order]


def whole_file(container: str, codec: str, packing: str) -> bytes:
    """A fifth of a second of noise, in stereo."""
    written = io.BytesIO()
    sound = 0.3 * np.random.default_rng(0).standard_normal((2, 9600)).clip(-3, 3)
    with av.open(written, "w", format=container) as file:
        stream = file.add_stream(codec, rate=48_000, layout="stereo")
        stream.codec_context.format = packing
        stream.bit_rate = 128_000
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(sound.astype(np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 48_000
        resampler = av.AudioResampler(packing, "stereo", 48_000, stream.codec_context.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return written.getvalue()


def prepared(given: tuple[int, str, str | None]) -> Attempt:
    """In the child: the files that are spoilt, and the way to spoil number n of them."""
    return attempt_on([(suffix, whole_file(*kind)) for suffix, *kind in KINDS], WAYS, given)


if __name__ == "__main__":
    sys.exit(open_many(prepared, str(__doc__), 3_000, writes=True))
