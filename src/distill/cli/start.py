"""The entry point of ``distill``: Ctrl-C gets a message even while Distill is still loading."""

import gc
import sys

__all__ = ["main"]


def main() -> None:
    """Loads the command line and runs it; exit codes as there (``app.py``)."""
    try:
        from distill.cli.app import main as run
    except KeyboardInterrupt:
        sys.stderr.write("✗ Interrupted.\n  Nothing had begun yet.\n")
        sys.exit(130)
    try:
        run()
    finally:
        gc.freeze()  # nothing is left to collect: looking through all of PyTorch for it took a second
