"""How much a codec sounds like its recordings, by three measures: spectra, pitch and texture."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from distill.audio.pitch import PitchScore, compare_pitch
from distill.audio.texture import TextureScore, compare_texture

FIGURES = ("mel", "kept", "cents", "invented", "movement", "line", "grain")
"""The names of a likeness's figures."""


@dataclass(frozen=True)
class Likeness:
    """How like their recordings some reconstructions are. Figures are NaN where the recordings have nothing to measure by."""

    mel: float
    """Multi-scale mel distance, the mean over recordings."""
    pitch: PitchScore
    texture: TextureScore

    @property
    def score(self) -> float:
        """One number to choose weights by, lower is better: mel distance, lost and invented partials, unnatural movement.

        Each alone can be had at the cost of the others: the lowest mel distance is a blur that buzzes (docs/codec.md). 10 dB of
        movement, which is what a codec that repeats itself has, count like losing all partials.
        """
        lost = 1 - self.pitch.kept_share + min(1.0, self.pitch.invented_share) if self.pitch.partials else 0.0
        moved = self.texture.movement / 10 if self.texture.count else 0.0
        return self.mel + lost + moved

    def figures(self) -> dict[str, float]:
        """The figures by name."""
        pitch, texture = self.pitch, self.texture
        values = (pitch.kept_share, pitch.cents, pitch.invented_share, texture.movement, texture.line, texture.grain)
        return dict(zip(FIGURES, (self.mel, *values), strict=True))


def pooled(some: Sequence[Likeness]) -> Likeness:
    """Several recordings as one: partials and moments added up, the mean of the mel distances."""
    mel = sum(one.mel for one in some) / len(some) if some else math.nan
    return Likeness(
        mel, sum((one.pitch for one in some), PitchScore()), sum((one.texture for one in some), TextureScore.nothing())
    )


def likeness_between(pairs: Iterable[tuple[np.ndarray, np.ndarray]], mel: float) -> Likeness:
    """Measures reconstructions beside their recordings: pairs of mono sounds ``[N]`` at 48 kHz, the reconstruction first.

    Args:
        mel: their mel distance, which whoever made them measures where they were made.
    """
    pitch, texture = PitchScore(), TextureScore.nothing()
    for estimate, reference in pairs:
        pitch += compare_pitch(estimate, reference)
        texture += compare_texture(estimate, reference)
    return Likeness(mel, pitch, texture)
