"""The wheel, away from the repository: everything it needs is inside it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_wheel_runs_from_an_empty_folder(tmp_path: Path) -> None:
    """Guards against files that only the repository has: style sheets, type markers, modules left out."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert (tmp_path / "site" / "distill" / "py.typed").exists()

    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "distill.cli.app", "demo", "--minutes", "0.1"],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site"), "DISTILL_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((empty / "distill-demo").glob("*.wav"))) == 3
    assert list((empty / "distill-demo").glob("*.distill"))
    assert list((empty / "distill-demo").glob("*.html"))
