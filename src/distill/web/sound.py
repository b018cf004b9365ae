"""Sounds for the page: what a browser can play, pictures of it, and passages. Reads in blocks, whatever the length.

What a browser may not be able to play (AIFF, 32 bits, a video's sound) is written once as 16-bit FLAC into ``home()/web``.
Pictures lie there too. What nobody has asked for the longest goes when it becomes too much.
"""

import base64
import io
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from distill.audio.mixing import mono
from distill.audio.rate import SAMPLE_RATE
from distill.audio.rounding import rounded
from distill.files.atomic import make_folder, write_json
from distill.files.home import home
from distill.files.regular import absolute, native
from distill.files.remade import make_room, used_now
from distill.formats.files import probe, read_blocks
from distill.formats.suffixes import MEDIA
from distill.formats.writing import write_audio
from distill.report.sound import mel_picture

PLAYABLE = {f".{kind}": media for kind, media in MEDIA.items()}
_PLAIN = {"PCM_16", "PCM_24", "PCM_U8"}
COLUMNS = 800
PICTURED_SECONDS = 120.0
"""A spectrogram is drawn of the beginning; the waveform of all of it."""
MOST_BYTES = 2 * 2**30
"""What is kept for the page in all."""
_DEPTH_DB = 80.0


@dataclass(frozen=True)
class Picture:
    """How a sound looks: arrays as base64 of bytes, row by row."""

    seconds: float
    channels: int
    columns: int
    peaks: str
    """``[2, columns]`` int8: the lowest and the highest sample in each column, 127 is the loudest of all."""
    loudest: float
    """1 is full scale."""
    bands: int
    """0 where only the waveform was asked for."""
    mel: str
    """``[bands, mel_columns]`` uint8: 255 is the loudest, 0 is 80 dB below; the lowest band first."""
    mel_columns: int
    mel_seconds: float


def playable(path: Path) -> tuple[Path, str]:
    """A file with this sound that a browser plays, and its media type.

    Raises:
        AudioFileError: if it cannot be read.
    """
    kind = path.suffix.lower()
    if kind in PLAYABLE and (kind != ".wav" or _is_plain(path)):
        return path, PLAYABLE[kind]
    return kept(f"{_stamp(path)}.flac", lambda place: _write(path, place, "flac", 16)), PLAYABLE[".flac"]


def converted(path: Path, kind: str) -> Path:
    """The same sound in another format, kept for the next time.

    Raises:
        AudioFileError: if it cannot be read.
    """
    return kept(f"{_stamp(path)}-as.{kind}", lambda place: _write(path, place, kind, 24))


def _write(path: Path, place: Path, kind: str, bit_depth: int) -> None:
    info = probe(path)
    write_audio(place, read_blocks(info), format=kind, bit_depth=bit_depth, channels=info.channels)


def picture(path: Path, *, with_mel: bool = True) -> Picture:
    """Waveform and spectrogram of a sound, kept for the next time.

    Raises:
        AudioFileError: if it cannot be read.
    """
    note = _cache() / f"{_stamp(path)}{'-spectrogram' if with_mel else ''}.json"
    try:
        found = Picture(**json.loads(note.read_bytes()))
    except (OSError, ValueError, TypeError):  # not drawn yet, or by another version
        found = _draw(path, with_mel)
        write_json(note, asdict(found))
        _make_room_for(note)
    else:
        used_now(note)
    return found


def passage(path: Path, begin: float, seconds: float) -> bytes:
    """A passage as a 16-bit WAV file, faded at its ends so that it does not click; short where the sound ends.

    Raises:
        AudioFileError: if it cannot be read.
    """
    first, wanted = max(0, round(begin * SAMPLE_RATE)), round(seconds * SAMPLE_RATE)
    parts: list[npt.NDArray[np.float32]] = []
    done = 0
    for block in read_blocks(path):
        parts.append(block[:2, max(0, first - done) : max(0, first + wanted - done)])
        done += block.shape[1]
        if done >= first + wanted:
            break
    sound = np.concatenate(parts, axis=1) if parts else np.zeros((1, 0), np.float32)
    fade = min(480, sound.shape[1] // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        sound = sound.copy()
        sound[:, :fade] *= ramp
        sound[:, -fade:] *= ramp[::-1]
    buffer = io.BytesIO()
    soundfile.write(buffer, rounded(sound.T, 16), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def loudness_db(path: Path) -> float:
    """The level (RMS, dBFS) of a sound's 400 ms blocks that are not much softer than the rest, after ITU-R BS.1770's gating.

    Without its frequency weighting: it serves to hear two versions of one sound equally loud.
    """
    # The mean of both sides: a single channel is played on either.
    powers = [float(np.square(block, dtype=np.float64).mean()) for block in _blocks(path)]
    loud = [power for power in powers if power > 1e-7]
    if not loud:
        return -math.inf
    gate = np.mean(loud) / 10
    return 10 * math.log10(float(np.mean([power for power in loud if power >= gate])))


def kept(name: str, write: Callable[[Path], object]) -> Path:
    """A file that the page keeps, written if it is not there yet."""
    place = _cache() / name
    if place.exists():
        used_now(place)
    else:
        write(place)
        _make_room_for(place)
    return place


def _draw(path: Path, with_mel: bool) -> Picture:
    info = probe(path)
    samples = max(1, round(info.seconds * SAMPLE_RATE))
    lows, highs = np.zeros(COLUMNS, np.float32), np.zeros(COLUMNS, np.float32)
    heard: list[npt.NDArray[np.float32]] = []
    done = 0
    for block in read_blocks(info):
        columns = np.minimum((np.arange(done, done + block.shape[1]) * COLUMNS) // samples, COLUMNS - 1)
        starts = np.flatnonzero(np.diff(columns, prepend=-1))
        here = columns[starts]
        lows[here] = np.minimum(lows[here], np.minimum.reduceat(block.min(axis=0), starts))
        highs[here] = np.maximum(highs[here], np.maximum.reduceat(block.max(axis=0), starts))
        if with_mel and done < PICTURED_SECONDS * SAMPLE_RATE:
            heard.append(block)
        done += block.shape[1]
    extremes = np.stack([lows, highs])
    loudest = float(np.abs(extremes).max())
    peaks = np.round(extremes * (127 / loudest) if loudest else extremes).astype(np.int8)
    sound = mono(np.concatenate(heard, axis=1))[:, : int(PICTURED_SECONDS * SAMPLE_RATE)] if with_mel and done else None
    if sound is not None and loudest:  # or the ground of what is soft were as bright as its sound
        sound = sound / np.float32(loudest)
    mel = np.zeros((0, 0), np.uint8) if sound is None else _mel_of(sound)
    return Picture(
        seconds=info.seconds,
        channels=info.channels,
        columns=COLUMNS,
        peaks=_text(peaks.tobytes()),
        loudest=loudest,
        bands=mel.shape[0],
        mel=_text(mel.tobytes()),
        mel_columns=mel.shape[1],
        mel_seconds=0.0 if sound is None else sound.shape[1] / SAMPLE_RATE,
    )


def _mel_of(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The log-mel of a sound ``[1, N]``: ``[bands, columns]``, 255 the loudest."""
    decibels = mel_picture(sound, sound.shape[1], COLUMNS).decibels
    depth = np.clip((decibels - decibels.max()) / _DEPTH_DB + 1, 0, 1)
    depth = depth.reshape(-1, 2, depth.shape[1]).max(axis=1)  # half of the bands are as many as a picture is high
    return np.round(depth * 255).astype(np.uint8)


def _blocks(path: Path) -> Iterator[npt.NDArray[np.float32]]:
    """The sound in blocks of 400 ms, the last one shorter."""
    samples = SAMPLE_RATE * 2 // 5
    left: npt.NDArray[np.float32] | None = None
    for block in read_blocks(path):
        left = block if left is None else np.concatenate([left, block], axis=1)
        while left.shape[1] >= samples:
            yield left[:, :samples]
            left = left[:, samples:]
    if left is not None and left.shape[1]:
        yield left


def _is_plain(path: Path) -> bool:
    try:
        info = soundfile.info(native(path))
        return info.subtype in _PLAIN and info.channels <= 2  # more are heard as they are learned from
    except soundfile.LibsndfileError:
        return False


def _stamp(path: Path) -> str:
    state = path.stat()
    return sha256(os.fsencode(f"{absolute(path)}\n{state.st_size}\n{state.st_mtime_ns}")).hexdigest()[:32]


def _make_room_for(place: Path) -> None:
    make_room(place.parent.iterdir(), MOST_BYTES, lambda file: file == place)


def _cache() -> Path:
    return make_folder(home() / "web")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
