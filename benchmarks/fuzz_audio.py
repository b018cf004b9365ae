"""Imports thousands of audio files that were spoilt on purpose, each in a folder of its own.

    python benchmarks/fuzz_audio.py --count 6000
    python benchmarks/fuzz_audio.py --only 1234 --keep spoilt     # one of them again, and the file itself

libsndfile reads them, and it is written in C: it may crash or hang, which is seen from outside (``cage.py``). A spoilt file
must be refused in words within a second of work and 500 MB of memory; or it is used, which may take a twentieth of its sound
more, and then it is

    consistent   as long as was counted when it was looked at, in numbers that are finite and not absurdly loud, the same when
                 it is read again
"""

import io
import os
import random
import shutil
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from cage import Attempt, Opened, open_many
from distill.errors import CorpusError
from distill.formats.files import probe, read_blocks, samples_at_48k
from distill.recordings.corpus import import_corpus

KINDS = [
    ("wav", "WAV", "PCM_16"), ("wav", "WAV", "PCM_24"), ("wav", "WAV", "FLOAT"), ("wav", "WAV", "DOUBLE"),
    ("wav", "WAV", "ULAW"), ("wav", "WAV", "IMA_ADPCM"), ("wav", "WAV", "MS_ADPCM"), ("wav", "WAVEX", "PCM_24"),
    ("wav", "RF64", "PCM_16"),
    ("aiff", "AIFF", "PCM_16"), ("aiff", "AIFF", "PCM_24"), ("aif", "AIFF", "FLOAT"), ("aif", "AIFF", "IMA_ADPCM"),
    ("flac", "FLAC", "PCM_16"), ("flac", "FLAC", "PCM_24"), ("flac", "FLAC", "PCM_S8"),
    ("ogg", "OGG", "VORBIS"), ("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS"),
    ("mp3", "MP3", "MPEG_LAYER_III"), ("mp3", "MP3", "MPEG_LAYER_III"), ("mp3", "MP3", "MPEG_LAYER_III"),
    ("w64", "W64", "PCM_16"), ("caf", "CAF", "PCM_16"), ("caf", "CAF", "ALAC_16"), ("au", "AU", "PCM_16"),
]  # fmt: skip
NUMBERS = [0, 1, 2, 3, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]
TAGS = [
    b"fmt ",
    b"data",
    b"LIST",
    b"fact",
    b"PEAK",
    b"COMM",
    b"SSND",
    b"FORM",
    b"RIFF",
    b"smpl",
    b"inst",
    b"bext",
    b"cue ",
    b"junk",
]


def bits_flipped(content: bytes, draw: random.Random) -> bytes:
    spoilt = bytearray(content)
    end = draw.choice([64, 256, len(content)])
    for _ in range(draw.choice([1, 1, 2, 8, 32])):
        spoilt[draw.randrange(min(end, len(content)))] ^= 1 << draw.randrange(8)
    return bytes(spoilt)


def a_number_in_the_header_changed(content: bytes, draw: random.Random) -> bytes:
    """Sizes, rates, channels, counts: 1, 2, 4 or 8 bytes of the header in either order, with its checksums made anew."""
    spoilt = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        width = draw.choice([1, 2, 2, 4, 4, 4, 8])
        place = draw.randrange(min(draw.choice([48, 48, 128, 400]), len(spoilt) - width))
        number = draw.choice([*NUMBERS, draw.randrange(1 << 32)]) % (1 << 8 * width)
        spoilt[place : place + width] = number.to_bytes(width, draw.choice(["little", "big"]))
    return bytes(spoilt)


def cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.choice([draw.randrange(1, 80), draw.randrange(1, len(content)), len(content) - 1])]


def a_hole(content: bytes, draw: random.Random) -> bytes:
    start, size = draw.randrange(len(content)), draw.choice([1, 16, 512, 5000])
    filling = draw.choice([b"", bytes(size), b"\xff" * size, draw.randbytes(size)])
    return content[:start] + filling + content[start + size :]


def a_piece_twice(content: bytes, draw: random.Random) -> bytes:
    start, size = draw.randrange(draw.choice([40, len(content)])), draw.choice([8, 26, 200, 4000])
    return (
        content[: start + size]
        + content[start : start + size] * draw.choice([1, 1, 50, 2000])
        + content[start + size :]
    )


def a_chunk_put_in(content: bytes, draw: random.Random) -> bytes:
    place = draw.choice([12, 36, draw.randrange(len(content)), len(content)])
    size = draw.choice([*NUMBERS, 1000])
    chunk = draw.choice(TAGS) + struct.pack(draw.choice("<>") + "I", size) + draw.randbytes(draw.choice([0, 4, 1000]))
    return content[:place] + chunk + content[place:]


def a_tag_before_it(content: bytes, draw: random.Random) -> bytes:
    size = draw.choice([0, 10, 1000, 2**28 - 1, draw.randrange(2**28)])
    packed = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    body = bytes(min(size, 4000)) if draw.random() < 0.5 else draw.randbytes(300)
    return b"ID3" + bytes([draw.randrange(6), draw.randrange(3), draw.randrange(256)]) + packed + body + content


def a_length_of_hours(content: bytes, draw: random.Random) -> bytes:
    """Where a format keeps its number of frames or bytes there is a huge one."""
    spoilt = bytearray(content)
    huge = draw.choice([0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 2**28, 10**8])
    for tag, skip, order in [(b"data", 4, "<"), (b"RIFF", 4, "<"), (b"fact", 8, "<"), (b"COMM", 10, ">"), (b"SSND", 4, ">"),
                             (b"FORM", 4, ">"), (b"fLaC", 18, ">"), (b"Xing", 8, ">"), (b"Info", 8, ">"), (b".snd", 8, ">"),
                             (b"ds64", 16, "<"), (b"ds64", 28, "<")]:  # fmt: skip
        place = spoilt.find(tag) + skip
        if place >= skip and place + 4 <= len(spoilt) and draw.random() < 0.7:
            spoilt[place : place + 4] = struct.pack(order + "I", huge)
    return bytes(spoilt)


def rubbish(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.choice([4, 12, 60, 200])] + draw.randbytes(draw.choice([0, 100, 5000]))


SPOILERS: list[Callable[[bytes, random.Random], bytes]] = [
    bits_flipped, a_number_in_the_header_changed, a_number_in_the_header_changed, a_number_in_the_header_changed, cut, a_hole,
    a_piece_twice, a_chunk_put_in, a_tag_before_it, a_length_of_hours, rubbish,
]  # fmt: skip


def with_checksums(content: bytes) -> bytes:
    """Gives every Ogg page its right checksum again; without it the library would not look any further."""
    spoilt = bytearray(content)
    place = 0
    while (place := spoilt.find(b"OggS", place)) >= 0 and place + 27 <= len(spoilt):
        count = spoilt[place + 26]
        stop = min(place + 27 + count + sum(spoilt[place + 27 : place + 27 + count]), len(spoilt))
        spoilt[place + 22 : place + 26] = bytes(4)
        spoilt[place + 22 : place + 26] = struct.pack("<I", _checksum(spoilt[place:stop]))
        place += 27
    return bytes(spoilt)


def _checksum(page: bytes | bytearray) -> int:
    register = 0
    for byte in page:
        register = (register << 8 & 0xFFFFFFFF) ^ _TABLE[register >> 24 ^ byte]
    return register


def _row(byte: int) -> int:
    register = byte << 24
    for _ in range(8):
        register = (register << 1 ^ (0x04C11DB7 if register & 0x80000000 else 0)) & 0xFFFFFFFF
    return register


_TABLE = [_row(byte) for byte in range(256)]


def whole_file(format: str, subtype: str) -> bytes:  # noqa: A002
    """A fifth of a second of noise, in stereo; 48 kHz, as Opus wants it."""
    written = io.BytesIO()
    sound = 0.3 * np.random.default_rng(0).standard_normal((9600, 2)).clip(-3, 3)
    soundfile.write(written, sound, 48_000, subtype, format=format)
    return written.getvalue()


def prepared(given: tuple[int, str, str | None]) -> Attempt:
    """In the child: the files that are spoilt, and the way to spoil number n of them."""
    return attempt_on([(suffix, whole_file(*kind)) for suffix, *kind in KINDS], SPOILERS, given)


def attempt_on(
    wholes: Sequence[tuple[str, bytes]],
    spoilers: Sequence[Callable[[bytes, random.Random], bytes]],
    given: tuple[int, str, str | None],
) -> Attempt:
    """The same for any files, each with its suffix, and any ways."""
    seed, folder, keep = given
    home, place = Path(folder) / "home", Path(folder) / "spoilt"
    os.environ["DISTILL_HOME"] = str(home)
    place.mkdir(exist_ok=True)
    for suffix, content in wholes:  # each once, so that what is loaded only now does not look like memory later
        path = place / f"a.{suffix}"
        path.write_bytes(content)
        import_corpus(place)
        path.unlink()

    def attempt(number: int) -> tuple[str, Callable[[], Opened], Callable[[], str]]:
        draw = random.Random(f"{seed}:{number}")
        suffix, whole = draw.choice(wholes)
        spoil = draw.choice(spoilers)
        content = spoil(whole, draw)
        if suffix in {"ogg", "opus"} and draw.random() < 0.7:
            content = with_checksums(content)
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
        place.mkdir()
        path = place / f"a.{suffix if draw.random() < 0.95 else draw.choice(wholes)[0]}"
        path.write_bytes(content)
        if keep is not None:
            Path(keep).with_suffix(path.suffix).write_bytes(content)

        def opening() -> Opened:
            try:
                corpus = import_corpus(place)
            except CorpusError as error:
                words = error.what.partition(f"{path.name} ")[2] or error.what.partition(f"{path.name}: ")[2]
                return "refused", words, 0.0
            return "consistent", corpus.files[0].reason, corpus.files[0].seconds

        def proof() -> str:
            # Block by block: minutes of sound, held whole and twice, would count as memory that Distill takes.
            wanted, length, loudest = samples_at_48k(probe(path)), 0, 0.0
            for once, again in zip(read_blocks(path), read_blocks(path), strict=True):
                if once.shape[0] not in (1, 2):
                    return f"it has the shape {once.shape}"
                if not np.array_equal(once, again):
                    return "read again it is another"
                length, loudest = length + once.shape[1], max(loudest, np.abs(once).max())
            if length != wanted:
                return f"{wanted} samples were counted, and {length} read"
            return "" if loudest < 1000 else f"its loudest sample is {loudest}"

        return f"{suffix}: {spoil.__name__.replace('_', ' ')}", opening, proof

    return attempt


if __name__ == "__main__":
    sys.exit(open_many(prepared, str(__doc__), 6_000, writes=True))
