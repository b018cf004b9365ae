"""The page of the codec's second stage: each recording, before it and after it, to listen to and look at."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.report.contents import Reconstruction
from distill.report.listening import comparison
from distill.report.markup import Section, section, tiles
from distill.report.page import html_page, write_page
from distill.report.tables import facts_section


@dataclass(frozen=True)
class RefinementReport:
    """The same recordings rebuilt with the first stage's decoder and with the refined one."""

    title: str
    before: Sequence[Reconstruction]
    after: Sequence[Reconstruction]
    """In the order of ``before``."""
    held_out: frozenset[str]
    """Names of the recordings held out."""
    is_kept: bool
    """Whether the refined decoder is the one in the model now."""
    facts: Mapping[str, str]


def write_refinement_report(path: Path, report: RefinementReport) -> Path:
    """Writes the self-contained page to ``path`` and returns it; the file appears whole or not at all.

    Raises:
        OutputError: where it cannot be written.
    """
    sections = [_listening_section(report), facts_section(report.facts)]
    page = html_page(report.title, "Distill, the codec's second stage", _opening(report), sections)
    return write_page(path, page)


def _opening(report: RefinementReport) -> str:
    verdict = (
        "The refined decoder is in the model now."
        if report.is_kept
        else "Judged by pitch, texture and distance together, the refined decoder is no better, so the model keeps the first."
    )
    numbers = [
        (f"{statistics.fmean(pair.mel_distance for pair in pairs):.2f}", label)
        for pairs, label in ((report.before, "mean mel distance before"), (report.after, "after"))
        if pairs
    ]
    return f'<p class="summary">{verdict}</p>{tiles(numbers)}'


def _listening_section(report: RefinementReport) -> Section:
    cards = "".join(
        comparison(
            before.name,
            {"Original": before.original, "Before": before.decoded, "After": after.decoded},
            f"mel distance {before.mel_distance:.2f} → <b>{after.mel_distance:.2f}</b>",
            before.name in report.held_out,
        )
        for before, after in zip(report.before, report.after, strict=True)
    )
    return section(
        "before-and-after",
        "Before and after",
        "The codes are the same in both; only the decoder that turns them into sound was trained further. The mel distance "
        "says how far each is from the recording (lower is closer), but it cannot hear phase: let your ears decide.",
        cards,
    )
