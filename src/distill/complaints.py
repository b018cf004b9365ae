"""What a command says on stderr of what is wrong: ``cli/console.py`` writes it, and whoever started the command reads it here.

! a warning
✗ what went wrong
    what could be meant, a line each
  what to do
"""

import itertools
from dataclasses import dataclass

MARK, WARNING = "✗ ", "! "
AMONG, FIX = "    ", "  "
"""How far the lines below it are indented."""


@dataclass(frozen=True)
class Complaint:
    """The parts of an error as the command line shows them."""

    what: str
    fix: str = ""
    among: tuple[str, ...] = ()
    """What could be meant, where a name fits several things."""

    def __str__(self) -> str:
        return " ".join(one for one in (self.what, *self.among, self.fix) if one)


def warnings_in(words: str) -> list[str]:
    """What a command warned of in what it wrote to stderr."""
    return [line.removeprefix(WARNING) for line in words.splitlines() if line.startswith(WARNING)]


def last_complaint(words: str) -> Complaint | None:
    """The last one in what a command wrote to stderr; None where it did not complain."""
    lines = words.splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith(MARK)]
    if not starts:
        return None
    below = list(itertools.takewhile(lambda line: line.startswith(FIX), lines[starts[-1] + 1 :]))
    among = tuple(line.strip() for line in below if line.startswith(AMONG))
    fix = " ".join(line.strip() for line in below if not line.startswith(AMONG))
    return Complaint(lines[starts[-1]].removeprefix(MARK), fix, among)
