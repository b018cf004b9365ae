"""Random numbers that depend on where they are used and on nothing else.

The same codes must give the same samples, whether they are decoded whole, in chunks, again, or on another device. So a
draw is a hash of (stream, position, place) and no generator has a state. The mixing function is Chris Wellons'
``lowbias32`` (https://nullprogram.com/blog/2018/07/31/), in 64-bit integers of which the lower 32 bits count."""

import math

import torch
from torch import Tensor

_LOW = 0xFFFFFFFF


def uniform(positions: Tensor, count: int, stream: int) -> Tensor:
    """``count`` numbers in (0, 1) for each of the positions: int64 ``[...] →`` float32 ``[..., count]``.

    Args:
        positions: absolute code positions.
        stream: draws for different purposes take different streams.
    """
    places = torch.arange(count, device=positions.device)
    keys = _mixed((positions * 0x9E3779B1 + (stream + 1) * 0x85EBCA77) & _LOW)
    mixed = _mixed((keys[..., None] + places * 0xC2B2AE3D) & _LOW)
    # 23 bits, so that the middle of the last step is not rounded up to 1, of which the normal distribution is infinite.
    return ((mixed >> 9).float() + 0.5) * 2.0**-23


def normal(positions: Tensor, count: int, stream: int) -> Tensor:
    """As :func:`uniform`, from a standard normal distribution."""
    return torch.erfinv(2 * uniform(positions, count, stream) - 1) * math.sqrt(2)


def _mixed(x: Tensor) -> Tensor:
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _LOW
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _LOW
    return x ^ (x >> 16)
