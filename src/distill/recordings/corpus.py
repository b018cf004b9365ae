"""Import of a folder: a verdict for every file, duplicates and near-copies, channels, fingerprint."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from distill.audio.mixing import Mix, in_channels
from distill.audio.rate import SAMPLE_RATE
from distill.counted import NAMED, counted, some_of
from distill.durations import duration
from distill.errors import AudioFileError, CorpusError, SettingError
from distill.files.names import normalised
from distill.files.regular import absolute
from distill.formats.files import file_digest
from distill.formats.unusable import UNPACK
from distill.recordings.ahead import first_reading
from distill.recordings.alike import Alike, alike_in
from distill.recordings.cache import decoded, forget, kept_as, let_go, trim_cache
from distill.recordings.folder import audio_files, check_folder, listed, name_below
from distill.recordings.inspection import Found, inspect
from distill.recordings.seen import digest_of, known_digest, shape_of
from distill.recordings.stems import Mixdown, like_tracks, mixdowns_in
from distill.recordings.takes import copies, group_takes, parts_in
from distill.recordings.verdicts import FileReport, FileVerdict, remarks, settled, told_of
from distill.recordings.worth import CLIPPED, QUIET, is_a_moment, is_clipped, is_displaced, is_quiet, worth

_LITTLE_SECONDS = 10.0
_MUCH_SILENCE = 0.8
_SPELT_OUT = 8


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


def _moved(lag: int) -> str:
    """How a mix begins beside its tracks, in words."""
    return f", {duration(abs(lag) / SAMPLE_RATE)} {'later' if lag > 0 else 'earlier'}" if lag else ""


@dataclass(frozen=True)
class Corpus:
    """The usable recordings of a folder, sorted by name, and a report on every audio file in it.

    Where several files are copies of one take, one of them stands for all. ``alike`` says which stretches sound alike,
    ``mixdowns`` which recordings are the sum of which others.
    ``folder`` is absolute, so that it says where the recordings are whatever the working directory becomes.
    """

    folder: Path
    recordings: tuple[Recording, ...]
    files: tuple[FileReport, ...]
    channels: int
    fingerprint: str
    alike: tuple[Alike, ...] = ()
    mixdowns: tuple[Mixdown, ...] = ()
    own_channels: int | None = None
    """How many channels suit the recordings, whatever was asked for; None if nobody looked."""

    @property
    def seconds(self) -> float:
        return sum(recording.seconds for recording in self.recordings)

    @property
    def file_count(self) -> int:
        return len(self.recordings)

    @property
    def bandwidth(self) -> float:
        """The highest frequency (Hz) in any of the recordings: lossy formats and low sample rates hold nothing above it."""
        return max(file.bandwidth for file in self.files if file.is_used)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What will show in the result though every recording is usable: plain sentences, none for a healthy corpus."""
        used = [file for file in self.files if file.is_used]
        silence = sum(file.silence * file.seconds for file in used) / self.seconds
        copied = sum(file.verdict in (FileVerdict.DUPLICATE, FileVerdict.COPY) for file in self.files)
        found = []
        if self.seconds < _LITTLE_SECONDS:
            found.append(
                f"{duration(self.seconds)} is very little to learn from: what comes out will mostly repeat it. "
                "A minute or more of different recordings makes new sound possible."
            )
        if len(used) == 1 and copied:
            others = "usable " if len(self.files) > copied + 1 else ""
            found.append(f"All {copied + 1} {others}files are the same sound, so there is one recording to learn from.")
        if silence > _MUCH_SILENCE:
            found.append(
                f"{100 * silence:.0f} % of the sound is silence, so much of what comes out will be silent too. Trim it."
            )
        if displaced := [file.name for file in used if is_displaced(file)]:
            found.append(
                f"With a DC offset: {some_of(displaced)}. "
                "A high-pass filter at 20 Hz removes it and leaves more headroom."
            )
        if quiet := [file.name for file in used if is_quiet(file)]:
            found.append(
                f"Quiet, with no sample above {20 * math.log10(QUIET):.0f} dBFS: {some_of(quiet)}. Raise the level, "
                "or what comes out will be just as quiet."
            )
        if clipped := [file.name for file in used if is_clipped(file)]:
            found.append(
                f"Probably clipped, with more than {100 * CLIPPED:.0f} % of the samples at the highest level: "
                f"{some_of(clipped)}."
            )
        moments = [file.name for file in used if is_a_moment(file)]
        if moments and 2 * len(moments) < len(used):  # where they are the rule, they are what was to be recorded
            found.append(
                f"All but a moment is 30 dB or more below the peak: {some_of(moments)}. If the peak is a knock on the "
                "microphone or a click, cut it out."
            )
        return tuple(found)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What in the folder is not learned from, what is used in another form than it has on the disk, and what recordings
        share, as it is trained on; a sentence each."""
        return (*self.unused, *self.together)

    @property
    def unused(self) -> tuple[str, ...]:
        """The same without what they share: for whoever does not train."""
        twins = (FileVerdict.DUPLICATE, FileVerdict.COPY)
        lost = [file for file in self.files if file.verdict not in (FileVerdict.USED, *twins)]
        copied = [f"{file.name} (as {file.duplicate_of})" for file in self.files if file.verdict in twins]
        found = [f"Left out: {file.name}. {file.reason} {file.fix}" for file in lost[:_SPELT_OUT]]
        if more := len(lost) - _SPELT_OUT:
            others = [f"{file.name} ({file.verdict})" for file in lost[_SPELT_OUT:]]
            found += [f"Left out, too: {some_of(others, 20)}."] if more > 0 else []
        if copied:
            found += [f"{file.name}: {file.unread}" for file in self.files if file.verdict in twins and file.unread]
            found.append(f"Counted once, because the same sound is there more than once: {some_of(copied, 2 * NAMED)}.")
        remarked = list(remarks(self.files).items())
        found += [told_of(names, remark, 20) for remark, names in remarked[:_SPELT_OUT]]
        if others := [name for _, names in remarked[_SPELT_OUT:] for name in names]:
            found.append(f"Used in another form, too: {some_of(others, 20)}; distill check says how.")
        return tuple(found)

    @property
    def together(self) -> tuple[str, ...]:
        """Which recordings have to do with each other, and what that means for what is held out; a sentence or two each."""
        pieces = [
            f"{self._named((one.whole,))} is the mix of {self._named(one.parts)}{_moved(one.lag)}. The same seconds of all "
            "these are held out, so that none gives away another."
            for one in self.mixdowns
        ]
        names, samples = [one.name for one in self.recordings], [one.samples for one in self.recordings]
        pieces += [
            f"{self._named(tracks)} are equally long and named like the tracks of one piece. What is held out of one sounds "
            "together with what is trained on of the others, so its figures say little about other music."
            for tracks in like_tracks(names, samples)
            if not any(set(tracks) <= {one.whole, *one.parts} for one in self.mixdowns)
        ]
        if (more := len(pieces) - NAMED) > 0:
            pieces[NAMED:] = [f"The same goes for {counted(more, 'more piece')}."]
        return (*filter(None, (self.shared,)), *pieces)

    def _named(self, numbers: Sequence[int]) -> str:
        return some_of([self.recordings[number].name for number in numbers], 2 * NAMED)

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
        names = self._named(named)
        what = (
            f"{names} share sound (a bar that comes back, a loop, a jingle)"
            if len(named) < self.file_count or len(named) <= 2 * NAMED
            else f"All {len(named)} recordings share sound with others (bars that come back, a loop, a jingle)"
        )
        return f"{what}. All of it is trained on, except what sounds like something that is held out."


def import_corpus(
    folder: Path,
    *,
    channels: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    ahead: Callable[[str], None] | None = None,
) -> Corpus:
    """Inspects every audio file below ``folder``; a bad one among good ones is reported, not fatal.

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
    paths, reports = listed(folder)
    if ahead is not None and (words := first_reading(paths)):
        ahead(words)
    used, inspected = _inspected(folder, paths, progress or (lambda done, total, name: None))
    reports = sorted([*reports, *inspected], key=lambda report: report.name)
    if not used:
        raise _nothing_usable(folder, reports)

    read = {one.sha256 for one in used.values()} | {digest for path in paths if (digest := known_digest(path))}
    used, reports, alike, groups = _one_of_each_take(used, reports)
    recordings = tuple(_recording(name, used[name], group) for name, group in zip(used, groups, strict=True))
    trim_cache(keep=read)  # copies too, or they would be decoded again at the next start
    stereo = sum(found.report.seconds for found in used.values() if found.levels.stereo)
    own_channels = 2 if 2 * stereo >= sum(one.seconds for one in recordings) else 1
    return Corpus(
        folder=absolute(folder),
        recordings=recordings,
        files=tuple(reports),
        channels=channels or own_channels,
        fingerprint=hashlib.sha256("".join(sorted(one.sha256 for one in recordings)).encode()).hexdigest(),
        alike=alike,
        mixdowns=mixdowns_in([(one.audio, one.mix) for one in recordings], [found.key for found in used.values()]),
        own_channels=own_channels,
    )


def _inspected(
    folder: Path, paths: Sequence[Path], progress: Callable[[int, int, str], None]
) -> tuple[dict[str, Found], list[FileReport]]:
    """The usable files by their names below the folder, in order, and a report on every file."""
    used: dict[str, Found] = {}
    reports: list[FileReport] = []
    taken = {name_below(path, folder) for path in paths}
    by_bytes: dict[str, str] = {}
    by_samples: dict[str, str] = {}
    for done, path in enumerate(paths):
        name = name_below(path, folder)
        # Composed, as it is typed; two files of which one name is composed and the other is not keep theirs.
        name = composed if (composed := normalised(name)) not in taken else name
        taken.add(name)
        progress(done, len(paths), name)
        found = inspect(path, name, by_bytes, by_samples)
        if isinstance(found, Found):
            used[name] = found
            by_bytes[found.sha256] = name
            by_samples[found.levels.digest] = name
            found = found.report
        reports.append(found)
    progress(len(paths), len(paths), "")
    return used, reports


def _recording(name: str, found: Found, group: int) -> Recording:
    channels, samples = found.audio.shape
    return Recording(
        name=name,
        path=found.path,
        sha256=found.sha256,
        seconds=samples / SAMPLE_RATE,
        samples=samples,
        channels=channels,
        group=group,
        audio=found.audio,
        gain=found.levels.gain,
        mix=found.levels.mix,
    )


def _one_of_each_take(
    used: dict[str, Found], reports: list[FileReport]
) -> tuple[dict[str, Found], list[FileReport], tuple[Alike, ...], list[int]]:
    """One recording of each take, the one with most sound in it; what sounds alike in those, and their groups."""
    names = list(used)
    found = list(used.values())
    sounds = [(one.audio, one.levels.mix) for one in found]
    digests = [one.key for one in found]
    alike = alike_in(sounds, digests)
    parts, sure = parts_in(sounds, digests, alike)
    # By what is in them, not by their names: a renamed folder is the same corpus.
    preferred = sorted(range(len(found)), key=lambda number: worth(found[number]), reverse=True)
    originals = copies(sure, preferred)
    stays = [number for number in range(len(found)) if number not in originals]
    place = {number: at for at, number in enumerate(stays)}
    kept_for = {names[copy]: names[original] for copy, original in originals.items()}
    return (
        {names[number]: found[number] for number in stays},
        [_with_its_original(report, kept_for) for report in reports],
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


def ensure_usable(folder: Path) -> None:
    """Reads no further than to the first recording that can be learned from.

    Raises:
        CorpusError: if there is none, as :func:`import_corpus` does.
    """
    paths, reports = listed(folder)
    for path in paths:
        found = inspect(path, name_below(path, folder), {}, {})
        if isinstance(found, Found):
            return
        reports.append(found)
    raise _nothing_usable(folder, sorted(reports, key=lambda report: report.name))


def audio_digests(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every audio file below ``folder`` that can be read, with the SHA-256 of its bytes."""
    check_folder(folder)
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
    info = shape_of(path)
    key = kept_as(sha256, info.reading)
    found = decoded(info, key)
    if file_digest(path) == sha256:
        return found
    forget(key)
    return None


def _nothing_usable(folder: Path, reports: list[FileReport]) -> CorpusError:
    reasons = " ".join(f"{report.name}: {report.reason}" for report in reports[:3])
    more = f" And {len(reports) - 3} more." if len(reports) > 3 else ""
    count = "The only audio file" if len(reports) == 1 else f"Every one of the {len(reports)} audio files"
    # Of a folder that cannot be read, or an archive, nobody knows what is in it.
    if any(report.name.endswith("/") or report.fix == UNPACK for report in reports):
        return CorpusError(f"Nothing in {folder} can be used. {reasons}{more}", reports[0].fix)
    return CorpusError(f"{count} in {folder} is unusable. {reasons}{more}", reports[0].fix)
