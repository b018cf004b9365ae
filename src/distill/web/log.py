"""A run's log, followed by byte offset: everything at first, thinned, and then only what was written since.

    GET …/events?stage=codec                        all events, of the steps at most 1 000; ``after`` and ``check`` for the next
    GET …/events?stage=codec&after=5120&check=1f…   what came since; or all again, where the log is not the one it was

A stage that goes on from its saved state cuts off what it had reported after it. So ``check`` holds the length and the CRC-32
of the last line that was read; where the log has another one there, it is read from its beginning (``is_new``).
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.runs.events import EXTRACTION, STEP, Mark, read_on

MOST_STEPS = 1000
"""Points of a curve that a page of this width can show."""
MOST_BYTES = 4 * 2**20
"""Of new lines in one answer; what is left comes with the next."""
_CHECK = re.compile("(?P<length>[0-9]{1,9})-(?P<crc>[0-9a-f]{8})")


@dataclass(frozen=True)
class Followed:
    """What a log says beyond a place in it."""

    events: list[dict[str, Any]]
    """As they were written: ``event`` is the kind, the rest are its fields. Figures that are not finite are None."""
    after: int
    """Where to go on, in bytes."""
    check: str
    """What to show along with it."""
    is_new: bool
    """Whether these are all events, and what was known before does not count any more."""


def follow(log: Path, after: int = 0, check: str = "") -> Followed:
    """Reads a log on from a place; a log that is not there (yet) has no events."""
    try:
        mark, is_new, lines = read_on(log, _shown(after, check), MOST_BYTES)
    except FileNotFoundError:
        return Followed([], 0, "", True)
    events = [event for line in _thinned(lines) if (event := _parsed(line)) is not None]
    return Followed(events, mark.offset, f"{mark.length}-{mark.checksum:08x}" if mark.length else "", is_new)


def _shown(after: int, check: str) -> Mark:
    """The mark that an earlier answer gave; the beginning, where none can have given it."""
    told = _CHECK.fullmatch(check)
    if told is None or not 0 < int(told["length"]) <= min(after, MOST_BYTES):
        return Mark()
    return Mark(after, int(told["length"]), int(told["crc"], 16))


def _thinned(lines: list[bytes]) -> list[bytes]:
    """All but some of the steps, and of the counting of recordings the last."""
    steps = [number for number, line in enumerate(lines) if line.startswith(STEP)]
    kept = set(steps[:: max(1, -(-len(steps) // MOST_STEPS))]) | set(steps[-1:])
    counted = [number for number, line in enumerate(lines) if line.startswith(EXTRACTION)]
    dropped = (set(steps) - kept) | set(counted[:-1])
    return [line for number, line in enumerate(lines) if number not in dropped]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line, parse_constant=lambda _: None)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
