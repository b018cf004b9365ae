"""The report: one HTML file that holds its own pictures and sounds and asks the network for nothing."""

import base64
import hashlib
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from distill.counted import counted
from distill.durations import duration
from distill.files.atomic import written_aside
from distill.report.contents import RunReport
from distill.report.learning import codebook_section, kept_prior_epoch, learning_section
from distill.report.listening import is_much, new_audio_section, reconstruction_section
from distill.report.markup import Section, bit_rate, name, text, tiles
from distill.report.tables import corpus_section, facts_section, settings_section
from distill.training.metrics import checked


def write_report(path: Path, report: RunReport) -> Path:
    """Writes the page to ``path`` and returns it; the file appears whole or not at all.

    Raises:
        OutputError: where it cannot be written.
    """
    return write_page(path, render(report, path.parent))


def write_page(path: Path, page: str) -> Path:
    """Writes a page that was put together to ``path`` and returns it; the file appears whole or not at all.

    Raises:
        OutputError: where it cannot be written.
    """
    with written_aside(path) as aside:
        aside.write_bytes(page.encode("utf-8"))
    return path


def render(report: RunReport, beside: Path) -> str:
    """The whole page; ``beside`` is the folder it will lie in."""
    codebook_size = report.code_counts.shape[1] if report.code_counts.ndim == 2 else 0
    is_small = is_much(report.new_audio, report.reconstructions)
    sections = [
        new_audio_section(report.new_audio, beside, is_small),
        reconstruction_section(report.reconstructions, report.held_out, is_small),
        learning_section(report.events, report.memorization_threshold, codebook_size),
        codebook_section(report.code_counts, report.level_names, report.bitrate, report.events),
        corpus_section(report.files, report.split, report.held_out),
        settings_section(report.settings),
        facts_section(report.facts),
    ]
    return html_page(report.title, "Distill report", _opening(report), sections)


def html_page(title: str, over: str, opening: str, sections: Sequence[Section | None]) -> str:
    """A whole page of the sections that are there; ``over`` is plain words above the title, ``opening`` HTML below it."""
    there = [part for part in sections if part is not None]
    style, script = _package_text("style.css"), _package_text("player.js")
    links = "".join(f'<a href="#{part.anchor}">{text(part.title)}</a>' for part in there)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)} – Distill</title>\n<style>{style}</style></head>\n"
        f'<body><header class="top"><p class="over">{text(over)}</p>'
        f"<h1>{name(title)}</h1>"
        f"{opening}<nav>{links}</nav></header>\n<main>"
        + "\n".join(part.html for part in there)
        + f"</main>\n<script>{script}</script></body></html>\n"
    )


def _opening(report: RunReport) -> str:
    """A sentence and a row of numbers: the run at a glance."""
    used = [file for file in report.files if file.is_used]
    sentence = ""
    if used:
        sound = sum(file.seconds for file in used)
        sentence = f"Learned from {counted(len(used), 'recording')}, {duration(sound)} of sound."
        if report.new_audio:
            pieces = counted(len(report.new_audio), "new piece")
            sentence = f"{pieces}, l{sentence[1:]}"
    numbers: list[tuple[str, str]] = []
    if report.bitrate > 0:
        numbers.append((bit_rate(report.bitrate), "of codes describe the sound"))
    distances = [pair.mel_distance for pair in report.reconstructions if math.isfinite(pair.mel_distance)]
    if distances:
        numbers.append((f"{sum(distances) / len(distances):.2f}", "mel distance of the reconstructions below"))
    last = kept_prior_epoch(report.events)
    if last is not None:
        numbers.append((f"{last.val_perplexity:.3g}", checked("perplexity", last.is_held_out)))
    if report.held_out:
        number, _, kept = counted(len(report.held_out), "recording").partition(" ")
        numbers.append((number, f"{kept} held out as a test"))
    return (f'<p class="summary">{sentence}</p>' if sentence else "") + tiles(numbers)


def _policy(script: str) -> str:
    """The browser itself refuses anything from outside, and any script but ours."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _package_text(file: str) -> str:
    return resources.files("distill.report").joinpath(file).read_text(encoding="utf-8")
