"""Import of a folder: a verdict for every file, duplicates and near-copies, channels, fingerprint."""

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from distill.audio.ahead import first_reading
from distill.audio.alike import Alike, alike_in
from distill.audio.cache import decoded, forget, let_go, trim_cache
from distill.audio.files import AUDIO_SUFFIXES, UNPACK, file_digest
from distill.audio.folder import audio_files, name_below
from distill.audio.judging import Found, judge
from distill.audio.mixing import Mix, in_channels
from distill.audio.rate import SAMPLE_RATE
from distill.audio.seen import digest_of
from distill.audio.takes import copies, group_takes, parts_in
from distill.audio.verdicts import FileReport, FileVerdict, settled
from distill.durations import duration
from distill.errors import AudioFileError, CorpusError, SettingError
from distill.files.names import advice_on_missing, normalised
from distill.files.regular import absolute

_QUIET = 1e-2  # -40 dBFS
_LITTLE_SECONDS = 10.0
_MUCH_SILENCE = 0.8
_OFFSET = 0.02
_CLIPPED = 0.01
_NAMED = 3  # files a warning names
_SPELT_OUT = 8
_EXACT = frozenset({"PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"})
_COARSE = frozenset({"PCM_S8", "PCM_U8", "ULAW", "ALAW", "GSM610", "IMA_ADPCM", "MS_ADPCM", "VOX_ADPCM", "DPCM_8"})
_PADDING = 0.25
_WHOLE_RATE = 32_000
_LOSSY_HOLDS, _MONO_HOLDS = 0.7, 0.45


@dataclass(frozen=True)
class Recording:
    """A usable file.

    ``audio`` is a read-only memory map ``[C, N]`` of float32 at 48 kHz, as it is on disk; :meth:`read` gives it as it is
    trained on: brought down by ``gain`` where it is louder than full scale, mixed by ``mix``. Recordings that share half of
    their sound, at one and the same place, share their ``group``; ``sha256`` is that of the file's bytes.
    """

    name: str
    path: Path
    sha256: str
    seconds: float
    samples: int
    channels: int
    group: int
    audio: np.ndarray
    gain: float = 1.0
    mix: Mix = "mean"

    def read(self, start: int, stop: int, channels: int) -> np.ndarray:
        """A fresh float32 ``[channels, stop - start]``."""
        piece = np.array(self.audio[:, start:stop], dtype=np.float32)
        let_go(self.audio)
        if self.gain != 1.0:
            piece *= np.float32(self.gain)
        return in_channels(piece, channels, self.mix)


@dataclass(frozen=True)
class Corpus:
    """The usable recordings of a folder, sorted by name, and a report on every audio file in it.

    Where several files are copies of one take, one of them stands for all. ``alike`` says which stretches sound alike.
    ``folder`` is absolute, so that it says where the recordings are whatever the working directory becomes.
    """

    folder: Path
    recordings: tuple[Recording, ...]
    files: tuple[FileReport, ...]
    channels: int
    fingerprint: str
    alike: tuple[Alike, ...] = ()

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
        copied = sum(file.verdict in (FileVerdict.DUPLICATE, FileVerdict.COPY) for file in self.files)
        found = []
        if self.seconds < _LITTLE_SECONDS:
            found.append(
                f"{duration(self.seconds)} are very little to learn from: what comes out will mostly repeat them. "
                "A minute or more of different recordings makes new sound possible."
            )
        if len(used) == 1 and copied:
            others = "usable " if len(self.files) > copied + 1 else ""
            found.append(f"All {copied + 1} {others}files are the same sound, so there is one recording to learn from.")
        if silence > _MUCH_SILENCE:
            found.append(f"{silence:.0%} of the sound is silence, and so will be much of what comes out. Trim it.")
        if displaced := [file.name for file in used if _is_displaced(file)]:
            found.append(
                f"Off the middle by a constant (DC offset): {_some(displaced)}. "
                "A high-pass filter at 20 Hz removes it and leaves more room for the sound."
            )
        if quiet := [file.name for file in used if _is_quiet(file)]:
            found.append(
                f"Quiet, with no sample above {20 * math.log10(_QUIET):.0f} dBFS: {_some(quiet)}. Raise the level, "
                "or what comes out will be as quiet."
            )
        if clipped := [file.name for file in used if _is_clipped(file)]:
            found.append(
                f"At its highest level for more than {_CLIPPED:.0%} of its samples, so likely clipped: {_some(clipped)}."
            )
        return tuple(found)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What in the folder is not learned from, what is used in another form than it has on the disk, and what recordings
        share, as it is trained on; a sentence each."""
        return (*self.unused, self.shared) if self.shared else self.unused

    @property
    def unused(self) -> tuple[str, ...]:
        """The same without what they share: for whoever does not train."""
        twins = (FileVerdict.DUPLICATE, FileVerdict.COPY)
        lost = [file for file in self.files if file.verdict not in (FileVerdict.USED, *twins)]
        copied = [f"{file.name} (as {file.duplicate_of})" for file in self.files if file.verdict in twins]
        remarked = [file for file in self.files if file.verdict == FileVerdict.USED and file.remark]
        found = [f"Left out: {file.name}. {file.reason} {file.fix}" for file in lost[:_SPELT_OUT]]
        if more := len(lost) - _SPELT_OUT:
            found += [f"Left out, too: {_some([file.name for file in lost[_SPELT_OUT:]], 20)}."] if more > 0 else []
        if copied:
            found.append(f"Counted once, as the same sound is there more than once: {_some(copied, 2 * _NAMED)}.")
        found += [f"{file.name}: {file.remark}" for file in remarked[:_SPELT_OUT]]
        if len(remarked) > _SPELT_OUT:
            found.append(
                f"So it is with {_some([file.name for file in remarked[_SPELT_OUT:]], 20)}: distill check says how."
            )
        return tuple(found)

    @property
    def shared(self) -> str:
        """Which recordings share sound with others, named, and what that means; empty where none does."""
        found: dict[int, set[int]] = {}
        for one in self.alike:
            if one.one != one.other:
                for number in (one.one, one.other):
                    found.setdefault(number, set()).update({one.one, one.other})
        if not found:
            return ""
        named = sorted(found)
        names = _some([self.recordings[number].name for number in named], 2 * _NAMED)
        what = (
            f"{names} share sound (a bar that comes back, a loop, a jingle)"
            if len(named) < self.file_count or len(named) <= 2 * _NAMED
            else f"All {len(named)} recordings share sound with others (bars that come back, a loop, a jingle)"
        )
        return f"{what}. All of it is trained on, but for what sounds like anything that is held out."


def import_corpus(
    folder: Path,
    *,
    channels: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    ahead: Callable[[str], None] | None = None,
) -> Corpus:
    """Judges every audio file below ``folder``; a bad one among good ones is reported, not fatal.

    Decodes in bounded memory into the cache, each file once: what is found out is kept, and a file that was not written to
    since is not read again. ``channels`` (1 or 2) overrides the choice, which is stereo when at least half of the seconds are
    truly stereo. ``progress`` is called with (files done, files, name of the next), ``ahead`` with what a long first reading
    will take, before it begins.

    Raises:
        CorpusError: if there is nothing to learn from, with up to three reasons.
        SettingError: if ``channels`` is neither 1 nor 2.
    """
    if channels not in (None, 1, 2):
        raise SettingError(f"{channels} channels cannot be learned.", "Ask for 1 (mono) or 2 (stereo).")
    folder = Path(folder)
    paths, reports = _listed(folder)
    if ahead is not None and (words := first_reading(paths)):
        ahead(words)
    used: dict[str, Found] = {}
    taken = {name_below(path, folder) for path in paths}
    by_bytes: dict[str, str] = {}
    by_samples: dict[str, str] = {}
    for done, path in enumerate(paths):
        name = name_below(path, folder)
        # Composed, as it is typed; two files of which one name is composed and the other is not keep theirs.
        name = composed if (composed := normalised(name)) not in taken else name
        taken.add(name)
        if progress is not None:
            progress(done, len(paths), name)
        judged = judge(path, name, by_bytes, by_samples)
        if isinstance(judged, Found):
            used[name] = judged
            by_bytes[judged.sha256] = name
            by_samples[judged.levels.digest] = name
            judged = judged.report
        reports.append(judged)
    reports.sort(key=lambda report: report.name)
    if progress is not None:
        progress(len(paths), len(paths), "")
    if not used:
        raise _nothing_usable(folder, reports)

    used, reports, alike, groups = _one_of_each_take(used, reports)
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
            gain=found.levels.gain,
            mix=found.levels.mix,
        )
        for (name, found), group in zip(used.items(), groups, strict=True)
    )
    trim_cache(keep={one.sha256 for one in recordings})
    stereo = sum(found.report.seconds for found in used.values() if found.levels.stereo)
    return Corpus(
        folder=absolute(folder),
        recordings=recordings,
        files=tuple(reports),
        channels=channels or (2 if 2 * stereo >= sum(one.seconds for one in recordings) else 1),
        fingerprint=hashlib.sha256("".join(sorted(one.sha256 for one in recordings)).encode()).hexdigest(),
        alike=alike,
    )


def _one_of_each_take(
    used: dict[str, Found], reports: list[FileReport]
) -> tuple[dict[str, Found], list[FileReport], tuple[Alike, ...], list[int]]:
    """One recording of each take, the one with most sound in it; what sounds alike in those, and their groups."""
    names = list(used)
    found = list(used.values())
    sounds = [(one.audio, one.levels.mix) for one in found]
    digests = [one.sha256 for one in found]
    alike = alike_in(sounds, digests)
    parts, sure = parts_in(sounds, digests, alike)
    # By what is in them, not by their names: a renamed folder is the same corpus.
    preferred = sorted(range(len(found)), key=lambda number: _worth(found[number]), reverse=True)
    originals = copies(sure, preferred)
    stays = [number for number in range(len(found)) if number not in originals]
    place = {number: at for at, number in enumerate(stays)}
    judged = {names[copy]: names[original] for copy, original in originals.items()}
    return (
        {names[number]: found[number] for number in stays},
        [_with_its_original(report, judged) for report in reports],
        tuple(
            replace(one, one=place[one.one], other=place[one.other])
            for one in alike
            if one.one in place and one.other in place
        ),
        group_takes(
            len(stays), {(place[a], place[b]): part for (a, b), part in parts.items() if a in place and b in place}
        ),
    )


def _with_its_original(report: FileReport, originals: Mapping[str, str]) -> FileReport:
    """The report on a file as it is where copies are known, of which ``originals`` names the files that stand for them."""
    name = report.name if report.name in originals else report.duplicate_of
    if name not in originals:
        return report
    original = originals[name]
    same = f"the same take as {original}, which holds all of it (another rate, level, length or mix)."
    return replace(
        report,
        verdict=FileVerdict.COPY if name == report.name else FileVerdict.DUPLICATE,
        reason=f"It is {same}"
        if name == report.name
        else f"It is the same sound as {name}, sample by sample, and {same}",
        fix=settled(f"a take counts once, and {original} is used.", report.unread),
        duplicate_of=original,
    )


def _is_quiet(file: FileReport) -> bool:
    return file.peak_db < 20 * math.log10(_QUIET)


def _is_displaced(file: FileReport) -> bool:
    return abs(file.offset) > _OFFSET


def _is_clipped(file: FileReport) -> bool:
    return file.clipped > _CLIPPED


def _worth(found: Found) -> tuple[int, bool, int, int, int, int, str]:
    """By what one copy is chosen: most sound in it, no noise of a coarse format, then how much of the spectrum it can hold,
    less in a lossy format and in mono, then what it is not warned of, as whoever mends a take may keep it as it was, and then
    how much of the spectrum it does hold."""
    exact = found.subtype in _EXACT
    # Codecs add up to a tenth of a second at the ends, which shall not decide where it falls on a border of the rounding.
    sounding = (1 - found.levels.silence) * found.audio.shape[1] / SAMPLE_RATE + (_PADDING if exact else 0)
    # Of an exact file the rate says it: a dull sound is no damaged one, and what a codec invents above it no gain.
    whole = exact and found.report.sample_rate >= _WHOLE_RATE
    can_hold = SAMPLE_RATE / 2 if whole else found.levels.bandwidth * (1 if exact else _LOSSY_HOLDS)
    return (
        round(2 * sounding),
        found.subtype not in _COARSE,
        round(can_hold * (1 if found.levels.stereo else _MONO_HOLDS) / 1000),
        -sum(is_wrong(found.report) for is_wrong in (_is_quiet, _is_displaced, _is_clipped)),
        round(found.levels.bandwidth / 1000),
        found.audio.shape[1],
        found.sha256,
    )


def ensure_usable(folder: Path) -> None:
    """Reads no further than to the first recording that can be learned from.

    Raises:
        CorpusError: if there is none, as :func:`import_corpus` does.
    """
    paths, reports = _listed(folder)
    for path in paths:
        judged = judge(path, name_below(path, folder), {}, {})
        if isinstance(judged, Found):
            return
        reports.append(judged)
    raise _nothing_usable(folder, sorted(reports, key=lambda report: report.name))


def audio_digests(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every audio file below ``folder`` that can be read, with the SHA-256 of its bytes."""
    _check_folder(folder)
    for path in audio_files(folder)[0]:
        try:
            digest = digest_of(path)
        except AudioFileError:  # whoever looks for certain bytes does not find them here
            continue
        yield path, digest


def sound_of(path: Path, sha256: str) -> np.ndarray | None:
    """The sound of a file whose bytes have this digest, float32 ``[C, N]`` at 48 kHz; None if it was written to meanwhile.

    Raises:
        AudioFileError, OutputError: if it cannot be decoded, or not kept.
    """
    found = decoded(path, sha256)
    if file_digest(path) == sha256:
        return found
    forget(sha256)
    return None


def _listed(folder: Path) -> tuple[list[Path], list[FileReport]]:
    """What looks like sound in it, and what could not be looked at; a CorpusError where there is neither."""
    _check_folder(folder)
    paths, ignored, reports = audio_files(folder)
    if not paths and not reports:
        others = "1 other file lies" if ignored == 1 else f"{ignored} other files lie"
        nothing = "holds nothing but hidden files and empty folders" if any(folder.iterdir()) else "is empty"
        what = f"{folder} holds no audio; {others} in it." if ignored else f"{folder} {nothing}."
        known = ", ".join(sorted(suffix[1:] for suffix in AUDIO_SUFFIXES))
        raise CorpusError(what, f"Put recordings in it ({known}).")
    return paths, reports


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        raise CorpusError(f"The folder {folder} does not exist.", advice_on_missing(folder))
    if not folder.is_dir():
        raise CorpusError(f"{folder} is a file; a folder of recordings is needed.", "Give the folder it lies in.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise CorpusError(f"The folder {folder} may not be read by you.", "Change its permissions.")


def _some(names: list[str], most: int = _NAMED) -> str:
    if len(names) > most:
        return ", ".join(names[:most]) + f" and {len(names) - most} more"
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]


def _nothing_usable(folder: Path, reports: list[FileReport]) -> CorpusError:
    reasons = " ".join(f"{report.name}: {report.reason}" for report in reports[:3])
    more = f" And {len(reports) - 3} more." if len(reports) > 3 else ""
    count = "The only audio file" if len(reports) == 1 else f"Every one of the {len(reports)} audio files"
    # Of a folder that cannot be read, or an archive, nobody knows what is in it.
    if any(report.name.endswith("/") or report.fix == UNPACK for report in reports):
        return CorpusError(f"Nothing in {folder} can be used. {reasons}{more}", reports[0].fix)
    return CorpusError(f"{count} in {folder} is unusable. {reasons}{more}", reports[0].fix)
