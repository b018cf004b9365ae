"""Formats that libsndfile does not read (AAC as phones record it, WMA, …), through PyAV where it is installed.

Imported only when such a file is met. Only the file itself is handed over, never its name, and only with the one format
that its content shows: FFmpeg would follow playlists otherwise, to other files and to the network.
"""

import errno
import io
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from distill.audio.downmix import MOST_CHANNELS, Downmix, downmix, in_two
from distill.durations import duration
from distill.errors import AudioFileError
from distill.files.installing import installing_extra
from distill.files.regular import open_regular
from distill.formats.content import FileContent
from distill.formats.cut_mpeg4 import STRICT, Gap, gap_in
from distill.formats.ends import adts_end, begins_file, boxes_end, first_in, is_padded, unread_behind, wavpack_end
from distill.formats.id3 import after_id3
from distill.formats.joined import Form, common_form, in_form, joined_in_words
from distill.formats.spliced import Links, Spliced
from distill.formats.suffixes import FILM_SUFFIXES

if TYPE_CHECKING:
    import av.container

FORMATS = {
    "AAC": ("mov", "aac"),
    "WMA": ("asf",),
    "Matroska": ("matroska",),
    "APE": ("ape",),
    "WavPack": ("wv",),
    "AMR": ("amr",),
    "DSF": ("dsf",),
    "TTA": ("tta",),
    "Ogg FLAC": ("ogg",),
    "Speex": ("ogg",),
    "compressed CAF": ("caf",),
}
"""FFmpeg's names for what a kind can be."""
_TELL_THEIR_LENGTH = ("mov", "asf", "matroska", "ape", "wv", "dsf", "tta", "caf")
_LONGEST_SECONDS = 7 * 3600
_ENCODERS_DELAY = 0.25
"""Seconds by which what is decoded may differ from what a header says: what encoders put in front and behind."""
_HEAD = 64
"""Bytes in which no other file begins."""
_JUMP = 0.05  # seconds
_ONE_PLACE = 2.0
"""Seconds: what is lost so soon behind the last place counts as the same."""


@dataclass(frozen=True)
class Shape:
    """What a file holds, counted by decoding it; ``frames`` at its own sample rate."""

    form: Form
    frames: int
    links: Links
    """What there is to say of it; without parts, as another library finds them."""
    downmix: Downmix | None
    """How more channels than two become two."""
    remark: str
    """That its parts were brought to that form; empty where they do not differ."""


def film(path: Path) -> AudioFileError:
    """What is said of a film."""
    return AudioFileError(
        f"{path.name} is a video, and videos are not read.", "Export its sound as WAV or FLAC, or leave it out."
    )


def any_length(seconds: float) -> None:
    """Refuses none."""


def shape_of(path: Path, kind: str, check: Callable[[float], None] = any_length) -> Shape:
    """Goes through a file once.

    Args:
        check: is given the seconds so far, and refuses them by raising.

    Raises:
        AudioFileError: if the extra is not installed, or the file cannot be read.
    """
    reading = _Reading(path, kind, check=check)
    frames = sum(len(block) for block in reading.blocks())
    forms = list(reading.forms)
    form, remark = (forms or [Form(0, 0)])[0], ""
    if len(forms) > 1:
        form = common_form(forms)
        reading = _Reading(path, kind, form)
        frames, remark = sum(len(block) for block in reading.blocks()), joined_in_words(forms, form)
        reading.downmix = None
    claim = reading.claim
    seconds = frames / form.sample_rate if frames else 0.0
    if claim is not None and reading.lost:
        seconds += reading.lost_seconds
    if claim is not None and abs(claim - seconds) <= _ENCODERS_DELAY:
        claim = None
    if claim is None and reading.breaks_off:
        claim = math.inf
    links = Links(claim=claim, lost=tuple(reading.lost), lost_seconds=reading.lost_seconds, unread=reading.unread)
    return Shape(form, frames, links, reading.downmix, remark)


def blocks_of(path: Path, kind: str, form: Form | None = None) -> Iterator[np.ndarray]:
    """Float32 ``[n, C]`` at the file's own rate, or where its parts differ, in the ``form`` that is given.

    Raises:
        AudioFileError: if the extra is not installed, or the file cannot be read.
    """
    yield from _Reading(path, kind, form).blocks()


class _Reading:
    """One pass over a file; what is found out on the way is known at its end."""

    def __init__(
        self, path: Path, kind: str, form: Form | None = None, check: Callable[[float], None] = any_length
    ) -> None:
        self._path, self._kind, self._form, self._check = path, kind, form, check
        self.forms: dict[Form, None] = {}
        """Those it has, in their order."""
        self.claim: float | None = None
        self.breaks_off = False
        self.unread = ""
        self.downmix: Downmix | None = None
        self.lost: list[float] = []
        self.lost_seconds = 0.0
        self._seconds = 0.0
        self._gap: Gap | None = None

    def blocks(self) -> Iterator[np.ndarray]:
        path, kind = self._path, self._kind
        try:
            import av
        except ImportError as error:
            what = "a video, or sound in a video file" if path.suffix.lower() in FILM_SUFFIXES else f"{kind} audio"
            raise AudioFileError(
                f"{path.name} is {what}, which takes one more package to read.",
                f"Export the file as WAV or FLAC, or install that package: {installing_extra('more-formats')}",
            ) from error
        names = FORMATS[kind] if path_begins_as_box(path) or kind != "AAC" else FORMATS[kind][::-1]
        try:
            end = self._own_end(names[0])
            self._gap = gap_in(path) if names[0] == "mov" else None
            with (
                Spliced(open_regular(path), self._gap.parts if self._gap else [(0, end)]) as file,
                av.open(file, format=names[0], metadata_errors="ignore") as container,
            ):
                yield from self._decoded(container, names[0])
        except (av.FFmpegError, OSError) as error:
            if not isinstance(error, av.FFmpegError) and error.errno != errno.EINVAL:
                raise
            if not self._seconds and names[0] == "mov" and not has_table(path):
                raise _without_table(path) from error
            # EINVAL: a part of the file says that it is longer than a file can be, and FFmpeg asks to go there.
            reached = f"beyond {duration(self._seconds)}" if self._seconds else "at all"
            raise AudioFileError(
                f"{path.name} is damaged: it cannot be read {reached}.", "Export it again, or leave it out."
            ) from error

    def _own_end(self, name: str) -> int:
        """Where the file ends, or another one begins in it, which is told."""
        with open_regular(self._path) as file:
            content = FileContent(file)
            if name == "mov":
                end = boxes_end(content)
            elif name == "aac":
                end = adts_end(content, after_id3(content))
            else:
                end = wavpack_end(content) if name == "wv" else 0
                if end and is_padded(content, end):  # FFmpeg would call it broken off
                    return end
                if not begins_file(content, end):
                    end = first_in(content, max(_HEAD, end), len(content))
            other = begins_file(content, end)
            if not other:
                return len(content)
            self.unread = unread_behind(other, len(content) - end)
            return end

    def _decoded(self, container: "av.container.InputContainer", name: str) -> Iterator[np.ndarray]:
        import av

        path = self._path
        tracks = container.streams.audio
        if any(not stream.disposition & av.stream.Disposition.attached_pic for stream in container.streams.video):
            raise film(path)
        if not tracks:
            if name == "mov" and not has_table(path):
                raise _without_table(path)
            raise AudioFileError(f"{path.name} holds no sound at all.", "Export it again, or leave it out.")
        stream = tracks[0]
        if stream.codec_context is None:  # FFmpeg has no decoder for it
            raise AudioFileError(
                f"{path.name} holds {self._kind} sound encoded in a way that cannot be read.",
                "Export it as plain WAV (PCM) or FLAC, or leave it out.",
            )
        if 2 < stream.channels <= MOST_CHANNELS:
            self.downmix = downmix(stream.channels, [channel.name for channel in stream.layout.channels])
        if len(tracks) > 1:
            words = f"It holds {len(tracks)} tracks, of which only the first is read; export the others one by one."
            self.unread = f"{words} {self.unread}".rstrip()
        if name in _TELL_THEIR_LENGTH:
            whole = None if container.duration is None else container.duration / av.time_base
            own = stream.duration and stream.time_base and float(stream.duration * stream.time_base)
            self.claim = own or whole
        stream.codec_context.options = STRICT
        for (form, layout), frames in groupby(self._frames(container, stream), _form_of):
            self.forms[form] = None
            blocks = self._unpacked(frames)
            if self._form is not None:
                if form.channels > 2:
                    blocks = map(partial(in_two, matrix=downmix(form.channels, layout).matrix), blocks)
                blocks = in_form(blocks, Form(form.sample_rate, min(2, form.channels)), self._form)
            yield from blocks
            if self._seconds > _LONGEST_SECONDS:
                return

    def _unpacked(self, frames: "Iterable[av.audio.frame.AudioFrame]") -> Iterator[np.ndarray]:
        """The samples of a part, ``[n, C]`` a block, as they are."""
        import av

        resampler = av.AudioResampler("flt")
        for frame in chain(frames, [None]):
            for piece in resampler.resample(frame):
                block = piece.to_ndarray().reshape(-1, piece.layout.nb_channels).astype(np.float32)
                self._seconds += len(block) / piece.sample_rate
                self._check(self._seconds)
                yield block
            if self._seconds > _LONGEST_SECONDS:
                return

    def _frames(
        self, container: "av.container.InputContainer", stream: "av.audio.stream.AudioStream"
    ) -> "Iterator[av.audio.frame.AudioFrame]":
        """Every frame that can be decoded; where only the last packets cannot, the file breaks off there."""
        import av

        fault: av.FFmpegError | None = None
        is_behind_gap = False
        lost = 0.0
        reached: float | None = None  # the moment at which what was decoded ends
        held = 0  # bytes
        packets = container.demux(stream)
        while True:
            packet = None
            try:
                packet = next(packets, None)
                if packet is None:
                    break
                if self._gap is not None and self._gap.spoils(packet):
                    is_behind_gap = True
                    lost += float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0
                    continue
                frames = packet.decode()
            except av.FFmpegError as error:
                if fault is not None and not self._seconds:
                    raise
                if isinstance(error, av.EOFError):
                    break
                fault = fault or error
                if packet is not None and packet.duration and packet.time_base:
                    lost += float(packet.duration * packet.time_base)
                continue
            held += packet.size
            for frame in frames:
                jump = 0.0 if None in (reached, frame.time) else frame.time - reached
                # A page of Ogg that is missing shows in nothing else, and not before the next page.
                if fault is not None or is_behind_gap or (container.format.name == "ogg" and jump > _JUMP):
                    self._lose(max(lost, jump))
                    fault, is_behind_gap, lost = None, False, 0.0
                yield frame
                reached = None if frame.time is None else frame.time + frame.samples / frame.sample_rate
        if fault is not None and not self._seconds:
            raise fault
        self.breaks_off = fault is not None
        if self.lost and container.format.name == "aac":  # frames without moments of their own
            self.lost_seconds = max(self.lost_seconds, (container.size - held) * self._seconds / held)

    def _lose(self, seconds: float) -> None:
        if not self.lost or self._seconds - self.lost[-1] > _ONE_PLACE:
            self.lost.append(self._seconds)
        self.lost_seconds += seconds


def _form_of(frame: "av.audio.frame.AudioFrame") -> tuple[Form, tuple[str, ...]]:
    """Its form, and the places of its channels."""
    return Form(frame.sample_rate, frame.layout.nb_channels), tuple(one.name for one in frame.layout.channels)


def has_table(path: Path) -> bool:
    """Whether the table of an MPEG-4 file's sound (``moov``) is there, whole and where it should be (ISO 14496-12)."""
    with open_regular(path) as file:
        end, at = file.seek(0, io.SEEK_END), 0
        while at + 8 <= end:
            file.seek(at)
            head = file.read(16)
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:16], "big") if size == 1 else size or end - at
            if size < 8:
                return False
            if head[4:8] == b"moov":
                return at + size <= end
            at += size
    return False


def _without_table(path: Path) -> AudioFileError:
    return AudioFileError(
        f"{path.name} is damaged: the table of its sound, which is often at its end, is missing or not in its place.",
        "Copy or download it again from its source, or leave it out.",
    )


def path_begins_as_box(path: Path) -> bool:
    """Whether it is an MPEG-4 file (``ftyp``) rather than bare AAC frames."""
    with open_regular(path) as file:
        return file.read(8)[4:8] == b"ftyp"
