"""The head that sings: tones whose phases go on from position to position, and noise that never repeats.

A head that predicts phases anew at every position can only repeat itself 46.9 times a second: every lasting tone is
bent to a multiple of that, every noise becomes a buzz. Here no phase is predicted. Two kinds of frames are summed:

    tones   up to 5 kHz    frames of 4096 samples, one a position: magnitudes, and how far each phase *advances*
    noise   from 5 kHz on  frames of 256 samples, 16 a position: levels of bands; the phases are drawn

To hold a tone a phase must add up over time, which a feed-forward network cannot do (Morrison et al. 2022,
arXiv:2110.10139). So the network tells for each bin the advance from one position to the next as the two natural
parameters of a von Mises distribution, learned by likelihood against the recording's own; it thereby also learns how
sure it may be. To sound, the advance is drawn with that spread and added up outside the network; the bins around a sure
peak share its phase. Where the network is sure there is a tone, where it is not there is noise.

Frames of 4096 samples alone would smear an attack over 85 ms. So the tones of each of two bands are multiplied by a
gain that moves every 64 samples: before an attack it is closed."""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.audio.distance import overlap_add
from distill.models.draws import normal, uniform

TONE_WINDOW = 4096
TONE_TOP = 5000.0
"""Hz up to which partials are told one by one; noise begins there."""
TONE_BANDS = (0.0, 800.0)
"""Hz at which the bands with a gain of their own begin."""
GAIN_STEP = 64
"""Samples between two values of a gain."""
SURE = 1.5
"""Concentration of the advance from which a peak counts as a tone, and the bins around it share its phase."""
NOISE_WINDOW, NOISE_HOP = 256, 64
NOISE_BANDS = 24
TONE_FLOOR = 1e-3
"""Magnitudes under this (-120 dBFS) are silence."""
NOISE_FLOOR = 1e-4
MAX_LOG_MAGNITUDE = 8.0
STREAMS = {"advance": 0, "difference": 1, "noise": 2, "side noise": 3, "start": 4}


class Tones(NamedTuple):
    """What the network says of the tones."""

    log_magnitude: Tensor
    """``[B, C, S, K]``"""
    advance: Tensor
    """Natural parameters of each phase's advance, beyond that of the bin's own frequency: ``[B, 2, S, K]``."""
    difference: Tensor | None
    """The same for how far left is ahead of right in phase; None in mono."""
    log_gain: Tensor
    """``[B, bands, S·hop / GAIN_STEP]``"""


def concentration(eta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean angle, standard deviation and concentration of von Mises distributions, from natural parameters ``[B, 2, ...]``.

    The deviation is that of a wrapped normal distribution with the same mean resultant length.
    """
    kappa = eta.square().sum(dim=1).add(1e-9).sqrt()
    angle = torch.atan2(eta[:, 1], eta[:, 0])
    resultant = torch.special.i1e(kappa) / torch.special.i0e(kappa)
    return angle, (-2 * resultant.clamp(1e-3, 1 - 1e-6).log()).sqrt(), kappa


def von_mises_loss(eta: Tensor, angle: Tensor, weight: Tensor) -> Tensor:
    """Negative log-likelihood of angles ``[B, ...]`` under natural parameters ``[B, 2, ...]``, weighted mean: a scalar."""
    kappa = eta.square().sum(dim=1).add(1e-6).sqrt()
    loss = torch.special.i0e(kappa).log() + kappa - eta[:, 0] * angle.cos() - eta[:, 1] * angle.sin()
    return (loss * weight).sum() / weight.sum().clamp(min=1)


class ToneHead(nn.Module):
    """Hidden vectors ``[B, S, H]`` to tones, and those to audio ``[B, C, S·hop]``."""

    def __init__(self, hidden_size: int, channels: int, hop: int, sample_rate: int, bandwidth: float) -> None:
        super().__init__()
        self.channels, self.hop = channels, hop
        self.window = hop * max(4, -(-TONE_WINDOW // hop))
        self.bins = int(TONE_TOP / sample_rate * self.window)
        self.steps = hop // GAIN_STEP
        self.norm = nn.LayerNorm(hidden_size)
        self.kinds = channels + 2 + (2 if channels == 2 else 0)
        self.spectrum = nn.Linear(hidden_size, self.kinds * self.bins)
        self.gain = nn.Linear(hidden_size, len(TONE_BANDS) * self.steps)
        for layer in (self.spectrum, self.gain):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        places = torch.arange(self.bins)
        frequency = places * (sample_rate / self.window)
        edges = [*TONE_BANDS, math.inf]
        masks = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
        sounding = (frequency > 20) & (frequency <= bandwidth)
        self.register_buffer("masks", (torch.stack(masks) & sounding).float(), persistent=False)
        self.register_buffer("taper", torch.hann_window(self.window), persistent=False)
        self.register_buffer("own_advance", 2 * math.pi * (places * hop % self.window) / self.window, persistent=False)
        # Phases are told at the middle of a frame, where time 0 is.
        self.register_buffer("centred", 1.0 - 2.0 * (torch.arange(self.window // 2 + 1) % 2), persistent=False)

    def forward(self, hidden: Tensor) -> Tones:
        hidden = self.norm(hidden)
        told = self.spectrum(hidden).unflatten(-1, (self.kinds, self.bins)).transpose(1, 2)
        magnitude = told[:, : self.channels]
        if self.channels == 2:  # mean and difference of the logarithms: a pan is one number a bin
            magnitude = torch.stack([magnitude[:, 0] + magnitude[:, 1], magnitude[:, 0] - magnitude[:, 1]], dim=1)
        advance = told[:, self.channels : self.channels + 2]
        gain = self.gain(hidden).unflatten(-1, (len(TONE_BANDS), self.steps)).transpose(1, 2).flatten(2)
        return Tones(magnitude, advance, told[:, -2:] if self.channels == 2 else None, gain)

    @torch.no_grad()
    def phases(self, tones: Tones, positions: Tensor, held: Tensor | None = None, held_at: int = -1) -> Tensor:
        """The phase of every bin at every position, added up along time: ``[B, S, K]``.

        Args:
            positions: absolute positions, int64 ``[B, S]``; they decide the draws.
            held: phases ``[B, K]`` to go on from, at place ``held_at``; earlier places get them too.
        """
        strength = tones.log_magnitude.mean(dim=1)
        batch, count, bins = strength.shape
        angle, spread, kappa = concentration(tones.advance)
        advance = self.get_buffer("own_advance") + angle + spread * normal(positions, bins, STREAMS["advance"])
        _, nearest = F.max_pool1d(strength.reshape(batch * count, 1, bins), 5, 1, 2, return_indices=True)
        nearest = nearest.view(batch, count, bins)
        peak = nearest.gather(2, nearest)
        peak = torch.where(kappa.gather(2, peak) > SURE, peak, torch.arange(bins, device=peak.device))
        # A bin that follows a peak takes the peak's phase and its advance.
        advance = advance.gather(2, peak)
        theta = held
        if theta is None:
            theta = 2 * math.pi * uniform(positions[:, 0] - 1, bins, STREAMS["start"])
        track = []
        for place in range(count):
            if place > held_at or held is None:
                theta = torch.remainder(theta.gather(1, peak[:, place]) + advance[:, place], 2 * math.pi)
            track.append(theta)
        return torch.stack(track, dim=1)

    def speak(self, tones: Tones, positions: Tensor, phases: Tensor) -> Tensor:
        """Audio ``[B, C, S·hop]`` of tones with these phases ``[B, S, K]``."""
        with torch.no_grad():
            theta = phases[:, None].expand(-1, self.channels, -1, -1)
            if tones.difference is not None:
                angle, spread, _ = concentration(tones.difference)
                half = (angle + spread * normal(positions, self.bins, STREAMS["difference"])) / 2
                theta = torch.stack([phases + half, phases - half], dim=1)
            _, _, kappa = concentration(tones.advance)
            resultant = torch.special.i1e(kappa) / torch.special.i0e(kappa)
            # Frames with one phase add up by amplitude, with many by power, which of four frames is half as much.
            louder = 0.5 * math.log(self.window / self.hop) * (1 - resultant.square())[:, None]
        level = tones.log_magnitude + louder
        magnitude = level.clamp(max=MAX_LOG_MAGNITUDE).exp() * torch.sigmoid(4 * (level - math.log(2 * TONE_FLOOR)))
        spectrum = torch.polar(magnitude, theta)[:, :, None] * self.get_buffer("masks")[:, None]
        spectrum = F.pad(spectrum, (0, self.window // 2 + 1 - self.bins)) * self.get_buffer("centred")
        frames = torch.fft.irfft(spectrum, n=self.window) * self.get_buffer("taper")
        summed = overlap_add(frames, self.hop) / (self.window / self.hop * 0.375)
        margin = (self.window - self.hop) // 2
        summed = summed[..., margin : summed.shape[-1] - margin]
        gain = F.interpolate(tones.log_gain.clamp(-6, 3).exp(), scale_factor=GAIN_STEP, mode="linear")
        return (summed * gain[:, None]).sum(dim=2)

    @torch.no_grad()
    def heard(self, audio: Tensor) -> Tensor:
        """The recording's own frames, the one before the first position included: ``[B, C, N] → [B, C, S + 1, K]``, complex."""
        margin = (self.window - self.hop) // 2
        padded = F.pad(audio, (margin + self.hop, margin))
        frames = padded.unfold(-1, self.window, self.hop) * self.get_buffer("taper")
        return torch.fft.rfft(frames)[..., : self.bins] * self.get_buffer("centred")[: self.bins]

    def unlikelihood(self, tones: Tones, audio: Tensor) -> Tensor:
        """How unlikely the phases of the recording ``[B, C, N]`` are, the mean over bins by their loudness; a scalar."""
        heard = self.heard(audio)
        now, before = heard[:, :, 1:], heard[:, :, :-1]
        product = (now * before.conj()).sum(dim=1)
        advance = product.angle() - self.get_buffer("own_advance")
        decibels = 10 * now.abs().square().sum(dim=1).clamp(min=1e-12).log10()
        loudest = decibels.amax(dim=-1, keepdim=True)
        weight = ((decibels - loudest + 60) / 60).clamp(0, 1) * (loudest > -30)
        loss = von_mises_loss(tones.advance, advance, weight)
        if tones.difference is not None:
            ahead = (now[:, 0] * now[:, 1].conj()).angle()
            loss = loss + 0.5 * von_mises_loss(tones.difference, ahead, weight)
        return loss

    @torch.no_grad()
    def start(self, audio: Tensor) -> None:
        """Sets the bias to the mean spectrum of some recordings ``[B, C, N]``, from where learning is short."""
        level = self.heard(audio).abs().clamp(min=TONE_FLOOR).log().mean(dim=(0, 1, 2))
        self.spectrum.bias[: self.bins] = level


class NoiseHead(nn.Module):
    """Hidden vectors ``[B, S, H]`` to noise above ``TONE_TOP``, ``[B, C, S·hop]``: levels of bands, drawn phases."""

    def __init__(self, hidden_size: int, channels: int, hop: int, sample_rate: int, bandwidth: float) -> None:
        super().__init__()
        self.channels, self.per_position = channels, hop // NOISE_HOP
        frequency = np.arange(NOISE_WINDOW // 2 + 1) * (sample_rate / NOISE_WINDOW)
        self.first = int((frequency < TONE_TOP).sum())
        sounding = frequency[self.first :]
        self.register_buffer("bands", torch.from_numpy(_band_weights(sounding)), persistent=False)
        heard = (sounding <= bandwidth).astype(np.float32)
        self.register_buffer("band", torch.from_numpy(heard), persistent=False)
        self.norm = nn.LayerNorm(hidden_size)
        self.levels = nn.Linear(hidden_size, channels * self.per_position * NOISE_BANDS)
        nn.init.normal_(self.levels.weight, std=0.01)
        nn.init.constant_(self.levels.bias, -2.0)
        self.alike = nn.Linear(hidden_size, NOISE_BANDS) if channels == 2 else None
        self.register_buffer("taper", torch.hann_window(NOISE_WINDOW), persistent=False)

    def bin_levels(self, hidden: Tensor) -> Tensor:
        """Normed hidden vectors ``[B, S, H]`` to log magnitudes ``[B, C, F, bins]``."""
        level = self.levels(hidden).unflatten(-1, (self.channels, self.per_position, NOISE_BANDS))
        level = level.transpose(1, 2).flatten(2, 3)  # [B, C, F, bands]
        if self.channels == 2:
            level = torch.stack([level[:, 0] + level[:, 1], level[:, 0] - level[:, 1]], dim=1)
        return level @ self.get_buffer("bands")

    def forward(self, hidden: Tensor, positions: Tensor) -> Tensor:
        hidden = self.norm(hidden)
        level = self.bin_levels(hidden)
        magnitude = level.clamp(max=MAX_LOG_MAGNITUDE).exp() * torch.sigmoid(4 * (level - math.log(2 * NOISE_FLOOR)))
        unit = self._drawn(positions, "noise")[:, None]
        if self.alike is not None:
            # How alike both channels are: noise in the middle is one noise, wide noise is two.
            alike = torch.tanh(self.alike(hidden) + 1) @ self.get_buffer("bands")
            alike = alike.repeat_interleave(self.per_position, dim=1)[:, None]
            other = (
                alike * unit
                + (1 - alike.square()).clamp(min=1e-6).sqrt() * self._drawn(positions, "side noise")[:, None]
            )
            unit = torch.cat([unit, other], dim=1)
        spectrum = F.pad(magnitude * unit * self.get_buffer("band"), (self.first, 0))
        frames = torch.fft.irfft(spectrum, n=NOISE_WINDOW) * self.get_buffer("taper")
        summed = overlap_add(frames, NOISE_HOP) / 1.5
        margin = (NOISE_WINDOW - NOISE_HOP) // 2
        return summed[..., margin : summed.shape[-1] - margin]

    @torch.no_grad()
    def _drawn(self, positions: Tensor, stream: str) -> Tensor:
        bins = NOISE_WINDOW // 2 + 1 - self.first
        angle = 2 * math.pi * uniform(positions, self.per_position * bins, STREAMS[stream])
        angle = angle.unflatten(-1, (self.per_position, bins)).flatten(1, 2)
        return torch.polar(torch.ones_like(angle), angle)  # [B, F, bins]

    @torch.no_grad()
    def start(self, audio: Tensor) -> None:
        """Sets the bias to the mean spectrum of some recordings ``[B, C, N]``."""
        margin = (NOISE_WINDOW - NOISE_HOP) // 2
        frames = F.pad(audio, (margin, margin)).unfold(-1, NOISE_WINDOW, NOISE_HOP) * self.get_buffer("taper")
        level = torch.fft.rfft(frames)[..., self.first :].abs().clamp(min=NOISE_FLOOR).log().mean(dim=(0, 1, 2))
        bands = self.get_buffer("bands")
        mean = (bands @ level) / bands.sum(dim=1).clamp(min=1e-6) + math.log(2)
        self.levels.bias.view(self.channels, -1, NOISE_BANDS)[0] = mean
        self.levels.bias.view(self.channels, -1, NOISE_BANDS)[1:] = 0


class TonesAndNoise(nn.Module):
    """Both heads summed: ``[B, S, H] → [B, C, S·hop]``."""

    def __init__(self, hidden_size: int, channels: int, hop: int, sample_rate: int, bandwidth: float) -> None:
        super().__init__()
        self.tones = ToneHead(hidden_size, channels, hop, sample_rate, bandwidth)
        self.noise = NoiseHead(hidden_size, channels, hop, sample_rate, bandwidth)

    @property
    def reach(self) -> int:
        """Positions to either side whose frames sound in a position."""
        return -(-(self.tones.window - self.tones.hop) // (2 * self.tones.hop))

    def start(self, audio: Tensor) -> None:
        """Sets the biases to the mean spectrum of some recordings ``[B, C, N]``, from where learning is short."""
        self.tones.start(audio)
        self.noise.start(audio)

    def forward(
        self, hidden: Tensor, positions: Tensor, held: Tensor | None = None, held_at: int = -1
    ) -> tuple[Tensor, Tensor, Tones]:
        """Audio ``[B, C, S·hop]``, phases ``[B, S, K]``, and what was said of the tones. See :meth:`ToneHead.phases`."""
        tones = self.tones(hidden)
        phases = self.tones.phases(tones, positions, held, held_at)
        return self.tones.speak(tones, positions, phases) + self.noise(hidden, positions), phases, tones


def _band_weights(frequency: np.ndarray) -> np.ndarray:
    """Interpolation from the levels of bands, evenly spaced in pitch, to bins: ``[NOISE_BANDS, bins]``."""
    centres = np.geomspace(frequency[0], frequency[-1], NOISE_BANDS)
    return np.stack([np.interp(frequency, centres, one) for one in np.eye(NOISE_BANDS)]).astype(np.float32)
