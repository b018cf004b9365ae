"""The decoder as a stream: codes in, sound out, some positions later.

It says what :meth:`distill.models.vqvae.ConvVQVAE.decode` says, in real numbers and with everything it must remember given
in and out; a test and every export compare the two."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.export.dft import InverseDFT
from distill.export.special import OwnSpecials
from distill.export.stream import Blocks, Kept, exists, overlap_add, window
from distill.models import peaks
from distill.models.draws import uniform
from distill.models.noise import (
    HANN_OVERLAP,
    MAX_LOG_MAGNITUDE,
    NOISE_BANDS,
    NOISE_FLOOR,
    NOISE_HOP,
    NOISE_STREAMS,
    NOISE_WINDOW,
    NoiseHead,
)
from distill.models.subsonic import STEP, SubsonicFilter
from distill.models.tones import (
    GAIN_STEP,
    SURE,
    TONE_BANDS,
    TONE_FLOOR,
    TONE_STREAMS,
    ToneHead,
    Tones,
    TonesAndNoise,
    VonMises,
)
from distill.models.vqvae import ConvVQVAE


class SpeakingStream(nn.Module):
    """Codes ``[1, n, Q]`` (int64) of the positions from ``first`` on to audio ``[1, C, n·hop]`` of those ``latency`` before.

    Args:
        positions: n, the same in every call.
        specials: the functions that a target may lack.
    """

    def __init__(self, codec: ConvVQVAE, positions: int, specials: OwnSpecials) -> None:
        super().__init__()
        self.positions, self.hop, self.channels = positions, codec.hop, codec.channels
        self.codebook_size = codec.codebook_size
        self.kept = Kept()
        self.register_buffer("codebooks", codec.quantizer.codebooks.detach().flatten(0, 1))
        self.register_buffer("rows", torch.arange(codec.num_quantizers) * codec.codebook_size)
        self.enter, self.latent_size = codec.decoder[0], codec.config.latent_size
        self.blocks = Blocks(codec.decoder[1], self.kept)
        self.head = _TonesAndNoise(codec.head, self.kept, specials)
        self.kept.add("sketch", 1, self.blocks.latency, codec.config.sketch_size)
        self.subsonic = _Subsonic(codec.subsonic, codec.channels, codec.hop, self.kept)
        self.limiter = _Limiter(codec.channels, codec.hop, self.kept)
        self.latency = self.blocks.latency + self.head.reach + self.subsonic.reach + self.limiter.reach

    def forward(self, codes: Tensor, state: Tensor, first: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        """Audio, and the state for the next call.

        Args:
            state: float32 ``[1, kept.size]``; zeros begin a sound.
            first: int64 ``[1]``, the absolute position of the first of the codes; n more in every call.
            total: int64 ``[1]``, positions in all; what is beyond is silent. For a sound without an end, a large number.
        """
        kept = self.kept.unpacked(state)
        codes = codes.clamp(0, self.codebook_size - 1) + self.get_buffer("rows")
        quantized = F.embedding(codes, self.get_buffer("codebooks")).sum(dim=2)
        x = self.enter(quantized) * exists(first, self.positions, total)[None, :, None]
        x = self.blocks(x, first, total, kept)
        first = first - self.blocks.latency
        sketch = window(kept, "sketch", quantized[..., self.latent_size :], 1)[:, : self.positions]
        audio = self.head(x, sketch, first, total, kept)
        first = first - self.head.reach
        there = exists(first, self.positions, total).repeat_interleave(self.hop)
        audio = self.subsonic(audio * there, first, total, kept)
        first = first - self.subsonic.reach
        there = exists(first, self.positions, total).repeat_interleave(self.hop)
        return self.limiter(audio * there, kept), self.kept.packed(kept)


class _Overlap:
    """Frames ``[..., n·per, window]`` of a stream, summed: ``[..., n·hop]`` of the positions ``reach`` before."""

    def __init__(self, window_size: int, frame_hop: int, per: int, reach: int) -> None:
        self.window_size, self.frame_hop, self.per, self.reach = window_size, frame_hop, per, reach

    def summed(self, frames: Tensor, count: int) -> Tensor:
        """``frames`` are of ``count + 2·reach`` positions."""
        skip = self.reach * self.per * self.frame_hop + (self.window_size - self.frame_hop) // 2
        return overlap_add(frames, self.frame_hop)[..., skip : skip + count * self.per * self.frame_hop]


class _TonesAndNoise(nn.Module):
    """:class:`distill.models.tones.TonesAndNoise` along a stream."""

    def __init__(self, head: TonesAndNoise, kept: Kept, specials: OwnSpecials) -> None:
        super().__init__()
        self.reach = head.reach
        self.tones = _ToneStream(head.tones, head.reach, kept, specials)
        self.noise = _NoiseStream(head.noise, head.reach, kept, specials)

    def forward(self, hidden: Tensor, sketch: Tensor, first: Tensor, total: Tensor, kept: dict[str, Tensor]) -> Tensor:
        return self.tones(hidden, sketch, first, total, kept) + self.noise(hidden, first, total, kept)


class _ToneStream(nn.Module):
    def __init__(self, head: ToneHead, reach: int, kept: Kept, specials: OwnSpecials) -> None:
        super().__init__()
        self.source, self.reach, self.specials = head, reach, specials
        self.inverse = InverseDFT(head.window, head.bins)
        self.overlap = _Overlap(head.window, head.hop, 1, reach)
        start = 2 * math.pi * uniform(torch.tensor([-1]), head.bins, TONE_STREAMS["start"])
        self.register_buffer("start", start)
        place = (torch.arange(GAIN_STEP) + 0.5) / GAIN_STEP - 0.5
        self.register_buffer("slope", torch.stack([(-place).clamp(min=0), 1 - place.abs(), place.clamp(min=0)]))
        kept.add("phases", 1, head.bins)
        kept.add("tone frames", 1, head.channels, len(TONE_BANDS), 2 * reach, head.window)
        kept.add("gains", 1, len(TONE_BANDS), 2 * reach, head.steps)

    def forward(self, hidden: Tensor, sketch: Tensor, first: Tensor, total: Tensor, kept: dict[str, Tensor]) -> Tensor:
        head, count = self.source, hidden.shape[1]
        positions = (first + torch.arange(count))[None]
        tones = head.predict(hidden, sketch)
        advance = self._concentration(tones.advance)
        peak = self._peaks(tones, advance.kappa)
        phases = self._phases(advance, peak, positions, kept)
        theta = phases[:, None]
        if tones.difference is not None:
            ahead = self._concentration(tones.difference)
            half = (
                ahead.angle + ahead.spread * self.specials.normal(positions, head.bins, TONE_STREAMS["difference"])
            ) / 2
            theta = torch.stack([phases + half, phases - half], dim=1)
        louder = 0.5 * math.log(head.window / head.hop) * (1 - advance.resultant.square())[:, None]
        level = head.shaped(tones.log_magnitude + louder, peak, advance.angle, advance.kappa)
        magnitude = level.clamp(max=MAX_LOG_MAGNITUDE).exp()
        magnitude = magnitude * torch.sigmoid(4 * (level - math.log(2 * TONE_FLOOR)))
        magnitude = magnitude * head.get_buffer("centred")[: head.bins]
        masks = head.get_buffer("masks")[:, None]
        real, imaginary = magnitude * theta.cos(), magnitude * theta.sin()  # [1, C, n, K]
        frames = self.inverse(real[:, :, None] * masks, imaginary[:, :, None] * masks) * head.get_buffer("taper")
        frames = frames * exists(first, count, total)[:, None]
        frames = window(kept, "tone frames", frames, 3)
        summed = self.overlap.summed(frames, count) / (head.window / head.hop * HANN_OVERLAP)
        return (summed * self._gain(tones.log_gain, count, first, total, kept)[:, None]).sum(dim=2)

    def _concentration(self, eta: Tensor) -> VonMises:
        """As :func:`distill.models.tones.concentration`."""
        kappa = eta.square().sum(dim=1).add(1e-9).sqrt()
        resultant = self.specials.resultant(kappa)
        spread = (-2 * resultant.clamp(1e-3, 1 - 1e-6).log()).sqrt()
        return VonMises(self.specials.angle(eta[:, 1], eta[:, 0]), spread, kappa, resultant)

    def _peaks(self, tones: Tones, kappa: Tensor) -> Tensor:
        head = self.source
        strength = tones.log_magnitude.mean(dim=1)  # [1, n, K]
        own = torch.arange(head.bins)
        padded = F.pad(strength, (2, 2), value=-1e9)
        around = torch.stack([padded[..., place : place + head.bins] for place in range(5)], dim=-1)
        nearest = (own + around.argmax(dim=-1) - 2).clamp(0, head.bins - 1)
        peak = nearest.gather(2, nearest)
        return torch.where(kappa.gather(2, peak) > SURE, peak, own)

    def _phases(self, predicted: VonMises, peak: Tensor, positions: Tensor, kept: dict[str, Tensor]) -> Tensor:
        head = self.source
        spread = torch.where(predicted.kappa > SURE, predicted.spread, 2 * math.pi)  # what is not sure scatters
        advance = head.get_buffer("own_advance") + predicted.angle
        advance = advance + spread * self.specials.normal(positions, head.bins, TONE_STREAMS["advance"])
        advance = advance.gather(2, peak)
        theta, track = kept["phases"], []
        for place in range(positions.shape[1]):
            theta = torch.where(positions[:, place, None] == 0, self.get_buffer("start"), theta)
            theta = torch.remainder(theta.gather(1, peak[:, place]) + advance[:, place], 2 * math.pi)
            track.append(theta)
        kept["phases"] = theta
        return torch.stack(track, dim=1)

    def _gain(self, told: Tensor, count: int, first: Tensor, total: Tensor, kept: dict[str, Tensor]) -> Tensor:
        """Linear between the middles of steps, level beyond the first and the last: ``[1, bands, n·hop]``.

        The positions around those that sound are kept in any case, so what a position tells of its neighbours costs no latency.
        """
        steps = self.source.hop // GAIN_STEP
        begins = first - 2 * self.reach
        there = exists(begins, count + 2 * self.reach, total)
        values = self.source.gains(window(kept, "gains", told, 2), there)
        begin = begins * steps  # the step at place 0
        places = torch.arange(self.reach * steps - 1, (self.reach + count) * steps + 1)
        places = torch.minimum(torch.maximum(places, -begin), total * steps - 1 - begin)
        gain = values[:, :, places.clamp(0, (2 * self.reach + count) * steps - 1)].clamp(-6, 3).exp()
        before, here, after = self.get_buffer("slope")
        curve = gain[..., :-2, None] * before + gain[..., 1:-1, None] * here + gain[..., 2:, None] * after
        return curve.flatten(-2)


class _NoiseStream(nn.Module):
    """Its frames are short: of the positions that the tones look ahead, one is left for what neighbours tell of each other."""

    LATE = 1

    def __init__(self, head: NoiseHead, reach: int, kept: Kept, specials: OwnSpecials) -> None:
        super().__init__()
        self.source, self.per, self.specials = head, head.per_position, specials
        self.reach = reach - self.LATE
        self.bins = NOISE_WINDOW // 2 + 1 - head.first
        self.inverse = InverseDFT(NOISE_WINDOW, NOISE_WINDOW // 2 + 1)
        self.overlap = _Overlap(NOISE_WINDOW, NOISE_HOP, self.per, self.reach)
        width = head.norm.normalized_shape[0]
        kept.add("noise hidden", 1, self.LATE, width)
        kept.add("noise levels", 1, 2 * self.LATE, head.channels, head.frames_predicted, NOISE_BANDS)
        kept.add("noise frames", 1, head.channels, 2 * self.reach * self.per, NOISE_WINDOW)

    def forward(self, hidden: Tensor, first: Tensor, total: Tensor, kept: dict[str, Tensor]) -> Tensor:
        head, count, late = self.source, hidden.shape[1], self.LATE
        hidden = head.norm(hidden)
        told = window(kept, "noise levels", head.band_levels(hidden), 1)
        level = head.curves(told, exists(first - 2 * late, count + 2 * late, total)) @ head.get_buffer("bands")
        level = level[:, :, late * self.per : (late + count) * self.per]
        hidden, first = window(kept, "noise hidden", hidden, 1)[:, :count], first - late
        positions = (first + torch.arange(count))[None]
        magnitude = level.clamp(max=MAX_LOG_MAGNITUDE).exp()
        magnitude = magnitude * torch.sigmoid(4 * (level - math.log(2 * NOISE_FLOOR))) * head.get_buffer("band")
        unit = self._random_phases(positions, "noise")  # [1, 2, F, bins]
        units = unit[:, None]
        if head.alike is not None:
            correlation = (torch.tanh(head.alike(hidden) + 1) @ head.get_buffer("bands")).repeat_interleave(
                self.per, dim=1
            )
            independent = (1 - correlation.square()).clamp(min=1e-6).sqrt()
            other = correlation[:, None] * unit + independent[:, None] * self._random_phases(positions, "side noise")
            units = torch.stack([unit, other], dim=1)
        spectrum = F.pad(magnitude[:, :, None] * units, (head.first, 0))  # [1, C, 2, F, bins of the window]
        frames = self.inverse(spectrum[:, :, 0], spectrum[:, :, 1]) * head.get_buffer("taper")
        frames = frames * exists(first * self.per, count * self.per, total * self.per)[:, None]
        return self.overlap.summed(window(kept, "noise frames", frames, 2), count) / (
            NOISE_WINDOW / NOISE_HOP * HANN_OVERLAP
        )

    def _random_phases(self, positions: Tensor, stream: str) -> Tensor:
        """Cosine and sine of the drawn angles: ``[1, 2, F, bins]``."""
        angle = 2 * math.pi * self.specials.uniform(positions, self.per * self.bins, NOISE_STREAMS[stream])
        angle = angle.unflatten(-1, (self.per, self.bins)).flatten(1, 2)
        return torch.stack([angle.cos(), angle.sin()], dim=1)


class _Subsonic(nn.Module):
    """:class:`distill.models.subsonic.SubsonicFilter` along a stream."""

    def __init__(self, source: SubsonicFilter, channels: int, hop: int, kept: Kept) -> None:
        super().__init__()
        self.source, self.hop = source, hop
        self.reach = -(-source.reach // hop)
        kept.add("audio", 1, channels, 2 * self.reach * hop)

    def forward(self, audio: Tensor, first: Tensor, total: Tensor, kept: dict[str, Tensor]) -> Tensor:
        samples, source = audio.shape[2], self.source
        around = window(kept, "audio", audio, 2)
        step, taper, taps = STEP, source.get_buffer("taper"), source.get_buffer("taps")
        margin, pieces = (len(taper) - step) // 2, len(taper) // step
        windows = around.shape[2] // step
        there = exists((first - 2 * self.reach) * (self.hop // step), windows, total * (self.hop // step))
        grid = F.pad(around, (margin, margin)).unflatten(2, (-1, step))
        means = torch.cat([grid[:, :, place : place + windows] for place in range(pieces)], dim=-1) @ taper * there
        slow = F.conv1d(means.transpose(0, 1), taps[None, None], padding=len(taps) // 2).transpose(0, 1) * there
        back = overlap_add(slow[..., None] * (taper * step), step)[..., margin : margin + around.shape[2]]
        skip = self.reach * self.hop
        return (around - back)[..., skip : skip + samples]


class _Limiter(nn.Module):
    """:func:`distill.models.peaks.held_down` along a stream."""

    def __init__(self, channels: int, hop: int, kept: Kept) -> None:
        super().__init__()
        self.hop, self.reach = hop, -(-peaks.REACH // hop)
        kept.add("peaks", 1, channels, 2 * self.reach * hop)

    def forward(self, audio: Tensor, kept: dict[str, Tensor]) -> Tensor:
        """``audio`` is silent where there is none."""
        around, skip = window(kept, "peaks", audio, 2), self.reach * self.hop
        return peaks.held_down(around)[..., skip : skip + audio.shape[2]]
