"""How well the codebooks are used, level by level, and what is said of it. Needs no PyTorch to be read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

LEVEL_NAMES: dict[int, tuple[str, ...]] = {
    2: ("Structure", "Detail"),
    3: ("Structure", "Timbre", "Detail"),
    4: ("Structure", "Timbre", "Texture", "Detail"),
}
"""What the quantizer levels are called in front of people."""
LOW_UTILISATION = 0.3


@dataclass(frozen=True)
class LevelHealth:
    """How well one quantizer level uses its codebook.

    ``utilisation`` is the share of entries used at least once, ``perplexity`` the effective number of entries
    (exp of the entropy of their use, in nats), ``dead`` the number of entries never used.
    """

    level: int
    utilisation: float
    perplexity: float
    dead: int


def code_perplexity(counts: Tensor) -> list[float]:
    """Effective number of entries per level, exp of the entropy of their use: counts ``[Q, K] →`` Q numbers.

    Levels without any use have perplexity 0.
    """
    share = counts.double() / counts.sum(dim=1, keepdim=True).clamp(min=1)
    entropy = -(share * share.clamp(min=1e-30).log()).sum(dim=1)
    return [math.exp(value) if used else 0.0 for value, used in zip(entropy.tolist(), counts.sum(dim=1), strict=True)]


def level_health(counts: Tensor) -> tuple[LevelHealth, ...]:
    """Utilisation, perplexity and dead codes of each level from counts ``[Q, K]``."""
    used = (counts > 0).sum(dim=1).tolist()
    entries = counts.shape[1]
    return tuple(
        LevelHealth(level, alive / entries, perplexity, entries - alive)
        for level, (alive, perplexity) in enumerate(zip(used, code_perplexity(counts), strict=True))
    )


def utilisation_warning(levels: tuple[LevelHealth, ...]) -> str:
    """Plain words when a level uses less than 30 % of its codebook; empty otherwise."""
    names = LEVEL_NAMES[len(levels)]
    low = [
        f"{names[health.level]} ({100 * health.utilisation:.0f} %)"
        for health in levels
        if health.utilisation < LOW_UTILISATION
    ]
    if not low or not any(health.utilisation for health in levels):  # nothing used: nothing was quantised yet
        return ""
    return (
        f"Less than {100 * LOW_UTILISATION:.0f} % of the codebook is in use at: {', '.join(low)}. "
        "The sound will be coarser than it could be; a smaller --codebook-size or more recordings help."
    )


def named_levels(levels: Sequence[LevelHealth]) -> list[dict[str, Any]]:
    """The levels' health with what people call them."""
    return [{"name": LEVEL_NAMES[len(levels)][health.level], **dataclasses.asdict(health)} for health in levels]
