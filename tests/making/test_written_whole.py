"""A piece and what belongs beside it appear together on disk, or not at all."""

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from distill.errors import OutputError
from distill.formats.files import read_audio
from distill.making import pieces, sidecar
from distill.making.drawing import Sampling
from distill.making.grains import Bank, Stretch
from distill.making.request import Request
from distill.making.sampling import FADE_OUT_SECONDS, Generation
from distill.making.sidecar import write_sidecar
from distill.making.voices import RecordingsVoice, VoiceSettings
from distill.models import Model
from distill.originality.verdict import Originality

RATE, HOP = 48_000, 1024


def write(folder: Path, audio_format: str = "wav", name: str = "mine", **after: Any) -> pieces.Piece:
    """A fifth of a second in the recordings' voice, with an edit list, to the folder."""
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 16, (20, 2), generator=draw)
    sound = 0.1 * torch.randn(1, 20 * HOP, generator=draw).numpy()
    stretch = Stretch("0.wav", sound, 0, codes, path=folder / "0.wav")
    voice = RecordingsVoice(Bank(torch.randn(2, 16, 4, generator=draw), [stretch], HOP), 1, RATE, 1.0)
    codec = SimpleNamespace(channels=1, sample_rate=RATE, hop=HOP)
    model = cast(Model, SimpleNamespace(codec=codec, header=SimpleNamespace(name=name), fingerprint="0" * 64))
    sampling = Sampling()
    take = Generation(codes[:15], 0.2, 7, sampling, RATE, voice=voice, **after)
    request = Request("audio", sampling, audio_format, seconds=0.2, voice=VoiceSettings(edit_list=True))
    return pieces._written(model, folder, request, take, Originality((), ()))


def test_all_of_a_piece_is_written(tmp_path: Path) -> None:
    piece = write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine-7.json", "mine-7.rpp", "mine-7.wav"]
    assert (piece.sidecar, piece.edit_list) == (tmp_path / "mine-7.json", tmp_path / "mine-7.rpp")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Müller (live) & co", "Müller (live) & co"),
        ("..hidden", "hidden"),
        ("new\u202egpj.exe", "new-gpj.exe"),
        ("a\x9b31mred", "a-31mred"),
        ("x" * 255, "x" * 40),
        ("?", "model"),
    ],
)
def test_a_piece_has_no_name_that_a_stranger_chose_to_deceive(tmp_path: Path, name: str, kept: str) -> None:
    """Guards against files that are hidden, read backwards, repaint the screen, or cannot be written, by a model's name."""
    assert write(tmp_path, name=name).path.name == f"{kept}-7.wav"


@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_a_grain_is_as_loud_as_its_list_says(tmp_path: Path, gain: float) -> None:
    """Guards against a list and a project in which all grains are 20 dB too loud: what follows a prompt is at its level."""
    piece = write(tmp_path, lead=5, gain=gain)
    assert piece.sidecar is not None
    assert piece.edit_list is not None
    heard, quote = read_audio(piece.path)[0], piece.made_of[0]
    (told, *_) = json.loads(piece.sidecar.read_text("utf-8"))["grains"]
    first, stop = (round((told["at"] + edge) * RATE) for edge in (told["fade_in"], told["seconds"] - told["fade_out"]))
    place = round((told["place"] + told["fade_in"]) * RATE)
    said = quote.audio[0, place : place + stop - first] * 10 ** (told["gain_db"] / 20)
    end = min(stop, len(heard) - round(FADE_OUT_SECONDS * RATE)) - first
    np.testing.assert_allclose(heard[first : first + end], said[:end], atol=0.002 * gain)
    (volume, *_) = re.findall("VOLPAN (\\S+)", piece.edit_list.read_text("utf-8"))
    assert float(volume) == pytest.approx(10 ** (told["gain_db"] / 20), rel=1e-3)


@pytest.mark.parametrize(
    ("audio_format", "kind"), [("wav", "WAVE"), ("flac", "FLAC"), ("ogg", "VORBIS"), ("mp3", "MP3")]
)
def test_the_project_says_of_every_file_what_it_is(tmp_path: Path, audio_format: str, kind: str) -> None:
    """Guards against a piece that a DAW is told to read as WAV, whatever it is."""
    piece = write(tmp_path, audio_format)
    assert piece.edit_list is not None
    lines = [line.strip() for line in piece.edit_list.read_text("utf-8").splitlines()]
    named = {lines[number + 1]: line for number, line in enumerate(lines) if line.startswith("<SOURCE")}
    assert named == {
        f'FILE "{tmp_path.resolve() / "0.wav"}"': "<SOURCE WAVE",
        f'FILE "mine-7.{audio_format}"': f"<SOURCE {kind}",
    }


def test_a_name_that_is_no_text_is_listed_too(tmp_path: Path) -> None:
    """Guards against a list of grains that is not written because of a name from an old disk."""
    name = os.fsdecode(b"caf\xe9.wav")
    write_sidecar(tmp_path / "list.json", name, (), "")
    assert json.loads((tmp_path / "list.json").read_text("utf-8"))["piece"] == name


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
