"""The discriminators of the codec's second stage: they learn to tell recordings from reconstructions.

    audio [B, C, N]
      │ short-time Fourier transform, once a window length      real and imaginary parts   [B, 2C, F, bins]
      │ cut into bands, a stack of 2-D convolutions each        features                   [B, W, F, bins / 16]
      ▼ one convolution
    logits [B, 1, F, bins / 16], high where the input looks like a recording

Complex spectra show phase, which a mel distance ignores; several window lengths show both pitch and attacks.
The idea is that of EnCodec (Défossez et al. 2022, arXiv:2210.13438), the bands are those of the Descript Audio Codec (Kumar
et al. 2023, arXiv:2306.06546).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

_SLOPE = 0.1
_SILENCE_POWER = 1e-6


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of the discriminators. They are thrown away after training, so no model file holds them."""

    channels: int = 1
    windows: tuple[int, ...] = (2048, 1024, 512)
    """Window lengths in samples; each has a hop of a quarter of its length."""
    width: int = 16
    """Channels of the convolutions, W."""
    bands: tuple[float, ...] = (0.0, 0.25, 1.0)
    """Edges of the bands as shares of half the sample rate. High frequencies look unlike low ones, so each band has filters of
    its own."""


class Judgement(NamedTuple):
    """Output of the discriminator of one window length for a batch."""

    logits: tuple[Tensor, ...]
    """``[B, 1, F, bins']`` for each band."""
    features: tuple[Tensor, ...]
    """``[B, W, F, bins']`` for each layer of each band."""


class Discriminator(nn.Module):
    """One :class:`SpectrumDiscriminator` for each window length: ``[B, C, N] →`` that many judgements."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.spectra = nn.ModuleList(SpectrumDiscriminator(window, config) for window in config.windows)

    def forward(self, audio: Tensor) -> list[Judgement]:
        return [spectrum(audio) for spectrum in self.spectra]


class SpectrumDiscriminator(nn.Module):
    """Judges complex spectra of one window length: ``[B, C, N] →`` a judgement."""

    def __init__(self, window: int, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.window = window
        bins = window // 2 + 1
        edges = [round(edge * bins) for edge in config.bands]
        self.bands = list(pairwise(edges))
        self.stacks = nn.ModuleList(Stack(2 * config.channels, config.width) for _ in self.bands)
        self.verdicts = nn.ModuleList(
            weight_norm(nn.Conv2d(config.width, 1, (3, 3), padding=(1, 1))) for _ in self.bands
        )
        self.register_buffer("taper", torch.hann_window(window), persistent=False)

    def spectrum(self, audio: Tensor) -> Tensor:
        """``[B, C, N] → [B, 2C, F, bins]``: complex spectra with their phase and the square root of their magnitude.

        Without the root a filter sees only the loudest partial; faint high frequencies lie thousands of times below it.
        """
        b, c, n = audio.shape
        spectrum = torch.stft(
            audio.reshape(b * c, n),
            self.window,
            self.window // 4,
            window=self.get_buffer("taper"),
            normalized=True,
            pad_mode="constant",
            return_complex=True,
        )
        parts = torch.view_as_real(spectrum)
        # The small constant keeps the gradient finite in silence; it lies 80 dB below a full-scale sine.
        parts = parts * (parts.square().sum(dim=-1, keepdim=True) + _SILENCE_POWER) ** -0.25
        parts = parts.permute(0, 3, 2, 1)  # [B·C, 2, F, bins]
        return parts.reshape(b, 2 * c, *parts.shape[2:])

    def forward(self, audio: Tensor) -> Judgement:
        spectrum = self.spectrum(audio)
        logits, features = [], []
        for (low, high), stack, verdict in zip(self.bands, self.stacks, self.verdicts, strict=True):
            layers = stack(spectrum[..., low:high])
            features.extend(layers)
            logits.append(verdict(layers[-1]))
        return Judgement(tuple(logits), tuple(features))


class Stack(nn.Module):
    """The layers of one band: ``[B, 2C, F, bins] →`` the features of each layer, ``[B, W, F, bins']``."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        # Halving the bins in every layer, the first included, makes it affordable on a CPU.
        inputs = (channels, width, width, width)
        layers = [weight_norm(nn.Conv2d(size, width, (3, 7), stride=(1, 2), padding=(1, 3))) for size in inputs]
        self.layers = nn.ModuleList([*layers, weight_norm(nn.Conv2d(width, width, (3, 3), padding=(1, 1)))])

    def forward(self, hidden: Tensor) -> list[Tensor]:
        seen = []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), _SLOPE)
            seen.append(hidden)
        return seen


def discriminator_loss(real: list[Judgement], fake: list[Judgement]) -> Tensor:
    """Least squares (Mao et al. 2016, arXiv:1611.04076): targets are 1 for recordings, 0 for reconstructions. A scalar."""
    losses = [
        (1 - true).square().mean() + made.square().mean()
        for one, other in zip(real, fake, strict=True)
        for true, made in zip(one.logits, other.logits, strict=True)
    ]
    return torch.stack(losses).mean() * len(real)


def adversarial_loss(fake: list[Judgement]) -> Tensor:
    """Squared distance of the logits of reconstructions from 1; a scalar, summed over window lengths."""
    losses = [(1 - made).square().mean() for judgement in fake for made in judgement.logits]
    return torch.stack(losses).mean() * len(fake)


def feature_distance(real: list[Judgement], fake: list[Judgement]) -> Tensor:
    """L1 distance between the discriminators' features of both; a scalar, summed over window lengths and layers."""
    bands = len(real[0].logits)
    distances = [
        (made - true.detach()).abs().mean()
        for one, other in zip(real, fake, strict=True)
        for true, made in zip(one.features, other.features, strict=True)
    ]
    return torch.stack(distances).sum() / bands
