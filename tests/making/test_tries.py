"""Takes that are drawn again: which seeds are tried, and which take is kept."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from distill.making.tries import MOST_TRIES, Drawn, draw_until_fine
from distill.originality.verdict import Originality, Second, Verdict


def ranked(percentile: float) -> Originality:
    """A piece whose one second has that rank."""
    return Originality((Second(Verdict.ORIGINAL, 0.5, percentile, "a.wav", 0.0, 0.0, 1.0),), ())


def drawn(
    ranks: dict[int, float], seeds: range, limit: float, seams: Mapping[int, float] = MappingProxyType({})
) -> tuple[list[Drawn[int]], list[range]]:
    """What is kept where a take is its seed and has the rank and the seam that are given for it, and what was drawn."""
    tried: list[range] = []

    def draw(together: range) -> Sequence[int]:
        tried.append(together)
        return list(together)

    def excesses(seed: int, originality: Originality) -> tuple[float, ...]:
        return max(0.0, originality.percentile - limit), seams.get(seed, 0.0)

    return draw_until_fine(draw, lambda seed: ranked(ranks.get(seed, 100.0)), excesses, seeds), tried


def test_only_what_is_not_within_the_limit_is_drawn_again() -> None:
    """Also where it is exactly at the limit it is within; the seeds that follow are those that follow the last ones tried."""
    kept, tried = drawn({5: 80.0, 6: 95.0, 9: 99.0, 8: 10.0, 11: 95.0}, range(5, 9), 95.0)
    assert tried == [range(5, 9), range(9, 10), range(10, 11), range(11, 12)]
    assert [one.take for one in kept] == [5, 6, 11, 8]
    assert [one.originality.percentile for one in kept] == [80, 95, 95, 10]
    assert all(one.is_fine for one in kept)
    assert [one.together for one in kept] == [range(5, 9), range(5, 9), range(11, 12), range(5, 9)]


def test_of_several_that_cannot_be_original_each_keeps_its_least_alike() -> None:
    kept, tried = drawn({2: 97.0, 5: 98.0, 8: 97.0}, range(1, 3), 50.0)
    assert tried == [range(first, first + 2) for first in range(1, 1 + 2 * MOST_TRIES, 2)]
    assert [(one.take, one.is_fine) for one in kept] == [(5, False), (2, False)], "the first of two that are equal"
    assert [one.together for one in kept] == [range(5, 7), range(1, 3)]
    assert MOST_TRIES == 8, "as the command line and the pages say"


def test_of_several_that_hold_a_copy_the_most_original_is_kept() -> None:
    """Guards against a whole copy that is kept as the most original of eight tries, since one copied second ranks as high."""

    def said(copied: int, close: int, similarity: float) -> Originality:
        verdicts = [Verdict.COPY] * copied + [Verdict.CLOSE] * close + [Verdict.ORIGINAL] * (10 - copied - close)
        return Originality(tuple(Second(one, similarity, 100.0, "a.wav", 0.0, 0.0, 1.0) for one in verdicts), ())

    def excesses(_: Originality, originality: Originality) -> tuple[float]:
        return (originality.percentile - 99,)

    better = [
        said(10, 0, 0.9),
        said(2, 0, 0.99),
        said(1, 5, 0.99),
        said(1, 2, 0.99),
        said(1, 2, 0.97),
        said(1, 2, 0.98),
    ]
    (kept,) = draw_until_fine(
        lambda seeds: [better[min(seed, 5)] for seed in seeds], lambda take: take, excesses, range(1)
    )
    assert better.index(kept.take) == 4


def test_what_is_kept_passes_the_fewest_limits_and_those_by_the_least() -> None:
    """Guards against a loop that is original but jumps, kept although a later one does neither or only one of the two."""
    kept, _ = drawn({1: 99.0, 2: 10.0, 3: 98.0, 4: 10.0}, range(1, 2), 95.0, seams={1: 0.6, 2: 0.9, 4: 0.7})
    assert [(one.take, one.excesses) for one in kept] == [(4, (0.0, 0.7))]
    seams = dict.fromkeys(range(9), 0.6) | {4: 0.55}
    kept, _ = drawn(dict.fromkeys(range(9), 10.0), range(1, 2), 95.0, seams)
    assert [one.take for one in kept] == [4]
