"""What ``distill`` begins with: Ctrl-C is answered in words from the first moment on, while Distill is still being loaded."""

import sys

__all__ = ["main"]


def main() -> None:
    """Loads the command line and runs it; exit codes as there (``app.py``)."""
    try:
        from distill.cli.app import main as run
    except KeyboardInterrupt:
        sys.stderr.write("✗ Interrupted.\n  Nothing had begun yet.\n")
        sys.exit(130)
    run()
