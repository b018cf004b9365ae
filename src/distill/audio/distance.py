"""The distance between two sounds, as training loss and as measure.

The multi-scale mel distance is the one of the Descript Audio Codec (Kumar et al. 2023, arXiv:2306.06546): the
L1 distance of log10-mel spectra at seven window lengths, from 32 to 2048 samples, summed. Differentiable.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WINDOWS = (32, 64, 128, 256, 512, 1024, 2048)
MEL_BINS = (5, 10, 20, 40, 80, 160, 320)
FLOOR = 1e-5
"""Magnitudes under this count as silence, so that two inaudible sounds are equal."""

_SHORT_WINDOW = 128
"""Up to this length a product with the DFT matrix is faster than an FFT call (measured on CPU)."""


def _hertz_to_mel(hertz: Tensor) -> Tensor:
    # Slaney's mel scale: linear below 1 kHz (200/3 Hz a mel), logarithmic above (27 mel for a factor of 6.4).
    logarithmic = 15 + 27 * torch.log(hertz.clamp(min=1e-9) / 1000) / math.log(6.4)
    return torch.where(hertz < 1000, hertz * 3 / 200, logarithmic)


def _mel_to_hertz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * math.log(6.4) / 27))


def mel_filterbank(sample_rate: int, window: int, bins: int) -> Tensor:
    """Triangular filters of equal area, evenly spaced on Slaney's mel scale from 0 Hz to half the sample rate.

    Returns:
        ``[window // 2 + 1, bins]``; multiply a magnitude spectrum ``[..., window // 2 + 1]`` by it.
    """
    nyquist = torch.tensor(sample_rate / 2, dtype=torch.float64)
    edges = _mel_to_hertz(torch.linspace(0, 1, bins + 2, dtype=torch.float64) * _hertz_to_mel(nyquist))
    hertz = torch.linspace(0, 1, window // 2 + 1, dtype=torch.float64) * nyquist
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (hertz[:, None] - low) / (centre - low)
    falling = (high - hertz[:, None]) / (high - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * 2 / (high - low)).float()


class Magnitude(nn.Module):
    """Magnitude of the short-time Fourier transform, frames centred on multiples of ``hop``, silence beyond the ends.

    ``[..., N] → [..., 1 + N // hop, window // 2 + 1]``
    """

    def __init__(self, window: int, hop: int) -> None:
        super().__init__()
        self.window, self.hop = window, hop
        taper = torch.hann_window(window)
        if window <= _SHORT_WINDOW:
            angle = 2 * math.pi * torch.outer(torch.arange(window), torch.arange(window // 2 + 1)) / window
            dft = torch.cat([torch.cos(angle), torch.sin(angle)], dim=1) * taper[:, None]
            self.register_buffer("dft", dft, persistent=False)
        else:
            self.register_buffer("taper", taper, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        if self.window <= _SHORT_WINDOW:
            padded = F.pad(audio, (self.window // 2, self.window // 2))
            real, imaginary = (padded.unfold(-1, self.window, self.hop) @ self.get_buffer("dft")).chunk(2, dim=-1)
        else:
            flat = audio.reshape(-1, audio.shape[-1])
            spectrum = torch.stft(
                flat,
                self.window,
                self.hop,
                window=self.get_buffer("taper"),
                center=True,
                pad_mode="constant",
                return_complex=True,
            )
            spectrum = spectrum.transpose(1, 2).unflatten(0, audio.shape[:-1])
            real, imaginary = spectrum.real, spectrum.imag
        # The small constant keeps the gradient of the root finite in digital silence.
        return (real.square() + imaginary.square() + 1e-12).sqrt()


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
