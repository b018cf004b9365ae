"""A piece and what belongs beside it appear together on disk, or not at all."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from distill.errors import OutputError
from distill.making import pieces, sidecar
from distill.making.drawing import Sampling
from distill.making.grains import Bank, Stretch
from distill.making.request import Request
from distill.making.sampling import Generation
from distill.making.voices import RecordingsVoice
from distill.models import Model
from distill.originality.verdict import Originality

RATE, HOP = 48_000, 1024


def write(folder: Path) -> pieces.Piece:
    """A fifth of a second in the recordings' voice, with an edit list, to the folder."""
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 16, (20, 2), generator=draw)
    stretch = Stretch("0.wav", 0.1 * torch.randn(1, 20 * HOP, generator=draw).numpy(), 0, codes)
    voice = RecordingsVoice(Bank(torch.randn(2, 16, 4, generator=draw), [stretch], HOP), 1, RATE, 1.0)
    codec = SimpleNamespace(channels=1, sample_rate=RATE, hop=HOP)
    model = cast(Model, SimpleNamespace(codec=codec, header=SimpleNamespace(name="mine"), fingerprint="0" * 64))
    sampling = Sampling()
    take = Generation(codes[:10], 0.2, 7, sampling, RATE, voice=voice)
    request = Request("audio", sampling, seconds=0.2, edit_list=True)
    return pieces._written(model, folder, request, take, Originality((), ()))


def test_all_of_a_piece_is_written(tmp_path: Path) -> None:
    piece = write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine-7.json", "mine-7.rpp", "mine-7.wav"]
    assert (piece.sidecar, piece.edit_list) == (tmp_path / "mine-7.json", tmp_path / "mine-7.rpp")


@pytest.mark.parametrize("suffix", [".wav", ".json", ".rpp"])
def test_a_piece_that_cannot_be_written_whole_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Guards against audio without the list of where it comes from: a name that is taken, noted nowhere and unexplained."""

    def refuse(path: Path, *_: Any, **__: Any) -> Any:
        if path.suffix == suffix:
            raise OutputError(f"{path} cannot be written: the disk is full.", "Free some space.")
        return written(path)

    written = sidecar.written_aside
    if suffix == ".wav":
        monkeypatch.setattr(pieces, "write_audio", refuse)
    monkeypatch.setattr(sidecar, "written_aside", refuse)
    mine = tmp_path / "mine-7.json"
    mine.write_text("a note of my own", encoding="utf-8")
    with pytest.raises(OutputError, match="the disk is full"):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == [mine]
