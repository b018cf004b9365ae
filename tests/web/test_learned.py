"""A recording that a model learned from is heard wherever it is now, and never another one of its name."""

import dataclasses
import errno
import io
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from distill.formats.files import file_digest, read_audio
from distill.library import Library
from distill.models.model_file import load_model, save_model
from distill.models.sound import sound_from
from distill.recordings.cache import decoded
from distill.web import places


@pytest.fixture
def known(tiny: Path, small_corpus: Path) -> str:
    """A model from elsewhere that knows the digests of its recordings; how the page refers to the first of them."""
    model = load_model(tiny)
    sources = [dataclasses.replace(one, sha256=file_digest(small_corpus / one.name)) for one in model.sources]
    save_model(tiny, dataclasses.replace(model, sources=tuple(sources)))
    return f"learned:{places.model_id(Library(pytest.fail).note_model(tiny))}/take-0.wav"


def heard(client: Any, reference: str) -> np.ndarray:
    told = client.get("/api/sound/passage", params={"ref": reference, "begin": 0.1, "seconds": 0.4})
    assert told.status_code == 200, told.text
    return soundfile.read(io.BytesIO(told.content), dtype="float32")[0]


@pytest.fixture
def passage(client: Any, small_corpus: Path) -> np.ndarray:
    return heard(client, f"recording:{places.add_collection(small_corpus).id}/take-0.wav")


def _forget_all() -> None:
    for one in places.collections():
        places.forget_collection(one)


def test_it_is_found_under_another_name_in_a_folder_on_the_page(
    client: Any, known: str, passage: np.ndarray, small_corpus: Path, tmp_path: Path
) -> None:
    _forget_all()
    told = client.get("/api/sound/passage", params={"ref": known})
    assert told.status_code == 400
    assert told.json()["what"] == "take-0.wav is in none of the folders under Recordings."
    folder = tmp_path / "moved"
    (folder / "below").mkdir(parents=True)
    (folder / "take-0.wav").write_bytes((small_corpus / "take-5.wav").read_bytes())  # only its name is the same
    shutil.copy(small_corpus / "take-0.wav", folder / "below" / "another name.wav")
    places.add_collection(folder)
    assert np.array_equal(heard(client, known), passage)
    long_ago = time.time() - 60
    os.utime(folder / "below" / "another name.wav", (long_ago, long_ago))
    assert places.sound(known) == folder / "below" / "another name.wav"


def test_it_is_found_beside_a_folder_on_a_disk_that_is_gone(
    known: str, small_corpus: Path, tmp_path: Path, unreachable: Callable[[Path, int], None]
) -> None:
    """Guards against a recording that is not heard, though it is there, as another folder may not be looked into."""
    _forget_all()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(small_corpus / "take-0.wav", tmp_path / name)
        places.add_collection(tmp_path / name)
    unreachable(tmp_path / "a" / "take-0.wav", errno.ENOTCONN)
    assert places.sound(known) == tmp_path / "b" / "take-0.wav"


def test_it_is_found_in_the_cache(client: Any, known: str, passage: np.ndarray, small_corpus: Path) -> None:
    _forget_all()
    decoded(small_corpus / "take-0.wav", file_digest(small_corpus / "take-0.wav"))
    assert np.allclose(heard(client, known), passage, atol=1e-4)


def test_it_is_found_in_a_model_that_was_given_with_its_recordings(
    client: Any, known: str, passage: np.ndarray, small_corpus: Path, tiny: Path
) -> None:
    _forget_all()
    model = load_model(tiny)
    own = sound_from(model.sources[0].sha256, read_audio(small_corpus / "take-0.wav"))
    save_model(tiny, dataclasses.replace(model, sounds=(own,)))
    assert np.allclose(heard(client, known), passage, atol=1e-4)


@pytest.mark.parametrize("name", ["../secret.wav", "/etc/passwd", "a/../../secret.wav", ""])
def test_no_name_leads_out(client: Any, known: str, name: str) -> None:
    reference = f"{known.partition('/')[0]}/{name}"
    assert client.get("/api/sound/audio", params={"ref": reference}).status_code == 404
