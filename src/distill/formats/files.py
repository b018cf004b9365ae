"""One audio file: look at it, read it as 48 kHz float32 in bounded memory."""

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from distill.audio.downmix import MOST_CHANNELS, Downmix, downmix_of, in_two, kept_sound
from distill.audio.mixing import Balance, Mix, in_channels, mix_in_words
from distill.audio.rate import SAMPLE_RATE
from distill.audio.resampling import resampled
from distill.durations import duration
from distill.errors import AudioFileError
from distill.files.regular import native
from distill.formats import more_formats
from distill.formats.containers import spliced
from distill.formats.joined import Form, common_form, frames_in, in_form, joined_in_words
from distill.formats.ogg import opus_family
from distill.formats.spliced import Links, Spliced
from distill.formats.unusable import check_regular, kind_at, no_audio

_UNKNOWN_FRAMES = 2**62  # libsndfile says 2**63 - 1 for a FLAC stream whose header leaves the length open
_MISSING_FRAMES = 4 * 1152  # some MP3 headers promise a few codec frames more than there are
_UNSUPPORTED = (4, 18)  # libsndfile's numbers for an encoding that it does not know in a format that it does
_LOUDEST = 64.0  # +36 dBFS: beyond that a float file holds integers or rubbish, not audio
_CLAIM = 0.05  # seconds that a header may be off without a word


@dataclass(frozen=True)
class AudioInfo:
    """What a file holds. ``frames`` are at the file's own ``sample_rate`` (Hz), ``channels`` (1 or 2) as it is read."""

    path: Path
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    remark: str = ""
    """What a person should know though the file is fine: a header that says something else. Empty, or sentences."""
    unread: str = ""
    """The one of these that holds whatever becomes of the file: it has more sound in it that is not read."""
    downmix: Sequence[Sequence[float]] = ()
    """How more channels than two become two; empty where there are no more."""
    is_converted: bool = False
    """Whether it has parts that differ, of which this is the common form."""

    @property
    def form(self) -> Form:
        """As its samples are read, before channels are mixed."""
        return Form(self.sample_rate, self.own_channels)

    @property
    def reading(self) -> str:
        """Differs where the same bytes are mixed in another way, as by another version; empty where nothing is mixed."""
        return hashlib.sha256(json.dumps(self.downmix).encode()).hexdigest()[:8] if self.downmix else ""

    @property
    def own_channels(self) -> int:
        """As many as there are in the file."""
        return len(self.downmix[0]) if self.downmix else self.channels

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def probe(path: Path, check: Callable[[float], None] = more_formats.any_length) -> AudioInfo:
    """Looks at ``path`` and counts what it holds; raises AudioFileError when it is not usable audio.

    Args:
        check: is given its seconds, and refuses them by raising: before the file is gone through, as it is to mix more
            channels than two, or as soon as so many are counted where no header says how many there are.
    """
    try:
        return _looked_at(Path(path), check)
    except OSError as error:
        raise _unreadable(path, error) from error


def _looked_at(path: Path, check: Callable[[float], None]) -> AudioInfo:
    check_regular(path)
    kind = kind_at(path)
    if kind in more_formats.FORMATS:
        shape = more_formats.shape_of(path, kind, check)
        info = AudioInfo(path, *shape.form, shape.frames, kind, kind, shape.remark, is_converted=bool(shape.remark))
        return _told(info, shape.downmix, shape.links, check)
    if not kind:  # libsndfile would look for MP3 in it, and tell of that on the screen
        raise no_audio(path)
    try:
        with contextlib.ExitStack() as stack:
            files, links = _opened(path, stack)
            if links.is_unreadable:
                raise AudioFileError(
                    f"{path.name} is damaged: what describes its sound cannot be read.",
                    "Export it again, or leave it out.",
                )
            family = opus_family(path) if kind == "Ogg" else 0
            parts = [_Part.of(file, path, family, check) for file in files]
    except soundfile.LibsndfileError as error:
        raise no_audio(path, kind in ("AIFF", "CAF") and error.code in _UNSUPPORTED) from error
    return _told(*_whole(path, parts), links, check)


def _told(info: AudioInfo, mixed: Downmix | None, links: Links, check: Callable[[float], None]) -> AudioInfo:
    """The same, if it can be used, with all there is to say of it; ``mixed`` is how more channels than two become two."""
    info = _checked(info, mixed, check)
    lost = _lost(links.lost, links.lost_seconds, info.seconds)
    remark = _joined(_claimed(links.claim, info.seconds), lost, links.remark, info.remark, links.unread)
    return replace(info, remark=remark, unread=links.unread)


class _Part(NamedTuple):
    """One of the parts in which libsndfile reads a file."""

    form: Form
    frames: int
    format: str
    subtype: str
    downmix: Downmix | None

    @classmethod
    def of(cls, file: soundfile.SoundFile, path: Path, family: int, check: Callable[[float], None]) -> "_Part":
        frames = file.frames
        if frames >= _UNKNOWN_FRAMES:
            frames = 0
            for block in _native_blocks(path, file, 65_536):
                frames += len(block)
                check(frames / max(1, file.samplerate))
        form = Form(file.samplerate, file.channels)
        return cls(form, frames, file.format, file.subtype, downmix_of(file, family))


def _whole(path: Path, parts: Sequence[_Part]) -> tuple[AudioInfo, Downmix | None]:
    """What the parts are together, and how more channels than two become two."""
    first, forms = parts[0], [part.form for part in parts if part.frames > 0]
    if len(set(forms)) < 2:
        form, frames = (forms or [first.form])[0], sum(part.frames for part in parts)
        return AudioInfo(path, *form, frames, first.format, first.subtype), first.downmix
    form = common_form(forms)
    frames = sum(frames_in(part.frames, part.form, form) for part in parts if part.form.sample_rate > 0)
    remark = joined_in_words(forms, form)
    return AudioInfo(path, *form, frames, first.format, first.subtype, remark, is_converted=True), None


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _lost(places: Sequence[float], lost_seconds: float, seconds: float) -> str:
    """Where sound is damaged and left out, and how much; empty where none is."""
    if not places:
        return ""
    first = duration(places[0])
    where = f"at {first}" if len(places) == 1 else f"in {len(places)} places, first at {first}"
    there = "there" if len(places) == 1 else "in all"
    return f"It is damaged {where}: about {duration(lost_seconds)} are lost {there}; the other {duration(seconds)} are used."


def _claimed(claim: float | None, seconds: float) -> str:
    """What a header says beside what there is; empty where that is about the same."""
    if claim is None or abs(claim - seconds) <= _CLAIM:
        return ""
    told, held = duration(claim), duration(seconds)
    if told == held:
        told, held = f"{claim:.2f} s", f"{seconds:.2f} s"
    says = f"Its header says {told}" if claim > _CLAIM else "Its header was never finished"
    return f"{'It breaks off before its end' if math.isinf(claim) else says}; all {held} that are in it are used."


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, by which a recording is known whatever it is called.

    Raises:
        AudioFileError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        check_regular(path)  # where nothing of it can be read, this says why
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> AudioFileError:
    return AudioFileError(f"{path.name} cannot be read to its end: {error.strerror}.", "Copy it again from its source.")


def _checked(info: AudioInfo, mixed: Downmix | None, check: Callable[[float], None]) -> AudioInfo:
    """The same with its channels mixed to two, where they are more."""
    if mixed is not None:
        info = replace(info, channels=2, downmix=mixed.matrix, remark=mixed.remark)
    if info.channels not in (1, 2) and info.frames:
        raise AudioFileError(
            f"{info.path.name} has {info.channels} channels; up to {MOST_CHANNELS} can be mixed to stereo.",
            "Mix it down to stereo yourself, or leave it out.",
        )
    if info.frames <= 0:
        raise AudioFileError(f"{info.path.name} holds no sound at all.", "Export it again, or leave it out.")
    if not 1_000 <= info.sample_rate <= 768_000:
        raise AudioFileError(
            f"{info.path.name} says that its sample rate is {info.sample_rate} Hz; 1000 to 768000 Hz can be read.",
            "Export it again at 44100 or 48000 Hz.",
        )
    check(info.seconds)
    if mixed is not None and not mixed.is_of_polarity:
        mixed = kept_sound(mixed, _balance(info).covariance)
        info = replace(info, downmix=mixed.matrix, remark=mixed.remark)
    return info


def _balance(info: AudioInfo) -> Balance:
    """What a file's channels hold apart and together."""
    balance = Balance()
    try:
        for block in _all_native_blocks(info, max(1, 10 * info.sample_rate // info.own_channels)):
            balance.take(block.T)
    except (soundfile.LibsndfileError, OSError) as error:
        raise _damaged(info, _reached(info)) from error
    return balance


def samples_at_48k(info: AudioInfo) -> int:
    """How many samples ``read_blocks`` gives for this file, exactly."""
    return max(1, round(info.frames * SAMPLE_RATE / info.sample_rate))


def read_blocks(
    recording: Path | AudioInfo,
    channels: int | None = None,
    block_seconds: float = 10.0,
    tell: Callable[[str], None] | None = None,
) -> Iterator[np.ndarray]:
    """Yields float32 ``[C, n]`` at 48 kHz, in the file's own channels, at most two, or as 1 or 2 ``channels``.

    In bounded memory. What :func:`probe` gave may stand for the path, so that the file need not be looked at again, which for
    some formats takes as long as reading it.

    The blocks add up to exactly ``samples_at_48k(probe(path))`` samples. One channel is made of two by the mix that keeps
    the sound (``mixing.py``), for which the file is gone through beforehand; ``tell`` gets how, where it is not their mean.

    Raises:
        AudioFileError: if the file turns out to be damaged on the way, or holds samples that are not numbers.
    """
    info = recording if isinstance(recording, AudioInfo) else probe(recording)
    mix = best_mix(info) if channels == 1 and info.channels == 2 else "mean"
    if tell is not None and (words := mix_in_words(mix)):
        tell(words)
    for block in _own_blocks(info, block_seconds):
        yield block if channels is None else in_channels(block, channels, mix)


def best_mix(info: AudioInfo) -> Mix:
    """How one channel is made of the file's two without losing sound."""
    balance = Balance()
    for block in _own_blocks(info, 10.0):
        balance.take(block)
    return balance.mix


def _own_blocks(info: AudioInfo, block_seconds: float) -> Iterator[np.ndarray]:
    wanted, given = samples_at_48k(info), 0
    for block in resampled(_kept_blocks(info, block_seconds), info.sample_rate, SAMPLE_RATE, info.channels):
        block = block[: wanted - given]
        given += len(block)
        if len(block):
            yield np.ascontiguousarray(block.T)
    if given < wanted:
        yield np.zeros((info.channels, wanted - given), np.float32)


def _kept_blocks(info: AudioInfo, block_seconds: float) -> Iterator[np.ndarray]:
    """As many samples as there were when the file was looked at, at its own rate: float32 ``[n, C]``."""
    taken = 0
    size = max(1, round(block_seconds * info.sample_rate / max(1, info.own_channels // 2)))
    try:
        for native in _all_native_blocks(info, size):
            block = in_two(native[: info.frames - taken], info.downmix)
            taken += len(block)
            if not len(block):  # the file has grown since; what came later is not waited for
                break
            yield block
    except (soundfile.LibsndfileError, OSError) as error:
        raise _damaged(info, max(taken, _reached(info))) from error
    if info.frames - taken > min(_MISSING_FRAMES, info.frames // 2):
        raise _damaged(info, taken)


def read_audio(path: Path, channels: int | None = None, tell: Callable[[str], None] | None = None) -> np.ndarray:
    """The whole file as float32 ``[C, N]`` at 48 kHz; ``channels`` (1 or 2) mixes or doubles it, and ``tell`` gets how."""
    return np.concatenate(list(read_blocks(path, channels, tell=tell)), axis=1)


def _opened(path: Path, stack: contextlib.ExitStack) -> tuple[Iterator[soundfile.SoundFile], Links]:
    """The parts of a file, one open at a time, and what there is to say of it."""
    parts, links = spliced(path)
    for part in parts:
        stack.callback(part.close)
    return _one_by_one(parts or [native(path)]), links


def _one_by_one(parts: Sequence[Spliced | str | bytes]) -> Iterator[soundfile.SoundFile]:
    for part in parts:
        with soundfile.SoundFile(part) as file:
            yield file


def _all_native_blocks(info: AudioInfo, size: int) -> Iterator[np.ndarray]:
    if info.format in more_formats.FORMATS:
        for block in more_formats.blocks_of(info.path, info.format, info.form if info.is_converted else None):
            _check_numbers(info.path, block)
            yield block
        return
    with contextlib.ExitStack() as stack:
        for file in _opened(info.path, stack)[0]:
            blocks = _native_blocks(info.path, file, size)
            if info.is_converted and file.frames > 0:
                own = Form(file.samplerate, file.channels)
                mixed = downmix_of(file, opus_family(info.path) if file.format == "OGG" else 0)
                if mixed is not None:
                    blocks, own = (in_two(block, mixed.matrix) for block in blocks), Form(own.sample_rate, 2)
                blocks = in_form(blocks, own, info.form)
            yield from blocks


def _native_blocks(path: Path, file: soundfile.SoundFile, size: int) -> Iterator[np.ndarray]:
    """Yields float32 ``[n, C]`` at the file's own rate, checked to be numbers of a sane size."""
    # After every read soundfile seeks to where it already is. That fails in a FLAC stream of open length, and
    # hides holes in a damaged OGG file; a file that says it cannot seek is simply read on.
    file.seekable = lambda: False
    left = file.frames  # what comes behind them may be a tag, at which libsndfile fails
    while left > 0 and len(block := file.read(min(size, left), dtype="float32", always_2d=True)):
        left -= len(block)
        _check_numbers(path, block)
        yield block


def _check_numbers(path: Path, block: np.ndarray) -> None:
    # A NaN makes the largest magnitude NaN, so that one comparison finds both faults.
    if len(block) and not np.abs(block).max() <= _LOUDEST:
        sane = bool(np.isfinite(block).all())
        raise AudioFileError(
            f"{path.name} holds samples that are "
            + ("far louder than full scale." if sane else "not numbers (NaN or infinite)."),
            "Export it again from the program that made it, or leave it out.",
        )


def _reached(info: AudioInfo) -> int:
    """How many samples of a damaged file can be read, to a tenth of a second: a block that fails does not tell."""
    reached = 0
    with contextlib.suppress(soundfile.LibsndfileError, OSError):  # where it is damaged, which is what is asked
        for block in _all_native_blocks(info, max(1, info.sample_rate // 10)):
            reached += len(block)
    return reached


def _damaged(info: AudioInfo, reached: int) -> AudioFileError:
    where = f"{duration(reached / info.sample_rate)} of {duration(info.seconds)}"
    return AudioFileError(
        f"{info.path.name} is damaged: it cannot be read beyond {where}.", "Export it again, or leave it out."
    )
