"""New audio stays as loud as the recordings are.

A prior conditions on what it drew itself, and nothing corrects it when it drifts: of 216 new pieces of two pieces of music some
swelled, some faded away, and their levels varied by twice the variance of the recordings' (docs/prior.md). How loud a position
is can be read from its codes (``beat.py``). So the last second is compared with the seconds of the recordings:

    recordings   softest ├──────────── usual ─────┤ loudest      all but the outermost hundredths of their seconds
    new audio         ─►─                          ──◄──         only out here are codes that lead back made likelier

Within the recordings' range nothing is changed but what leads all new audio to their mean (``lean.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.codes.descriptions import entry_descriptions, summed
from distill.models.model_file import Model, Source
from distill.models.vqvae import ConvVQVAE

MEMORY_SECONDS = 1.0
LEVELS = 2
"""Quantizer levels, coarse to fine, whose logits are changed: finer ones say little about loudness."""
OUTERMOST = 0.02
"""The share of the recordings' seconds at either end that are no measure."""
FIRMNESS = 0.0125
"""Nats by which a code gets likelier for each decibel that it leads back and each that there is to go. Four times as much keeps
pieces of music as near to their recordings, and textures less near (docs/prior.md)."""
_MOST = 0.4
"""Nats a decibel, at most: what has strayed far is led back gradually."""
_LEAST_WIDTH = 2.0
"""Decibels to either side of the usual level that are always free: recordings that are all equally loud must not tie new audio
down."""


def learn_loudness(
    codec: ConvVQVAE, bands: Sequence[Sequence[float]], sources: Sequence[Source]
) -> tuple[float, float, float] | None:
    """The softest, the usual and the loudest second of the recordings, read from their codes, in decibels.

    None where no recording is as long as a second, or the map is empty.

    Args:
        bands: the map from codes to bands (:func:`distill.making.beat.learn_bands`).
    """
    memory = round(MEMORY_SECONDS * codec.frame_rate)
    long = [source.codes for source in sources if len(source.codes) >= memory]
    if not long or not bands:
        return None
    levels = _levels(codec, bands)
    seconds = np.concatenate([_moving_mean(summed(levels, codes), memory) for codes in long])
    softest, usual, loudest = np.quantile(seconds, (OUTERMOST, 0.5, 1 - OUTERMOST)).round(5).tolist()
    return softest, usual, loudest


@dataclass(frozen=True)
class Loudness:
    """How loud new audio may be: decibels of the mean over all bands, beside ``usual``."""

    levels: Tensor
    """What each code adds: ``[Q, K]``."""
    usual: float
    lowest: float
    highest: float
    memory: int
    """Positions of which the mean is compared."""
    lean: float = 0.0
    """Nats by which a code is likelier for each decibel that it is louder, wherever the level is (``lean.py``)."""

    @classmethod
    def of(cls, model: Model) -> "Loudness | None":
        """That of a model; None where its file does not hold it."""
        header, codec = model.header, model.codec
        if not header.bands or header.loudness is None:
            return None
        softest, usual, loudest = header.loudness
        lowest, highest = min(softest - usual, -_LEAST_WIDTH), max(loudest - usual, _LEAST_WIDTH)
        memory = round(MEMORY_SECONDS * codec.frame_rate)
        return cls(_levels(codec, header.bands), usual, lowest, highest, memory, header.loudness_lean)

    def of_codes(self, codes: Tensor) -> Tensor:
        """Of each position of the codes ``[..., Q]``, in decibels beside ``usual``: ``[...]``."""
        return summed(self.levels, codes) - self.usual

    def to(self, device: torch.device) -> "Loudness":
        """The same on a device."""
        return replace(self, levels=self.levels.to(device))

    def begin(self, codes: Tensor) -> Tensor:
        """How far from the usual level each of the last ``memory`` positions of the codes ``[B, S, Q]`` is: ``[B, memory]``.

        0 where there is none, or none yet (-1).
        """
        lately = codes[:, -self.memory :]
        strays = self.of_codes(lately.clamp(min=0)) * (lately[..., 0] >= 0)
        return F.pad(strays, (self.memory - lately.shape[1], 0))

    def follow(self, strays: Tensor, codes: Tensor) -> Tensor:
        """The same one position later, which has the codes ``[B, Q]``."""
        return torch.cat([strays[:, 1:], self.of_codes(codes)[:, None]], dim=1)

    def tilt(self, logits: Tensor, strays: Tensor, level: int) -> Tensor:
        """The logits ``[B, K]`` of a level of codes after positions that strayed so far ``[B, memory]``."""
        if level >= LEVELS:
            return logits
        mean = strays.mean(dim=1, keepdim=True)
        outside = (mean - self.highest).clamp(min=0) + (mean - self.lowest).clamp(max=0)
        back = (-FIRMNESS * outside).clamp(-_MOST, _MOST) + self.lean
        return torch.addcmul(logits, back, self.levels[level])


def _levels(codec: ConvVQVAE, bands: Sequence[Sequence[float]]) -> Tensor:
    """What each code adds to the mean level of all bands, which are log10 of amplitudes: decibels ``[Q, K]``."""
    codebooks = codec.quantizer.codebooks
    return 20 * entry_descriptions(codebooks, torch.tensor(bands, device=codebooks.device)).mean(dim=2)


def _moving_mean(line: Tensor, width: int) -> np.ndarray:
    """Over every ``width`` neighbours in ``[S]``: ``[S - width + 1]``."""
    sums = F.pad(line.cpu().double().cumsum(dim=0), (1, 0))
    mean: np.ndarray = ((sums[width:] - sums[:-width]) / width).numpy()
    return mean
