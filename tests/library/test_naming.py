"""Models by name, by the beginning of a name, and by path."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.errors import LibraryError, SettingError
from distill.files.home import home
from distill.library import Library, ModelEntry
from distill.library.moving import add
from distill.library.naming import chosen, find_piece, path_of
from distill.library.trash import restore
from distill.models import Model, Source, save_model
from distill.models.sound import sound_from
from small_distill import small_codec, small_model, small_prior


@pytest.fixture
def entry() -> Callable[..., ModelEntry]:
    """``entry(name, **fields)``: a model that nobody looks for on the disk."""

    def make(name: str, folder: str = "/models", **fields: Any) -> ModelEntry:
        return ModelEntry(**{
            "path": Path(folder) / f"{name}.distill", "digest": "d" * 64, "origin": "o" * 64, "created": "2026",
            "file_count": 1, "seconds": 60.0, "codec_distance": 1.5, "perplexity": None, "has_prior": False,
            "recordings": (), "size": 10, "modified": 0, **fields,
        })  # fmt: skip

    return make


def test_a_name_or_its_beginning(entry: Callable[..., ModelEntry]) -> None:
    entries = [entry(name) for name in ("drums", "drums-2", "Dusk")]
    assert chosen("drums", entries) == entries[0]  # though it is also how another begins
    assert chosen("drums-", entries) == entries[1]
    assert chosen("du", entries) == entries[2]


def test_a_path_in_the_folder_of_nobody_is_refused_in_words(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a fault of ours where a path begins with ~ and the name of no user, as a shell hands it on."""
    with pytest.raises(SettingError, match="no user 'no-such-user'") as told:
        find_piece(library, "~no-such-user/rain.wav")
    assert "~/no-such-user/rain.wav" in told.value.fix
    monkeypatch.setenv("DISTILL_HOME", "~no-such-user")
    with pytest.raises(SettingError, match="no user 'no-such-user'"):
        home()


def test_what_could_be_meant_is_named(entry: Callable[..., ModelEntry]) -> None:
    entries = [entry("drums"), entry("drums", "/elsewhere"), entry("dusk")]
    for name, candidates in (("d", ("/elsewhere", "dusk")), ("drums", (str(Path("/elsewhere/drums.distill")),))):
        with pytest.raises(LibraryError) as refused:
            chosen(name, entries)
        assert all(candidate in str(refused.value) for candidate in candidates)
    for name in ("x", "", "rums"):
        assert chosen(name, entries) is None


def test_of_many_that_could_be_meant_ten_are_named(library: Library, entry: Callable[..., ModelEntry]) -> None:
    """Guards against a screen full of names: the trash listed all it held."""
    names = [f"drums-{number}" for number in range(12)]
    for name in names:
        folder = home() / "trash" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.distill").touch()
    entries = [entry(name) for name in names]
    for ask in (lambda: chosen("drums", entries), lambda: restore(library, "drums")):
        with pytest.raises(LibraryError, match="could be any of 12 models") as refused:
            ask()
        assert len(refused.value.among) == 11
        assert refused.value.among[-1] == "and 2 more"


def test_files_that_are_gone_stand_back(entry: Callable[..., ModelEntry]) -> None:
    """Guards against a model deleted by hand last year that makes a name ambiguous for ever."""
    entries = [entry("drums", is_there=False), entry("drums", "/elsewhere"), entry("dub", is_there=False)]
    assert chosen("drums", entries) == entries[1]
    assert chosen("du", entries) == entries[2]


@pytest.fixture
def owned(tmp_path: Path) -> Model:
    """A model with a prior of one recording, whose sound can be put in; its file is ``tmp_path/mine.distill``."""
    codec = small_codec(num_quantizers=2)
    source = Source("take.wav", 0.0, False, torch.zeros(20, 2, dtype=torch.int64), sha256="1" * 64)
    model = small_model(codec, small_prior(codec.config), [source])
    save_model(tmp_path / "mine.distill", model)
    return model


def test_a_copy_does_not_make_a_name_ambiguous(library: Library, owned: Model, tmp_path: Path) -> None:
    """Guards against a model that its name no longer means, once it was imported and its original used by path."""
    original, other = tmp_path / "mine.distill", tmp_path / "given" / "mine.distill"
    imported = add(library, original, in_place=False)
    library.note_model(original)
    assert path_of(library, Path("mine")) == imported.path == home() / "models" / "mine.distill"
    other.parent.mkdir()
    sound = sound_from("1" * 64, np.zeros((1, 4_800), np.float32))
    save_model(
        other, dataclasses.replace(owned, sounds=(sound,))
    )  # a copy with the recordings' sound is the same model
    library.note_model(other)
    assert path_of(library, Path("mi")) == imported.path
    imported.path.unlink()
    os.utime(other, (1, 1))
    library.note_model(other)
    assert path_of(library, Path("mine")) == original


def test_models_that_differ_stay_ambiguous(library: Library, owned: Model, tmp_path: Path) -> None:
    """Guards against taking one of two models for the other: of weights or of what was measured for new audio."""
    original = tmp_path / "mine.distill"
    add(library, original, in_place=False)
    reseeded = dataclasses.replace(owned, codec=small_codec(seed=1, num_quantizers=2))
    for another in (reseeded, owned.with_header(beat_strength=0.5)):
        save_model(original, another)
        library.note_model(original)
        with pytest.raises(LibraryError, match="could be any of 2 models"):
            path_of(library, Path("mine"))


def test_a_path_wins(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("drums").touch()
    assert path_of(library, Path("drums")) == Path("drums")
    for path in (Path("models/none.distill"), tmp_path / "none"):
        assert path_of(library, path) == path  # the loader says what is wrong with it
    with pytest.raises(LibraryError, match="There is no model 'none'"):
        path_of(library, Path("none"))
