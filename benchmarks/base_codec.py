"""Trains the base codec from which all other codecs start, by hand, for a release (docs/base-codec.md).

    python benchmarks/base_codec.py FOLDER src/distill/models/base.safetensors --minutes 120

It is the codec of a folder like any other, with a few differences: nothing is held out, a quarter of each batch is sound made
up of tones and noise (made_up_sound.py), the learning rate stays high until a last short stretch, what is written is an
average over the last steps, and it is written every few minutes, so that it can be taken at any time.
"""

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distill.errors import TrainingError
from distill.models.base import base_config, save_base, start_from_base
from distill.models.vqvae import ConvVQVAE
from distill.recordings.corpus import import_corpus
from distill.recordings.passages import whole_recordings
from distill.recordings.windows import TrainingWindows
from distill.training.codec_loss import CodecLoss
from distill.training.plan import CodecPlan
from made_up_sound import made_up

AVERAGE_DECAY = 0.998
FINAL_SHARE = 0.15
"""The last share of the time, in which the learning rate falls."""
MADE_UP = 4
"""So many windows of a batch are made up."""
_PLACING = 1 << 30
"""An epoch number whose windows place codebooks and levels."""


def train_base(
    folder: Path,
    out: Path,
    minutes: float,
    *,
    seed: int = 0,
    device: str = "cpu",
    begin: Path | None = None,
    save_every_s: float = 180.0,
) -> int:
    """Trains on every recording of the folder, in mono, and writes the averaged weights to ``out``; gives the steps taken.

    Args:
        begin: a base to go on from, written by this function.
    """
    started = time.monotonic()
    torch.manual_seed(seed)
    corpus = import_corpus(folder, channels=1)
    config, plan = base_config(), CodecPlan(seed=seed, device=device)
    codec = ConvVQVAE(config).to(device).train()
    windows = TrainingWindows(
        whole_recordings(corpus.recordings), plan.window_positions * config.hop, 1, seed, plan.silenced
    )

    def batch(epoch: int, index: int) -> Tensor:
        audio = windows.batch(epoch, index, plan.batch_size)
        draw = np.random.default_rng((seed, epoch, index, 1))
        for window in audio[:MADE_UP]:
            window[0] = made_up(draw, audio.shape[-1])
        return torch.from_numpy(audio).to(device)

    if begin is None:
        codec.head.start(torch.cat([batch(_PLACING, index) for index in range(8)]))
    else:
        start_from_base(codec, begin)
    average = copy.deepcopy(codec)
    criterion = CodecLoss(config.sample_rate).to(device)
    optimizer = torch.optim.AdamW(codec.parameters(), betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    codec.quantizer.expect(plan.window_positions * plan.batch_size)
    saved, step, losses = started, 0, {"": 0.0}
    while (share := (time.monotonic() - started) / (60 * minutes)) < 1:
        rate = plan.learning_rate * min(1.0, (step + 1) / 100) * min(1.0, (1 - share) / FINAL_SHARE + 0.02)
        for group in optimizer.param_groups:
            group["lr"] = rate
        if step == plan.continuous_steps:
            with torch.no_grad():
                latents = torch.cat([codec.latents(batch(_PLACING, 8 + index)) for index in range(12)])
            codec.quantizer.start(latents, plan.window_positions * plan.batch_size)
        audio = batch(0, step)
        output, predicted = codec.forward_with_predicted(audio, codec.quantizer.started)
        parts = criterion(codec, output.reconstruction, predicted, audio, np.random.default_rng((seed, step)))
        loss = torch.stack(list(parts.values())).sum() + config.commitment_weight * output.commitment_loss
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        if not bool(torch.isfinite(norm)):
            raise TrainingError(
                f"Step {step} of the base codec gave gradients that are not finite.", "Look for the cause."
            )
        optimizer.step()
        step += 1
        decay = min(AVERAGE_DECAY, step / (step + 10))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), codec.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        losses = {
            name: 0.99 * losses.get(name, float(part.detach())) + 0.01 * float(part.detach())
            for name, part in parts.items()
        }
        if time.monotonic() - saved > save_every_s:
            saved = time.monotonic()
            save_base(out, average)
            said = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
            print(f"{(saved - started) / 60:.0f} min, {step} steps: {said}", flush=True)
    save_base(out, average)
    return step


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description="Trains the base codec on a folder of public-domain sound.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--begin", type=Path, help="a base to go on from")
    wanted = parser.parse_args()
    steps = train_base(wanted.folder, wanted.out, wanted.minutes, device=wanted.device, begin=wanted.begin)
    print(f"{steps} steps")


if __name__ == "__main__":
    main()
