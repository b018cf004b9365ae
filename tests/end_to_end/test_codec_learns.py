"""What a codec must learn whatever its sound is."""

from pathlib import Path

import numpy as np
import soundfile
import torch

from distill.models import VQVAEConfig
from distill.training import train_vqvae
from distill.training.plan import CodecPlan

RATE = 48_000


def hits(seed: int) -> np.ndarray:
    """A second of short decaying noise bursts over digital silence: ``[N]``."""
    draw = np.random.default_rng(seed)
    sound = np.zeros(RATE, np.float32)
    decay = np.exp(-np.arange(4800) / draw.uniform(300, 900))
    for start in draw.integers(0, RATE - 4800, 5):
        sound[start : start + 4800] += 0.4 * decay * draw.uniform(-1, 1, 4800)
    return np.clip(sound, -0.9, 0.9)


def test_a_hard_panned_recording_stays_where_it_was(tmp_path: Path) -> None:
    """Guards against an image that collapses into the middle: mid and side magnitudes look alike for left and right."""
    folder = tmp_path / "panned"
    folder.mkdir()
    for seed in range(10):
        panned = np.zeros((RATE, 2), np.float32)
        panned[:, seed % 2] = hits(seed)
        soundfile.write(folder / f"{seed}.wav", panned, RATE)
    config = VQVAEConfig(
        channels=2,
        hidden_size=48,
        encoder_blocks=1,
        decoder_blocks=2,
        latent_size=16,
        codebook_size=32,
        sketch_size=4,
    )
    codec = train_vqvae(
        folder, config, plan=CodecPlan(epochs=1, batch_size=1, least_steps=100, validation_windows=1, device="cpu")
    ).codec
    for side in (0, 1):
        audio = torch.zeros(1, 2, RATE)
        audio[0, side] = torch.from_numpy(hits(100 + side))
        energy = codec.decode(codec.encode(audio))[0].square().sum(dim=1)
        assert 10 * torch.log10(energy[side] / energy.sum()) > -1, side  # dB
