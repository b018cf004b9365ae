"""Dropout whose random bits cost little on a CPU."""

import torch
from torch import Tensor
from torch.nn import functional as F

_SIDES = 256
"""One random byte decides for one number, so the share that is dropped is a multiple of a 256th."""


def dropout(x: Tensor, share: float, is_training: bool) -> Tensor:
    """``x [...]`` with about this share of its numbers at zero and the others larger, so that the mean stays (Srivastava 2014).

    On a CPU PyTorch draws a random number for each: 7 % of a step of the prior. Here eight numbers share one of 64 bits.
    """
    dropped = round(share * _SIDES)
    if not is_training or not dropped:
        return x
    if x.device.type != "cpu" or dropped == _SIDES:
        return F.dropout(x, share)
    bits = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    kept = bits.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
    return x * (kept.to(x.dtype) * (_SIDES / (_SIDES - dropped)))
