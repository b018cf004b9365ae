"""A limiter: keeps audio below full scale with a smooth gain around peaks instead of clipping.

Clipping single samples makes overtones up to half the sampling rate, 50 dB above the recordings where a codec is silent. A gain
that changes over twenty milliseconds makes none. It looks equally far ahead and back, so that a part of a sound comes out as
in the whole.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["BLOCK", "CEILING", "REACH", "bent", "gain_at_edges", "gain_between", "held_down"]

CEILING = 0.99
BLOCK = 64
"""Samples over which the gain is linear."""
_AROUND = 7
"""Blocks to either side over which the gain falls and rises."""
REACH = 2 * (_AROUND + 1) * BLOCK
"""Samples to either side that a sample's gain depends on."""
_KNEE = 0.95


def held_down(audio: Tensor) -> Tensor:
    """``[B, C, N] → [B, C, N]`` with no sample above ``CEILING``; audio without any is returned unchanged, bit for bit. N is a
    multiple of ``BLOCK``.

    All channels get the same gain, so that the stereo image stays.
    """
    peaks = audio.abs().amax(dim=1).unflatten(-1, (-1, BLOCK)).amax(dim=-1)  # [B, blocks]
    return audio * gain_between(gain_at_edges(peaks))[:, None]


def gain_at_edges(peaks: Tensor) -> Tensor:
    """The gain at the edges of blocks with these peaks: ``[B, blocks] → [B, blocks + 1]``, with silence beyond the ends.

    The minimum of the gains that the blocks within reach need, then a mean over as many edges, so that no edge of a block
    exceeds the gain the block needs.
    """
    wanted = (CEILING / peaks.clamp(min=1e-6)).clamp(max=1)
    around = F.pad(wanted[:, None], (2 * _AROUND + 1, 2 * _AROUND + 1), value=1.0)
    least = -F.max_pool1d(-around, 2 * _AROUND + 2, 1)
    # Two means, one after the other: a triangle. Means of ones are 1 exactly.
    return F.avg_pool1d(F.avg_pool1d(least, _AROUND + 1, 1), _AROUND + 1, 1)[:, 0]


def gain_between(edges: Tensor) -> Tensor:
    """Linear interpolation between edges: ``[B, blocks + 1] → [B, blocks·BLOCK]``."""
    place = (torch.arange(BLOCK, device=edges.device) + 0.5) / BLOCK
    return (edges[:, :-1, None] + (edges[:, 1:] - edges[:, :-1])[..., None] * place).flatten(1)


def bent(audio: Tensor) -> Tensor:
    """``[..., N] → [..., N]`` with soft clipping of samples beyond ±0.95: of each sample by itself, for sound in blocks."""
    below = audio.clamp(-_KNEE, _KNEE)
    return below + (1 - _KNEE) * torch.tanh((audio - below) / (1 - _KNEE))
