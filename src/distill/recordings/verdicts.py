"""The verdicts on one audio file of a folder."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from distill.audio.rate import SAMPLE_RATE
from distill.counted import some_of


class FileVerdict(StrEnum):
    """What became of one audio file."""

    USED = "used"
    SHORT = "too short"
    LONG = "too long"
    SILENT = "silent"
    DUPLICATE = "duplicate"
    COPY = "copy"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class FileReport:
    """One audio file of the folder; ``reason`` and ``fix`` are empty when it is used.

    ``name`` is the path below the folder, with slashes. ``sample_rate`` (Hz) and ``channels`` are the file's
    own, 0 when unreadable. ``peak_db`` is in dBFS, ``silence`` the share of 50 ms frames 60 dB or more under the peak,
    ``loud`` the seconds of those less than 30 dB under the loudest,
    ``offset`` the largest mean of a channel, ``clipped`` the share of samples at full scale, or at the peak of what is louder
    (shares from 0 to 1), ``bandwidth`` the highest frequency (Hz) that ever comes within 100 dB of the peak; all six are
    measured only in files that can be read and are long enough. ``remark`` is what a person should know of a file that is used;
    ``unread``, which is part of it and of every ``fix``, that there is more sound in the file than was looked at.
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
    remark: str = ""
    unread: str = ""
    loud: float = 0.0

    @property
    def is_used(self) -> bool:
        """Whether the recording is trained on or measured."""
        return self.verdict == FileVerdict.USED


def remarks(files: Iterable[FileReport]) -> dict[str, list[str]]:
    """What a person should know of the files that are used, and the names of those that it goes for."""
    found: dict[str, list[str]] = {}
    for file in files:
        if file.remark and file.is_used:
            found.setdefault(file.remark, []).append(file.name)
    return found


def told_of(names: Sequence[str], words: str, most: int | None = None) -> str:
    """A sentence about a file, behind the names of those that it goes for: of several it goes for each."""
    each = "Each of " if len(names) > 1 else ""
    return f"{each}{some_of(names, len(names) if most is None else most)}: {words}"


def settled(words: str, unread: str) -> str:
    """What to do about a file that is there in another form, too: nothing, unless there is more sound in it."""
    return f"{words[0].upper()}{words[1:]} {unread}" if unread else f"Nothing needs doing: {words}"
