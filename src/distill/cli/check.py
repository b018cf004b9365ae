"""``distill check FOLDER``: what Distill makes of a folder, before any time is spent."""

import dataclasses
from typing import Any

from rich.table import Table
from rich.text import Text

from distill.cli import options
from distill.cli.console import TrainingView, console, counting, note, print_json, settings_table

_STYLES = {
    "used": "green",
    "duplicate": "yellow",
    "too short": "yellow",
    "silent": "yellow",
    "unreadable": "red",
}


def check(
    folder: options.FolderArgument,
    channels: options.ChannelsOption = "auto",
    seed: options.SeedOption = 0,
    as_json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Look at every file of FOLDER: usable or not and why, duplicates, the split, the sizes it would get."""
    from distill.audio.corpus import import_corpus
    from distill.audio.split import split_corpus
    from distill.settings import codec_config, codec_settings

    with TrainingView() as view:
        corpus = import_corpus(folder, channels=options.channels(channels), progress=counting(view, "Reading"))
    split = split_corpus(corpus, seed=seed)
    settings = codec_settings(codec_config(corpus, {}))
    if as_json:
        print_json(
            {
                "folder": folder,
                "fingerprint": corpus.fingerprint,
                "files": [dataclasses.asdict(file) for file in corpus.files],
                "usable": corpus.file_count,
                "seconds": round(corpus.seconds, 3),
                "channels": corpus.channels,
                "split": {
                    "kind": split.kind,
                    "explanation": split.explanation,
                    "held_out": sorted({passage.recording.name for passage in split.held_out}),
                },
                "settings": {name: value for name, (value, _) in settings.items()},
            }
        )
        return
    console.print(_table(corpus.files))
    unused = len(corpus.files) - corpus.file_count
    left_out = f"; {unused} left out" if unused else ""
    note(f"{corpus.file_count} of {len(corpus.files)} files are usable, {corpus.seconds:.1f} s in all{left_out}.")
    note(split.explanation)
    note("")
    settings_table(settings)
    note(f"\nNext:  distill run {folder}")


def _table(files: Any) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for heading in ("file", "verdict"):
        table.add_column(heading)
    for heading in ("seconds", "rate", "ch", "peak dB", "silence"):
        table.add_column(heading, justify="right")
    table.add_column("why, and what to do")
    for file in files:
        known = file.sample_rate > 0
        table.add_row(
            Text(file.name, overflow="fold"),
            Text(str(file.verdict), style=_STYLES[str(file.verdict)]),
            f"{file.seconds:.2f}" if known else "",
            str(file.sample_rate) if known else "",
            str(file.channels) if known else "",
            f"{file.peak_db:.1f}" if known else "",
            f"{file.silence:.0%}" if known else "",
            Text(f"{file.reason} {file.fix}".strip(), overflow="fold"),
        )
    return table
