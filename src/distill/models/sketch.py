"""The sketch: principal components of what the decoder is to predict of the tones, measured in the recording itself.

A network trained for minutes does not find out by itself which tones sound: on two pieces, after some thousand steps, it
predicted the mean spectrum at all times, with an error of 0.71 nepers. The first *eight* principal components of the
recordings' spectra reach 0.68, and 256 codes for 64 of them 0.57 (docs/codec.md). So a part of each latent vector is a
linear projection of the recording's own frames, and the decoder reads it with a linear map. Both are initialised with the
principal components of the recordings and trained together with everything else; the network predicts only the residual.

    recording's frames [B, S, D] ──▶ sketch [B, S, size] ─┐
    features ──▶ encoder ──▶ latents [B, S, latent] ──────┴──▶ quantised together ──▶ decoder + reading of the sketch

The description of a position has D = (channels + 2)·bins numbers: for each bin the log magnitude of every channel, and cosine
and sine of its phase advance, weighted by loudness.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from distill.models.noise import DB_PER_NEPER
from distill.models.tones import DEPTH_DB, TONE_FLOOR, Tones, ToneTargets, loudness_weights

SHARE = 8.0
"""Variance of the whole sketch relative to that of the encoder's output: the quantizer spends its codes on what varies most."""
CONCENTRATION = 3.0
"""Concentration of the advance that the initial reading predicts for the loudest bins."""
_DEPTH = DEPTH_DB / DB_PER_NEPER
"""In nepers."""
_LOUD = 0.05
"""Frames with no magnitude above this are left out: in some recordings silence would take half of the components."""


@torch.no_grad()
def described(targets: ToneTargets) -> Tensor:
    """What the head would ideally predict of a recording: ``[B, S, D]``."""
    return description(targets.magnitude, targets.loudness, targets.advance.cos(), targets.advance.sin())


def description(magnitude: Tensor, loudness: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """The same from magnitudes ``[B, C, S, bins]``, and loudness, cosine and sine of the advance ``[B, S, bins]``."""
    level = magnitude.clamp(min=TONE_FLOOR / 10).log()
    level = torch.maximum(level, level.amax(dim=-1, keepdim=True) - _DEPTH)
    weight = loudness_weights(10 * loudness.clamp(min=1e-9).log10())
    return torch.cat([*level.unbind(dim=1), weight * cosine, weight * sine], dim=-1)


class SketchExamples(NamedTuple):
    """Positions of recordings, n in all, by which the sketch is initialised."""

    described: Tensor
    """What the head would ideally predict: ``[n, D]``."""
    predicted: Tensor
    """What it predicts without a sketch: ``[n, D]``."""
    features: Tensor
    """The encoder's output: ``[n, latent_size]``."""


class LinearMap(NamedTuple):
    """Parameters of an ``nn.Linear``."""

    weight: Tensor
    """``[outputs, inputs]``"""
    bias: Tensor
    """``[outputs]``"""


@torch.no_grad()
def examples_of(targets: ToneTargets, tones: Tones, features: Tensor) -> SketchExamples:
    """The positions that sound, of recordings with these targets, predictions, and features ``[B, S, latent_size]``."""
    is_loud = (targets.magnitude.amax(dim=(1, 3)) > _LOUD).flatten()
    predicted = torch.cat([*tones.log_magnitude.unbind(dim=1), *tones.advance.unbind(dim=1)], dim=-1)
    return SketchExamples(*(one.flatten(0, 1)[is_loud] for one in (described(targets), predicted, features)))


@torch.no_grad()
def fitted_maps(examples: SketchExamples, size: int, magnitudes: int) -> tuple[LinearMap, LinearMap]:
    """Both linear maps at the beginning: ``D → size`` makes the sketch, ``size → D`` reads it.

    The first has the principal components of the descriptions, the second is the least-squares solution for what is not
    predicted yet.

    Args:
        examples: two positions or more.
        magnitudes: how many of the D numbers are log magnitudes; the others are of the advance.
    """
    wanted, predicted, features = examples
    mean = wanted.mean(dim=0)
    centred = wanted - mean
    covariance = (centred.T @ centred).cpu()  # MPS has no eigh
    axes = torch.linalg.eigh(covariance)[1][:, -size:].to(centred.device)  # [D, size]
    sketch = centred @ axes
    scale = (SHARE * features.var(dim=0).sum() / sketch.var(dim=0).sum().clamp(min=1e-9)).sqrt().clamp(min=1e-3)
    projection = LinearMap(scale * axes.T, -scale * (mean @ axes))

    concentrated = torch.cat([wanted[:, :magnitudes], CONCENTRATION * wanted[:, magnitudes:]], dim=1)
    left = concentrated - predicted
    sketch, average = scale * sketch, left.mean(dim=0)
    ridge = 1e-3 * len(sketch) * scale.square() * torch.eye(sketch.shape[1], device=sketch.device)
    reading = torch.linalg.solve(sketch.T @ sketch + ridge, sketch.T @ (left - average))
    return projection, LinearMap(reading.T, average)
