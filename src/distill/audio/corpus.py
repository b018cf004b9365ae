"""Import of a folder: a verdict for every file, duplicates and near-copies, channels, fingerprint."""

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from distill.audio.cache import decoded, forget, trim_cache
from distill.audio.files import AUDIO_SUFFIXES, SAMPLE_RATE, probe
from distill.audio.takes import group_takes
from distill.errors import AudioFileError, CorpusError, SettingError

try:
    import resource
except ImportError:  # Windows, where no such limit stands in the way
    resource = None  # type: ignore[assignment]

SHORTEST_SECONDS = 0.05
LONGEST_SECONDS = 6 * 3600.0
"""Decoded, six hours in stereo fill the whole cache; a header that says more is more often damaged than true."""
_OPEN_FILES = 8192
_FRAME = SAMPLE_RATE // 20  # 50 ms
_BLOCK = 200 * _FRAME  # 10 s
_QUIET = 1e-3  # -60 dBFS
_STEREO = 1e-6  # side energy above -60 dB of the mid energy
_LITTLE_SECONDS = 10.0
_MUCH_SILENCE = 0.8
_OFFSET = 0.02
_FULL_SCALE = 0.999
_CLIPPED = 0.01
_NAMED = 3  # files a warning names
_SPECTRUM = 4096
_INAUDIBLE = 1e-5
"""Amplitude, -100 dBFS: a frequency that never reaches it is as good as not there."""


class FileVerdict(StrEnum):
    """What became of one audio file."""

    USED = "used"
    SHORT = "too short"
    LONG = "too long"
    SILENT = "silent"
    DUPLICATE = "duplicate"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class FileReport:
    """One audio file of the folder; ``reason`` and ``fix`` are empty when it is used.

    ``name`` is the path below the folder, with slashes. ``sample_rate`` (Hz) and ``channels`` are the file's
    own, 0 when unreadable. ``peak_db`` is in dBFS, ``silence`` the share of 50 ms frames under -60 dBFS, ``offset`` the
    mean of all samples, ``clipped`` the share of samples at full scale (shares from 0 to 1), ``bandwidth`` the highest
    frequency (Hz) that ever reaches -100 dBFS; all five are measured only in files that can be read and are long enough.
    """

    name: str
    verdict: FileVerdict
    reason: str = ""
    fix: str = ""
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    peak_db: float = -200.0
    silence: float = 1.0
    offset: float = 0.0
    clipped: float = 0.0
    bandwidth: float = SAMPLE_RATE / 2
    duplicate_of: str = ""


@dataclass(frozen=True)
class Recording:
    """A usable file.

    ``audio`` is a read-only memory map ``[C, N]`` of float32 at 48 kHz; near-copies of one take share their
    ``group``; ``sha256`` is that of the file's bytes.
    """

    name: str
    path: Path
    sha256: str
    seconds: float
    samples: int
    channels: int
    group: int
    audio: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """The usable recordings of a folder, sorted by name, and a report on every audio file in it.

    ``folder`` is absolute, so that it says where the recordings are whatever the working directory becomes.
    """

    folder: Path
    recordings: tuple[Recording, ...]
    files: tuple[FileReport, ...]
    channels: int
    fingerprint: str

    @property
    def seconds(self) -> float:
        return sum(recording.seconds for recording in self.recordings)

    @property
    def file_count(self) -> int:
        return len(self.recordings)

    @property
    def bandwidth(self) -> float:
        """The highest frequency (Hz) in any of the recordings: lossy formats and low sample rates hold nothing above it."""
        return max(file.bandwidth for file in self.files if file.verdict == FileVerdict.USED)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What will show in the result though every recording is usable: plain sentences, none for a healthy corpus."""
        used = [file for file in self.files if file.verdict == FileVerdict.USED]
        silence = sum(file.silence * file.seconds for file in used) / self.seconds
        copies = sum(file.verdict == FileVerdict.DUPLICATE for file in self.files)
        found = []
        if self.seconds < _LITTLE_SECONDS:
            found.append(
                f"{self.seconds:.1f} s are very little to learn from: what comes out will mostly repeat them. "
                "A minute or more of different recordings makes new sound possible."
            )
        if len(used) == 1 and copies:
            found.append(f"All {copies + 1} files are the same sound, so there is one recording to learn from.")
        if silence > _MUCH_SILENCE:
            found.append(f"{silence:.0%} of the sound is silence, and so will be much of what comes out. Trim it.")
        if displaced := [file.name for file in used if abs(file.offset) > _OFFSET]:
            found.append(
                f"Off the middle by a constant (DC offset): {_some(displaced)}. "
                "A high-pass filter at 20 Hz removes it and leaves more room for the sound."
            )
        if clipped := [file.name for file in used if file.clipped > _CLIPPED]:
            found.append(
                f"At full scale for more than {_CLIPPED:.0%} of its samples, so likely clipped: {_some(clipped)}."
            )
        return tuple(found)


@dataclass(frozen=True)
class _Levels:
    peak: float
    span: float  # highest minus lowest sample
    silence: float
    stereo: bool
    offset: float
    clipped: float
    bandwidth: float
    digest: str  # of the decoded samples


@dataclass(frozen=True)
class _Found:
    report: FileReport
    path: Path
    sha256: str
    audio: np.memmap
    levels: _Levels


def import_corpus(
    folder: Path,
    *,
    channels: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Corpus:
    """Judges every audio file below ``folder``; a bad one among good ones is reported, not fatal.

    Decodes in bounded memory into the cache. ``channels`` (1 or 2) overrides the choice, which is stereo when
    at least half of the seconds are truly stereo. ``progress`` is called with (files done, files, name of the
    next). Raises CorpusError when there is nothing to learn from, with up to three reasons.
    """
    if channels not in (None, 1, 2):
        raise SettingError(f"{channels} channels cannot be learnt.", "Ask for 1 (mono) or 2 (stereo).")
    folder = Path(folder)
    _check_folder(folder)
    _allow_many_open_files()
    paths, ignored = _audio_files(folder)
    if not paths:
        others = "1 other file lies" if ignored == 1 else f"{ignored} other files lie"
        what = f"{folder} holds no audio; {others} in it." if ignored else f"{folder} is empty."
        known = ", ".join(sorted(suffix[1:] for suffix in AUDIO_SUFFIXES))
        raise CorpusError(what, f"Put recordings in it ({known}).")

    used: dict[str, _Found] = {}
    reports: list[FileReport] = []
    by_bytes: dict[str, str] = {}
    by_samples: dict[str, str] = {}
    for done, path in enumerate(paths):
        name = _name(path, folder)
        if progress is not None:
            progress(done, len(paths), name)
        judged = _judge(path, name, by_bytes, by_samples)
        if isinstance(judged, _Found):
            used[name] = judged
            by_bytes[judged.sha256] = name
            by_samples[judged.levels.digest] = name
            judged = judged.report
        reports.append(judged)
    if progress is not None:
        progress(len(paths), len(paths), "")
    if not used:
        raise _nothing_usable(folder, reports)

    groups = group_takes([found.audio for found in used.values()])
    recordings = tuple(
        Recording(
            name=name,
            path=found.path,
            sha256=found.sha256,
            seconds=found.audio.shape[1] / SAMPLE_RATE,
            samples=found.audio.shape[1],
            channels=found.audio.shape[0],
            group=group,
            audio=found.audio,
        )
        for (name, found), group in zip(used.items(), groups, strict=True)
    )
    trim_cache(keep={one.sha256 for one in recordings})
    stereo = sum(found.report.seconds for found in used.values() if found.levels.stereo)
    return Corpus(
        folder=folder.resolve(),
        recordings=recordings,
        files=tuple(reports),
        channels=channels or (2 if 2 * stereo >= sum(one.seconds for one in recordings) else 1),
        fingerprint=hashlib.sha256("".join(sorted(one.sha256 for one in recordings)).encode()).hexdigest(),
    )


def _judge(path: Path, name: str, by_bytes: dict[str, str], by_samples: dict[str, str]) -> _Found | FileReport:
    try:
        before = _stamp(path)
        info = probe(path)
        report = FileReport(
            name, FileVerdict.USED, seconds=info.seconds, sample_rate=info.sample_rate, channels=info.channels
        )
        if info.seconds < SHORTEST_SECONDS:
            return replace(
                report,
                verdict=FileVerdict.SHORT,
                reason=f"It lasts {1000 * info.seconds:.0f} ms; {1000 * SHORTEST_SECONDS:.0f} ms are needed.",
                fix="Export it with its decay or some silence after it, join it with others, or leave it out.",
            )
        if info.seconds > LONGEST_SECONDS:
            return replace(
                report,
                verdict=FileVerdict.LONG,
                reason=f"It lasts {info.seconds / 3600:.0f} hours; at most {LONGEST_SECONDS / 3600:.0f} can be learnt from.",
                fix="Cut out the parts that sound as you like; if it is no such recording, export it again.",
            )
        sha256 = _sha256(path)
        audio = decoded(path, sha256)
        if _stamp(path) != before:
            forget(sha256)
            raise AudioFileError(
                f"{path.name} changed while it was read.", "Wait until whatever writes it is done, and try again."
            )
    except AudioFileError as error:
        return FileReport(name, FileVerdict.UNREADABLE, error.what, error.fix)
    levels = _measure(audio)
    report = replace(report, peak_db=20 * math.log10(max(levels.peak, 1e-10)), silence=levels.silence)
    report = replace(report, offset=levels.offset, clipped=levels.clipped, bandwidth=levels.bandwidth)
    if levels.peak < _QUIET or levels.span < _QUIET:
        constant = levels.peak >= _QUIET
        return replace(
            report,
            verdict=FileVerdict.SILENT,
            reason="It holds one constant value." if constant else "Nothing in it is louder than -60 dBFS.",
            fix="Raise its level, record it again, or leave it out.",
        )
    twin = by_bytes.get(sha256) or by_samples.get(levels.digest)
    if twin:
        return replace(
            report,
            verdict=FileVerdict.DUPLICATE,
            reason=f"It is the same sound as {twin}, sample by sample.",
            fix="Nothing needs doing: one of the two is used.",
            duplicate_of=twin,
        )
    return _Found(report, path, sha256, audio, levels)


def _measure(audio: np.ndarray) -> _Levels:
    """Block by block, so that a two-hour recording never lies in memory."""
    channels, samples = audio.shape
    digest = hashlib.sha256(f"{channels}".encode())
    highest, lowest = -np.inf, np.inf
    quiet = frames = full = 0
    middle = side = total = 0.0
    spectrum = np.zeros(_SPECTRUM // 2 + 1, np.float32)
    for start in range(0, samples, _BLOCK):
        block = np.array(audio[:, start : start + _BLOCK], dtype=np.float32)
        digest.update(block.tobytes())
        highest, lowest = max(highest, float(block.max())), min(lowest, float(block.min()))
        total += float(block.sum(dtype=np.float64))
        full += int((np.abs(block) >= _FULL_SCALE).sum())
        spectrum = np.maximum(spectrum, _amplitudes(block))
        loudness = np.add.reduceat(block**2, np.arange(0, block.shape[1], _FRAME), axis=1)
        loudness[:, :-1] /= _FRAME
        loudness[:, -1] /= (block.shape[1] - 1) % _FRAME + 1
        quiet += int((loudness.max(axis=0) < _QUIET**2).sum())
        frames += loudness.shape[1]
        if channels == 2:
            middle += float(np.square(block[0] + block[1], dtype=np.float64).sum())
            side += float(np.square(block[0] - block[1], dtype=np.float64).sum())
    return _Levels(
        peak=max(highest, -lowest),
        span=highest - lowest,
        silence=quiet / frames,
        stereo=side > _STEREO * middle,
        offset=total / audio.size,
        clipped=full / audio.size,
        bandwidth=float(np.flatnonzero(spectrum >= _INAUDIBLE).max(initial=0)) * SAMPLE_RATE / _SPECTRUM,
        digest=digest.hexdigest(),
    )


def _amplitudes(block: np.ndarray) -> np.ndarray:
    """The highest amplitude ``[bins]`` that each frequency has in any window of ``block [C, n]``."""
    size = min(_SPECTRUM, block.shape[1])
    # Whole windows only: one cut off by the block's end would have an edge, which holds every frequency.
    windows = block[:, : block.shape[1] // size * size].reshape(-1, size)
    taper = np.hanning(size).astype(np.float32)
    amplitudes: np.ndarray = np.abs(np.fft.rfft(windows * taper, _SPECTRUM)).max(axis=0) / max(taper.sum() / 2, 1.0)
    return amplitudes


def _stamp(path: Path) -> tuple[int, int] | None:
    """Differs when the file was written to in between; none where there is none, which reading it says better."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AudioFileError(
            f"{path.name} cannot be read to its end: {error.strerror}.", "Copy it anew from its source."
        ) from error


def _allow_many_open_files() -> None:
    """Every memory map holds a file open, and the usual limit of 256 on macOS is fewer than the recordings we promise."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        raise CorpusError(f"The folder {folder} does not exist.", "Check its name and place.")
    if not folder.is_dir():
        raise CorpusError(f"{folder} is a file; a folder of recordings is needed.", "Give the folder it lies in.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise CorpusError(f"The folder {folder} may not be read by you.", "Change its permissions.")


def _audio_files(folder: Path) -> tuple[list[Path], int]:
    """Audio files below ``folder`` sorted by name, and how many others were passed over."""
    found: list[Path] = []
    ignored = 0
    for path in _walk(folder):
        if path.suffix.lower() in AUDIO_SUFFIXES:
            found.append(path)
        else:
            ignored += 1
    return sorted(found, key=lambda path: _name(path, folder)), ignored


def _walk(top: Path) -> Iterator[Path]:
    """Files below ``top`` that are not hidden (macOS' ``._`` companions are); no folder is entered twice."""
    folders = [(top, top.resolve())]
    seen = {folders[0][1]}
    while folders:
        folder, real = folders.pop()
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise CorpusError(
                f"The folder {folder} cannot be read: {error.strerror}.",
                "Change its permissions, or move it away.",
            ) from error
        below = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                yield entry
                continue
            is_link = entry.is_symlink()
            target = entry.resolve() if is_link else real / entry.name
            # A link to a folder above would bring in its whole surroundings, and this folder once more.
            if target not in seen and not (is_link and any(one.is_relative_to(target) for one in seen)):
                seen.add(target)
                below.append((entry, target))
        folders += reversed(below)


def _name(path: Path, folder: Path) -> str:
    """The path below the folder, with slashes; bytes that are no letters (as old disks have them) are written out as \\xff."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "backslashreplace")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _nothing_usable(folder: Path, reports: list[FileReport]) -> CorpusError:
    reasons = " ".join(f"{report.name}: {report.reason}" for report in reports[:3])
    more = f" And {len(reports) - 3} more." if len(reports) > 3 else ""
    count = "The only audio file" if len(reports) == 1 else f"Every one of the {len(reports)} audio files"
    return CorpusError(f"{count} in {folder} is unusable. {reasons}{more}", reports[0].fix)
