"""The reference sections: the recordings, the settings, and further facts."""

from collections.abc import Collection, Mapping, Sequence

from distill.counted import counted
from distill.durations import duration
from distill.recordings.verdicts import FileReport, FileVerdict
from distill.report.markup import Section, badge, name, section, text

_ROWS_SHOWN_AT_ONCE = 12
_NO_SOUND_DB = -200.0
_CHANNELS = {1: "mono", 2: "stereo"}
_TONES = {
    FileVerdict.USED: "good",
    FileVerdict.DUPLICATE: "plain",
    FileVerdict.COPY: "plain",
    FileVerdict.SHORT: "warn",
    FileVerdict.LONG: "warn",
    FileVerdict.SILENT: "warn",
    FileVerdict.UNREADABLE: "bad",
}


def corpus_section(files: Sequence[FileReport], split: str, held_out: Collection[str]) -> Section | None:
    """Every file with its verdict; those with a remark come first."""
    if not files:
        return None
    noted = [file for file in files if _is_noted(file)]
    others = [file for file in files if not _is_noted(file)]
    body = _file_table("with a remark", noted, held_out) + _file_table("without a remark", others, held_out)
    return section("recordings", "Recordings", split, body)


def settings_section(settings: Mapping[str, tuple[str, str]]) -> Section | None:
    """Every setting, and whether the person set it or it was chosen from the recordings."""
    if not settings:
        return None
    rows = "".join(
        f"<div><dt>{text(setting)}</dt><dd>{text(value)} "
        f"{badge(origin, 'aside' if origin == 'set' else 'plain')}</dd></div>"
        for setting, (value, origin) in settings.items()
    )
    lead = "Settings marked set were chosen by hand; those marked auto were chosen by Distill."
    return section("settings", "Settings", lead, f'<dl class="card rows">{rows}</dl>')


def facts_section(facts: Mapping[str, str]) -> Section | None:
    """Further facts about the run."""
    if not facts:
        return None
    rows = "".join(f"<div><dt>{text(fact)}</dt><dd>{text(value)}</dd></div>" for fact, value in facts.items())
    return section("facts", "Facts", "", f'<dl class="card rows">{rows}</dl>')


def _file_table(remark: str, files: Sequence[FileReport], held_out: Collection[str]) -> str:
    if not files:
        return ""
    headings = "".join(
        f'<th scope="col"{" class=number" if number else ""}>{title}</th>'
        for title, number in (
            ("Recording", False),
            ("Verdict", False),
            ("What to know", False),
            ("Length", True),
            ("Rate", True),
            ("Channels", True),
            ("Peak", True),
            ("Silence", True),
        )
    )
    rows = "".join(_file_row(file, file.name in held_out) for file in files)
    is_open = " open" if len(files) <= _ROWS_SHOWN_AT_ONCE else ""
    return (
        f'<details class="card"{is_open}><summary>{counted(len(files), "file")} {remark}</summary>'
        f"<table><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _is_noted(file: FileReport) -> bool:
    return bool(file.reason or file.fix or file.remark or not file.is_used)


def _file_row(file: FileReport, is_held_out: bool) -> str:
    remark = file.remark if file.is_used else ""
    said = " ".join(words for words in (file.reason, file.fix, remark) if words)
    know = text(said)
    if file.duplicate_of and file.duplicate_of not in said:
        know += f" Same as {name(file.duplicate_of)}."
    aside = " " + badge("held out", "aside") if is_held_out else ""
    # An unreadable file has no rate, and what else its row says of its sound was never measured.
    readable = file.sample_rate > 0
    cells = (
        ("Verdict", "", badge(file.verdict, _TONES[file.verdict])),
        ("What to know", "words", know.strip()),
        ("Length", "number", duration(file.seconds) if readable else "–"),
        ("Rate", "number", f"{file.sample_rate / 1000:g} kHz" if readable else "–"),
        ("Channels", "number", _CHANNELS.get(file.channels, str(file.channels)) if readable else "–"),
        (
            "Peak",
            "number",
            f"{file.peak_db:.1f} dB".replace("-", "\N{MINUS SIGN}") if file.peak_db > _NO_SOUND_DB else "–",
        ),
        ("Silence", "number", f"{file.silence * 100:.0f} %" if readable else "–"),
    )
    rest = "".join(
        f'<td data-label="{label}" class="{kind}{" unknown" if content == "–" else ""}">{content}</td>'
        for label, kind, content in cells
    )
    return f'<tr><th scope="row">{name(file.name)}{aside}</th>{rest}</tr>'
