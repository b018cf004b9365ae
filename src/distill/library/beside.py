"""What lies beside a piece of new audio and is named after it: the list of its grains, and a project for a DAW."""

import json
import re
from glob import escape
from pathlib import Path

SIDECAR_FORMAT = "distill-grains"


def quoted(words: str) -> str:
    """Words as a Reaper project holds them: between whichever quotes are not in them."""
    flat = " ".join(words.splitlines())
    mark = next((mark for mark in "\"'`" if mark not in flat), "`")
    return f"{mark}{flat.replace('`', chr(39)) if mark == '`' else flat}{mark}"


def companions(piece: Path, name: str) -> list[tuple[Path, str]]:
    """The files beside a piece that say of themselves that they are about it, at most one of a kind, each with its text as it
    is to be when the piece is called ``name``."""
    found: dict[str, tuple[Path, str]] = {}
    for path in sorted(piece.parent.glob(f"{escape(piece.stem)}*")):
        numbered = re.fullmatch(r"(-\d+)?", path.stem.removeprefix(piece.stem))
        if numbered and path.suffix in _SAYS and path.suffix not in found and path.is_file():
            text = _SAYS[path.suffix](path, piece.name, name)
            if text is not None:
                found[path.suffix] = (path, text)
    return list(found.values())


def _grains(path: Path, was: str, name: str) -> str | None:
    """The list of a piece's grains under another name; None if it is not that."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # somebody else's
        return None
    if not isinstance(told, dict) or told.get("format") != SIDECAR_FORMAT or told.get("piece") != was:
        return None
    return json.dumps(told | {"piece": name}, indent=1, ensure_ascii=False) + "\n"


def _project(path: Path, was: str, name: str) -> str | None:
    """A Reaper project in which the piece has another name; None if it does not hold it."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError):
        return None
    named = {f"{key} {quoted(was)}": f"{key} {quoted(name)}" for key in ("NAME", "FILE")}
    if f"FILE {quoted(was)}" not in {line.strip() for line in lines}:
        return None
    said = [(line, line.strip()) for line in lines]
    return "\n".join(line.replace(own, named[own]) if own in named else line for line, own in said)


_SAYS = {".json": _grains, ".rpp": _project}
