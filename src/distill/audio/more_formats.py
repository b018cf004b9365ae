"""Formats that libsndfile does not read (AAC as phones record it, WMA, …), through PyAV where it is installed.

Imported only when such a file is met. Only the file itself is handed over, never its name, and only with the one format
that its content shows: FFmpeg would follow playlists otherwise, to other files and to the network.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from distill.durations import duration
from distill.errors import AudioFileError
from distill.files.regular import open_regular

EXTRA = "pip install 'distill-audio[more-formats]'"
FORMATS = {
    "AAC": ("mov", "aac"),
    "WMA": ("asf",),
    "Matroska": ("matroska",),
    "APE": ("ape",),
    "WavPack": ("wv",),
    "AMR": ("amr",),
    "DSF": ("dsf",),
    "TTA": ("tta",),
}
"""FFmpeg's names for what a kind can be."""
_LONGEST_SECONDS = 7 * 3600


def shape_of(path: Path, kind: str) -> tuple[int, int, int]:
    """Sample rate, channels and samples of a channel, counted by decoding it.

    Raises:
        AudioFileError: if the extra is not installed, or the file cannot be read.
    """
    frames = rate = channels = 0
    for block, block_rate in _blocks(path, kind):
        rate, channels = block_rate, block.shape[1]
        frames += len(block)
    return rate, channels, frames


def blocks_of(path: Path, kind: str) -> Iterator[np.ndarray]:
    """Float32 ``[n, C]`` at the file's own rate.

    Raises:
        AudioFileError: if the extra is not installed, or the file cannot be read.
    """
    for block, _ in _blocks(path, kind):
        yield block


def _blocks(path: Path, kind: str) -> Iterator[tuple[np.ndarray, int]]:
    try:
        import av
    except ImportError as error:
        raise AudioFileError(
            f"{path.name} is {kind} audio, which takes one more package to read.",
            f"Install it with {EXTRA}, or export the file as WAV or FLAC.",
        ) from error
    names = FORMATS[kind] if path_begins_as_box(path) or kind != "AAC" else FORMATS[kind][::-1]
    heard = 0.0
    try:
        with open_regular(path) as file, av.open(file, format=names[0], metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioFileError(f"{path.name} holds no sound at all.", "Export it again, or leave it out.")
            stream = container.streams.audio[0]
            if stream.channels > 2:  # as in files that libsndfile reads; FFmpeg's own mix is another one
                raise AudioFileError(
                    f"{path.name} has {stream.channels} channels; one or two are needed.", "Mix it down to stereo."
                )
            resampler = av.AudioResampler(format="flt")
            for frame in container.decode(stream):
                for piece in resampler.resample(frame):
                    block = piece.to_ndarray().reshape(-1, piece.layout.nb_channels).astype(np.float32)
                    heard += len(block) / piece.sample_rate
                    yield block, piece.sample_rate
                if heard > _LONGEST_SECONDS:
                    return
    except av.FFmpegError as error:
        raise AudioFileError(
            f"{path.name} is damaged: it cannot be read beyond {duration(heard)}.", "Export it again, or leave it out."
        ) from error


def path_begins_as_box(path: Path) -> bool:
    """Whether it is an MPEG-4 file (``ftyp``) rather than bare AAC frames."""
    with open_regular(path) as file:
        return file.read(8)[4:8] == b"ftyp"
