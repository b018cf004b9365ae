"""The figures of a codec's likeness as the page says them: name, unit, and a sentence each (``audio/likeness.py``)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """How one figure is said."""

    key: str
    """As in ``Likeness.figures``."""
    name: str
    words: str
    unit: str
    factor: float = 1.0
    """What the value is multiplied by before its unit follows."""
    decimals: int = 1
    signed: bool = False

    def said(self, value: float) -> str:
        """The value with its unit."""
        return f"{value * self.factor:{'+' if self.signed else ''}.{self.decimals}f} {self.unit}".strip()


FIGURES = (
    Figure(
        "kept",
        "partials kept",
        "Share of the recordings' partials that are there, at their pitch. By chance it is 13 to 20 %.",
        "%",
        100,
        0,
    ),
    Figure(
        "cents",
        "off in pitch",
        "How far the partials that are kept are from their pitch; 100 cents are a semitone.",
        "cents",
    ),
    Figure(
        "invented",
        "partials invented",
        "For each partial of the recordings, how many there are where they have none.",
        "",
        1,
        2,
    ),
    Figure("movement", "movement off", "How much the loudness of noise moves otherwise than the recordings'.", "dB"),
    Figure("line", "buzz", "How far a regular flutter stands out of that movement; 0 is none.", "dB"),
    Figure("grain", "grain", "Fast movement against the recordings'; below 0 it is smoothed over.", "dB", signed=True),
)


def known(figures: Mapping[str, Any]) -> list[tuple[Figure, float]]:
    """Those of them that were measured: others are missing, or not numbers."""
    found = ((one, figures.get(one.key)) for one in FIGURES)
    return [(one, float(value)) for one, value in found if isinstance(value, int | float) and math.isfinite(value)]
