"""What lies beside a piece of new audio and is named after it: the list of its grains, and a project for a DAW."""

import json
import re
from glob import escape
from pathlib import Path

from distill.errors import OutputError
from distill.files.beside import SIDECAR_FORMAT
from distill.files.regular import is_file


def quoted(words: str) -> str:
    """Words as a Reaper project holds them: between whichever quotes are not in them."""
    flat = " ".join(words.splitlines())
    mark = next((mark for mark in "\"'`" if mark not in flat), "`")
    return f"{mark}{flat.replace('`', chr(39)) if mark == '`' else flat}{mark}"


def companions(piece: Path, name: str) -> list[tuple[Path, str]]:
    """The files beside a piece that say of themselves that they are about it, at most one of a kind, each with its text as it
    is to be when the piece is called ``name``.

    Raises:
        OutputError: if one of that name cannot be read: it may be about the piece, and would be left behind.
    """
    found: dict[str, tuple[Path, str]] = {}
    for path in sorted(piece.parent.glob(f"{escape(piece.stem)}*")):
        numbered = re.fullmatch(r"(-\d+)?", path.stem.removeprefix(piece.stem))
        if numbered and path.suffix in _SAYS and path.suffix not in found and is_file(path):
            now = _text_of(path)
            then = None if now is None else _SAYS[path.suffix](now, piece.name, name)
            if then is not None:
                found[path.suffix] = (path, then)
    return list(found.values())


def _text_of(path: Path) -> str | None:
    """None if it is no UTF-8, in which all that Distill writes is."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise OutputError(
            f"{path.name} may belong to the piece and cannot be read: {why}.", "Allow reading it, or move it away."
        ) from error


def _grains(text: str, was: str, name: str) -> str | None:
    """The list of a piece's grains under another name; None if it is not that."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):  # somebody else's
        return None
    if not isinstance(told, dict) or told.get("format") != SIDECAR_FORMAT or told.get("piece") != was:
        return None
    listed = json.dumps(told | {"piece": name}, indent=1, ensure_ascii=False) + "\n"
    return listed.encode("utf-8", "backslashreplace").decode()  # half a letter stays the escape that it was


def _project(text: str, was: str, name: str) -> str | None:
    """A Reaper project in which the piece has another name; None if it does not hold it."""
    lines = text.split("\n")
    named = {f"{key} {quoted(was)}": f"{key} {quoted(name)}" for key in ("NAME", "FILE")}
    if f"FILE {quoted(was)}" not in {line.strip() for line in lines}:
        return None
    said = [(line, line.strip()) for line in lines]
    return "\n".join(line.replace(own, named[own]) if own in named else line for line, own in said)


_SAYS = {".json": _grains, ".rpp": _project}
