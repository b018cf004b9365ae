"""One audio file: look at it, read it as 48 kHz float32 in bounded memory, write it whole or not at all."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from distill.errors import AudioFileError

SAMPLE_RATE = 48_000
AUDIO_SUFFIXES = frozenset(
    {".wav", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".w64", ".caf", ".au"}
)
_UNKNOWN_FRAMES = 2**62  # libsndfile says 2**63 - 1 for a FLAC stream whose header leaves the length open
_MISSING_FRAMES = 4 * 1152  # some MP3 headers promise a few codec frames more than there are
_LOUDEST = 64.0  # +36 dBFS: beyond that a float file holds integers or rubbish, not audio


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says. ``frames`` are at the file's own ``sample_rate`` (Hz)."""

    path: Path
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def probe(path: Path) -> AudioInfo:
    """Reads the header of ``path``; raises AudioFileError when it is not usable mono or stereo audio."""
    path = Path(path)
    _check_regular(path)
    try:
        with _opened(path) as file:
            frames = file.frames
            if frames >= _UNKNOWN_FRAMES and file.channels <= 2:
                frames = sum(len(block) for block in _native_blocks(path, file, 65_536))
            info = AudioInfo(path, file.samplerate, file.channels, frames, file.format, file.subtype)
    except soundfile.LibsndfileError as error:
        raise AudioFileError(
            f"{path.name} is not readable as audio: it is damaged, or not an audio file despite its name "
            f"({_reason(error)}).",
            "Export it again as WAV or FLAC, or leave it out.",
        ) from error
    if info.format == "RAW":  # libsndfile's guess for an .au file without a header
        raise AudioFileError(
            f"{path.name} is not an audio file despite its name (it has no audio header).",
            "Export it again as WAV or FLAC, or leave it out.",
        )
    if info.channels not in (1, 2):
        raise AudioFileError(
            f"{path.name} has {info.channels} channels; one or two are needed.", "Mix it down to stereo."
        )
    if not 1_000 <= info.sample_rate <= 768_000:
        raise AudioFileError(
            f"{path.name} says it has {info.sample_rate} samples a second; 1000 to 768000 can be read.",
            "Export it again at 44100 or 48000 Hz.",
        )
    if info.frames <= 0:
        raise AudioFileError(f"{path.name} holds no sound at all.", "Export it again, or leave it out.")
    return info


def samples_at_48k(info: AudioInfo) -> int:
    """How many samples ``read_blocks`` gives for this file, exactly."""
    return max(1, round(info.frames * SAMPLE_RATE / info.sample_rate))


def read_blocks(path: Path, channels: int | None = None, block_seconds: float = 10.0) -> Iterator[np.ndarray]:
    """Yields float32 ``[C, n]`` at 48 kHz, in the file's own channels or as 1 or 2 ``channels``, in bounded memory.

    The blocks add up to exactly ``samples_at_48k(probe(path))`` samples. Raises AudioFileError when the file
    turns out to be damaged on the way, or holds samples that are not numbers.
    """
    for block in _own_blocks(path, block_seconds):
        yield block if channels is None else to_channels(block, channels)


def _own_blocks(path: Path, block_seconds: float) -> Iterator[np.ndarray]:
    info = probe(path)
    wanted = samples_at_48k(info)
    resampler = (
        None
        if info.sample_rate == SAMPLE_RATE
        else soxr.ResampleStream(info.sample_rate, SAMPLE_RATE, info.channels, dtype="float32", quality="HQ")
    )
    given = heard = 0
    try:
        with _opened(info.path) as file:
            for native in _native_blocks(info.path, file, max(1, round(block_seconds * info.sample_rate))):
                kept = native[: info.frames - heard]
                heard += len(kept)
                if not len(kept):  # the file has grown since it was looked at; what came later is not waited for
                    break
                block = kept if resampler is None else resampler.resample_chunk(kept)
                block = block[: wanted - given]
                given += len(block)
                if len(block):
                    yield np.ascontiguousarray(block.T)
    except soundfile.LibsndfileError as error:
        raise _damaged(info, heard, _reason(error)) from error
    if info.frames - heard > min(_MISSING_FRAMES, info.frames // 2):
        raise _damaged(info, heard, f"the header promises {info.seconds:.1f} s")
    if resampler is not None:
        tail = resampler.resample_chunk(np.zeros((0, info.channels), np.float32), last=True)[: wanted - given]
        given += len(tail)
        if len(tail):
            yield np.ascontiguousarray(tail.T)
    if given < wanted:
        yield np.zeros((info.channels, wanted - given), np.float32)


def read_audio(path: Path, channels: int | None = None) -> np.ndarray:
    """The whole file as float32 ``[C, N]`` at 48 kHz; ``channels`` (1 or 2) mixes or doubles it."""
    return np.concatenate(list(read_blocks(path, channels)), axis=1)


def to_channels(audio: np.ndarray, channels: int) -> np.ndarray:
    """``[C, N]`` to ``[channels, N]``: mono is the mean of both channels, stereo has the one channel twice."""
    if audio.ndim != 2 or audio.shape[0] not in (1, 2) or channels not in (1, 2):
        raise ValueError(f"Cannot make {channels} channels from audio of shape {audio.shape}.")
    if audio.shape[0] == channels:
        return audio
    if channels == 1:
        return audio.mean(axis=0, keepdims=True, dtype=np.float32)
    return np.repeat(audio, 2, axis=0)


def _opened(path: Path) -> soundfile.SoundFile:
    # As bytes: soundfile cannot encode a name that is no UTF-8, as old disks have them.
    return soundfile.SoundFile(str(path) if os.name == "nt" else os.fsencode(path))


def _native_blocks(path: Path, file: soundfile.SoundFile, size: int) -> Iterator[np.ndarray]:
    """Yields float32 ``[n, C]`` at the file's own rate, checked to be numbers of a sane size."""
    # After every read soundfile seeks to where it already is. That fails in a FLAC stream of open length, and
    # hides holes in a damaged OGG file; a file that says it cannot seek is simply read on.
    file.seekable = lambda: False
    while len(block := file.read(size, dtype="float32", always_2d=True)):
        # A NaN makes the largest magnitude NaN, so that one comparison finds both faults.
        if not np.abs(block).max() <= _LOUDEST:
            sane = bool(np.isfinite(block).all())
            raise AudioFileError(
                f"{path.name} holds samples that are "
                + ("far louder than full scale." if sane else "not numbers (NaN or infinite)."),
                "Export it again from the program that made it, or leave it out.",
            )
        yield block


def _check_regular(path: Path) -> None:
    fix = "Check the name and the place."
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioFileError(f"{path} is a folder; an audio file is needed.", "Give one file inside it.")
        if not stat.S_ISREG(mode):
            raise AudioFileError(f"{path} is not a regular file.", "Give an audio file.")
        with path.open("rb") as file:
            if not file.read(1):
                raise AudioFileError(f"{path.name} is empty (0 bytes).", "Export it again, or leave it out.")
    except PermissionError as error:
        raise AudioFileError(f"{path} may not be read by you.", "Change its permissions.") from error
    except FileNotFoundError as error:
        raise AudioFileError(f"{path} does not exist.", fix) from error
    except OSError as error:
        raise AudioFileError(f"{path} cannot be opened: {error.strerror}.", fix) from error


def _damaged(info: AudioInfo, heard: int, reason: str) -> AudioFileError:
    return AudioFileError(
        f"{info.path.name} is damaged: it cannot be read beyond {heard / info.sample_rate:.1f} s ({reason}).",
        "Export it again, or leave it out.",
    )


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).strip().rstrip(".").lower() or f"libsndfile error {error.code}"
