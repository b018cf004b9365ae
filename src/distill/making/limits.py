"""Limits on new audio, taken from the recordings: how long a code is held, how long silence lasts, how far the level drifts;
and how much of it is like each recording.

A code that a recording held once for long, above all that of silence, is so likely to come again each time that conservative
sampling would never leave it; and nothing corrects a prior whose level has drifted (``loudness.py``).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from distill.codes.descriptions import entry_descriptions, summed
from distill.codes.layout import positions_in
from distill.making.loudness import Loudness
from distill.models.model_file import Model

HELD_SECONDS = 0.25
"""Any coarse code may be held for so long."""
PAUSE_SECONDS = 0.51
"""For so long new audio may be silent, however short the recordings' own pauses are."""
SILENT_DB = 25.0
"""A coarse code is silent if its loudest mel band is on average so far below the recordings' median: a quiet bass is none."""


@dataclass(frozen=True)
class Limits:
    """How long new audio may stay where it is, and how loud it may be: as the recordings do and are."""

    longest: Tensor
    """For how many positions in a row each coarse code may be held: ``[K]``."""
    silent: Tensor
    """Which coarse codes stand for silence: bool ``[K]``."""
    pause: int
    """For how many positions in a row it may be silent."""
    loudness: Loudness | None = None
    balance: Tensor | None = None
    """Nats by which each coarse code is likelier, so that no recording is heard too often (``balance.py``): ``[K]``."""

    @classmethod
    def of(cls, model: Model, silent: Tensor | None = None) -> "Limits":
        """Those of a model. The silence before a recording's first sound and after its last one is no pause.

        Args:
            silent: its :func:`silent_codes`, if they are known already.
        """
        codec = model.codec
        longest = torch.full((codec.codebook_size,), positions_in(HELD_SECONDS, codec.frame_rate))
        silent = silent_codes(model) if silent is None else silent
        pause = positions_in(PAUSE_SECONDS, codec.frame_rate)
        for source in model.trained_on:
            coarse = source.codes[:, 0].long()
            codes, counts = torch.unique_consecutive(coarse, return_counts=True)
            longest.scatter_reduce_(0, codes, counts, "amax")
            sounding = torch.nonzero(~silent[coarse])[:, 0]
            pause = max(pause, int((sounding.diff() - 1).max()) if len(sounding) > 1 else 0)
        balance = torch.tensor(model.header.balance) if model.header.balance else None
        return cls(longest, silent, pause, Loudness.of(model), balance)

    def to(self, device: torch.device) -> "Limits":
        """The same on a device."""
        loudness = None if self.loudness is None else self.loudness.to(device)
        balance = None if self.balance is None else self.balance.to(device)
        return Limits(self.longest.to(device), self.silent.to(device), self.pause, loudness, balance)

    def within_a_sound(self) -> "Limits":
        """The same for a passage that is made anew within a sound, whose surroundings say what it is and how loud."""
        return replace(self, loudness=None, balance=None)


class Limited:
    """Several streams that keep to the limits while they are drawn.

    Args:
        prompt: codes ``[B, P, Q]`` that they go on from; -1 before a stream begins.
    """

    def __init__(self, limits: Limits, prompt: Tensor) -> None:
        self._limits = limits
        backwards = prompt[:, :, 0].flip(1)
        # How many positions each stream's coarse code has been held so far, and how many it has been silent.
        self._held = _run(backwards == backwards[:, :1])
        self._paused = _run((backwards >= 0) & limits.silent[backwards])
        self._strays = None if limits.loudness is None else limits.loudness.begin(prompt)

    def tilt(self, logits: Tensor, before: Tensor, level: int) -> Tensor:
        """The logits ``[B, K]`` of a level of the position that follows the one with the coarse codes ``before [B]``."""
        limits = self._limits
        if limits.loudness is not None and self._strays is not None:
            logits = limits.loudness.tilt(logits, self._strays, level)
        if level == 0:
            if limits.balance is not None:
                logits = logits + limits.balance
            over = self._held >= limits.longest[before]
            logits = logits.scatter_add(1, before[:, None], torch.where(over, -torch.inf, 0.0)[:, None])
            over = self._paused >= limits.pause
            logits = logits.masked_fill(over[:, None] & limits.silent, -torch.inf)
        return logits

    def count(self, before: Tensor, codes: Tensor) -> None:
        """Counts the codes of a new position ``[B, Q]``, which follows the coarse codes ``before [B]``."""
        coarse = codes[:, 0]
        self._held = torch.where(coarse == before, self._held + 1, 1)
        self._paused = torch.where(self._limits.silent[coarse], self._paused + 1, 0)
        if self._limits.loudness is not None and self._strays is not None:
            self._strays = self._limits.loudness.follow(self._strays, codes)


def _run(holds: Tensor) -> Tensor:
    """How often in a row something holds from the first on: ``[B, P] → [B]``."""
    return holds.int().cumprod(dim=1).sum(dim=1)


def silent_codes(model: Model) -> Tensor:
    """Which coarse codes stand for silence in the recordings: bool ``[K]``; none in model files without a map to bands.

    It goes through all of their codes, so whoever needs it twice asks once.
    """
    size, sources = model.codec.codebook_size, model.trained_on
    if not model.header.bands or not sources:
        return torch.zeros(size, dtype=torch.bool)
    codebooks, table = model.codec.quantizer.codebooks.cpu(), torch.tensor(model.header.bands)
    entries = entry_descriptions(codebooks, table)  # [Q, K, BANDS], beside the mean of each level
    mean = codebooks.mean(dim=1).sum(dim=0) @ table[:-1] + table[-1]
    levels = 20 * torch.cat([summed(entries, source.codes).add_(mean).amax(dim=1) for source in sources])
    coarse = torch.cat([source.codes[:, 0] for source in sources]).long()
    total = torch.zeros(size).index_add_(0, coarse, levels)
    count = torch.bincount(coarse, minlength=size)
    return (count > 0) & (total / count.clamp(min=1) < levels.median() - SILENT_DB)
