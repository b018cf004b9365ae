"""Takes that are drawn again until they are as they should be: original enough, and seamless."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from distill.originality.verdict import Originality, Verdict

T = TypeVar("T")

MOST_TRIES = 8


@dataclass(frozen=True)
class Drawn(Generic[T]):
    """The first take within all limits, or the best of those drawn."""

    take: T
    originality: Originality
    excesses: tuple[float, ...]
    """How far it is beyond each limit; 0 within it."""
    together: range
    """The seeds that were drawn together with its own."""

    @property
    def is_fine(self) -> bool:
        return not any(self.excesses)

    @property
    def badness(self) -> tuple[float, ...]:
        """Smaller for the better take: by how many limits it passes, then by how far, limit by limit.

        One copied second ranks as high as ten, so of takes that are as far beyond a limit the more original one is better.
        """
        said, nearest = self.originality, self.originality.nearest
        alike = said.share(Verdict.COPY), said.share(Verdict.CLOSE), nearest.similarity if nearest else -1.0
        return sum(excess > 0 for excess in self.excesses), *self.excesses, *alike


def draw_until_fine(
    draw: Callable[[range], Sequence[T]],
    judge: Callable[[T], Originality],
    excesses: Callable[[T, Originality], tuple[float, ...]],
    seeds: range,
) -> list[Drawn[T]]:
    """For each of ``seeds`` a take within all limits, trying eight seeds at most; the best of the eight where none is.

    All that are still to be drawn are drawn together, which takes hardly longer than one. The seeds tried next are those that
    follow the last ones tried, so that the same call always tries the same ones.
    """
    found: dict[int, Drawn[T]] = {}
    left, together = list(range(len(seeds))), seeds
    for _ in range(MOST_TRIES):
        for index, take in zip(left, draw(together), strict=True):
            originality = judge(take)
            drawn = Drawn(take, originality, excesses(take, originality), together)
            if index not in found or drawn.badness < found[index].badness:
                found[index] = drawn
        left = [index for index in left if not found[index].is_fine]
        if not left:
            break
        together = range(together.stop, together.stop + len(left))
    return [found[index] for index in range(len(seeds))]
