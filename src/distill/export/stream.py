"""What the two streams share: what they keep from call to call, and which positions exist.

A stream takes ``positions`` code positions a call and gives as many, ``latency`` positions later, exactly as one pass over
the whole would have made them. Every stage keeps the end of its own input:

    kept [~~~~~~|new n]        a window of n + 2·reach inputs
         [~~~|==n==|~~~]       gives n outputs, ``reach`` later

Where a sound has not begun or is over there is silence beyond its ends, in every layer, as there is in one pass."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.models.vqvae import ConvNeXtBlock


class Kept:
    """What a stream keeps, in one row of numbers, so that a host has one thing to hold and hand back."""

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[int, ...]] = {}

    def add(self, name: str, *shape: int) -> None:
        """One more thing to keep, of this shape."""
        self._shapes[name] = shape

    @property
    def size(self) -> int:
        """Numbers in all."""
        return sum(math.prod(shape) for shape in self._shapes.values())

    def unpacked(self, row: Tensor) -> dict[str, Tensor]:
        """``[1, size] →`` each thing by its name."""
        parts = row[0].split([math.prod(shape) for shape in self._shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def packed(self, things: dict[str, Tensor]) -> Tensor:
        """Each thing by its name ``→ [1, size]``: the reverse of :meth:`unpacked`."""
        return torch.cat([things[name].flatten() for name in self._shapes])[None]


def overlap_add(frames: Tensor, hop: int) -> Tensor:
    """As :func:`distill.audio.distance.overlap_add`, by operations of any target: ``[..., F, n] → [..., (F - 1)·hop + n]``."""
    pieces = frames.unflatten(-1, (-1, hop)).unbind(-2)
    shifted = [F.pad(piece, (0, 0, number, len(pieces) - 1 - number)) for number, piece in enumerate(pieces)]
    total = shifted[0]
    for piece in shifted[1:]:
        total = total + piece
    return total.flatten(-2)


def window(kept: dict[str, Tensor], name: str, new: Tensor, axis: int) -> Tensor:
    """What was kept and what is new, one after the other along an axis; the end of both is kept for the next call."""
    both = torch.cat([kept[name], new], dim=axis)
    length = kept[name].shape[axis]
    kept[name] = both.narrow(axis, both.shape[axis] - length, length)
    return both


class Blocks(nn.Module):
    """ConvNeXt blocks along a stream: ``[1, n, H] → [1, n, H]``, ``latency`` positions later."""

    def __init__(self, blocks: nn.Module, kept: Kept) -> None:
        super().__init__()
        self.blocks = blocks
        self.reaches: list[int] = []
        for number, block in enumerate(_each(blocks)):
            kernel, width = block.depthwise.weight.shape
            self.reaches.append(kernel // 2)
            kept.add(f"block {number}", 1, kernel - 1, width)
        self.latency = sum(self.reaches)

    def forward(self, x: Tensor, first: Tensor, total: Tensor, kept: dict[str, Tensor]) -> Tensor:
        """``x [1, n, H]`` is of the positions from ``first [1]`` on, and zero where there are none: not before 0, nor from
        ``total [1]`` on."""
        count = x.shape[1]
        for number, (block, reach) in enumerate(zip(_each(self.blocks), self.reaches, strict=True)):
            around = window(kept, f"block {number}", x, 1)
            h: Tensor = block.depthwise.bias
            for place, weight in enumerate(block.depthwise.weight.unbind()):
                h = h + around[:, place : place + count] * weight
            first = first - reach
            h = block.contract(F.gelu(block.expand(block.norm(h))))
            x = (around[:, reach : reach + count] + block.scale * h) * exists(first, count, total)[None, :, None]
        return x


def exists(first: Tensor, count: int, total: Tensor) -> Tensor:
    """1 for each of the places from ``first`` on that is in 0..total, and 0 for the others: float32 ``[count]``."""
    places = first + torch.arange(count)
    return ((places >= 0) & (places < total)).float()


def _each(blocks: nn.Module) -> list[ConvNeXtBlock]:
    return [block for block in blocks.children() if isinstance(block, ConvNeXtBlock)]
