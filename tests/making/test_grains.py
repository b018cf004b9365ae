"""The path through the recordings' positions: the cheapest there is, within its limits, in any corpus."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from distill.making import grains as g
from distill.making.grains import Bank, Grain, Stretch, choose
from distill.making.joins import render
from distill.making.rises import MOST_OFF

HOP = 1024


def make_bank(
    audio: list[np.ndarray], seed: int = 0, takes: list[int] | None = None, *, has_bands: bool = True
) -> Bank:
    """Random codebooks, random codes for every position of every recording, and what they say of the bands."""
    draw = torch.Generator().manual_seed(seed)
    codebooks = torch.randn(2, 16, 4, generator=draw)
    stretches = [
        Stretch(
            f"{number}.wav",
            one,
            0,
            torch.randint(0, 16, (-(-one.shape[1] // HOP), 2), generator=draw),
            -1 if takes is None else takes[number],
        )
        for number, one in enumerate(audio)
    ]
    return Bank(codebooks, stretches, HOP, LEVELS if has_bands else None)


def wanted(positions: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 16, (positions, 2), generator=torch.Generator().manual_seed(seed))


def path_of(bank: Bank, grains: list[Grain]) -> list[int]:
    return [int(bank.begins[one.stretch]) + one.position + step for one in grains for step in range(one.positions)]


LEVELS = torch.randn(2, 16, 24, generator=torch.Generator().manual_seed(7))
"""What each entry adds to the bands."""


def bands(levels: torch.Tensor, codes: torch.Tensor) -> np.ndarray:
    """Of each position, three neighbours taken together."""
    every = np.array([sum(levels[number, entry] for number, entry in enumerate(one)).numpy() for one in codes])
    return every.reshape(len(codes), 8, 3).mean(axis=2)


def rise(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.mean([max(0.0, step) for step in after - before]))


class Twin:
    """The slow twin: what any path costs, read off the rules one by one; infinite where it breaks one."""

    def __init__(self, bank: Bank, codes: torch.Tensor, longest: int, join_cost: float) -> None:
        every = np.arange(len(bank))
        self.bank, self.longest = bank, longest
        self.apart = np.array([bank.distances(vector, every) for vector in bank.vectors(codes)])
        self.off = np.zeros((len(codes), len(bank), len(bank)))
        if bank.rises is not None:
            ours, theirs = bands(LEVELS, codes), bands(LEVELS, torch.cat([one.codes for one in bank.stretches]))
            steps = np.array([[rise(first, second) for second in theirs] for first in theirs])
            usual = np.std([steps[place, place + 1] for place in every if not bank.is_last[place]])
            asked = [0.0, *map(rise, ours, ours[1:])]
            self.off = np.minimum(np.abs(steps[None] - np.array(asked)[:, None, None]) / usual, MOST_OFF)
        self.join = join_cost + g.DISTANCE_COST * np.minimum(bank.borders.changes(every, every), g.MOST_CHANGES)

    def cost(self, path: tuple[int, ...] | list[int]) -> float:
        total, age = float(self.apart[0, path[0]]), 1
        for step, (before, place) in enumerate(itertools.pairwise(path), 1):
            total += self.apart[step, place] + g.RISE_COST * self.off[step, before, place]
            if place == before + 1 and not self.bank.is_last[before]:
                age += 1
                if age > self.longest:
                    return np.inf
                continue
            total += self.join[before, place]
            if age < min(self.bank.shortest, self.longest):
                total += g.BARRED
            if abs(self.bank.place[place] - self.bank.place[before] - 1) < self.bank.near:
                total += g.BARRED
            age = 1
        return total


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("join_cost", [0.5, 40.0])
@pytest.mark.parametrize("has_bands", [True, False])
@pytest.mark.parametrize("tolls", [((), (), ()), ((1.0, -0.5), (0.25,), ())])
def test_path_is_the_cheapest_of_all(
    noise: Callable[..., np.ndarray],
    seed: int,
    join_cost: float,
    tolls: tuple[tuple[float, ...], ...],
    *,
    has_bands: bool,
) -> None:
    """Against every path there is. Guards against candidates, ages or back pointers that lose the best one, and against rises
    that are lost where codes come in parts."""
    bank = make_bank([noise(length * HOP / 48_000, seed=length) for length in (3, 2, 2)], seed, has_bands=has_bands)
    bank = bank.with_tolls(tolls)
    codes, longest = wanted(5, seed), 2
    twin = Twin(bank, codes, longest, join_cost)
    found = path_of(bank, list(choose(bank, torch.split(codes, 2), longest, join_cost=join_cost)))
    best = min(map(twin.cost, itertools.product(range(len(bank)), repeat=5)))
    assert np.isfinite(best)
    assert twin.cost(found) == pytest.approx(best, rel=1e-4)


def test_looking_ahead_only_so_far_gives_the_same_path(noise: Callable[..., np.ndarray]) -> None:
    """Where codes say clearly what sounds, nothing forgotten is needed; the parts in which they come change nothing either."""
    bank = make_bank([noise(1.0, seed=one) for one in range(3)])
    codes = torch.cat([bank.stretches[turn % 3].codes[5 * turn % 30 :][:12] for turn in range(25)])
    whole = list(choose(bank, [codes], 100, horizon=1000, join_cost=5.0))
    assert list(choose(bank, torch.split(codes, 7), 100, horizon=48, join_cost=5.0)) == whole
    assert sum(one.positions for one in whole) == len(codes) > 4 * 48


@pytest.mark.parametrize("horizon", [1, 3, 200])
@pytest.mark.parametrize("longest", [1, 4, 20])
def test_no_stretch_is_longer_than_the_limit(noise: Callable[..., np.ndarray], longest: int, horizon: int) -> None:
    """Also where the codes are those of one recording throughout, and a join may not lead on as if there were none."""
    bank = make_bank([noise(1.0, seed=one) for one in range(3)])
    codes = bank.stretches[0].codes
    grains = list(choose(bank, [codes, codes], longest, horizon))
    path = path_of(bank, grains)
    assert len(path) == 2 * len(codes)
    assert max(one.positions for one in grains) <= longest
    ends = np.cumsum([one.positions for one in grains])[:-1]
    assert all(path[end] != path[end - 1] + 1 for end in ends)


def test_true_codes_are_rendered_by_the_recording_itself(noise: Callable[..., np.ndarray]) -> None:
    bank = make_bank([noise(1.0, seed=one) for one in range(3)])
    codes = bank.stretches[1].codes
    assert list(choose(bank, [codes], 100)) == [Grain(1, 0, len(codes))]


@pytest.mark.parametrize("large", [100, 0])
def test_a_dear_place_is_no_candidate(
    noise: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    """Guards against tolls that the path pays but that never lead it elsewhere."""
    monkeypatch.setattr(g, "_LARGE", large)
    monkeypatch.setattr(g, "_RUN", 2)
    bank = make_bank([noise(1.0), noise(1.0)])
    asked = bank.vectors(bank.stretches[0].codes[:6])
    assert set(bank.owner[bank.nearest(asked, 1)].ravel()) == {0}
    dear = bank.with_tolls(((1e4,), ()))
    assert set(dear.owner[dear.nearest(asked, 1)].ravel()) == {1}
    places = np.array([2, 60])
    assert dear.distances(asked[0], places) - bank.distances(asked[0], places) == pytest.approx([1e4, 0])
    assert set(bank.owner[bank.nearest(asked, 1)].ravel()) == {0}, "the bank itself stays as it is"


def test_near_copies_count_as_one_recording(noise: Callable[..., np.ndarray]) -> None:
    """Or the limit could be passed by going on in the other take."""
    sound = noise(1.0)
    bank = make_bank([sound, sound.copy()], takes=[3, 3])
    bank = Bank(bank._codebooks, [bank.stretches[0], Stretch("1.wav", sound, 0, bank.stretches[0].codes, 3)], HOP)
    grains = list(choose(bank, [bank.stretches[0].codes], 10))
    assert len(grains) > 1
    for before, after in itertools.pairwise(grains):
        assert abs(after.position - (before.position + before.positions)) >= bank.near


@pytest.mark.parametrize(("hop", "expected"), [(256, (8, 24, 769)), (1024, (2, 6, 192)), (2048, (1, 3, 96))])
def test_times_of_the_path_are_the_same_at_any_hop(
    noise: Callable[..., np.ndarray], hop: int, expected: tuple[int, int, int]
) -> None:
    """Guards against grains that buzz, stumble and look ahead by positions, whatever a position lasts."""
    codes = torch.zeros(48_000 // hop, 2, dtype=torch.int64)
    bank = Bank(torch.randn(2, 16, 4), [Stretch("a.wav", noise(1.0), 0, codes)], hop)
    assert (bank.shortest, bank.near, bank.horizon) == expected


def test_recordings_of_unknown_takes_are_each_their_own(noise: Callable[..., np.ndarray]) -> None:
    """As in older model files. Guards against a join to another recording that is barred since both are of no known take."""
    two = make_bank([noise(1.0), noise(1.0, seed=1)])
    first, second = (two.place[two.owner == one] for one in range(2))
    assert np.abs(first[:, None] - second).min() >= two.near
    sound, codes = noise(1.0), two.stretches[0].codes
    parts = [Stretch("a.wav", sound, begin * HOP, codes) for begin in (0, 60)]
    of_one = Bank(two._codebooks, parts, HOP).place
    assert of_one[len(codes)] - of_one[0] == 60, "two parts of one recording lie as far apart as they do in it"


HARD: dict[str, Callable[[Callable[..., np.ndarray]], list[np.ndarray]]] = {
    "silence": lambda noise: [np.zeros((1, 48_000), np.float32)],
    "one short file": lambda noise: [noise(0.3)],
    "less than a position": lambda noise: [noise(0.01)],
    "two positions": lambda noise: [noise(0.03)],
    "five identical files": lambda noise: [noise(0.5)] * 5,
    "mono and stereo": lambda noise: [noise(0.5), noise(0.5, seed=1, channels=2)],
}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("corpus", HARD)
def test_hard_corpora_are_rendered_whole(noise: Callable[..., np.ndarray], corpus: str, channels: int) -> None:
    bank = make_bank(HARD[corpus](noise))
    grains = list(choose(bank, [wanted(100)], 10))
    sound = np.concatenate([block for block, _ in render(bank.stretches, grains, HOP, channels)], axis=1)
    assert sound.shape == (channels, 100 * HOP)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= max(1.0, max(np.abs(one.audio).max() for one in bank.stretches)) * 1.5


def test_same_codes_give_the_same_grains(noise: Callable[..., np.ndarray]) -> None:
    first, second = (
        list(choose(make_bank([noise(1.0, seed=one) for one in range(3)]), [wanted(100)], 20)) for _ in range(2)
    )
    assert first == second


def test_a_large_corpus_is_searched_by_its_best_positions(
    noise: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of neighbours only the best is a candidate there; the nearest of all must be among them."""
    monkeypatch.setattr(g, "_LARGE", 10)
    bank = make_bank([noise(1.0, seed=one) for one in range(3)])
    vectors = bank.vectors(wanted(50))
    for vector, places in zip(vectors, bank.nearest(vectors, 8), strict=True):
        every = bank.distances(vector, np.arange(len(bank)))
        assert every.min() == pytest.approx(bank.distances(vector, places).min())


def test_many_copies_of_one_place_do_not_end_the_path() -> None:
    """Guards against a search that has nothing left where every candidate is the same place of one take."""
    codes = torch.arange(8)[:, None].expand(-1, 2) % 4
    audio = 0.1 * np.random.default_rng(0).standard_normal((1, 8 * HOP)).astype(np.float32)
    stretches = [Stretch(f"{number}.wav", audio, 0, codes, take=1) for number in range(70)]
    bank = Bank(torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0)), stretches, HOP)
    chosen = list(choose(bank, [codes.repeat(2, 1)], 4))
    assert sum(grain.positions for grain in chosen) == 16
