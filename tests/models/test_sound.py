"""The recordings' sound in a model file: what goes in comes out, and what a stranger put there is looked at first."""

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import small_distill
from distill.errors import ModelFileError
from distill.files.tensors import UnusableError
from distill.models import Model, load_model, save_model
from distill.models.header import MOST_SOUND_SECONDS
from distill.models.model_file import Source
from distill.models.sound import Sound, sound_from

DIGEST = "c" * 64


@pytest.fixture
def model() -> Model:
    codec = small_distill.small_codec()
    source = Source("a.wav", 0.0, False, torch.zeros(47, 4).long(), sha256=DIGEST)
    return small_distill.small_model(codec, small_distill.small_prior(codec.config), (source,))


def flac(samples: int, rate: int = 48_000, channels: int = 1, format: str = "FLAC") -> torch.Tensor:  # noqa: A002
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((samples, channels)), rate, format=format, subtype="PCM_16")
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


@pytest.mark.parametrize("bits", [16, 24])
def test_it_comes_out_as_it_went_in(model: Model, noise: Callable[..., np.ndarray], tmp_path: Path, bits: int) -> None:
    steps = 2.0 ** (bits - 1)
    audio = (np.rint(noise(1.0, channels=1) * steps) / steps).astype(np.float32)
    path = save_model(tmp_path / "a.distill", dataclasses.replace(model, sounds=(sound_from(DIGEST, audio),)))
    (sound,) = load_model(path).sounds
    np.testing.assert_array_equal(sound.audio(), audio)
    assert sound.sha256 == DIGEST


def test_a_file_without_sound_is_as_it_was(model: Model, tmp_path: Path) -> None:
    assert load_model(save_model(tmp_path / "a.distill", model)).sounds == ()


def test_sound_of_recordings_that_are_no_sources_is_left_out(model: Model, tmp_path: Path) -> None:
    """Guards against recordings that stay in a file whose prior was trained anew, on others."""
    given = (Sound("d" * 64, 1, 480, flac(480)),)
    assert load_model(save_model(tmp_path / "a.distill", dataclasses.replace(model, sounds=given))).sounds == ()


@pytest.fixture
def by_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written by a program that does not look whether they can be opened again."""
    monkeypatch.setattr("distill.models.model_file.possible_header", str)


MANY = int(MOST_SOUND_SECONDS * 48_000) + 1


@pytest.mark.usefixtures("by_a_stranger")
@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (Sound(DIGEST, 1, 480, torch.randint(0, 256, (900,), dtype=torch.uint8)), "damaged"),
        (Sound(DIGEST, 1, 480, flac(480)[:30]), "damaged"),
        (Sound(DIGEST, 1, 480, flac(480_000)), "not what its header declares"),
        (Sound(DIGEST, 1, 480, flac(480, rate=44_100)), "not what its header declares"),
        (Sound(DIGEST, 1, 480, flac(480, channels=2)), "not what its header declares"),
        (Sound(DIGEST, 1, 480, flac(480, format="WAV")), "not what its header declares"),
        (Sound(DIGEST, 2, 480, flac(480, channels=2)), "other channels"),
    ],
)
def test_what_is_not_as_it_says_is_refused(model: Model, tmp_path: Path, sound: Sound, words: str) -> None:
    path = save_model(tmp_path / "a.distill", dataclasses.replace(model, sounds=(sound,)))
    with pytest.raises(ModelFileError, match=words):
        load_model(path)


@pytest.mark.usefixtures("by_a_stranger")
def test_more_sound_than_fits_into_memory_is_refused(model: Model, tmp_path: Path) -> None:
    """Guards against a stream of a few kilobytes that stands for days of silence."""
    sources = tuple(dataclasses.replace(model.sources[0], sha256=f"{number:064x}") for number in range(2))
    half = MANY // 2 + 1
    sounds = tuple(Sound(one.sha256, 1, half, flac(480)) for one in sources)
    path = save_model(tmp_path / "a.distill", dataclasses.replace(model, sources=sources, sounds=sounds))
    with pytest.raises(ModelFileError, match="more than 3 h of sound"):
        load_model(path)


def test_a_stream_that_is_damaged_inside_is_refused_when_it_is_heard(noise: Callable[..., np.ndarray]) -> None:
    whole = sound_from(DIGEST, noise(1.0))
    content = whole.flac.clone()
    content[len(content) // 2 :] = 0
    for broken in (content, whole.flac[: len(content) // 2]):
        with pytest.raises(UnusableError, match="damaged"):
            dataclasses.replace(whole, flac=broken).audio()


def test_the_header_names_what_it_must(model: Model, tmp_path: Path) -> None:
    given = dataclasses.replace(model, sounds=(sound_from(DIGEST, np.zeros((1, 480), np.float32)),))
    content = save_model(tmp_path / "a.distill", given).read_bytes()
    table: dict[str, Any] = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert table["sounds.0"]["dtype"] == "U8"
    (record,) = json.loads(table["__metadata__"]["distill"])["sounds"]
    assert record == {"sha256": DIGEST, "channels": 1, "samples": 480, "bytes": table["sounds.0"]["shape"][0]}
