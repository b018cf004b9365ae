"""Nothing is dropped in silence: what is not learned from is named wherever a folder is learned from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from distill.audio.corpus import import_corpus
from distill.training.metrics import Notice, TrainingEvent
from distill.training.vqvae_loop import CodecPlan, train_vqvae


@pytest.fixture
def mixed_folder(tmp_path: Path, noise: Callable, save: Callable) -> Path:
    """Recordings, a telephone's voice memo, a copy and a damaged file."""
    for seed in range(5):
        save(tmp_path / "mine" / f"{seed}.wav", noise(1.0, seed))
    save(tmp_path / "mine" / "again.flac", 0.5 * noise(1.0))
    (tmp_path / "mine" / "voice.m4a").write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0")
    (tmp_path / "mine" / "broken.wav").write_bytes(b"RIFF\0\0\0\0WAVEnothing")
    return tmp_path / "mine"


def test_training_names_what_it_leaves_out(mixed_folder: Path) -> None:
    """Guards against "2 of 2 usable" for a folder of twelve."""
    from distill.models.vqvae import VQVAEConfig

    told: list[TrainingEvent] = []
    tiny = VQVAEConfig(
        channels=1,
        num_quantizers=2,
        hidden_size=16,
        encoder_blocks=1,
        decoder_blocks=1,
        latent_size=8,
        codebook_size=32,
    )
    train_vqvae(
        mixed_folder, tiny, told.append, plan=CodecPlan(epochs=1, least_steps=2, batch_size=2, continuous_steps=1)
    )
    words = " ".join(event.text for event in told if isinstance(event, Notice))
    for name in ("voice.m4a", "broken.wav", "again.flac"):
        assert name in words


def test_what_is_left_out_is_in_sentences(mixed_folder: Path) -> None:
    """Guards against a long folder of damaged files filling the screen, and against names without a reason."""
    sentences = import_corpus(mixed_folder).left_out
    assert any(sentence.startswith("Left out: voice.m4a. It is AAC") or "damaged" in sentence for sentence in sentences)
    assert any("again.flac (as 0.wav)" in sentence or "0.wav (as again.flac)" in sentence for sentence in sentences)
    for number in range(30):
        (mixed_folder / f"bad{number:02}.wav").write_bytes(b"RIFF\0\0\0\0WAVEnothing" + bytes([number]))
    assert len(import_corpus(mixed_folder).left_out) < 12


@pytest.mark.parametrize(("seconds", "count", "whole", "part"), [(2.0, 2, 0, 0), (5.0, 2, 0, 2), (1.0, 8, 1, 0)])
def test_what_is_held_out_is_told_as_it_is(
    distill: Callable,
    tmp_path: Path,
    noise: Callable,
    save: Callable,
    seconds: float,
    count: int,
    whole: int,
    part: int,
) -> None:
    """Guards against a page that says "never trained on" of recordings that all are, but for a stretch, or for none."""
    for seed in range(count):
        save(tmp_path / "mine" / f"{seed}.wav", noise(seconds, seed))
    split = distill("check", tmp_path / "mine", "--json").json["split"]
    assert (len(split["held_out"]), len(split["held_out_in_part"])) == (whole, part), split
