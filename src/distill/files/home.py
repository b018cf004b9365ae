"""Where Distill keeps what is not the person's own output: decoded audio, runs, locks."""

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The data folder: ``DISTILL_HOME`` if set, else the platform's place for user data."""
    chosen = os.environ.get("DISTILL_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("distill", appauthor=False))
