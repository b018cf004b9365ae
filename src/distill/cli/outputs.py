"""Where results go: a folder that is named like a file is a mistake, and is refused."""

from pathlib import Path

from distill.errors import SettingError
from distill.files.names import CODES_SUFFIX, MODEL_SUFFIX

AUDIO_OUT = (".wav", ".flac", ".ogg", ".mp3")
"""What a sound can be written as."""
_OF_FILES = frozenset({*AUDIO_OUT, ".aif", ".aiff", ".m4a", ".opus", CODES_SUFFIX, ".html", ".rpp", ".onnx", ".ts"})


def a_folder(given: Path | None) -> Path | None:
    """What was given as ``--out`` to a command that puts several files there.

    Raises:
        SettingError: if it is not there and its name is that of one file.
    """
    if given is None or given.is_dir():
        return given
    ending = given.suffix.lower()
    if ending == MODEL_SUFFIX:
        raise SettingError(
            f"--out {given} is named like a model, and a folder is needed.",
            "Give the folder with --out. Where a new model is made, --name gives its name.",
        )
    if ending in _OF_FILES:
        raise SettingError(
            f"--out {given} is named like a file, and a folder is needed.",
            "Give a folder: the files in it are named for you.",
        )
    return given
