"""A process that is killed with kill -9 while it writes a piece: what is there is whole and listed, and the rest is gone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distill.cli.app import main
from distill.files.home import home
from distill.runs.piece_notes import verdicts_of

_MAKING = """
import os, signal, sys
from pathlib import Path
from distill.making import pieces
from distill.making.drawing import Sampling
from distill.making.request import Request
from distill.models.model_file import load_model
from distill.runs.piece_notes import PieceNotes

def dying(owner, name, is_done):
    do = getattr(owner, name)
    count = 0
    def act(*given, **named):
        nonlocal count
        count += 1
        found = do(*given, **named) if is_done or count < 2 else None
        if count == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    setattr(owner, name, act)

pieces._made_of = lambda model, take: (object(),)
pieces.in_words = lambda made_of: ""
pieces.write_sidecar = lambda path, *about: path.write_text("{}")
where = sys.argv[3]
owner = PieceNotes if hasattr(PieceNotes, where) else pieces
dying(owner, where, sys.argv[4] == "after")
model = load_model(Path(sys.argv[1]))
pieces.make(model, Path(sys.argv[2]), Request("audio", Sampling(), seconds=0.5), 5, 3)
"""


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ending:
        main([*words, "--json"])
    assert not ending.value.code
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("where", "moment", "whole"),
    [
        ("write_sidecar", "after", 1),
        ("write_audio", "before", 1),
        ("write_audio", "after", 2),
        ("_noted", "after", 2),
        ("add", "before", 2),
        ("add", "after", 2),
    ],
)
def test_nothing_half_written_is_left_and_all_that_is_whole_is_listed(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str], where: str, moment: str, whole: int
) -> None:
    """Guards against an empty file beside the pieces, a list of grains without its piece, and a piece that nobody knows of."""
    out = tmp_path / "new"
    words = [sys.executable, "-c", _MAKING, str(tiny), str(out), where, moment]
    ended = subprocess.run(words, env=os.environ, capture_output=True, text=True, check=False)
    assert ended.returncode == -9, ended.stderr
    pieces = listed(capsys, "pieces", "list")["pieces"]
    names = [f"tiny-{seed}" for seed in range(5, 5 + whole)]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{name}{ending}" for name in names for ending in (".wav", ".json")
    )
    assert sorted(Path(piece["file"]).stem for piece in pieces) == names
    assert all(verdicts_of(piece["id"]) is not None for piece in pieces)
    assert listed(capsys, "pieces", "list")["pieces"] == pieces
    assert not list((home() / "announced").iterdir())
    assert not list((home() / "held").iterdir())


def test_what_cannot_be_noted_any_more_is_told_once(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Guards against a damaged note, or a file that another has replaced, that is passed over in silence."""
    out = tmp_path / "new"
    words = [sys.executable, "-c", _MAKING, str(tiny), str(out), "add", "before"]
    assert subprocess.run(words, env=os.environ, check=False).returncode == -9
    (announced,) = (home() / "announced").glob("*.json")
    piece = Path(json.loads(announced.read_bytes())["record"]["file"])
    piece.write_text("something else")
    announced.with_name("damaged.json").write_text('{"record": ')

    def told() -> str:
        with pytest.raises(SystemExit):
            main(["pieces", "list"])
        return " ".join(capsys.readouterr().err.split())

    capsys.readouterr()
    said = told()
    assert f"{piece} is not the piece that was being written there any more" in said
    assert "damaged.json should say which piece was being written and is damaged." in said
    assert piece.read_text() == "something else"
    assert "any more" not in (again := told())
    assert "damaged" not in again
