"""The files that accompany a piece: the JSON list of its grains, and the project of its edit list."""

import json
from pathlib import Path

from distill.files.names import SOUND_SUFFIXES
from distill.files.regular import is_file

SIDECAR_FORMAT = "distill-grains"
"""What a JSON list of grains calls itself."""
SIDECARS = frozenset({".json", ".rpp"})
_LONGEST = 1 << 24


def sound_of_sidecar(path: Path) -> Path | None:
    """The sound that such a file tells of; none if it is no such file, or the sound is not there."""
    if path.suffix.lower() not in SIDECARS or not is_file(path):
        return None
    named = [path.with_name(name) for name in (_named_in(path),) if name]
    return next((sound for sound in [*named, *map(path.with_suffix, SOUND_SUFFIXES)] if is_file(sound)), None)


def _named_in(path: Path) -> str:
    """The piece that a JSON file says it is of; its own name may be another, where the first one was taken."""
    if path.suffix.lower() != ".json" or path.stat().st_size > _LONGEST:
        return ""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):  # whatever it is, it is not ours
        return ""
    name = told.get("piece") if isinstance(told, dict) and told.get("format") == SIDECAR_FORMAT else None
    return name if isinstance(name, str) and Path(name).name == name else ""
