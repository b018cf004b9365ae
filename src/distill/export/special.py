"""The functions that draws and phases need, for graphs that run without PyTorch.

ONNX has neither Bessel functions nor the inverse error function. Each is fitted here, when a graph is made, by Chebyshev
polynomials to PyTorch's own in double precision, to about the rounding of single precision."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.polynomial import chebyshev
from torch import Tensor, nn

from distill.models.draws import normal, uniform

_LOW = 0xFFFFFFFF
_SCALE = 3.0
_LARGEST_LOG = 15.5
"""Above -log(1 - x²) of the draw nearest to 1."""


class OwnSpecials(nn.Module):
    """PyTorch's own functions: what TorchScript has as well."""

    def uniform(self, positions: Tensor, count: int, stream: int) -> Tensor:
        """``[...] → [..., count]``, as :func:`distill.models.draws.uniform`."""
        return uniform(positions, count, stream)

    def normal(self, positions: Tensor, count: int, stream: int) -> Tensor:
        """``[...] → [..., count]``, as :func:`distill.models.draws.normal`."""
        return normal(positions, count, stream)

    def angle(self, y: Tensor, x: Tensor) -> Tensor:
        """In radians, of ``[...]`` each, as :func:`torch.atan2`: ``[...]``."""
        return torch.atan2(y, x)

    def resultant(self, kappa: Tensor) -> Tensor:
        """Mean resultant length of von Mises distributions of these concentrations: I1 / I0, ``[...] → [...]``."""
        return torch.special.i1e(kappa) / torch.special.i0e(kappa)


class FittedSpecials(OwnSpecials):
    """The same from additions, products, quotients and the bitwise *and* alone."""

    def __init__(self) -> None:
        super().__init__()
        self.ratio = _fitted(lambda place: _bessel_ratio(_SCALE * (1 + place) / (1 - place)), 22)
        self.inverse = _fitted(lambda place: _inverse_error((place + 1) / 2 * _LARGEST_LOG), 18)

    def uniform(self, positions: Tensor, count: int, stream: int) -> Tensor:
        places = torch.arange(count)
        keys = _mixed((positions * 0x9E3779B1 + (stream + 1) * 0x85EBCA77) & _LOW)
        mixed = _mixed((keys[..., None] + places * 0xC2B2AE3D) & _LOW)
        return (_shifted(mixed, 9).float() + 0.5) * 2.0**-23

    def normal(self, positions: Tensor, count: int, stream: int) -> Tensor:
        place = 2 * self.uniform(positions, count, stream) - 1
        log = -((1 - place) * (1 + place)).log()
        return math.sqrt(2) * place * _value(self.inverse, log * (2 / _LARGEST_LOG) - 1)

    def angle(self, y: Tensor, x: Tensor) -> Tensor:
        # ONNX takes the arc tangent of a quotient, and 0 / 0 is no number.
        return torch.atan2(y, torch.where((y == 0) & (x == 0), 1.0, x))

    def resultant(self, kappa: Tensor) -> Tensor:
        return _value(self.ratio, (kappa - _SCALE) / (kappa + _SCALE))


def _mixed(x: Tensor) -> Tensor:
    """The mixing of :mod:`distill.models.draws`: ONNX's graphs have no shifts of signed numbers and no exclusive or."""
    x = (_exclusive_or(x, _shifted(x, 16)) * 0x7FEB352D) & _LOW
    x = (_exclusive_or(x, _shifted(x, 15)) * 0x846CA68B) & _LOW
    return _exclusive_or(x, _shifted(x, 16))


def _exclusive_or(one: Tensor, other: Tensor) -> Tensor:
    return one + other - 2 * (one & other)


def _shifted(x: Tensor, bits: int) -> Tensor:
    return torch.div(x, 1 << bits, rounding_mode="trunc")


def _bessel_ratio(kappa: np.ndarray) -> np.ndarray:
    argument = torch.from_numpy(kappa)
    return (torch.special.i1e(argument) / torch.special.i0e(argument)).numpy()


def _inverse_error(log: np.ndarray) -> np.ndarray:
    """erfinv(x) / x as a function of -log(1 - x²), which is smooth."""
    place = np.sqrt(-np.expm1(-log))
    return torch.erfinv(torch.from_numpy(place)).numpy() / place


def _fitted(function: Callable[[np.ndarray], np.ndarray], degree: int) -> list[float]:
    places = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    return [float(one) for one in chebyshev.chebfit(places, function(places), degree)]


def _value(coefficients: list[float], place: Tensor) -> Tensor:
    """A Chebyshev series by Clenshaw's recurrence."""
    later, last = torch.zeros_like(place), torch.zeros_like(place)
    for coefficient in reversed(coefficients[1:]):
        later, last = coefficient + 2 * place * later - last, later
    return coefficients[0] + place * later - last
