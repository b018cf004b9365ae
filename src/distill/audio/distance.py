"""The distance between two sounds, as training loss and as measure.

The multi-scale mel distance is the one of the Descript Audio Codec (Kumar et al. 2023, arXiv:2306.06546): the
L1 distance of log10-mel spectra at seven window lengths, from 32 to 2048 samples, summed. Differentiable.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

WINDOWS = (32, 64, 128, 256, 512, 1024, 2048)
MEL_BINS = (5, 10, 20, 40, 80, 160, 320)
FLOOR = 1e-5
"""Magnitudes under this count as silence, so that two inaudible sounds are equal."""


def _hertz_to_mel(hertz: Tensor) -> Tensor:
    # Slaney's mel scale: linear below 1 kHz (200/3 Hz a mel), logarithmic above (27 mel for a factor of 6.4).
    logarithmic = 15 + 27 * torch.log(hertz.clamp(min=1e-9) / 1000) / math.log(6.4)
    return torch.where(hertz < 1000, hertz * 3 / 200, logarithmic)


def _mel_to_hertz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * math.log(6.4) / 27))


def mel_filterbank(sample_rate: int, window: int, bins: int, lowest: float = 0.0, transposed: float = 1.0) -> Tensor:
    """Triangular filters of equal area, evenly spaced on Slaney's mel scale from ``lowest`` Hz to half the sample rate.

    Args:
        transposed: moves every filter to this many times its frequency; a sound transposed by the same factor then gives the
            spectrum of the original.

    Returns:
        ``[window // 2 + 1, bins]``; multiply a magnitude spectrum ``[..., window // 2 + 1]`` by it.
    """
    return _filterbank(sample_rate, window, bins, lowest, transposed).clone()


@functools.lru_cache(maxsize=64)  # every model has several, and to make them takes longer than all else in it
def _filterbank(sample_rate: int, window: int, bins: int, lowest: float, transposed: float) -> Tensor:
    nyquist = torch.tensor(sample_rate / 2, dtype=torch.float64)
    first, last = _hertz_to_mel(torch.tensor(lowest, dtype=torch.float64)), _hertz_to_mel(nyquist)
    edges = _mel_to_hertz(first + torch.linspace(0, 1, bins + 2, dtype=torch.float64) * (last - first)) * transposed
    hertz = torch.linspace(0, 1, window // 2 + 1, dtype=torch.float64) * nyquist
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (hertz[:, None] - low) / (centre - low)
    falling = (high - hertz[:, None]) / (high - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * 2 / (high - low)).float()


def power(spectrum: Tensor) -> Tensor:
    """The squared magnitudes of complex numbers: ``[...] → [...]``."""
    real, imaginary = spectrum.real, spectrum.imag
    return (real * real).add_(imaginary * imaginary)


class _STFTMagnitude(torch.autograd.Function):
    """Magnitudes of real, tapered frames, with a gradient of its own.

    Autograd differentiates a real FFT by a complex one of twice the size and adds the frames up one sample at a time; here one
    inverse real FFT and a few shifted sums do the same in less than half the time.
    """

    @staticmethod
    def forward(ctx: Any, audio: Tensor, taper: Tensor, hop: int, bins: slice) -> Tensor:
        window = len(taper)
        frames = F.pad(audio, (window // 2, window // 2)).unfold(-1, window, hop) * taper
        spectrum = torch.fft.rfft(frames)[..., bins]
        # The small constant keeps the gradient of the root finite in digital silence.
        magnitude = power(spectrum).add_(1e-12).sqrt_()
        ctx.save_for_backward(spectrum, magnitude, taper)
        ctx.hop, ctx.samples, ctx.first = hop, audio.shape[-1], bins.start or 0
        return magnitude

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        spectrum, magnitude, taper = ctx.saved_tensors
        window, hop, samples, first = len(taper), ctx.hop, ctx.samples, ctx.first
        share = gradient / magnitude
        # An inverse real FFT counts all bins but the first and the last twice.
        share[..., max(0, 1 - first) : window // 2 - first] *= 0.5
        frames = torch.fft.irfft(F.pad(spectrum * share, (first, 0)), n=window).mul_(taper * window)
        padded = overlap_add(frames, hop)
        return (
            F.pad(padded, (0, samples + window - padded.shape[-1]))[..., window // 2 : window // 2 + samples],
            None,
            None,
            None,
        )


def overlap_add(frames: Tensor, hop: int) -> Tensor:
    """Frames ``[..., F, n]`` that start ``hop`` samples apart, summed: ``[..., (F - 1)·hop + n]``; ``hop`` divides ``n``."""
    summed: Tensor = _OverlapAdd.apply(frames, hop) if frames.requires_grad else _summed(frames, hop)
    return summed


class _OverlapAdd(torch.autograd.Function):
    """A sample's gradient is that of every frame it is in, so it is read from where it lies."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, hop: int) -> Tensor:
        ctx.window, ctx.hop = frames.shape[-1], hop
        return _summed(frames, hop)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.unfold(-1, ctx.window, ctx.hop), None


def _summed(frames: Tensor, hop: int) -> Tensor:
    pieces = frames.unflatten(-1, (-1, hop)).unbind(-2)
    count = frames.shape[-2]
    total = frames.new_zeros(*frames.shape[:-2], count + len(pieces) - 1, hop)
    for number, piece in enumerate(pieces):
        total[..., number : number + count, :] += piece
    return total.flatten(-2)


class Magnitude(nn.Module):
    """Magnitude of the short-time Fourier transform, frames centred on multiples of ``hop``, silence beyond the ends.

    ``[..., N] → [..., 1 + N // hop, window // 2 + 1]``, or of those ``bins`` alone; ``hop`` divides ``window``.
    """

    def __init__(self, window: int, hop: int, bins: slice = slice(None)) -> None:
        super().__init__()
        self.hop, self.bins = hop, bins
        self.register_buffer("taper", torch.hann_window(window), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        magnitude: Tensor = _STFTMagnitude.apply(audio, self.get_buffer("taper"), self.hop, self.bins)
        return magnitude


class LogMel(nn.Module):
    """log10-mel spectrum: ``[..., N] → [..., 1 + N // hop, bins]``, never below ``log10(FLOOR)``."""

    def __init__(self, sample_rate: int, window: int, hop: int, bins: int) -> None:
        super().__init__()
        self.magnitude = Magnitude(window, hop)
        self.register_buffer("filters", mel_filterbank(sample_rate, window, bins), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        return (self.magnitude(audio) @ self.get_buffer("filters")).clamp(min=FLOOR).log10()


class MultiScaleMel(nn.Module):
    """Multi-scale mel distance between two sounds ``[..., N]`` of the same shape; a scalar, lower is closer."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            LogMel(sample_rate, window, window // 4, bins) for window, bins in zip(WINDOWS, MEL_BINS, strict=True)
        )

    def forward(self, estimate: Tensor, reference: Tensor, scales: Sequence[int] | None = None) -> Tensor:
        """With ``scales`` given, only those are computed and the sum is scaled up to stand for all seven.

        A random pair a step costs a fifth of all seven and is unbiased.
        """
        chosen = range(len(self.scales)) if scales is None else scales
        total = estimate.new_zeros(())
        for index in chosen:
            log_mel = self.scales[index]
            with torch.no_grad():
                target = log_mel(reference)
            total = total + (log_mel(estimate) - target).abs().mean()
        return total * (len(self.scales) / len(chosen))


class MultiScaleSTFT(nn.Module):
    """L1 distance of log10 magnitudes at window lengths 512, 1024 and 2048, their mean; sounds ``[..., N]``, a scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.magnitudes = nn.ModuleList(Magnitude(window, window // 4) for window in (512, 1024, 2048))

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        distances = [
            (magnitude(estimate).clamp(min=FLOOR).log10() - magnitude(reference).clamp(min=FLOOR).log10()).abs().mean()
            for magnitude in self.magnitudes
        ]
        return torch.stack(distances).mean()
