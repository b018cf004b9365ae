"""What can be heard of a codec while it trains."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import small_distill
from distill.errors import LibraryError, OutputError
from distill.recordings.corpus import import_corpus
from distill.recordings.split import split_corpus
from distill.training import TrainingEvent, VQEpochMetrics, VQStepMetrics, train_vqvae
from distill.training.checkpoint import StateFile
from distill.training.listening import KEPT, Listening, heard
from distill.training.metrics import Notice
from distill.training.plan import CodecPlan

CONFIG = small_distill.codec_config(codebook_size=16)
PLAN = CodecPlan(
    epochs=2,
    batch_size=1,
    least_steps=5,
    continuous_steps=2,
    validation_windows=1,
    device="cpu",
    save_every_s=0,
    first_save_s=0,
)


@pytest.fixture
def listening(small_corpus: Path, tmp_path: Path) -> Listening:
    held_out = split_corpus(import_corpus(small_corpus)).held_out
    return Listening(tmp_path, "codec", held_out, channels=1, hop=1024, tell=lambda _: None)


def test_a_passage_is_heard_at_every_state_that_is_saved(small_corpus: Path, tmp_path: Path) -> None:
    events: list[TrainingEvent] = []
    at_first: list[int] = []

    def follow(event: TrainingEvent) -> None:
        events.append(event)
        if isinstance(event, VQStepMetrics) and event.step == 1:
            at_first.extend(len(one.moments) for one in heard(tmp_path) if one.original.exists())

    result = train_vqvae(small_corpus, CONFIG, follow, plan=PLAN, state_file=StateFile(tmp_path / "codec.state"))
    assert at_first == [0] * len(heard(tmp_path)), "the passages as they are wait for the first moment"
    passage = heard(tmp_path)[0]
    assert passage.name in {one.label for one in result.split.held_out}
    steps = [moment.step for moment in passage.moments]
    assert steps == sorted(steps)
    assert steps[-1] == [event for event in events if isinstance(event, VQStepMetrics)][-1].step
    assert 2 < len(steps) <= KEPT  # none of them from before there were codes
    original, _ = soundfile.read(passage.original)
    kept, _ = soundfile.read(passage.moments[-1].file)
    assert len(original) == len(kept) == round(passage.seconds * 48_000)
    # The last one is what the model that is kept gives.
    given = result.codec(torch.from_numpy(original.astype(np.float32))[None, None]).reconstruction[0, 0].detach()
    assert np.abs(given.numpy() - kept).mean() < 1e-3  # the file has 16 bits
    # And all its figures are told along with the loss.
    epochs = [event for event in events if isinstance(event, VQEpochMetrics)]
    assert set(epochs[-1].heard) == {"mel", "kept", "cents", "invented", "movement", "line", "grain"}
    assert epochs[-1].heard["mel"] == epochs[-1].val_loss


def test_there_is_something_to_hear_soon_after_the_codebooks_begin(small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a listener who waits a minute longer, as the first state was saved before there were codes."""
    plan = dataclasses.replace(PLAN, save_every_s=3600.0)
    train_vqvae(small_corpus, CONFIG, plan=plan, state_file=StateFile(tmp_path / "codec.state"))
    assert [moment.step for moment in heard(tmp_path)[0].moments][:-1] == [PLAN.continuous_steps + 1]


def test_codebooks_that_begin_after_a_short_first_epoch_are_soon_heard_too(small_corpus: Path, tmp_path: Path) -> None:
    """Guards against that minute where the first epoch ends before the codebooks were to begin."""
    events: list[TrainingEvent] = []
    plan = dataclasses.replace(PLAN, save_every_s=3600.0, continuous_steps=1000)
    train_vqvae(small_corpus, CONFIG, events.append, plan=plan, state_file=StateFile(tmp_path / "codec.state"))
    first_epoch = [event for event in events if isinstance(event, VQStepMetrics) and event.epoch == 1]
    assert [moment.step for moment in heard(tmp_path)[0].moments][:-1] == [len(first_epoch) + 1]


def test_listening_changes_nothing_of_the_training(small_corpus: Path, tmp_path: Path) -> None:
    """Guards against a pass through the codec that moves its codebooks or takes draws from those of the training."""
    heard_one = train_vqvae(small_corpus, CONFIG, plan=PLAN, state_file=StateFile(tmp_path / "codec.state"))
    alone = train_vqvae(small_corpus, CONFIG, plan=dataclasses.replace(PLAN, save_every_s=60.0))
    for name, tensor in alone.codec.state_dict().items():
        assert torch.equal(tensor, heard_one.codec.state_dict()[name]), name


def test_few_moments_stay_and_the_first_is_among_them(listening: Listening, tmp_path: Path) -> None:
    for step in range(0, 100, 5):
        listening.write(step, lambda audio: 0.5 * audio)
    steps = [moment.step for moment in heard(tmp_path)[0].moments]
    assert len(steps) == KEPT
    assert (steps[0], steps[-1]) == (0, 95)


def test_a_moment_that_another_program_plays_stays_until_later(
    listening: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against a training on Windows that ends because a moment is open in a player when its turn to go has come."""
    delete = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith("codec-"):
            raise PermissionError(13, "The process cannot access the file because it is being used", str(path))
        delete(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    for step in range(0, 50, 5):
        listening.write(step, lambda audio: 0.5 * audio)
    assert len(heard(tmp_path)[0].moments) == 10
    monkeypatch.setattr(Path, "unlink", delete)
    listening.write(50, lambda audio: 0.5 * audio)
    assert len(heard(tmp_path)[0].moments) == KEPT


def test_what_is_no_number_is_not_written(listening: Listening, tmp_path: Path) -> None:
    listening.write(5, lambda audio: audio * float("nan"))
    assert heard(tmp_path)[0].moments == ()


def test_a_full_disk_costs_no_training(small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> Path:
        raise OutputError("The disk is full.", "Free some space.")

    monkeypatch.setattr("distill.training.listening.write_audio", full)
    told: list[object] = []
    held_out = split_corpus(import_corpus(small_corpus)).held_out
    Listening(tmp_path, "codec", held_out, channels=1, hop=1024, tell=told.append).write(5, lambda audio: audio)
    (notice,) = told
    assert isinstance(notice, Notice)
    assert notice.is_warning
    assert "disk is full" in notice.text
    assert heard(tmp_path) == []


def test_what_is_damaged_is_said_and_what_is_not_there_is_nothing(listening: Listening, tmp_path: Path) -> None:
    """Guards against a page on which a training was never heard, without a word why."""
    assert heard(tmp_path / "elsewhere") == []
    listening.begin()
    (note,) = tmp_path.rglob("passages.json")
    note.write_bytes(b"[{")
    with pytest.raises(LibraryError, match=r"passages\.json is damaged"):
        heard(note.parent.parent)
