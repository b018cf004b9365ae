"""What people see: results that are lists go to stdout, as ``--json`` does, and all else to stderr."""

import dataclasses
import json
import math
import re
import signal
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from distill.cli.interrupts import AskedToEnd, leave
from distill.cli.waiting import Waiting
from distill.complaints import AMONG, FIX, MARK, WARNING

waiting = Waiting()
"""Shown on the terminal until a command says its first word."""


class _Awaited(Console):
    """What is printed takes the place of the sign of life."""

    def print(self, *objects: Any, **style: Any) -> None:
        """As in Rich."""
        waiting.end()
        super().print(*objects, **style)


class _Console(_Awaited):
    """What reads it may go away (``distill train … | head``): then nothing more is said, and the work ends in order."""

    def on_broken_pipe(self) -> None:
        """Asks this process to end, as a closed terminal does; in training that keeps what was learned."""
        self.quiet = True
        leave(self.file.fileno())  # what is still to be flushed, too
        if not callable(signal.getsignal(signal.SIGTERM)):
            raise AskedToEnd
        signal.raise_signal(signal.SIGTERM)


console = _Console(stderr=True, highlight=False)
_output = _Awaited(highlight=False)

STAGE_NAMES = {"codec": "codec", "refinement": "second stage", "prior": "prior"}
"""What a person reads for the kind of a training."""
_LEAST_BESIDE = 16
"""Cells of a terminal; with fewer, values are broken into letters, or left out."""
_JOINER = "\N{ZERO WIDTH JOINER}"  # within emoji
_SEEN = {"\n": "\N{SYMBOL FOR NEWLINE}"}
_ODD = "\N{REPLACEMENT CHARACTER}"


def print_json(result: Mapping[str, Any]) -> None:
    """The machine-readable result, on stdout. A figure that is not finite becomes null, as JSON knows no other way."""
    waiting.end()
    sys.stdout.write(json.dumps(_for_json(result), indent=2, allow_nan=False) + "\n")


def note(text: str = "", style: str = "") -> None:
    """A plain sentence."""
    _show(Text(visible(text), style=style))


def line(text: str = "", style: str = "") -> None:
    """A sentence that belongs to a listing, on stdout; in a file or a pipe it stays one line."""
    _show(Text(visible(text), style=style), _output)


def listing(headings: Sequence[str], rows: Iterable[Sequence[str | Text]], figures: Collection[str] = ()) -> None:
    """Rows on stdout, the first cell of each a name, which is always whole and on one line where it fits.

    Where a terminal is too narrow for a table, the other cells stand below the name; in a file or a pipe no width is too small.

    Args:
        figures: headings of columns that are set to the right.
    """
    cells = [[cell if isinstance(cell, Text) else Text(visible(cell)) for cell in row] for row in rows]
    widths = [max([cell_len(heading), *(row[at].cell_len for row in cells)]) for at, heading in enumerate(headings)]
    if _output.is_terminal and sum(widths) + 2 * len(widths) > _output.width:
        for row in cells:
            _output.print(row[0], soft_wrap=True)
            rest = [
                Text.assemble((f"{heading} ", "dim"), cell) if heading in figures else cell
                for heading, cell in zip(headings[1:], row[1:], strict=True)
                if cell.plain.strip()
            ]
            _output.print(Padding(Text(" · ", style="dim").join(rest), (0, 0, 0, 2)))
        return
    for row in [[Text(heading, style="dim") for heading in headings], *cells]:
        aligned = [
            Text.assemble(" " * (width - cell.cell_len) * (heading in figures), cell)
            for heading, cell, width in zip(headings, row, widths, strict=True)
        ]
        for cell, width in zip(aligned[:-1], widths, strict=False):
            cell.append(" " * (width - cell.cell_len))
        _output.print(Text("  ").join(aligned), soft_wrap=True)


def good(text: str) -> None:
    """A sentence saying that something is done."""
    _show(Text.assemble(("✓ ", "bold green"), visible(text)))


def warn(text: str) -> None:
    """A warning."""
    _show(Text(f"{WARNING}{visible(text)}", style="yellow"))


def complain(what: str, fix: str, among: Iterable[str] = ()) -> None:
    """An error: what came and what was needed, the things that could be meant, a line each, then what to do."""
    _show(Text.assemble((MARK, "bold red"), visible(what)))
    for one in among:
        _show(Text(AMONG + visible(one)))
    _show(Text(FIX + visible(fix), style="cyan"))


def place(label: str, where: str | Path, remark: str = "") -> None:
    """A path or a command to copy: never broken into lines."""
    text = Text.assemble(
        (f"{label:<10}", "dim"), visible(str(where)), (f"   {visible(remark)}" if remark else "", "dim")
    )
    console.print(text, soft_wrap=True)


def table(rows: Iterable[Iterable[str | Text]], *, indent: int = 0) -> None:
    """Rows of aligned cells without lines around them; the first column names the others.

    Where too little room is left beside the names, the others stand below each.
    """
    known = [tuple(row) for row in rows]
    beside = console.width - indent - 2 - max((cell_len(visible(str(row[0]))) for row in known), default=0)
    if beside < _LEAST_BESIDE:
        for name, *cells in known:
            console.print(Text(" " * indent + visible(str(name)), style="dim"), soft_wrap=True)
            shown = [cell if isinstance(cell, Text) else Text(visible(cell)) for cell in cells]
            console.print(Padding(Text(" ").join(shown), (0, 0, 0, indent + 2)))
        return
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(no_wrap=True)  # a value can be read in two lines, a name that is typed cannot
    for name, *cells in known:
        grid.add_row(
            Text(" " * indent + visible(str(name)), style="dim"),
            *(cell if isinstance(cell, Text) else Text(visible(cell), overflow="fold") for cell in cells),
        )
    console.print(grid)


def settings_table(settings: Mapping[str, tuple[str, str]]) -> None:
    """Name, value, and whether Distill chose it ``(auto)`` or the person ``(set)``."""
    table(
        (name, value, Text(f"({origin})", style="bold" if origin == "set" else "dim"))
        for name, (value, origin) in settings.items()
    )


def levels_table(levels: Iterable[Mapping[str, Any]]) -> None:
    """One line per quantizer level: how much of its codebook is in use."""
    table(
        (
            (
                one["name"],
                f"{percent(one['utilisation']):>5} used · perplexity {one['perplexity']:.0f} · {one['dead']} dead",
            )
            for one in levels
        ),
        indent=2,
    )


def percent(share: float) -> str:
    """``97 %``"""
    return f"{100 * share:.0f} %"


def moment(iso: str) -> str:
    """A moment in UTC as local time; text that is no moment is shown as it is."""
    from datetime import datetime

    try:
        return f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return visible(iso[:16])


def figure(value: object, decimals: int) -> str:
    """A measured figure. A file from another program may hold text in its place, or nothing: then it is unknown."""
    return f"{value:.{decimals}f}" if isinstance(value, int | float) else "unknown"


def visible(text: str) -> str:
    """The text without anything that could steer a terminal or begin a line of its own: names come from files and from
    other people's models."""
    return "".join(letter if letter.isprintable() or letter == _JOINER else _SEEN.get(letter, _ODD) for letter in text)


def _show(text: Text, where: Console | None = None) -> None:
    """A sentence in lines of whole words: a path is copied whole, however narrow the terminal is. In a file or a pipe it stays
    one line, so that names in it can be searched for."""
    where = where or console
    where.print(_wrapped(text, where.width) if where.is_terminal else text, soft_wrap=True)


def _wrapped(text: Text, width: int) -> Text:
    """The same in lines of at most ``width`` cells, but for words that are longer."""
    begins, used = [], 0
    for word in re.finditer(r"\s*\S+", text.plain):
        wide = cell_len(word.group())
        if used and used + wide > width:
            begins.append(word.end() - len(word.group().lstrip()))
            wide, used = cell_len(word.group().lstrip()), 0
        used += wide
    lines = text.divide(begins)
    for one in lines:
        one.rstrip()
    return Text("\n").join(lines)


def _for_json(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case Path():
            return str(value)
        case Mapping():
            return {str(key): _for_json(item) for key, item in value.items()}
        case list() | tuple():
            return [_for_json(item) for item in value]
    return _for_json(dataclasses.asdict(value)) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
