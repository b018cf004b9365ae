"""What to type where a package is missing, or Distill itself is too old."""

import sys

from distill.files.names import command

UPDATE = "Update Distill: git pull in its folder, then make (on Windows, the lines of its README)."
ANEW = "Install Distill anew: make clean in its folder, then make (on Windows, the lines of its README)."


def installing(*words: str) -> str:
    """The command that installs packages for this very Python, whichever one a ``pip`` on the path belongs to."""
    return command(sys.executable, "-m", "pip", "install", *words)


def installing_extra(name: str) -> str:
    """The same of an extra of ``pyproject.toml``: pip keeps the Distill that is there, and adds what the extra needs."""
    return installing(f"distill-audio[{name}]")
