"""The page of an evaluation: recordings, decoded by the codec and by Opus, to listen to; then the figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distill.report.contents import Reconstruction
from distill.report.listening import comparison, mel_measure
from distill.report.markup import Section, section, text
from distill.report.page import html_page, write_page
from distill.report.tables import facts_section


@dataclass(frozen=True)
class EvaluationReport:
    """What the page shows."""

    title: str
    pairs: Sequence[Reconstruction]
    others: Mapping[str, Sequence[npt.NDArray[np.float32]]]
    """Other codecs' versions of ``pairs``, in their order, by what they are called; each ``[C, N]``."""
    held_out: frozenset[str]
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    """The figures, recording by recording; as many cells as headings."""
    facts: Mapping[str, str]
    decoded_as: str = "Decoded from codes"
    """What the decoded side of ``pairs`` is called."""
    distances: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Multi-scale mel distances of the versions, where several codecs are compared: by what they are called, in the order of
    ``pairs``. Otherwise that of ``pairs`` is said of each recording."""
    over: str = "Distill, how faithful the codec is"
    """Words above the title."""


def write_evaluation_report(path: Path, report: EvaluationReport) -> Path:
    """Writes the self-contained page to ``path`` and returns it; the file appears whole or not at all.

    Raises:
        OutputError: where it cannot be written.
    """
    sections = [_listening(report), _figures(report), facts_section(report.facts)]
    page = html_page(report.title, report.over, "", sections)
    return write_page(path, page)


def _listening(report: EvaluationReport) -> Section:
    cards = "".join(
        comparison(
            pair.name,
            {
                "Original": pair.original,
                report.decoded_as: pair.decoded,
                **{called: sounds[place] for called, sounds in report.others.items()},
            },
            {called: mel_measure(found[place]) for called, found in report.distances.items()}
            or mel_measure(pair.mel_distance),
            pair.name in report.held_out,
        )
        for place, pair in enumerate(report.pairs)
    )
    return section("listen", "Listen", _lead(report), cards)


def _lead(report: EvaluationReport) -> str:
    if report.distances:
        return (
            "Each recording was encoded and decoded from its codes alone by every model. The mel distance says how far what "
            "came out is from the original; lower is closer. All pictures share the original's time and loudness scales."
        )
    lead = (
        "Each recording was encoded and decoded from its codes alone. The mel distance says how far the two are apart; lower "
        "is closer."
    )
    beside = (
        " Beside them is the same sound in other versions; all pictures share the original's time and loudness scales."
    )
    return lead + beside if report.others else lead


def _figures(report: EvaluationReport) -> Section:
    head = "".join(f'<th scope="col">{text(heading)}</th>' for heading in report.headings)
    rows = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in report.rows)
    table = f'<div class="card"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return section("figures", "Figures", "", table)
