"""``distill check FOLDER``: what Distill can use in a folder, before any time is spent."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from distill.cli import options
from distill.cli.console import line, listing, note, percent, place, print_json, settings_table
from distill.cli.training_view import TrainingView
from distill.counted import counted
from distill.durations import duration
from distill.files.names import command
from distill.files.regular import absolute
from distill.recordings.verdicts import FileReport, FileVerdict, remarks, told_of

if TYPE_CHECKING:
    from distill.recordings.corpus import Corpus
    from distill.recordings.passages import Split
    from distill.settings import Settings

_STYLES = {
    FileVerdict.USED: "green",
    FileVerdict.DUPLICATE: "yellow",
    FileVerdict.COPY: "yellow",
    FileVerdict.SHORT: "yellow",
    FileVerdict.LONG: "yellow",
    FileVerdict.SILENT: "yellow",
    FileVerdict.UNREADABLE: "red",
}


def check(
    folder: options.FolderArgument,
    channels: options.ChannelsOption = "auto",
    seed: options.SplitSeedOption = 0,
    as_json: options.JsonOption = False,
) -> None:
    """Check every file in FOLDER: usable or not and why, duplicates, the split, and the sizes the models would get."""
    from distill.recordings.corpus import import_corpus
    from distill.recordings.split import split_corpus
    from distill.settings import codec_settings
    from distill.sizes import codec_config, explain_codec

    wanted_channels = options.channels(channels)
    with TrainingView() as view:
        corpus = import_corpus(folder, channels=wanted_channels, progress=view.counting("Reading"), ahead=note)
    split = split_corpus(corpus, seed=seed)
    config = codec_config(corpus, {})
    settings = codec_settings(config, {"channels"} if wanted_channels else ())
    if as_json:
        _print_json(folder, corpus, split, explain_codec(corpus, config), settings)
        return
    _show(corpus.files)
    _say_of_files(corpus.files)
    files = counted(len(corpus.files), "file")
    line()
    line(
        f"{corpus.file_count} of {files} {'is' if corpus.file_count == 1 else 'are'} usable, {duration(corpus.seconds)} in all."
    )
    for warning in corpus.warnings:
        line(warning, "yellow")
    for sentence in corpus.together:
        line(sentence)
    line(split.explanation)
    line(explain_codec(corpus, config))
    note()
    settings_table(settings)
    note()
    place("Next", command("distill", "run", folder))


def _print_json(folder: Path, corpus: "Corpus", split: "Split", why: str, settings: "Settings") -> None:
    kept = () if split.kind == "none" else split.held_out
    whole = {passage.recording.name for passage in kept if passage.samples == passage.recording.samples}
    print_json(
        {
            "folder": absolute(folder),
            "fingerprint": corpus.fingerprint,
            "files": [dataclasses.asdict(file) for file in corpus.files],
            "usable": corpus.file_count,
            "seconds": round(corpus.seconds, 3),
            "channels": corpus.channels,
            "warnings": corpus.warnings,
            "together": corpus.together,
            "split": {
                "kind": split.kind,
                "explanation": split.explanation,
                "held_out": sorted(whole),
                "held_out_in_part": sorted({passage.recording.name for passage in kept} - whole),
            },
            "why": why,
            "settings": {name: value for name, (value, _) in settings.items()},
        }
    )


def _say_of_files(files: Sequence[FileReport]) -> None:
    """Why files are left out, and what is to be known of some that are used.

    Of one recording there may be many copies, and of one camera many films: what is said of all is said once.
    """
    same: dict[tuple[FileVerdict, str, str], list[str]] = {}
    for file in files:
        if not file.is_used:
            same.setdefault((file.verdict, file.reason, file.fix), []).append(file.name)
    if same:
        line()
        line("Left out:")
    for (verdict, reason, fix), names in same.items():
        line(f"  {told_of(names, f'{reason} {fix}')}", _STYLES[verdict])
    remarked = remarks(files)
    if remarked:
        line()
        line("Used, but:")
    for remark, names in remarked.items():
        line(f"  {told_of(names, remark)}")


def _show(files: Sequence[FileReport]) -> None:
    rows = []
    for file in files:
        known = file.sample_rate > 0
        measured = file.peak_db > -200
        rows.append(
            (
                file.name,
                Text(file.verdict, style=_STYLES[file.verdict]),
                f"{file.seconds:.2f}" if file.seconds >= 0.1 else f"{file.seconds:.5f}" if known else "",
                str(file.sample_rate) if known else "",
                str(file.channels) if known else "",
                f"{file.peak_db:.1f}" if measured else "",
                percent(file.silence) if measured else "",
            )
        )
    figures = ("seconds", "Hz", "ch", "peak dB", "silence")
    listing(("file", "verdict", *figures), rows, figures)
