"""Noise above 5 kHz: levels of bands, 16 times a position, with phases that are drawn and never repeat.

The loss compares predicted levels directly with the recording's. Comparing spectra of the synthesised noise alone taught wrong
levels: one loud frame among silent ones varies less than four that overlap, so the network learned levels that rose and fell by
tens of dB at fixed places within each position, which is heard as a buzz (docs/codec.md).

Levels of neighbouring positions are cross-faded as the gains of the tones are (:func:`blended`)."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.audio.distance import overlap_add, power
from distill.models import ranks
from distill.models.draws import uniform

NOISE_FROM = 5000.0
"""Hz"""
NOISE_WINDOW, NOISE_HOP = 256, 64
NOISE_BANDS = 24
NOISE_FLOOR = 1e-4
"""Magnitudes below this are silence."""
MAX_LOG_MAGNITUDE = 8.0
NOISE_STREAMS = {"noise": 2, "side noise": 3}
DB_PER_NEPER = 8.686
"""A neper is a factor of e in magnitude, 20 / ln 10 dB."""
HANN_OVERLAP = 0.375
"""Mean square of a Hann window: with r frames overlapping, windowed in analysis and synthesis, their sum is r times this."""
DEPTH = 60.0 / DB_PER_NEPER
"""Levels further below the loudest one of their window than this, in nepers, count as equal."""
FAINT, FAINT_WEIGHT = 1e-3, 0.05
"""The loudest band of a window is taken to be at least this magnitude; weight in the loss of a level ``DEPTH`` below it."""
_TRIED = 400
"""Positions of synthesised noise whose median level is measured."""


class Noise(NamedTuple):
    """What the network predicts of the noise."""

    log_level: Tensor
    """Log magnitudes of bands, ``[B, C, F, bands]``."""
    correlation: Tensor | None
    """Correlation of the two channels, -1 to 1: ``[B, S, bands]``; None in mono."""


def blended(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Cross-fades curves that each position predicts for itself and half of each neighbour: ``[B, S, 2n, D] → [B, S·n, D]``.

    Curves predicted for one position alone have a step or a bend at every border, which buzzes 46.9 times a second.

    Args:
        mask: 1 for positions that are part of the sound and 0 for others, ``[S]``; all are if not given. The curve is 0 where
            no position is.
    """
    count = int(values.shape[2]) // 2  # a number, also where the function is traced
    fade = 1 - ((torch.arange(2 * count, device=values.device) + 0.5) / count - 1).abs()[:, None]

    def summed(halves: Tensor) -> Tensor:
        first = F.pad(halves[:, :, :count], (0, 0, 0, 0, 0, 1))
        return first + F.pad(halves[:, :, count:], (0, 0, 0, 0, 1, 0))  # [B, S + 1, n, D]

    weight = fade.expand(1, values.shape[1], -1, -1)
    if mask is None:
        total = summed(values * fade) / summed(weight)
    else:
        weight = weight * mask[:, None, None]
        total = summed(values * weight) / summed(weight).clamp(min=1e-6)
    return total.flatten(1, 2)[:, count // 2 : count // 2 - count]


class NoiseHead(nn.Module):
    """Hidden vectors ``[B, S, H]`` to noise above ``NOISE_FROM``, ``[B, C, S·hop]``: levels of bands, drawn phases."""

    def __init__(self, hidden_size: int, channels: int, hop: int, sample_rate: int, bandwidth: float) -> None:
        super().__init__()
        self.channels, self.per_position = channels, hop // NOISE_HOP
        self.frames_predicted = 2 * self.per_position
        """Frames whose levels one position predicts."""
        frequency = np.arange(NOISE_WINDOW // 2 + 1) * (sample_rate / NOISE_WINDOW)
        self.first = int((frequency < NOISE_FROM).sum())
        sounding = frequency[self.first :]
        self.register_buffer("bands", torch.from_numpy(_band_weights(sounding)), persistent=False)
        within = (sounding <= bandwidth).astype(np.float32)
        self.register_buffer("band", torch.from_numpy(within), persistent=False)
        self.norm = nn.LayerNorm(hidden_size)
        self.levels = nn.Linear(hidden_size, channels * self.frames_predicted * NOISE_BANDS)
        nn.init.normal_(self.levels.weight, std=0.01)
        nn.init.constant_(self.levels.bias, -2.0)
        self.alike = nn.Linear(hidden_size, NOISE_BANDS) if channels == 2 else None
        """Predicts the correlation of the channels; model files know it by this name."""
        self.register_buffer("taper", torch.hann_window(NOISE_WINDOW), persistent=False)
        self.register_buffer("median", None, persistent=False)
        self.median: Tensor | None

    def band_levels(self, hidden: Tensor) -> Tensor:
        """Normalised hidden vectors ``[B, S, H]`` to each position's log magnitudes, ``[B, S, C, frames_predicted, bands]``."""
        return self.levels(hidden).unflatten(-1, (self.channels, self.frames_predicted, NOISE_BANDS))

    def curves(self, predicted: Tensor, mask: Tensor | None = None) -> Tensor:
        """The levels that positions predict, joined into curves: ``[B, S, C, frames_predicted, bands] → [B, C, F, bands]``.

        See :func:`blended` for ``mask``.
        """
        level = torch.stack([blended(predicted[:, :, channel], mask) for channel in range(self.channels)], dim=1)
        if self.channels == 2:
            level = torch.stack([level[:, 0] + level[:, 1], level[:, 0] - level[:, 1]], dim=1)
        return level

    def forward(self, hidden: Tensor) -> Noise:
        """Hidden vectors ``[B, S, H]`` to what they predict of the noise."""
        hidden = self.norm(hidden)
        correlation = torch.tanh(self.alike(hidden) + 1) if self.alike is not None else None
        return Noise(self.curves(self.band_levels(hidden)), correlation)

    def synthesise(self, noise: Noise, positions: Tensor) -> Tensor:
        """Audio ``[B, C, S·hop]``. The absolute positions, int64 ``[B, S]``, seed the random phases."""
        level = noise.log_level @ self.get_buffer("bands")
        magnitude = level.clamp(max=MAX_LOG_MAGNITUDE).exp() * torch.sigmoid(4 * (level - math.log(2 * NOISE_FLOOR)))
        magnitude = magnitude * self.get_buffer("band")
        drawn = self._random_phases(positions, "noise")
        if noise.correlation is None:
            return self._summed(*(magnitude * one[:, None] for one in drawn))
        # Noise in the middle is one noise, wide noise is two.
        correlation = (noise.correlation @ self.get_buffer("bands")).repeat_interleave(self.per_position, dim=1)
        independent = (1 - correlation.square()).clamp(min=1e-6).sqrt()
        both = zip(drawn, self._random_phases(positions, "side noise"), strict=True)
        return self._summed(
            *(magnitude * torch.stack([one, correlation * one + independent * own], dim=1) for one, own in both)
        )

    def _summed(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Real and imaginary parts of spectra ``[B, C, F, bins]`` to audio ``[B, C, S·hop]``."""
        spectrum = F.pad(torch.complex(real, imaginary), (self.first, 0))
        frames = torch.fft.irfft(spectrum, n=NOISE_WINDOW) * self.get_buffer("taper")
        summed = overlap_add(frames, NOISE_HOP) / (NOISE_WINDOW / NOISE_HOP * HANN_OVERLAP)
        margin = (NOISE_WINDOW - NOISE_HOP) // 2
        return summed[..., margin : summed.shape[-1] - margin]

    @torch.no_grad()
    def frames(self, audio: Tensor) -> Tensor:
        """Complex spectra of a recording: ``[B, C, N] → [B, C, F, bins]``."""
        margin = (NOISE_WINDOW - NOISE_HOP) // 2
        frames = F.pad(audio, (margin, margin)).unfold(-1, NOISE_WINDOW, NOISE_HOP) * self.get_buffer("taper")
        return torch.fft.rfft(frames)[..., self.first :]

    def losses(self, noise: Noise, audio: Tensor) -> Tensor:
        """L1 distance of the levels (nepers) to audio ``[B, C, N]``, plus squared error of the channels' correlation: a scalar.

        The target of a level is the one whose synthesised noise has the recording's level as its median. Means are weighted by
        loudness; far below the loudest band one level is as good as another.
        """
        frames = self.frames(audio)
        loudness = power(frames)
        target = self._log_levels(loudness) - self._median_level()
        lowest = (target.amax(dim=(1, 2, 3), keepdim=True).clamp(min=math.log(FAINT)) - DEPTH).clamp(
            min=math.log(NOISE_FLOOR)
        )
        weight = FAINT_WEIGHT + (1 - FAINT_WEIGHT) * ((target - lowest) / DEPTH).clamp(0, 1)
        weight = weight * (self._own_bands().sum(dim=1) > 0)
        distance = (noise.log_level.maximum(lowest) - target.maximum(lowest)).abs()
        loss = weighted_mean(distance, weight)
        if noise.correlation is not None:
            loss = loss + weighted_mean(
                (noise.correlation - self._channel_correlation(frames, loudness)).square(),
                self._each_position(weight.mean(dim=1)),
            )
        return loss

    def _own_bands(self) -> Tensor:
        return self.get_buffer("bands") * self.get_buffer("band")

    def _log_levels(self, loudness: Tensor) -> Tensor:
        """Squared magnitudes ``[..., bins]`` to log magnitudes of bands ``[..., bands]``."""
        bands = self._own_bands()
        mean = loudness @ bands.T / bands.sum(dim=1).clamp(min=1e-6)
        return 0.5 * mean.clamp(min=1e-12).log()

    @torch.no_grad()
    def _median_level(self) -> Tensor:
        """The median log magnitude in each band of noise synthesised at level 0: ``[bands]``."""
        if self.median is None or self.median.device != self.get_buffer("taper").device:
            positions = torch.arange(_TRIED, device=self.get_buffer("taper").device)[None]
            audio = self._summed(
                *(one[:, None] * self.get_buffer("band") for one in self._random_phases(positions, "noise"))
            )
            self.median = self._log_levels(power(self.frames(audio)))[0, 0].median(dim=0).values
        return self.median

    def _each_position(self, frames: Tensor) -> Tensor:
        return frames.unflatten(1, (-1, self.per_position)).mean(dim=2)

    def _channel_correlation(self, frames: Tensor, loudness: Tensor) -> Tensor:
        """Correlation of the two channels in each band at each position: ``[B, 2, F, bins] → [B, S, bands]``."""
        left, right = frames.unbind(dim=1)
        bands = self._own_bands().T
        both, one, other = (
            self._each_position(part) @ bands
            for part in (left.real * right.real + left.imag * right.imag, *loudness.unbind(dim=1))
        )
        return both / (one * other).clamp(min=1e-12).sqrt()

    @torch.no_grad()
    def _random_phases(self, positions: Tensor, stream: str) -> tuple[Tensor, Tensor]:
        """Cosine and sine of random phases, ``[B, F, bins]`` each."""
        bins = NOISE_WINDOW // 2 + 1 - self.first
        angle = 2 * math.pi * uniform(positions, self.per_position * bins, NOISE_STREAMS[stream])
        angle = angle.unflatten(-1, (self.per_position, bins)).flatten(1, 2)
        return angle.cos(), angle.sin()

    @torch.no_grad()
    def start(self, audio: Tensor) -> None:
        """Initialises the bias with the mean spectrum of some recordings ``[B, C, N]``."""
        level = self.frames(audio).abs().clamp(min=NOISE_FLOOR).log().mean(dim=(0, 1, 2))
        bands = self.get_buffer("bands")
        mean = (bands @ level) / bands.sum(dim=1).clamp(min=1e-6) + math.log(2)
        self.levels.bias.view(self.channels, -1, NOISE_BANDS)[0] = mean
        self.levels.bias.view(self.channels, -1, NOISE_BANDS)[1:] = 0


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean: a scalar. Averaged over ranks, it is that of the whole batch."""
    return (values * weight).sum() / ranks.mean(weight.sum()).clamp(min=1)


def _band_weights(frequency: np.ndarray) -> np.ndarray:
    """Interpolation from the levels of bands, evenly spaced in pitch, to bins: ``[NOISE_BANDS, bins]``."""
    centres = np.geomspace(frequency[0], frequency[-1], NOISE_BANDS)
    return np.stack([np.interp(frequency, centres, one) for one in np.eye(NOISE_BANDS)]).astype(np.float32)
