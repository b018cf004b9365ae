"""The decoder's head: tones whose phases continue from position to position, and noise that never repeats.

A head that predicts phases anew at every position can only repeat itself 46.9 times a second: every lasting tone is
bent to a multiple of that, every noise becomes a buzz. Here no phase is predicted. Two kinds of frames are summed:

    tones   up to 5 kHz    frames of 4096 samples, one a position: magnitudes, and how far each phase *advances*
    noise   from 5 kHz on  frames of 256 samples, 16 a position: levels of bands; the phases are drawn (noise.py)

To hold a tone a phase must add up over time, which a feed-forward network cannot do (Morrison et al. 2022,
arXiv:2110.10139). So for each bin the network predicts the advance from one position to the next, as the two natural
parameters of a von Mises distribution. It is trained by the likelihood of the recording's own advance, so it also learns how
certain it may be. To synthesise, the advance is drawn from that distribution and added up outside the network; the bins
around a certain peak share its phase. Around a very certain one they also get the shape that a sine has in such a frame:
bins of equal phase that are flatter than that sound louder in the middle of each frame, 46.9 times a second. Where the
network is certain there is a tone. Where it is not there is noise, whose phases are drawn anew at each position:
because frames overlap by three quarters, even noise seems to have a steady advance, but following it for longer buzzes.

Frames of 4096 samples alone would smear an attack over 85 ms. So the tones of each of two bands are multiplied by a gain
with one value every 64 samples, which is near zero before an attack.

What the head predicts is the sum of the network's output and a linear map of the *sketch*, the part of each quantised vector
that holds the principal components of exactly these values (sketch.py)."""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.audio.distance import overlap_add, power
from distill.models.draws import normal, uniform
from distill.models.noise import (
    DB_PER_NEPER,
    HANN_OVERLAP,
    MAX_LOG_MAGNITUDE,
    NOISE_FROM,
    Noise,
    NoiseHead,
    blended,
    weighted_mean,
)

TONE_WINDOW = 4096
TONE_BANDS = (0.0, 800.0)
"""Hz at which the bands with a gain of their own begin."""
GAIN_STEP = 64
"""Samples between two values of a gain."""
SURE = 2.0
"""A bin counts as a tone from this concentration of its advance on; the bins around such a peak share its phase."""
LOBED = 3.0
"""From this concentration on a peak is taken for a single sine, and the bins around it get the window's shape."""
FILLED = 18.0 / DB_PER_NEPER
"""Those bins are at most this many nepers below their own predicted level: recordings are not empty between partials."""
TONE_FLOOR = 1e-3
"""Magnitudes under this (-120 dBFS) are silence."""
DEPTH_DB = 60.0
"""A bin further below the loudest one of its frame than this has no weight in the loss."""
SILENT_DB = -30.0
"""A frame whose loudest bin is below this is silent (a full-scale sine has 60 dB)."""
TONE_STREAMS = {"advance": 0, "difference": 1, "start": 4}
"""The stream of random numbers (draws.py) for each purpose."""


class Tones(NamedTuple):
    """What the network predicts of the tones."""

    log_magnitude: Tensor
    """``[B, C, S, bins]``"""
    advance: Tensor
    """Natural parameters of each phase's advance, beyond that of the bin's own frequency: ``[B, 2, S, bins]``."""
    difference: Tensor | None
    """The same for how far left is ahead of right in phase; None in mono."""
    log_gain: Tensor
    """``[B, bands, S·hop / GAIN_STEP]``"""


class ToneTargets(NamedTuple):
    """What the head is to predict of the tones, measured in the recording's own frames."""

    magnitude: Tensor
    """``[B, C, S, bins]``"""
    loudness: Tensor
    """Magnitude of each frame's product with the frame before, summed over the channels: ``[B, S, bins]``."""
    advance: Tensor
    """How far each phase advances, beyond the advance of the bin's own frequency: ``[B, S, bins]``."""
    difference: Tensor | None
    """How far left is ahead of right in phase; None in mono."""


class Predicted(NamedTuple):
    """What the network predicts of a sound, before any phase is drawn."""

    tones: Tones
    noise: Noise
    targets: ToneTargets | None = None
    """Those of the recording, where it was encoded just before."""


class VonMises(NamedTuple):
    """Von Mises distributions, ``[B, ...]`` each."""

    angle: Tensor
    """Mean."""
    spread: Tensor
    """Standard deviation of a wrapped normal distribution with the same mean resultant length."""
    kappa: Tensor
    """Concentration."""
    resultant: Tensor
    """Mean resultant length."""


def concentration(eta: Tensor) -> VonMises:
    """The distributions with these natural parameters ``[B, 2, ...]``."""
    kappa = eta.square().sum(dim=1).add(1e-9).sqrt()
    angle = torch.atan2(eta[:, 1], eta[:, 0])
    resultant = torch.special.i1e(kappa) / torch.special.i0e(kappa)
    return VonMises(angle, (-2 * resultant.clamp(1e-3, 1 - 1e-6).log()).sqrt(), kappa, resultant)


def lobe(away: Tensor) -> Tensor:
    """Response of a Hann window to sines that are ``away [...]`` bins off: 1 at 0, 0 from 2 bins on; ``[...]``."""

    def sinc(x: Tensor) -> Tensor:
        x = math.pi * torch.where(x.abs() < 1e-4, 1e-4, x)
        return x.sin() / x

    return (sinc(away) + 0.5 * (sinc(away - 1) + sinc(away + 1))) * (away.abs() < 2)


def von_mises_loss(eta: Tensor, angle: Tensor) -> Tensor:
    """Negative log-likelihood of each angle ``[B, ...]`` under natural parameters ``[B, 2, ...]``."""
    kappa = eta.square().sum(dim=1).add(1e-6).sqrt()
    loss: Tensor = torch.special.i0e(kappa).log() + kappa - eta[:, 0] * angle.cos() - eta[:, 1] * angle.sin()
    return loss


def loudness_weights(decibels: Tensor) -> Tensor:
    """Weights of bins in the loss, from levels ``[..., bins]`` in dB: 1 at a frame's loudest bin, falling to 0 at ``DEPTH_DB``
    below it; 0 in silent frames."""
    loudest = decibels.amax(dim=-1, keepdim=True)
    return ((decibels - loudest + DEPTH_DB) / DEPTH_DB).clamp(0, 1) * (loudest > SILENT_DB)


def _by_loudness(values: Tensor, decibels: Tensor) -> Tensor:
    """Mean of ``[..., bins]`` by :func:`loudness_weights`: a scalar."""
    return weighted_mean(values, loudness_weights(decibels))


class ToneHead(nn.Module):
    """Hidden vectors ``[B, S, H]`` to tones, and those to audio ``[B, C, S·hop]``.

    Each position also predicts the gains of half of its neighbours; they are cross-faded into one curve.

    Args:
        sketch_size: width of the sketch; 0 for none.
    """

    def __init__(
        self,
        hidden_size: int,
        channels: int,
        hop: int,
        sample_rate: int,
        bandwidth: float,
        *,
        sketch_size: int = 0,
    ) -> None:
        super().__init__()
        self.channels, self.hop = channels, hop
        self.window = hop * max(4, -(-TONE_WINDOW // hop))
        self.bins = int(NOISE_FROM / sample_rate * self.window)
        self.steps = 2 * (hop // GAIN_STEP)
        """Values of each band's gain that one position predicts."""
        self.norm = nn.LayerNorm(hidden_size)
        self.kinds = channels + 2 + (2 if channels == 2 else 0)
        self.spectrum = nn.Linear(hidden_size, self.kinds * self.bins)
        self.gain = nn.Linear(hidden_size, len(TONE_BANDS) * self.steps)
        self.description_size = (channels + 2) * self.bins
        """How many numbers describe a position: magnitudes of each channel, and both parameters of the advance."""
        self.read = nn.Linear(sketch_size, self.description_size) if sketch_size else None
        for layer in (self.spectrum, self.gain):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        if self.read is not None:
            nn.init.zeros_(self.read.weight)
            nn.init.zeros_(self.read.bias)
        places = torch.arange(self.bins)
        frequency = places * (sample_rate / self.window)
        edges = [*TONE_BANDS, math.inf]
        masks = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
        sounding = (frequency > 20) & (frequency <= bandwidth)
        self.register_buffer("masks", (torch.stack(masks) & sounding).float(), persistent=False)
        self.register_buffer("taper", torch.hann_window(self.window), persistent=False)
        self.register_buffer("own_advance", 2 * math.pi * (places * hop % self.window) / self.window, persistent=False)
        # Phases are those at the middle of a frame: time 0 lies there.
        self.register_buffer("centred", 1.0 - 2.0 * (torch.arange(self.window // 2 + 1) % 2), persistent=False)

    def forward(self, hidden: Tensor, sketch: Tensor | None = None) -> Tones:
        """Predicts the tones from hidden vectors ``[B, S, H]`` and the sketch ``[B, S, sketch_size]``, if there is one."""
        tones = self.predict(hidden, sketch)
        return tones._replace(log_gain=self.gains(tones.log_gain))

    def predict(self, hidden: Tensor, sketch: Tensor | None = None) -> Tones:
        """As :meth:`forward`, but with the gains of each position by itself, before cross-fading: ``[B, bands, S, steps]``."""
        hidden = self.norm(hidden)
        values = self.spectrum(hidden).unflatten(-1, (self.kinds, self.bins)).transpose(1, 2)
        magnitude = values[:, : self.channels]
        if self.channels == 2:  # mean and difference of the logarithms: a pan is one number a bin
            magnitude = torch.stack([magnitude[:, 0] + magnitude[:, 1], magnitude[:, 0] - magnitude[:, 1]], dim=1)
        advance = values[:, self.channels : self.channels + 2]
        if self.read is not None and sketch is not None:
            read = self.read(sketch).unflatten(-1, (self.channels + 2, self.bins)).transpose(1, 2)
            magnitude, advance = magnitude + read[:, : self.channels], advance + read[:, self.channels :]
        gain = self.gain(hidden).unflatten(-1, (len(TONE_BANDS), self.steps)).transpose(1, 2)
        return Tones(magnitude, advance, values[:, -2:] if self.channels == 2 else None, gain)

    def gains(self, predicted: Tensor, mask: Tensor | None = None) -> Tensor:
        """The gains that positions predict, joined into one curve: ``[B, bands, S, steps] → [B, bands, S·hop / GAIN_STEP]``.

        See :func:`distill.models.noise.blended` for ``mask``.
        """
        return torch.stack([blended(one[..., None], mask).squeeze(-1) for one in predicted.unbind(dim=1)], dim=1)

    def _phases(
        self, predicted: VonMises, peak: Tensor, positions: Tensor, held: Tensor | None, held_at: int
    ) -> Tensor:
        """The phase of every bin at every position, its advances added up along time: ``[B, S, bins]``."""
        spread = predicted.spread
        spread = torch.where(
            predicted.kappa > SURE, spread, spread.new_tensor(2 * math.pi)
        )  # what is not sure scatters
        count, bins = spread.shape[1:]
        drawn = spread * normal(positions, bins, TONE_STREAMS["advance"])
        advance = self.get_buffer("own_advance") + predicted.angle + drawn
        # A bin that follows a peak takes the peak's phase and its advance.
        advance = advance.gather(2, peak)
        theta = held
        if theta is None:
            theta = 2 * math.pi * uniform(positions[:, 0] - 1, bins, TONE_STREAMS["start"])
        track = []
        for place in range(count):
            if place > held_at or held is None:
                theta = torch.remainder(theta.gather(1, peak[:, place]) + advance[:, place], 2 * math.pi)
            track.append(theta)
        return torch.stack(track, dim=1)

    def _peaks(self, tones: Tones, kappa: Tensor) -> Tensor:
        """The bin whose phase each bin takes: the certain peak around it, or itself. int64 ``[B, S, bins]``."""
        strength = tones.log_magnitude.mean(dim=1)
        batch, count, bins = strength.shape
        _, nearest = F.max_pool1d(strength.reshape(batch * count, 1, bins), 5, 1, 2, return_indices=True)
        nearest = nearest.view(batch, count, bins)
        peak = nearest.gather(2, nearest)
        return torch.where(kappa.gather(2, peak) > SURE, peak, torch.arange(bins, device=peak.device))

    def shaped(self, level: Tensor, peak: Tensor, angle: Tensor, kappa: Tensor) -> Tensor:
        """Log magnitudes ``[B, C, S, bins]`` with the bins around very certain peaks in the shape of the window's main lobe.

        Args:
            peak: the bin that each bin follows, ``[B, S, bins]`` (:meth:`_peaks`).
            angle, kappa: mean and concentration of each bin's advance, ``[B, S, bins]``.
        """
        # How much faster than the bin's own frequency the phase advances says how many bins off its centre the sine is.
        offset = (angle * (self.window / (2 * math.pi * self.hop))).gather(2, peak).clamp(-0.7, 0.7)
        own = torch.arange(level.shape[3], device=peak.device)
        height = lobe(own - peak - offset) / lobe(offset)
        follows = (own != peak) & (kappa.gather(2, peak) > LOBED)
        around = level.gather(3, peak[:, None].expand_as(level)) + height.clamp(min=1e-4).log()[:, None]
        return torch.where(follows[:, None], torch.maximum(around, level - FILLED), level)

    def synthesise(
        self, tones: Tones, positions: Tensor, held: Tensor | None = None, held_at: int = -1
    ) -> tuple[Tensor, Tensor]:
        """Audio ``[B, C, S·hop]``, and the phase of every bin at every position, ``[B, S, bins]``.

        Args:
            positions: absolute positions, int64 ``[B, S]``; they decide the draws.
            held: phases ``[B, bins]`` to continue from; without them, phases start at random.
            held_at: index along S of the position that has these phases; earlier ones get the same.
        """
        with torch.no_grad():
            advance = concentration(tones.advance)
            peak = self._peaks(tones, advance.kappa)
            phases = self._phases(advance, peak, positions, held, held_at)
            theta = phases[:, None]
            if tones.difference is not None:
                ahead = concentration(tones.difference)
                half = (ahead.angle + ahead.spread * normal(positions, self.bins, TONE_STREAMS["difference"])) / 2
                theta = torch.stack([phases + half, phases - half], dim=1)
            # Overlapping frames of one phase add up in amplitude, of random phases in power: with four frames, half as much.
            louder = 0.5 * math.log(self.window / self.hop) * (1 - advance.resultant.square())[:, None]
        level = self.shaped(tones.log_magnitude + louder, peak, advance.angle, advance.kappa)
        magnitude = level.clamp(max=MAX_LOG_MAGNITUDE).exp() * torch.sigmoid(4 * (level - math.log(2 * TONE_FLOOR)))
        masks = self.get_buffer("masks") * self.get_buffer("centred")[: self.bins]
        banded = magnitude[:, :, None] * masks[:, None]  # [B, C, bands, S, bins]
        spectrum = torch.complex(*(banded * part[:, :, None] for part in (theta.cos(), theta.sin())))
        frames = torch.fft.irfft(spectrum, n=self.window) * self.get_buffer("taper")
        summed = overlap_add(frames, self.hop)
        margin = (self.window - self.hop) // 2
        summed = summed[..., margin : summed.shape[-1] - margin]
        gain = F.interpolate(tones.log_gain.clamp(-6, 3).exp(), scale_factor=GAIN_STEP, mode="linear")
        return (summed * (gain / (self.window / self.hop * HANN_OVERLAP))[:, None]).sum(dim=2), phases

    @torch.no_grad()
    def frames(self, audio: Tensor) -> Tensor:
        """Complex spectra of a recording, with one frame before the first position: ``[B, C, N] → [B, C, S + 1, bins]``."""
        margin = (self.window - self.hop) // 2
        padded = F.pad(audio, (margin + self.hop, margin))
        frames = padded.unfold(-1, self.window, self.hop) * self.get_buffer("taper")
        return torch.fft.rfft(frames)[..., : self.bins] * self.get_buffer("centred")[: self.bins]

    @torch.no_grad()
    def targets(self, audio: Tensor) -> ToneTargets:
        """What is to be predicted of a recording ``[B, C, N]``."""
        frames = self.frames(audio)
        now, before = frames[:, :, 1:], frames[:, :, :-1]
        product = (now * before.conj()).sum(dim=1)
        advance = torch.atan2(product.imag, product.real) - self.get_buffer("own_advance")
        difference = None
        if self.channels == 2:
            across = now[:, 0] * now[:, 1].conj()
            difference = torch.atan2(across.imag, across.real)
        return ToneTargets(power(now).sqrt_(), power(product).sqrt_(), advance, difference)

    def losses(self, tones: Tones, targets: ToneTargets) -> tuple[Tensor, Tensor]:
        """L1 distance of the log magnitudes (nepers), and negative log-likelihood of the recording's phases.

        Two scalars, means over the bins weighted by loudness. Magnitudes are compared as they are predicted, before any phase
        is drawn: the sum of overlapping frames with random phases is too noisy to learn from it where a partial lies.
        """
        magnitude = targets.magnitude.clamp(min=TONE_FLOOR / 10)
        distance = _by_loudness((tones.log_magnitude - magnitude.log()).abs(), 20 * magnitude.log10())
        decibels = 20 * magnitude.square().sum(dim=1).sqrt().log10()
        phase_loss = _by_loudness(von_mises_loss(tones.advance, targets.advance), decibels)
        if tones.difference is not None and targets.difference is not None:
            phase_loss = phase_loss + 0.5 * _by_loudness(von_mises_loss(tones.difference, targets.difference), decibels)
        return distance, phase_loss

    @torch.no_grad()
    def start(self, audio: Tensor) -> None:
        """Initialises the bias with the mean spectrum of some recordings ``[B, C, N]``, which shortens training."""
        level = self.frames(audio).abs().clamp(min=TONE_FLOOR).log().mean(dim=(0, 1, 2))
        self.spectrum.bias[: self.bins] = level


class TonesAndNoise(nn.Module):
    """Both heads summed: ``[B, S, H] → [B, C, S·hop]``."""

    def __init__(self, tones: ToneHead, noise: NoiseHead) -> None:
        super().__init__()
        self.tones, self.noise = tones, noise

    @property
    def reach(self) -> int:
        """Positions to either side whose frames overlap a position."""
        return -(-(self.tones.window - self.tones.hop) // (2 * self.tones.hop))

    def start(self, audio: Tensor) -> None:
        """Initialises the biases with the mean spectrum of some recordings ``[B, C, N]``, which shortens training."""
        self.tones.start(audio)
        self.noise.start(audio)

    def forward(
        self,
        hidden: Tensor,
        positions: Tensor,
        held: Tensor | None = None,
        held_at: int = -1,
        sketch: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Predicted]:
        """Audio ``[B, C, S·hop]``, phases ``[B, S, bins]``, and the predictions; arguments as :meth:`ToneHead.synthesise`."""
        predicted = Predicted(self.tones(hidden, sketch), self.noise(hidden))
        tonal, phases = self.tones.synthesise(predicted.tones, positions, held, held_at)
        return tonal + self.noise.synthesise(predicted.noise, positions), phases, predicted
