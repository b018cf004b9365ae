"""What ``make`` and ``pytest`` begin, and what they leave out."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed here")


def begun(*words: str) -> str:
    """The commands that ``make`` would run."""
    return subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@needs_make
@pytest.mark.parametrize(("chromium", "left_out"), [("", " and not browser"), ("/usr/bin/chromium", "")])
def test_what_needs_the_machine_for_itself_runs_without_a_browser_too(chromium: str, left_out: str) -> None:
    """Guards against the tests on a Ray cluster that nobody runs where there is no Chromium."""
    told = begun("test", f"CHROMIUM={chromium}")
    assert f'-m "not alone{left_out}"' in told
    assert f'-m "alone{left_out}"' in told


@needs_make
def test_a_folder_with_a_blank_in_its_name_can_be_measured() -> None:
    """Guards against "unrecognized arguments: recordings"."""
    assert 'bench.py --corpus "my recordings"\n' in begun("bench", "CORPUS=my recordings")


@pytest.mark.parametrize(("marks", "runs"), [("not browser", False), ("slow", True)])
def test_what_takes_hours_runs_only_where_it_is_asked_for(marks: str, runs: bool) -> None:
    """Guards against the soak test of an hour for whoever leaves the browser out: the last ``-m`` replaces all before it."""
    words = ["-m", "pytest", "--collect-only", "-p", "no:cacheprovider", "-m", marks, "tests/end_to_end/test_soak.py"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ("test_an_hour_of_everything_at_once" in done.stdout) is runs
    assert done.returncode == (0 if runs else 5), done.stdout
