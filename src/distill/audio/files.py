"""One audio file: look at it, read it as 48 kHz float32 in bounded memory, write it whole or not at all."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from distill.errors import AudioFileError, DistillError, OutputError, SettingError

SAMPLE_RATE = 48_000
AUDIO_SUFFIXES = frozenset(
    {".wav", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".w64", ".caf", ".au"}
)
VALID_FORMATS = ("wav", "flac", "ogg", "mp3")

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
_UNKNOWN_FRAMES = 2**62  # libsndfile says 2**63 - 1 for a FLAC stream whose header leaves the length open
_MISSING_FRAMES = 4 * 1152  # some MP3 headers promise a few codec frames more than there are
_LOUDEST = 64.0  # +36 dBFS: beyond that a float file holds integers or rubbish, not audio
_WAV_LIMIT = 2**32 - 2**16  # bytes: a WAV header counts with 32 bits


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
        with soundfile.SoundFile(path) as file:
            frames = file.frames
            if frames >= _UNKNOWN_FRAMES:
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


def read_blocks(path: Path, block_seconds: float = 10.0) -> Iterator[np.ndarray]:
    """Yields float32 ``[C, n]`` at 48 kHz with the file's own channels, in bounded memory.

    The blocks add up to exactly ``samples_at_48k(probe(path))`` samples. Raises AudioFileError when the file
    turns out to be damaged on the way, or holds samples that are not numbers.
    """
    info = probe(path)
    wanted = samples_at_48k(info)
    resampler = (
        None
        if info.sample_rate == SAMPLE_RATE
        else soxr.ResampleStream(info.sample_rate, SAMPLE_RATE, info.channels, dtype="float32", quality="HQ")
    )
    given = heard = 0
    try:
        with soundfile.SoundFile(info.path) as file:
            for native in _native_blocks(info.path, file, max(1, round(block_seconds * info.sample_rate))):
                kept = native[: info.frames - heard]
                heard += len(kept)
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
    audio = np.concatenate(list(read_blocks(path)), axis=1)
    return audio if channels is None else to_channels(audio, channels)


def to_channels(audio: np.ndarray, channels: int) -> np.ndarray:
    """``[C, N]`` to ``[channels, N]``: mono is the mean of both channels, stereo has the one channel twice."""
    if audio.ndim != 2 or audio.shape[0] not in (1, 2) or channels not in (1, 2):
        raise ValueError(f"Cannot make {channels} channels from audio of shape {audio.shape}.")
    if audio.shape[0] == channels:
        return audio
    if channels == 1:
        return audio.mean(axis=0, keepdims=True, dtype=np.float32)
    return np.repeat(audio, 2, axis=0)


def check_output_format(format: str, bit_depth: int) -> None:  # noqa: A002
    """Raises SettingError for a format or a bit depth that cannot be written."""
    if format not in VALID_FORMATS:
        raise SettingError(
            f"'{format}' is not a format that can be written.", f"Choose one of {', '.join(VALID_FORMATS)}."
        )
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

    ``blocks`` is one array or a stream of them. 32 bits means a float WAV, which keeps values beyond ±1; all
    other formats clip there. ``tags`` may hold title, comment and software. Equal sound gives equal bytes, in
    every format. Raises OutputError when the file cannot be written; nothing half-written stays behind.
    """
    check_output_format(format, bit_depth)
    path = Path(path)
    unknown = sorted(set(tags or {}) - set(_TAGS))
    if unknown:
        raise ValueError(f"Tags that cannot be written: {', '.join(unknown)}.")
    if path.is_dir():
        raise OutputError(f"{path} is a folder, so no file can be written there.", "Give the name of a file.")
    ensure_writable(path.parent)
    aside = path.with_name(f".distill-{secrets.token_hex(8)}.tmp")
    stream = iter((blocks,)) if isinstance(blocks, np.ndarray) else iter(blocks)
    try:
        written = _write_stream(aside, path, stream, format, bit_depth, channels, tags or {})
        with _plain_words(path):
            if soundfile.info(aside).frames < written:
                raise OSError(errno.EIO, "not everything arrived on the disk")
            if format == "ogg":
                _fix_ogg_serial(aside)
            elif (format, bit_depth) == ("wav", 32):
                _fix_wav_timestamp(aside)
            with aside.open("r+b") as file:
                os.fsync(file.fileno())
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def ensure_writable(folder: Path) -> None:
    """Makes ``folder`` if need be and proves that a file can be written in it, else raises OutputError."""
    folder = Path(folder)
    trial = folder / f".distill-{secrets.token_hex(8)}.tmp"
    with _plain_words(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with trial.open("wb") as file:
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
        finally:
            if folder.is_dir():
                trial.unlink(missing_ok=True)


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
    with _plain_words(path):
        subtype = _SUBTYPES[format, bit_depth]
        file = soundfile.SoundFile(aside, "w", SAMPLE_RATE, channels, subtype, format=format.upper())
    try:
        for name, text in tags.items():
            setattr(file, name, text)
        for block in stream:
            if block.ndim != 2 or block.shape[0] != channels:
                raise ValueError(f"A block of shape {block.shape} came where [{channels}, n] is needed.")
            if not np.isfinite(block).all():
                raise DistillError(
                    f"The sound to be written to {path.name} holds samples that are not numbers.",
                    "Make it again with another seed; if that happens again, train the model anew.",
                )
            frames = block.T if bit_depth == 32 else np.clip(block.T, -1.0, 1.0)
            # libsndfile's Vorbis writer keeps a whole call on its stack: long calls can crash it.
            for start in range(0, len(frames), SAMPLE_RATE):
                piece = np.ascontiguousarray(frames[start : start + SAMPLE_RATE], dtype=np.float32)
                with _plain_words(path):
                    file.write(piece)
                written += len(piece)
            if format == "wav" and written * channels * bit_depth // 8 > _WAV_LIMIT:
                raise OutputError(
                    f"{path.name} would grow beyond 4 GiB, the most a WAV file can hold.",
                    "Write FLAC instead.",
                )
    finally:
        with _plain_words(path):
            file.close()
    return written


@contextlib.contextmanager
def _plain_words(path: Path) -> Iterator[None]:
    """Turns the machine's errors while writing into an OutputError about ``path``."""
    try:
        yield
    # soundfile asserts that everything was written.
    except (OSError, soundfile.LibsndfileError, AssertionError) as error:
        raise OutputError(f"{path} cannot be written: {_why(error, path)}.", _mend(error, path)) from error


def _why(error: Exception, path: Path) -> str:
    if _disk_is_full(error, path):
        return "the disk is full"
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "the place is read-only for you"
    if code in (errno.EEXIST, errno.ENOTDIR):
        return "a part of its path is a file, not a folder"
    if code == errno.EFBIG:
        return "the file is larger than this machine allows"
    if code is not None and isinstance(error, OSError):
        return (error.strerror or str(error)).rstrip(".").lower()
    return "the machine refused to write it"


def _mend(error: Exception, path: Path) -> str:
    full = _disk_is_full(error, path)
    return "Free some space, or choose another disk." if full else "Choose another place."


def _disk_is_full(error: Exception, path: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    # libsndfile does not hand on the system's reason, so the disk itself is asked.
    existing = next((folder for folder in (path, *path.parents) if folder.exists()), None)
    return existing is not None and shutil.disk_usage(existing).free < 2**20


def _fix_ogg_serial(path: Path) -> None:
    """Gives every Ogg page serial number 0: libsndfile draws one from the clock."""
    with path.open("r+b") as file:
        while head := file.read(27):
            if len(head) < 27 or head[:4] != b"OggS":
                raise OSError(errno.EIO, "the written Ogg pages are not whole")
            sizes = file.read(head[26])
            body = head[26:] + sizes + file.read(sum(sizes))
            before = head[:14] + bytes(4) + head[18:22]
            page = before + struct.pack("<I", _ogg_checksum(before + bytes(4) + body)) + body
            file.seek(-len(page), os.SEEK_CUR)
            file.write(page)
            file.seek(0, os.SEEK_CUR)  # a read may follow a write only after a seek


_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def _ogg_checksum(page: bytes) -> int:
    # Ogg's CRC runs from the top bit, without start value or final flip; zlib's is its mirror image with both.
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _fix_wav_timestamp(path: Path) -> None:
    """Clears the time of writing that libsndfile puts into a float WAV's PEAK chunk."""
    with path.open("r+b") as file:
        place = file.read(4096).find(b"PEAK")
        if place >= 0:
            file.seek(place + 12)
            file.write(bytes(4))


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
