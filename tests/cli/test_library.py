"""What training and generating leave in the library, and making it again."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from distill.errors import OutputError
from distill.files.home import home
from distill.making.tolls import with_tolls
from distill.models import Model, load_model, save_model
from distill.models.header import BANDS
from distill.training.metrics import PriorEpochMetrics

Distill = Callable[..., Any]


@pytest.mark.usefixtures("tiny_training")
def test_a_training_is_noted_with_settings_curves_and_outcome(distill: Distill, small_corpus: Path) -> None:
    assert distill("train", small_corpus, "--epochs", 3, "--seed", 5, "--name", "mine").code == 0
    assert distill("train-prior", "mine", small_corpus, "--epochs", 2, "--lr", "0.004").code == 0
    answer = distill("models", "info", "mine", "--json").json
    codec, prior = answer["runs"]
    assert (codec["kind"], codec["outcome"], codec["folder"]) == ("codec", "finished", str(small_corpus))
    assert (codec["settings"]["seed"], codec["settings"]["epochs"]) == (5, 3)
    assert len(codec["curves"]["val_loss"]) == 3
    assert codec["figures"]["best_val_loss"] == answer["model"]["codec_distance"]
    assert (prior["kind"], prior["settings"]["learning_rate"], len(prior["curves"]["perplexity"])) == (
        "prior",
        0.004,
        2,
    )
    assert prior["figures"]["best_perplexity"] == answer["model"]["perplexity"]
    assert codec["started"] < codec["ended"] < prior["started"]
    shown = distill("models", "info", "mine").err
    assert "\n\nTrainings\n" in shown, shown
    assert "␤" not in shown
    assert "e+0" not in shown, "no musician reads a bandwidth of 2.18e+04"
    for words in ("finished after 3 epochs", "learning-rate 0.004", "6 recordings"):
        assert words in shown, words

    (home() / "library.db").write_bytes(b"no database at all")
    again = distill("models", "info", "mine", "--json")
    assert "was damaged" in again.err
    assert again.json["runs"] == answer["runs"]
    assert again.json["model"] == answer["model"]


@pytest.mark.usefixtures("tiny_training")
def test_a_training_that_breaks_off_is_noted_too(
    distill: Distill, tiny: Path, small_corpus: Path, on_event: Callable[..., None]
) -> None:
    def fail(error: BaseException) -> None:
        def look(event: object) -> None:
            if isinstance(event, PriorEpochMetrics):
                # While it is at work, another process sees it.
                seen.append(distill_in_another_process())
                raise error

        on_event(look)

    def distill_in_another_process() -> list[str]:
        from distill.library import Library

        return [run.outcome for run in Library(pytest.fail).runs()]

    seen: list[list[str]] = []
    before = tiny.read_bytes()
    for error in (KeyboardInterrupt(), RuntimeError("the sky fell")):
        fail(error)
        assert distill("train-prior", tiny, small_corpus, "--epochs", 9).code != 0
    runs = distill("models", "info", tiny, "--json").json["runs"]
    assert [(run["outcome"], run["message"]) for run in runs] == [
        ("interrupted", "Ended at once, as Ctrl-C asked."), ("failed", "RuntimeError: the sky fell"),
    ]  # fmt: skip
    assert seen == [["unfinished"], ["interrupted", "unfinished"]]
    assert tiny.read_bytes() == before


@pytest.mark.usefixtures("tiny_training")
def test_a_library_that_cannot_be_written_stops_nothing(distill: Distill, small_corpus: Path, tmp_path: Path) -> None:
    """Guards against an hour of training lost to a list that could not be kept."""
    (home() / "library.db").mkdir()
    answer = distill(
        "run", small_corpus, "--minutes", "0.03", "--seconds", 0.5, "--count", 1, "--out", tmp_path / "new"
    )
    assert answer.code == 0, answer.err
    assert "not noted in the library" in answer.err
    assert "distill regenerate" not in answer.err
    assert len(list((tmp_path / "new").glob("*.wav"))) == 1


def test_a_newer_library_is_left_alone(distill: Distill, tiny: Path) -> None:
    with closing(sqlite3.connect(home() / "library.db")) as newer:
        newer.execute("PRAGMA user_version = 99")
    answer = distill("generate", tiny, "--seconds", 0.5, "--json")
    assert answer.json["ids"] == [None]
    assert "newer Distill" in answer.err
    distill("models", "list").refused("library.db", "newer Distill", "Update Distill: git pull")


MADE = {
    "new audio": ("--seconds", 1, "--temperature", "0.9,1.1", "--top-k", 9, "--count", 2),
    "flac": ("--seconds", 0.7, "--format", "flac", "--bit-depth", 16),
    "ogg": ("--seconds", 0.7, "--format", "ogg"),
    "a loop": ("--loop", "--beats", 2, "--bpm", 120),
    "what follows a prompt": ("--prompt", "take.wav", "--seconds", 0.8),
    "a passage": ("--infill", "take.wav", "--from", 0.3, "--to", 0.5),
    "redrawn": ("--seconds", 0.5, "--max-similarity", 0, "--count", 2),
}


@pytest.fixture
def take(distill: Distill, noise: Any, save: Any) -> Path:
    """A recording in the folder where the command runs."""
    return save(Path("take.wav"), noise(1.0))  # type: ignore[no-any-return]


@pytest.mark.usefixtures("take")
@pytest.mark.parametrize("words", MADE.values(), ids=list(MADE))
def test_the_identical_file_is_made_again(words: tuple[Any, ...], distill: Distill, tiny: Path) -> None:
    made = distill("generate", tiny, *words, "--seed", 7, "--json").json
    for number, path in zip(made["ids"], made["audio"], strict=True):
        again = distill("regenerate", number, "--out", "again", "--json")
        assert again.code == 0, again.err
        assert again.json["identical"] is True
        assert Path(again.json["audio"]).name == Path(path).name
        assert Path(again.json["audio"]).read_bytes() == Path(path).read_bytes()
    listed = distill("models", "info", tiny, "--json").json["generations"]
    assert [one["id"] for one in listed] == made["ids"]
    assert [one["verdict"] for one in listed] != [""] * len(listed)


def test_the_first_file_is_not_overwritten(distill: Distill, tiny: Path) -> None:
    made = distill("generate", tiny, "--seconds", 0.5, "--json").json
    Path(made["audio"][0]).write_text("precious")
    again = distill("regenerate", made["ids"][0], "--json").json
    assert Path(again["audio"]).name == "tiny-0-2.wav"
    assert Path(made["audio"][0]).read_text() == "precious"


def test_other_sound_is_said_to_be_so(distill: Distill, tiny: Path) -> None:
    """Guards against a promise that is only printed: the samples are compared."""
    made = distill("generate", tiny, "--seconds", 0.5, "--json").json
    with closing(sqlite3.connect(home() / "library.db")) as library, library:
        library.execute("UPDATE generations SET sound = ?", ("0" * 64,))
    answer = distill("regenerate", made["ids"][0])
    assert answer.code == 0
    assert "Some samples differ" in answer.err
    assert distill("regenerate", made["ids"][0], "--json").json["identical"] is False


def test_a_model_that_was_moved_or_renamed_is_found(distill: Distill, tiny: Path, tmp_path: Path) -> None:
    number = distill("generate", tiny, "--seconds", 0.5, "--json").json["ids"][0]
    assert distill("models", "rename", tiny, "renamed").code == 0
    assert distill("regenerate", number, "--json").json["identical"]
    moved = shutil.move(tiny.with_name("renamed.distill"), tmp_path / "moved.distill")
    distill("regenerate", number).refused("is gone", "--in-place")
    assert distill("models", "import", moved, "--in-place").code == 0
    assert distill("regenerate", number, "--json").json["identical"]


def test_a_model_that_has_changed_is_refused(distill: Distill, tiny: Path, make_model: Callable[..., Model]) -> None:
    """Guards against other sound under the name of the old."""
    number = distill("generate", tiny, "--seconds", 0.5, "--json").json["ids"][0]
    digest = load_model(tiny).header.digest
    save_model(tiny, make_model(4))
    distill("regenerate", number, "--out", "again").refused(
        "tiny.distill has been trained further", str(digest)[:12], "copy"
    )
    assert not Path("again").exists()


MEASURED: dict[str, Callable[[Model], Model]] = {
    "the bands": lambda model: model.with_header(bands=[[0.1] * BANDS] * (model.header.codec.vector_size + 1)),
    "the beat": lambda model: model.with_header(beat_strength=0.5),
    "what is heard before": lambda model: model.with_header(heard_before=7),
    "the range of levels": lambda model: model.with_header(loudness=(-40.0, -30.0, -20.0)),
    "the lean": lambda model: model.with_header(loudness_lean=0.01),
    "the balance": lambda model: model.with_header(balance=(0.1,) * 32),
    "what a join costs": lambda model: model.with_header(voices={"join_cost": 0.1}),
    "what grains cost": lambda model: with_tolls(model, [(1.0,)] * 3),
}


@pytest.mark.parametrize("measured", MEASURED.values(), ids=list(MEASURED))
def test_a_model_that_was_measured_since_is_refused(
    measured: Callable[[Model], Model], distill: Distill, tiny: Path, tmp_path: Path
) -> None:
    """Guards against other sound from the same weights, blamed on another PyTorch: a training's last measures decide too."""
    number = distill("generate", tiny, "--seconds", 0.5, "--json").json["ids"][0]
    before = shutil.copy(tiny, tmp_path / "before.distill")
    model = load_model(tiny)
    save_model(tiny, model.with_header(voices={"nearer": "recordings", "codec_frechet": 1.0}, name="other"))
    assert distill("regenerate", number, "--json").json["identical"], "figures and names decide nothing"
    save_model(tiny, measured(model))
    assert load_model(tiny).header.digest == model.header.digest
    distill("regenerate", number, "--out", "again").refused("tiny.distill has been trained further", "copy")
    assert not Path("again").exists()
    assert distill("models", "import", before).code == 0
    assert distill("regenerate", number, "--json").json["identical"], "the copy is told from what has become of it"


def test_of_a_piece_whose_note_is_older_only_the_weights_are_compared(distill: Distill, tiny: Path) -> None:
    """Guards against pieces of earlier versions that could not be made again any more."""
    number = distill("generate", tiny, "--seconds", 0.5, "--json").json["ids"][0]
    with closing(sqlite3.connect(home() / "library.db")) as library, library:
        library.execute("UPDATE generations SET request = json_remove(request, '$.measures_digest')")
    save_model(tiny, load_model(tiny).with_header(beat_strength=0.5))
    assert distill("regenerate", number).code == 0


@pytest.mark.parametrize("words", [MADE["what follows a prompt"], MADE["a passage"]], ids=["prompt", "infill"])
def test_an_input_that_is_gone_or_has_changed_is_refused(
    words: tuple[Any, ...], distill: Distill, tiny: Path, take: Path, tmp_path: Path
) -> None:
    number = distill("generate", tiny, *words, "--json").json["ids"][0]
    moved = shutil.move(take, tmp_path / "moved.wav")
    distill("regenerate", number).refused("take.wav", "is gone", "--given")
    assert distill("regenerate", number, "--given", moved, "--json").json["identical"]
    shutil.copy(moved, take)
    with take.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x55")
    distill("regenerate", number).refused("take.wav", "is no longer the file", "--given")


def test_numbers_that_are_none(distill: Distill) -> None:
    distill("regenerate", 3).refused("no piece 3", "distill pieces list")
    distill("regenerate", "three").refused("no piece 'three'", "distill pieces list")


def test_what_is_in_no_file_is_not_noted(make_model: Callable[..., Model], tmp_path: Path) -> None:
    """Guards against a number that leads to a model nobody has: one that was changed after it had been read."""
    from distill.library import Library
    from distill.making.drawing import Sampling
    from distill.making.pieces import make
    from distill.making.request import Request

    path = save_model(tmp_path / "a.distill", make_model())
    model = load_model(path)
    changed = model.with_header(digest=None)
    request = Request("audio", Sampling(), seconds=0.5)
    assert make(make_model(), tmp_path, request)[0].number is None
    assert make(changed, tmp_path, request)[0].number is None
    assert make(model, tmp_path, request)[0].number == 1
    assert len(Library(pytest.fail).generations()) == 1


def test_pieces_before_one_that_cannot_be_written_are_noted(
    make_model: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against audio on a disk that filled up, which the library knows nothing of."""
    from distill.formats.writing import write_audio
    from distill.library import Library
    from distill.making import pieces
    from distill.making.drawing import Sampling
    from distill.making.request import Request

    def full_after_the_first(path: Path, *args: Any, **options: Any) -> None:
        if path.stem.endswith("-1"):
            raise OutputError("The disk is full.", "Free some space.")
        write_audio(path, *args, **options)

    monkeypatch.setattr(pieces, "write_audio", full_after_the_first)
    model = load_model(save_model(tmp_path / "a.distill", make_model()))
    with pytest.raises(OutputError, match="disk is full"):
        pieces.make(model, tmp_path, Request("audio", Sampling(), seconds=0.5), count=3)
    (noted,) = Library(pytest.fail).generations()
    assert [Path(noted.file)] == list(tmp_path.glob("*.wav"))
