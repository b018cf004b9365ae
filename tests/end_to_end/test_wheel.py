"""The wheel, away from the repository: everything it needs is inside it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_wheel_runs_from_an_empty_folder(small_corpus: Path, tmp_path: Path) -> None:
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
        [sys.executable, "-m", "distill", "run", str(small_corpus), "--minutes", "0.02", "--seconds", "1"],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site"), "DISTILL_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = empty / "small-distilled"
    sizes = {
        suffix: [path.stat().st_size for path in made.glob(f"*{suffix}")] for suffix in (".wav", ".distill", ".html")
    }
    assert [len(found) for found in sizes.values()] == [3, 1, 1]
    assert all(size > 1000 for found in sizes.values() for size in found)
    # Each piece has the list of its grains beside it: so short a training speaks with the recordings' voice.
    assert {path.stem for path in made.glob("*.json")} == {path.stem for path in made.glob("*.wav")}
    assert len(list(made.iterdir())) == 3 + 1 + 1 + 3
