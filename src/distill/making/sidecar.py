"""Where every moment of a piece comes from: a JSON file beside it, and a project that a DAW opens to take it apart."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.files.atomic import written_aside
from distill.files.names import free_path
from distill.making.grains import Stretch
from distill.making.joins import Placed


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
    """Of the recording's file."""


def quotes(
    placed: Sequence[Placed], stretches: Sequence[Stretch], sample_rate: int, skip: int, samples: int, at: int = 0
) -> tuple[Quote, ...]:
    """The grains that are heard in a piece.

    Args:
        skip: samples of the sound before the piece begins.
        samples: of the piece.
        at: sample of the file in which the piece begins.
    """
    found = []
    for grain in placed:
        first, stop = max(grain.start, skip), min(grain.start + grain.length, skip + samples)
        if first >= stop:
            continue
        stretch = stretches[grain.stretch]
        found.append(
            Quote(
                (at + first - skip) / sample_rate,
                (stop - first) / sample_rate,
                stretch.name,
                (grain.source + first - grain.start) / sample_rate,
                grain.gain,
                max(0, grain.fade_in - (first - grain.start)) / sample_rate,
                max(0, grain.fade_out - (grain.start + grain.length - stop)) / sample_rate,
                stretch.sha256,
            )
        )
    return tuple(found)


def in_words(made_of: Sequence[Quote]) -> str:
    """Of how much a piece is made; nothing for the codec's voice."""
    if not made_of:
        return ""
    recordings = len({quote.recording for quote in made_of})
    longest = max(quote.seconds for quote in made_of)
    return (
        f"made of {len(made_of)} {'grain' if len(made_of) == 1 else 'grains'} of {recordings} "
        f"{'recording' if recordings == 1 else 'recordings'}, longest {longest:.2f} s"
    )


def write_sidecar(piece: Path, made_of: Sequence[Quote], about: str) -> Path:
    """Writes ``PIECE.json`` beside a piece, or a free name like it.

    Raises:
        OutputError: if the file system refuses.
    """
    digests = {quote.recording: quote.sha256 for quote in made_of}
    contents = {
        "format": "distill-grains",
        "piece": piece.name,
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
    path = free_path(piece.with_suffix(".json"))
    with written_aside(path) as aside:
        aside.write_text(json.dumps(contents, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
