"""Writing audio: 48 kHz, whole or not at all, the same bytes for the same sound."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from distill.audio.rate import SAMPLE_RATE
from distill.audio.rounding import rounded
from distill.errors import DistillError, OutputError, SettingError
from distill.files.atomic import written_aside
from distill.files.regular import is_folder, native
from distill.formats.ogg_pages import page_with
from distill.formats.suffixes import MEDIA
from distill.formats.tags import normalised, tag_mp3, tag_wav

_SUBTYPES = {
    ("wav", 16): "PCM_16",
    ("wav", 24): "PCM_24",
    ("wav", 32): "FLOAT",
    ("flac", 16): "PCM_16",
    ("flac", 24): "PCM_24",
    # Lossy formats have no bit depth: both depths are accepted, so that a default fits every format.
    ("ogg", 16): "VORBIS",
    ("ogg", 24): "VORBIS",
    ("mp3", 16): "MPEG_LAYER_III",
    ("mp3", 24): "MPEG_LAYER_III",
}
_TAGS = ("title", "comment", "software")
_WAV_LIMIT = 2**32 - 2**16  # bytes: a WAV header counts with 32 bits


def check_output_format(format: str, bit_depth: int) -> None:  # noqa: A002
    """Raises SettingError for a format or a bit depth that cannot be written."""
    if format not in MEDIA:
        raise SettingError(f"'{format}' is not a format that can be written.", f"Choose one of {', '.join(MEDIA)}.")
    if (format, bit_depth) not in _SUBTYPES:
        depths = [depth for name, depth in _SUBTYPES if name == format]
        raise SettingError(
            f"{format} with {bit_depth} bits cannot be written.",
            f"Choose {' or '.join(map(str, depths))} bits" + ("." if format == "wav" else ", or wav for 32 bits."),
        )


def write_audio(
    path: Path,
    blocks: Iterable[np.ndarray] | np.ndarray,
    *,
    format: str = "wav",  # noqa: A002
    bit_depth: int = 24,
    channels: int,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Writes float blocks ``[channels, n]`` at 48 kHz to ``path``: the whole file, or none.

    ``blocks`` is one array or a stream of them. 32 bits means a float WAV, which keeps values beyond ±1; all other
    formats clip there. 16 and 24 bits hold the nearest numbers, without dither. ``tags`` may hold title, comment and
    software. Equal sound gives equal bytes, in every format. Nothing half-written stays behind.

    Raises:
        OutputError: if the file cannot be written.
        SettingError: if there is no such format, or not of that depth.
        ValueError: for other tags.
    """
    check_output_format(format, bit_depth)
    path = Path(path)
    unknown = sorted(set(tags or {}) - set(_TAGS))
    if unknown:
        raise ValueError(f"Tags that cannot be written: {', '.join(unknown)}.")
    if is_folder(path):
        raise OutputError(f"{path} is a folder, so no file can be written there.", "Give the name of a file.")
    tags = normalised(tags or {})
    stream = iter((blocks,)) if isinstance(blocks, np.ndarray) else iter(blocks)
    with written_aside(path) as aside:
        written = _write_stream(aside, path, stream, format, bit_depth, channels, {} if format == "mp3" else tags)
        with _as_os_errors(aside):
            if soundfile.info(native(aside)).frames < written:
                raise OSError(errno.EIO, "not everything arrived on the disk")
        if format == "ogg":
            _fix_ogg_serial(aside)
        elif (format, bit_depth) == ("wav", 32):
            _fix_wav_timestamp(aside)
        if tags and format == "mp3":
            tag_mp3(aside, tags)
        elif tags and format == "wav":
            tag_wav(aside, tags)
    return path


def _write_stream(
    aside: Path,
    path: Path,
    stream: Iterator[np.ndarray],
    format: str,  # noqa: A002
    bit_depth: int,
    channels: int,
    tags: Mapping[str, str],
) -> int:
    """Frames written. What the stream itself raises passes through as it is."""
    written = 0
    with _as_os_errors(aside):
        subtype = _SUBTYPES[format, bit_depth]
        file = soundfile.SoundFile(native(aside), "w", SAMPLE_RATE, channels, subtype, format=format.upper())
    try:
        for name, text in tags.items():
            setattr(file, name, text)
        for block in stream:
            if block.ndim != 2 or block.shape[0] != channels:
                raise ValueError(f"A block of shape {block.shape} came where [{channels}, n] is needed.")
            if not np.isfinite(block).all():
                raise DistillError(
                    f"The sound to be written to {path.name} holds samples that are not numbers.",
                    "Make it again with another seed; if that happens again, train the model again.",
                )
            frames = _as_stored(block.T, subtype)
            # libsndfile's Vorbis writer keeps a whole call on its stack: long calls can crash it.
            for start in range(0, len(frames), SAMPLE_RATE):
                piece = np.ascontiguousarray(frames[start : start + SAMPLE_RATE])
                with _as_os_errors(aside):
                    file.write(piece)
                written += len(piece)
            if format == "wav" and written * channels * bit_depth // 8 > _WAV_LIMIT:
                raise OutputError(
                    f"{path.name} would grow beyond 4 GiB, the most a WAV file can hold.",
                    "Write FLAC instead.",
                )
    finally:
        with _as_os_errors(aside):
            file.close()
    return written


def _as_stored(frames: np.ndarray, subtype: str) -> np.ndarray:
    """Frames ``[n, C]`` as they are handed to libsndfile."""
    if subtype in ("PCM_16", "PCM_24"):
        return rounded(frames, int(subtype[-2:]))
    return (frames if subtype == "FLOAT" else np.clip(frames, -1.0, 1.0)).astype(np.float32)


@contextmanager
def _as_os_errors(path: Path) -> Iterator[None]:
    """libsndfile does not hand on the system's reason for refusing, so the disk itself is asked."""
    try:
        yield
    # soundfile asserts that everything was written.
    except (soundfile.LibsndfileError, AssertionError) as error:
        full = shutil.disk_usage(path.parent).free < 2**20
        raise OSError(errno.ENOSPC if full else errno.EIO, "the machine refused to write it") from error


def _fix_ogg_serial(path: Path) -> None:
    """Gives every Ogg page serial number 0: libsndfile draws one from the clock."""
    with path.open("r+b") as file:
        while head := file.read(27):
            if len(head) < 27 or head[:4] != b"OggS":
                raise OSError(errno.EIO, "the written Ogg pages are not whole")
            sizes = file.read(head[26])
            body = file.read(sum(sizes))
            page = page_with(head[:26], sizes, body, serial=0)
            file.seek(-len(page), os.SEEK_CUR)
            file.write(page)
            file.seek(0, os.SEEK_CUR)  # a read may follow a write only after a seek


def _fix_wav_timestamp(path: Path) -> None:
    """Clears the time of writing that libsndfile puts into a float WAV's PEAK chunk."""
    with path.open("r+b") as file:
        place = file.read(4096).find(b"PEAK")
        if place >= 0:
            file.seek(place + 12)
            file.write(bytes(4))
