"""Random numbers that depend only on the position where they are used.

The same codes must give the same samples, whether they are decoded whole, in chunks, again, or on another device. So a
draw is a hash of (stream, position, place) and no generator has a state. The mixing function is Chris Wellons'
``lowbias32`` (https://nullprogram.com/blog/2018/07/31/), in int32, whose sign is the highest of 32 bits."""

import math
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T", int, Tensor)


def uniform(positions: Tensor, count: int, stream: int) -> Tensor:
    """``count`` numbers in (0, 1) for each of the positions: int64 ``[...] →`` float32 ``[..., count]``.

    Args:
        positions: absolute code positions.
        stream: draws for different purposes take different streams.
    """
    places = torch.arange(count, dtype=torch.int32, device=positions.device) * _signed(0xC2B2AE3D)
    keys = _mixed(_signed((positions * 0x9E3779B1 + (stream + 1) * 0x85EBCA77) & 0xFFFFFFFF).int())
    mixed = _mixed(keys[..., None] + places)
    # 23 bits, so that the middle of the last step is not rounded up to 1, of which the normal distribution is infinite.
    return (((mixed >> 9) & 0x7FFFFF).float() + 0.5) * 2.0**-23


def normal(positions: Tensor, count: int, stream: int) -> Tensor:
    """As :func:`uniform`, from a standard normal distribution: ``[...] → [..., count]``."""
    return torch.erfinv(2 * uniform(positions, count, stream) - 1) * math.sqrt(2)


def _mixed(x: Tensor) -> Tensor:
    # Shifted copies of the sign are masked out.
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D
    x = (x ^ ((x >> 15) & 0x1FFFF)) * _signed(0x846CA68B)
    return x ^ ((x >> 16) & 0xFFFF)


def _signed(bits: T) -> T:
    """The 32 bits of a number from 0 to 2**32 - 1, read as int32."""
    return (bits ^ 0x80000000) - 0x80000000
