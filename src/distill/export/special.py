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

_SCALE = 3.0
_LARGEST_LOG = 15.5
"""Above -log(1 - x²) of the draw nearest to 1."""


class OwnSpecials(nn.Module):
    """PyTorch's own functions: what TorchScript has as well."""

    def normal(self, positions: Tensor, count: int, stream: int) -> Tensor:
        """As :func:`distill.models.draws.normal`."""
        return normal(positions, count, stream)

    def resultant(self, kappa: Tensor) -> Tensor:
        """Mean resultant length of von Mises distributions of this concentration: I1 / I0."""
        return torch.special.i1e(kappa) / torch.special.i0e(kappa)


class FittedSpecials(OwnSpecials):
    """The same from additions and products alone."""

    def __init__(self) -> None:
        super().__init__()
        self.ratio = _fitted(lambda place: _bessel_ratio(_SCALE * (1 + place) / (1 - place)), 22)
        self.inverse = _fitted(lambda place: _inverse_error((place + 1) / 2 * _LARGEST_LOG), 18)

    def normal(self, positions: Tensor, count: int, stream: int) -> Tensor:
        place = 2 * uniform(positions, count, stream) - 1
        log = -((1 - place) * (1 + place)).log()
        return math.sqrt(2) * place * _value(self.inverse, log * (2 / _LARGEST_LOG) - 1)

    def resultant(self, kappa: Tensor) -> Tensor:
        return _value(self.ratio, (kappa - _SCALE) / (kappa + _SCALE))


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
