"""Which places of the recordings render new codes: the cheapest path through all their positions.

The prior says in codes what sounds when. Each code position is rendered by a position of a recording whose codes are near and
which goes well with what sounds already; positions that follow each other in a recording make one grain. This is unit
selection (Hunt and Black 1996) over grains as in concatenative synthesis (Schwarz 2006), with the prior as the score.

    what was asked for     z1        z2        z3        z4        z5
                           │ nearest positions of the recordings: a few candidates each
    candidates             a7        a8 ─────▶ a9        a10       a11        ─────▶ the recording goes on: free
                           b3        b4        b5 ╲      b6        b7         ╲      a join: costs what the ear
                           c1        c2        c3  ╲───▶ c9 ─────▶ c10               would notice
                           ▼
    cheapest path          a7 ─────▶ a8 ─────▶ a9 ─────▶ c9 ─────▶ c10       two grains, of 3 and 2 positions

How much louder the sound gets at a position counts too: something may begin in what was asked for, and have begun earlier in a
recording that is near to it (``rises.py``).

What a join costs is learned from the recordings themselves: spectra and levels on both of its sides may differ by as much
as the recordings change there of their own accord. Where a tone is held that is little, so joins are dear; where sound
changes fast, they are cheap.

How long one recording may be quoted at a stretch is part of the path's state, so the limit is kept exactly.
"""

import copy
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distill.audio.rate import SAMPLE_RATE
from distill.codes.descriptions import entry_descriptions, summed
from distill.codes.layout import positions_in
from distill.making.borders import Borders
from distill.making.rises import Rises
from distill.models.model_file import Model

NEAREST = 40
"""How many candidates each position has because their codes are near."""
CONTINUED = 24
"""How many candidates each position has because they follow the cheapest ones of the position before."""
SHORTEST_SECONDS = 0.043
"""The shortest grain: shorter ones, as of one position each, would join so often that it is heard as a buzz."""
NEAR_SECONDS = 0.128
"""A join does not lead back to within so much of where the recording would have gone on: that would be the same
passage with a stumble in it, and a way around the limit on stretches."""
JOIN_COSTS = (4.0, 12.0, 40.0)
"""What a join costs at least, in units of what codes of successive positions differ by. Which of them suits a corpus is
measured at the end of training: dearer joins hold tones better, cheaper ones quote less (docs/voices.md)."""
JOIN_COST = 40.0
"""Where that was not measured."""
DISTANCE_COST = 1.0
"""What a join costs for each natural change that its sides are apart."""
ROBUST = 20.0
"""Squared distances, in steps, far beyond which one asked-for code counts no more than another: what the prior draws is
noisy, and a single odd code is not to tear a sound apart."""
BARRED = 1e6
"""The cost of a step that is taken only where there is no other, as in a corpus of a tenth of a second."""
RISE_COST = 3.0
"""What a position costs for each usual rise of loudness that it is from what was asked for (``rises.py``)."""
MOST_CHANGES = 30.0
"""Joins whose sides are more natural changes apart than this all cost the same."""
HORIZON_SECONDS = 4.1
"""How far the path looks ahead before a choice is final: more changed nothing that was measured."""
_BLOCK = 1 << 23
"""Distances computed at once; bounds the memory."""
_RUN = 4
"""In a large corpus only the best of so many neighbouring positions is a candidate."""
_LARGE, _LARGE_NEAREST = 20_000, 16
"""Positions from which a corpus is large, and how many candidates are enough there, where many are near."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of a recording that may be quoted."""

    name: str
    """The recording's name."""
    audio: np.ndarray
    """The whole recording as it was trained on, float32 ``[C, N]`` at the codec's rate, in any channels."""
    begin: int
    """Sample of the recording at which ``codes`` begin."""
    codes: Tensor
    """``[S, Q]``"""
    take: int = -1
    """Near-copies share theirs and count as one recording; -1: like no other."""
    sha256: str = ""
    """SHA-256 of the recording's file."""
    path: Path | None = None
    """Where that file is; None where only its sound is at hand."""
    gain: float = 1.0
    """The gain that brought it down to full scale: ``audio`` is the file's sound times this."""
    tolls: np.ndarray | None = None
    """What each position costs, so that none is used too often (``tolls.py``): ``[S]``, in steps; None costs nothing."""

    def part(self, first: int, stop: int, hop: int) -> "Stretch":
        """Its positions from ``first`` to ``stop``, of ``hop`` samples each."""
        tolls = None if self.tolls is None else self.tolls[first:stop]
        return replace(self, codes=self.codes[first:stop], begin=self.begin + first * hop, tolls=tolls)


@dataclass(frozen=True)
class Grain:
    """A run of successive positions of one stretch."""

    stretch: int
    """Its place in the list of stretches."""
    position: int
    """The first position, counted from the beginning of that stretch."""
    positions: int


class Bank:
    """All positions of the recordings, by what their codes stand for.

    Args:
        codebooks: ``[Q, K, D]``; a code grid stands for the sum of its entries.
        hop: samples a position.
        levels: what each entry adds to bands of the spectrum ``[Q, K, B]``; without it nobody asks when sounds begin.
    """

    def __init__(self, codebooks: Tensor, stretches: Sequence[Stretch], hop: int, levels: Tensor | None = None) -> None:
        if not stretches or not all(len(stretch.codes) for stretch in stretches):
            raise ValueError("Grains need recordings of at least one position each.")
        self.stretches, self.hop = tuple(stretches), hop
        rate = SAMPLE_RATE / hop
        self.shortest = positions_in(SHORTEST_SECONDS, rate)
        """The fewest positions of a grain."""
        self.near = positions_in(NEAR_SECONDS, rate)
        """A join leads at least so many positions away from where the recording would have gone on."""
        self.horizon = positions_in(HORIZON_SECONDS, rate)
        """How many positions the path looks ahead before a choice is final."""
        self._codebooks = codebooks.detach().float().cpu()
        self._vectors = torch.cat([self.vectors(stretch.codes) for stretch in stretches])  # [n, D]
        lengths = np.array([len(stretch.codes) for stretch in stretches])
        self.begins = np.cumsum([0, *lengths])
        """First position of each stretch in the line of all, and the end: ``[stretches + 1]``."""
        self.owner = np.repeat(np.arange(len(stretches)), lengths)
        """Stretch of each position ``[n]``."""
        self.is_last = np.zeros(len(self.owner), bool)
        """Whether a stretch ends after this position ``[n]``."""
        self.is_last[self.begins[1:] - 1] = True
        # Places on one line, so that a distance between places of different takes is beyond any limit.
        takes: dict[object, int] = {}
        numbers = [
            takes.setdefault(stretch.take if stretch.take >= 0 else stretch.name, len(takes)) for stretch in stretches
        ]
        span = 2 * self.near + max(stretch.begin // hop + len(stretch.codes) for stretch in stretches)
        own = np.concatenate([stretch.begin // hop + np.arange(len(stretch.codes)) for stretch in stretches])
        self.place = np.array(numbers)[self.owner] * span + own
        steps = (self._vectors[1:] - self._vectors[:-1]).square().sum(dim=1)[~torch.from_numpy(self.is_last[:-1])]
        changing = steps[steps > 0]
        self.step = float(changing.median()) if len(changing) else 1.0
        """Squared distance of what codes of successive positions stand for, the median."""
        self._tolls = np.concatenate([np.zeros(len(s.codes)) if s.tolls is None else s.tolls for s in stretches])  # [n]
        self.borders = Borders([stretch.audio for stretch in stretches], [s.begin for s in stretches], lengths, hop)
        self.rises = None if levels is None else Rises(levels, [stretch.codes for stretch in stretches])

    @classmethod
    def of(cls, model: Model, stretches: Sequence[Stretch]) -> "Bank":
        """That of a model, whose file may hold no bands."""
        codebooks, bands = model.codec.quantizer.codebooks, model.header.bands
        levels = entry_descriptions(codebooks, torch.tensor(bands, device=codebooks.device)) if bands else None
        return cls(codebooks, stretches, model.codec.hop, levels)

    def __len__(self) -> int:
        return len(self.owner)

    def with_tolls(self, of_stretches: Sequence[Sequence[float]]) -> "Bank":
        """The same positions with other tolls, of equal parts of each stretch."""
        bank = copy.copy(self)
        lengths = np.diff(self.begins)
        bank._tolls = np.concatenate([spread(*one) for one in zip(of_stretches, lengths, strict=True)])
        return bank

    def vectors(self, codes: Tensor) -> Tensor:
        """What codes ``[S, Q]`` stand for: ``[S, D]``."""
        return summed(self._codebooks, codes)

    def distances(self, wanted: Tensor, places: np.ndarray) -> np.ndarray:
        """Of one vector ``[D]`` to these positions ``[M]``, in steps and never beyond ``ROBUST``, and their tolls: ``[M]``."""
        apart = (self._vectors[torch.from_numpy(places)] - wanted).square().sum(dim=1)
        steps = apart.numpy() / self.step
        found: np.ndarray = steps / (1 + steps / ROBUST) + self._tolls[places]
        return found

    def nearest(self, wanted: Tensor, count: int) -> np.ndarray:
        """For each vector of ``wanted [S, D]`` the ``M`` positions nearest to it, at most ``count``, in order: ``[S, M]``.

        Tolls count as distance.
        """
        run = _RUN if len(self) > _LARGE else 1
        squares = self._vectors.square().sum(dim=1) + torch.from_numpy(self.step * self._tolls).float()
        rows = max(1, _BLOCK // len(self))
        room = torch.full((min(rows, len(wanted)), len(self) + -len(self) % run), torch.inf)  # the same for every part
        found = []
        for part in torch.split(wanted, rows):
            apart = room[: len(part)]
            torch.addmm(squares, part, self._vectors.T, alpha=-2, out=apart[:, : len(self)])
            runs = apart.view(len(part), apart.shape[1] // run, run)
            places = runs.amin(dim=2).topk(min(count, runs.shape[1]), largest=False).indices
            within = runs[torch.arange(len(part))[:, None], places].argmin(dim=2)
            found.append((places * run + within).sort(dim=1).values)
        return torch.cat(found).numpy()


def spread(tolls: Sequence[float], positions: int) -> np.ndarray:
    """What each position of a stretch costs ``[S]``, of the tolls of equal parts of it; nothing where there are none."""
    if not tolls:
        return np.zeros(positions)
    middles = (np.arange(len(tolls)) + 0.5) * positions / len(tolls) - 0.5
    return np.interp(np.arange(positions), middles, tolls)


@dataclass
class _Step:
    """The path's possible states at one position of the piece."""

    places: np.ndarray
    """Candidates ``[M]``, positions of the bank in order."""
    stay: np.ndarray
    """Which candidate of the step before each follows in its recording ``[M]``; -1 where none."""
    jump: np.ndarray
    """From which candidate of the step before a join to each is cheapest ``[M]``."""
    age: np.ndarray
    """How many positions that one has sounded then ``[M]``."""


def choose(
    bank: Bank, codes: Iterable[Tensor], longest: int, horizon: int | None = None, join_cost: float = JOIN_COST
) -> Iterator[Grain]:
    """The grains that render codes, one after another; memory does not grow with the length.

    Args:
        codes: what is to be rendered, in parts ``[s, Q]``.
        longest: positions that one grain may have.
        horizon: how many positions the path looks ahead before a choice is final; the bank's own number if not given.
        join_cost: what a join costs at least.
    """
    path = _Path(bank, max(longest, 1), horizon or bank.horizon, join_cost)
    begun: tuple[int, int] | None = None  # first position and length of the grain that is not finished
    for place, is_new in path.places(codes):
        if begun is None:
            begun = place, 1
        elif is_new:
            yield _grain(bank, *begun)
            begun = place, 1
        else:
            begun = begun[0], begun[1] + 1
    if begun is not None:
        yield _grain(bank, *begun)


def _grain(bank: Bank, place: int, positions: int) -> Grain:
    stretch = int(bank.owner[place])
    return Grain(stretch, place - int(bank.begins[stretch]), positions)


class _Path:
    """Viterbi over states (position of a recording, how long it has sounded), with candidates for positions.

    ``cost[m, a]`` is that of the cheapest path that ends in candidate ``m``, the ``a + 1``-th position of its grain.
    """

    def __init__(self, bank: Bank, longest: int, horizon: int, join_cost: float) -> None:
        self.bank, self.longest, self.horizon, self.join_cost = bank, longest, horizon, join_cost
        # A grain that is too short is only left where there is no other way, as at the end of a recording.
        self.young = np.where(np.arange(longest) < min(bank.shortest, longest) - 1, BARRED, 0.0)

    def places(self, codes: Iterable[Tensor]) -> Iterator[tuple[int, bool]]:
        """Position by position: a place in the bank, and whether a grain begins there."""
        steps: list[_Step] = []
        cost = np.zeros((0, self.longest))
        rises, last = self.bank.rises, np.zeros(0)
        count = NEAREST if len(self.bank) <= _LARGE else _LARGE_NEAREST
        for part in codes:
            wanted = self.bank.vectors(part)
            candidates = self.bank.nearest(wanted, count)
            self.bank.borders.prepare(candidates.ravel())
            asked = np.zeros(len(part))
            if rises is not None and len(part):
                bands = rises.bands(part)
                asked, last = rises.asked(bands, last if len(last) else bands[0]), bands[-1]
            for vector, nearest, rise in zip(wanted, candidates, asked, strict=True):
                if not steps:
                    cost, step = self._first(vector, nearest)
                else:
                    cost, step = self._next(vector, float(rise), nearest, steps[-1].places, cost)
                steps.append(step)
                if len(steps) >= 2 * self.horizon:
                    cost = yield from self._settle(steps, cost, self.horizon)
        if steps:
            yield from self._settle(steps, cost, 0)

    def _first(self, wanted: Tensor, places: np.ndarray) -> tuple[np.ndarray, _Step]:
        cost = np.full((len(places), self.longest), np.inf)
        cost[:, 0] = self.bank.distances(wanted, places)
        nothing = np.full(len(places), -1)
        return cost, _Step(places, nothing, nothing, nothing)

    def _next(
        self, wanted: Tensor, rise: float, nearest: np.ndarray, before: np.ndarray, cost: np.ndarray
    ) -> tuple[np.ndarray, _Step]:
        bank = self.bank
        lowest = cost.min(axis=1)
        goes_on = np.flatnonzero(
            ~bank.is_last[before] & (cost[:, : self.longest - 1].min(axis=1, initial=np.inf) < np.inf)
        )
        goes_on = goes_on[np.argsort(lowest[goes_on], kind="stable")[:CONTINUED]]
        places = np.union1d(nearest, before[goes_on] + 1)
        new = np.full((len(places), self.longest), np.inf)

        # The recording goes on.
        at = np.searchsorted(before, places - 1)
        at = np.minimum(at, len(before) - 1)
        follows = (before[at] == places - 1) & ~bank.is_last[before[at]]
        stay = np.where(follows, at, -1)
        new[follows, 1:] = cost[at[follows], :-1]

        # A join, from whatever has sounded long enough.
        ripe = cost + self.young
        age = ripe.argmin(axis=1)
        left = ripe[np.arange(len(before)), age]
        joins = left[:, None] + self._join_cost(before, places)  # [M before, M]
        if bank.rises is not None:
            new[:, 1:] += RISE_COST * bank.rises.off_going_on(rise, places)[:, None]
            joins += RISE_COST * bank.rises.off(rise, before, places)
        jump = joins.argmin(axis=0)
        new[:, 0] = joins[jump, np.arange(len(places))]
        # Costs grow with every position; only their differences matter.
        new += bank.distances(wanted, places)[:, None] - new.min()
        return new, _Step(places, stay, jump, age[jump])

    def _join_cost(self, before: np.ndarray, places: np.ndarray) -> np.ndarray:
        bank = self.bank
        changes = bank.borders.changes(before, places)
        cost: np.ndarray = self.join_cost + DISTANCE_COST * np.minimum(changes, MOST_CHANGES)
        apart = bank.place[places][None] - bank.place[before][:, None] - 1
        cost[np.abs(apart) < bank.near] += BARRED
        cost[(apart == 0) & (len(bank) > 1)] += 3 * BARRED  # that would be no join: only where there is nothing else
        return cost

    def _settle(self, steps: list[_Step], cost: np.ndarray, kept: int) -> Generator[tuple[int, bool], None, np.ndarray]:
        """Gives the cheapest path up to ``kept`` positions before the end, and forgets all that parts from it there.

        Returns:
            ``cost`` with infinity for what is forgotten.
        """
        last = len(steps) - 1
        states = np.argwhere(np.isfinite(cost))
        candidate, age = states[:, 0], states[:, 1]
        best = int(cost[candidate, age].argmin())
        cut = last - kept
        for number in range(last, cut, -1):
            candidate, age = self._back(steps[number], candidate, age)
        agrees = (candidate == candidate[best]) & (age == age[best])
        pruned = np.full_like(cost, np.inf)
        pruned[tuple(states[agrees].T)] = cost[tuple(states[agrees].T)]
        m, a = candidate[best : best + 1], age[best : best + 1]
        found: list[tuple[int, bool]] = []
        for number in range(cut, -1, -1):
            found.append((int(steps[number].places[m[0]]), int(a[0]) == 0))
            if number:
                m, a = self._back(steps[number], m, a)
        del steps[: cut + 1]
        yield from reversed(found)
        return pruned

    @staticmethod
    def _back(step: _Step, candidate: np.ndarray, age: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The states of the step before that these came from."""
        begins = age == 0
        return (
            np.where(begins, step.jump[candidate], step.stay[candidate]),
            np.where(begins, step.age[candidate], age - 1),
        )
