"""Fourier transforms as products of matrices, in real numbers: neither ONNX nor TorchScript's older readers have others.

With N = P·R, time n = P·c + d and frequency k = R·a + b, the kernel falls apart into three (Cooley and Tukey 1965):

    exp(2πi·kn/N) = exp(2πi·ad/P) · exp(2πi·bd/N) · exp(2πi·bc/R)

so a transform is a product of size P, a turn, and a product of size R: for 4096 samples two of 64."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _factors(samples: int) -> tuple[int, int]:
    """The two factors of a number that are nearest to each other, the larger first."""
    low = next(low for low in range(math.isqrt(samples), 0, -1) if samples % low == 0)
    return samples // low, low


def _float(table: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(table).astype(np.float32))


class InverseDFT(nn.Module):
    """Real and imaginary parts of the first ``bins`` bins, ``[..., bins]`` each, to ``samples`` real samples."""

    def __init__(self, samples: int, bins: int) -> None:
        super().__init__()
        self.p, self.r = _factors(samples)
        self.a = -(-bins // self.r)
        self.missing = self.a * self.r - bins
        a, b, c, d = (np.arange(count) for count in (self.a, self.r, self.r, self.p))
        place = np.arange(bins)
        # All bins but the first and the last stand for two, of which a real signal shows one.
        self.register_buffer("scale", _float(np.where((place == 0) | (2 * place == samples), 1, 2) / samples))
        first = np.exp(2j * np.pi * np.outer(a, d) / self.p)
        self.register_buffer("first", _float(np.block([[first.real, first.imag], [-first.imag, first.real]])))
        turn = np.exp(2j * np.pi * np.outer(b, d) / samples)
        self.register_buffer("cosine", _float(turn.real))
        self.register_buffer("sine", _float(turn.imag))
        second = np.exp(2j * np.pi * np.outer(c, b) / self.r)
        self.register_buffer("second", _float(np.concatenate([second.real, -second.imag], axis=1)))

    def forward(self, real: Tensor, imaginary: Tensor) -> Tensor:
        grid = torch.stack([real, imaginary], dim=-2) * self.get_buffer("scale")  # [..., 2, bins]
        grid = F.pad(grid, (0, self.missing)).unflatten(-1, (self.a, self.r))
        grid = grid.flatten(-3, -2).transpose(-1, -2)  # [..., R, 2A]
        partial = grid @ self.get_buffer("first")  # [..., R, 2P]
        real, imaginary = partial[..., : self.p], partial[..., self.p :]
        cosine, sine = self.get_buffer("cosine"), self.get_buffer("sine")
        turned = torch.cat([real * cosine - imaginary * sine, real * sine + imaginary * cosine], dim=-2)  # [..., 2R, P]
        return (self.get_buffer("second") @ turned).flatten(-2)


class RealDFT(nn.Module):
    """Real samples ``[..., samples]`` to real and imaginary parts of the first ``bins`` bins, ``[..., bins]`` each."""

    def __init__(self, samples: int, bins: int) -> None:
        super().__init__()
        self.p, self.r = _factors(samples)
        self.a, self.bins = -(-bins // self.r), bins
        a, b, c, d = (np.arange(count) for count in (self.a, self.r, self.r, self.p))
        first = np.exp(-2j * np.pi * np.outer(b, c) / self.r)
        self.register_buffer("first", _float(np.concatenate([first.real, first.imag])))
        turn = np.exp(-2j * np.pi * np.outer(b, d) / samples)
        self.register_buffer("cosine", _float(turn.real))
        self.register_buffer("sine", _float(turn.imag))
        second = np.exp(-2j * np.pi * np.outer(d, a) / self.p)
        self.register_buffer("second", _float(np.block([[second.real, second.imag], [-second.imag, second.real]])))

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        grid = audio.unflatten(-1, (self.r, self.p))
        partial = self.get_buffer("first") @ grid  # [..., 2R, P]
        real, imaginary = partial[..., : self.r, :], partial[..., self.r :, :]
        cosine, sine = self.get_buffer("cosine"), self.get_buffer("sine")
        turned = torch.cat([real * cosine - imaginary * sine, real * sine + imaginary * cosine], dim=-1)  # [..., R, 2P]
        whole = (turned @ self.get_buffer("second")).transpose(-1, -2)  # [..., 2A, R]
        real, imaginary = whole[..., : self.a, :].flatten(-2), whole[..., self.a :, :].flatten(-2)
        return real[..., : self.bins], imaginary[..., : self.bins]
