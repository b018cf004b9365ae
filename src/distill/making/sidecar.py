"""Where every moment of a piece comes from: a JSON file beside it, and a project that a DAW opens to take it apart."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np

from distill.audio.mixing import in_channels
from distill.counted import counted
from distill.files.atomic import written_aside
from distill.files.beside import SIDECAR_FORMAT
from distill.files.regular import absolute
from distill.library.beside import quoted
from distill.making.borders import excerpt
from distill.making.grains import Stretch
from distill.making.joins import Placed

_KINDS = {".flac": "FLAC", ".mp3": "MP3", ".ogg": "VORBIS"}
"""What Reaper calls the sources of these files; ``WAVE`` is any other."""


@dataclass(frozen=True)
class Quote:
    """A grain of a recording in a piece, in seconds, for people and programs."""

    at: float
    """In the piece; where its fade-in begins."""
    seconds: float
    """With both fades."""
    recording: str
    place: float
    """In the recording."""
    gain_db: float
    fade_in: float
    fade_out: float
    sha256: str
    """SHA-256 of the recording's file."""
    audio: np.ndarray = field(repr=False, compare=False)
    """The whole recording, float32 ``[C, N]``."""
    sample_rate: int
    file: Path | None = None
    """Where the recording lies, if that was looked for."""

    @property
    def words(self) -> str:
        """Where it is from, for people."""
        return f"{self.recording}, {self.place:.2f} to {self.place + self.seconds:.2f} s"

    def original(self, channels: int) -> np.ndarray:
        """The place as it is in the recording, float32 ``[channels, n]``."""
        first = round(self.place * self.sample_rate)
        sound = excerpt(self.audio, first, first + round(self.seconds * self.sample_rate))
        return in_channels(sound, channels, "mean")


def quotes(
    placed: Sequence[Placed],
    stretches: Sequence[Stretch],
    sample_rate: int,
    skip: int,
    samples: int,
    at: int = 0,
    gain: float = 1.0,
) -> tuple[Quote, ...]:
    """The grains that are heard in a piece.

    Args:
        skip: samples of the sound before the piece begins.
        samples: of the piece.
        at: sample of the file in which the piece begins.
        gain: by which all of the piece is turned up or down (``level.py``).
    """
    found = []
    for grain in placed:
        first, stop = max(grain.start, skip), min(grain.start + grain.length, skip + samples)
        if first >= stop:
            continue
        stretch = stretches[grain.stretch]
        found.append(
            Quote(
                at=(at + first - skip) / sample_rate,
                seconds=(stop - first) / sample_rate,
                recording=stretch.name,
                place=(grain.source + first - grain.start) / sample_rate,
                gain_db=grain.gain + 20 * math.log10(stretch.gain * gain),
                fade_in=max(0, grain.fade_in - (first - grain.start)) / sample_rate,
                fade_out=max(0, grain.fade_out - (grain.start + grain.length - stop)) / sample_rate,
                sha256=stretch.sha256,
                audio=stretch.audio,
                sample_rate=sample_rate,
                file=stretch.path,
            )
        )
    return tuple(found)


def in_words(made_of: Sequence[Quote]) -> str:
    """What a piece is made of, in a few words; empty for the codec's voice."""
    if not made_of:
        return ""
    recordings = len({quote.recording for quote in made_of})
    longest = max(quote.seconds for quote in made_of)
    return f"made of {counted(len(made_of), 'grain')} of {counted(recordings, 'recording')}, longest {longest:.2f} s"


def write_sidecar(path: Path, piece: str, made_of: Sequence[Quote], about: str) -> None:
    """Writes where the grains of a piece come from.

    Args:
        piece: the name of its file, beside ``path``.
        about: how it was made, in a line.

    Raises:
        OutputError: if the file system refuses.
    """
    digests = {quote.recording: quote.sha256 for quote in made_of}
    contents = {
        "format": SIDECAR_FORMAT,
        "piece": piece,
        "about": about,
        "recordings": [{"name": name, "sha256": digest} for name, digest in sorted(digests.items())],
        "grains": [
            {
                "at": round(quote.at, 6),
                "seconds": round(quote.seconds, 6),
                "recording": quote.recording,
                "place": round(quote.place, 6),
                "gain_db": quote.gain_db,
                "fade_in": round(quote.fade_in, 6),
                "fade_out": round(quote.fade_out, 6),
            }
            for quote in made_of
        ],
    }
    text = json.dumps(contents, indent=1, ensure_ascii=False) + "\n"
    with written_aside(path) as aside:  # what is no letter is written as JSON's own escape
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_edit_list(path: Path, piece: str, made_of: Sequence[Quote], seconds: float, sample_rate: int) -> None:
    """Writes a Reaper project in which every grain of a piece is an item.

    Grains take turns on two tracks, so that those that are cross-faded lie over each other as they sound; a third, muted,
    holds the piece itself. The format is plain text (github.com/ReaTeam/Doc, "State Chunk Definitions").

    Args:
        piece: the name of its file, beside ``path``.
        seconds: how long it is.

    Raises:
        OutputError: if the file system refuses.
    """
    lines = ['<REAPER_PROJECT 0.1 "6.0" 0', f"  SAMPLERATE {sample_rate} 1 0"]
    for track, called in ((0, "grains 1"), (1, "grains 2")):
        lines += ["  <TRACK", f"    NAME {quoted(called)}"]
        for quote in made_of[track::2]:
            lines += _item(quote)
        lines.append("  >")
    whole = ["    <ITEM", "      POSITION 0", f"      LENGTH {seconds:.6f}", f"      NAME {quoted(piece)}"]
    whole += [*_source(piece), "    >"]
    lines += ["  <TRACK", f"    NAME {quoted('the piece')}", "    MUTESOLO 1 0 0", *whole, "  >", ">"]
    with written_aside(path) as aside:
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")


def _item(quote: Quote) -> list[str]:
    # Fades of shape 1 start fast, as those do that keep the power.
    lines = [
        "    <ITEM",
        f"      POSITION {quote.at:.6f}",
        f"      LENGTH {quote.seconds:.6f}",
        f"      FADEIN 1 {quote.fade_in:.6f} 0 1 0 0 0",
        f"      FADEOUT 1 {quote.fade_out:.6f} 0 1 0 0 0",
        f"      NAME {quoted(quote.words)}",
        f"      VOLPAN {10 ** (quote.gain_db / 20):.6f} 0 1 -1",
        f"      SOFFS {quote.place:.6f}",
    ]
    if (file := quote.file) is not None:
        lines += _source(str(absolute(file)))
    return [*lines, "    >"]


def _source(file: str) -> list[str]:
    kind = _KINDS.get(PurePath(file).suffix.lower(), "WAVE")
    return [f"      <SOURCE {kind}", f"        FILE {quoted(file)}", "      >"]
