"""``prior.codes`` from anywhere: used, or left out with a word; never an error, never codes that cannot be."""

import subprocess
import sys
from pathlib import Path


def test_hundreds_of_spoilt_files() -> None:
    """A small part of ``python benchmarks/fuzz_kept_codes.py``, with another seed: no crash, hang, silence or wrong codes."""
    script = Path(__file__).parents[2] / "benchmarks" / "fuzz_kept_codes.py"
    done = subprocess.run(
        [sys.executable, str(script), "--count", "400", "--seed", "1"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "400 files in" in done.stdout
