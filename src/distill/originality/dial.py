"""The originality dial: what is done to stay close to the recordings, or to keep away from them."""

from dataclasses import dataclass

from distill.errors import SettingError

NAMED = {"close": 0.0, "balanced": 0.5, "original": 1.0}
"""The marks on the dial."""


@dataclass(frozen=True)
class Dial:
    """How original new audio is to be, 0 (close to the recordings) to 1, as what is done about it.

    The nucleus decides how freely the prior recombines, with 0.985 to 0.99 of the probability: with less, new audio stands
    still and is farther from the recordings; with more, it goes astray (docs/prior.md). In the recordings' voice longer or
    shorter stretches are quoted. Above the middle, pieces are also drawn again until none of their seconds is nearer to a
    recording than nearly all held-out ones are.
    """

    top_p: float
    max_similarity: float | None
    """Percentile of held-out seconds; None for no limit."""
    longest_seconds: float
    """How long a stretch of one recording may be in the recordings' voice: 2 s (close), 1 s (balanced), 0.5 s (original)."""
    join_factor: float
    """How many times what suits the model a join costs there: 3 (close), 1 (balanced), a third (original)."""

    @classmethod
    def at(cls, originality: float) -> "Dial":
        """The dial set to a number from 0 to 1.

        Raises:
            SettingError: if it is out of range.
        """
        if not 0 <= originality <= 1:
            raise SettingError(
                f"An originality of {originality:g} is out of range.",
                f"Choose 0 to 1, or {', '.join(NAMED)}.",
            )
        limit = None if originality <= NAMED["balanced"] else 100 - 2 * (originality - 0.5)
        top_p = 0.985 + 0.01 * max(0.0, originality - NAMED["balanced"])
        return cls(top_p, limit, 2 * 0.25**originality, 3 ** (1 - 2 * originality))
