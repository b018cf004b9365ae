"""Corpora that defeat codecs: each ends in a plain sentence and a codec that can be used."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import small_distill
from distill.codes.extract import decode_chunks, encode_blocks
from distill.training import Notice, TrainingEvent, train_vqvae
from distill.training.plan import CodecPlan

RATE = 48_000
CONFIG = small_distill.codec_config(codebook_size=16)
PLAN = CodecPlan(epochs=1, batch_size=2, least_steps=40, continuous_steps=10, device="cpu")


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)


def square(seconds: float, hz: float) -> np.ndarray:
    return np.sign(np.sin(2 * np.pi * hz * (np.arange(round(seconds * RATE)) + 0.5) / RATE)).astype(np.float32)


def one_short_hit() -> Iterator[np.ndarray]:
    yield noise(0.3) * np.linspace(1, 0, round(0.3 * RATE), dtype=np.float32)


def five_identical_files() -> Iterator[np.ndarray]:
    for _ in range(5):
        yield noise(1.5)


def silence_and_noise() -> Iterator[np.ndarray]:
    yield np.zeros(2 * RATE, np.float32)
    for seed in range(3):
        yield np.concatenate([np.zeros(6 * RATE, np.float32), noise(1, seed)])


def full_scale_square_waves() -> Iterator[np.ndarray]:
    for hz in (55, 110, 220, 440, 880, 1760):
        yield square(2, hz)


def constant_offset() -> Iterator[np.ndarray]:
    for seed in range(6):
        yield 0.4 + 0.3 * noise(2, seed)


def hundreds_of_tiny_files() -> Iterator[np.ndarray]:
    for seed in range(300):
        yield noise(0.06, seed)


@pytest.mark.parametrize(
    ("corpus", "sentence"),
    [
        (one_short_hit, "0.30 s is very little to learn from"),
        (five_identical_files, "All 5 files are the same sound"),
        (silence_and_noise, "of the sound is silence"),
        (full_scale_square_waves, "at the highest level: 0.wav, 1.wav, 2.wav and 3 more"),
        (constant_offset, "DC offset"),
        (hundreds_of_tiny_files, "300"),
    ],
)
def test_a_hard_corpus_ends_in_a_sentence_and_a_usable_codec(
    corpus: Callable[[], Iterator[np.ndarray]], sentence: str, tmp_path: Path
) -> None:
    """Guards against NaN, dead codebooks, dropped short files, and crashes where there is next to nothing to learn."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number, audio in enumerate(corpus()):
        soundfile.write(folder / f"{number}.wav", audio, RATE, subtype="FLOAT")
    events: list[TrainingEvent] = []
    result = train_vqvae(folder, CONFIG, events.append, plan=PLAN)

    said = " ".join(event.text for event in events if isinstance(event, Notice))
    assert sentence in said
    assert np.isfinite(result.best_val_loss)
    for name, tensor in result.codec.state_dict().items():
        assert torch.isfinite(tensor).all(), name
    recording = result.corpus.recordings[0]
    codes = encode_blocks(result.codec, [np.array(recording.audio)])
    decoded = np.concatenate(list(decode_chunks(result.codec, codes)), axis=1)[:, : recording.samples]
    assert decoded.shape == (1, recording.samples)
    assert np.isfinite(decoded).all()
    assert np.abs(decoded).max() <= 1
    assert (result.code_counts > 0).any(dim=1).all()
    assert (result.code_counts > 0).sum() > len(result.code_counts)  # not one code for everything
