"""How new audio begins, and how long it may stay where it is: at the bounds, and by what the codes stand for."""

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from distill.codes.layout import positions_in
from distill.making.limits import HELD_SECONDS, PAUSE_SECONDS, SILENT_DB, Limits, silent_codes
from distill.making.openings import LONG_SECONDS, Openings
from distill.models import Model, Source
from distill.models.config import VQVAEConfig
from distill.models.header import BANDS

RATE = VQVAEConfig().frame_rate
HELD_POSITIONS, PAUSE_POSITIONS, LONG_POSITIONS = (
    positions_in(seconds, RATE) for seconds in (HELD_SECONDS, PAUSE_SECONDS, LONG_SECONDS)
)
ENTRIES = 8
SILENT = 7


def learned(*sources: torch.Tensor, bands: list[list[float]] | None = None, **given: Any) -> Model:
    """A model that learned from these codes ``[S, 2]``; its codebooks have two numbers an entry."""
    codebooks = given.pop("codebooks", torch.zeros(2, ENTRIES, 2))
    frame_rate = given.pop("frame_rate", RATE)
    codec = SimpleNamespace(
        codebook_size=ENTRIES, frame_rate=frame_rate, quantizer=SimpleNamespace(codebooks=codebooks)
    )
    header = SimpleNamespace(bands=bands or [], heard_before=given.pop("heard_before", 0), loudness=None, balance=())
    trained = tuple(Source(f"{number}.wav", 0.0, False, codes) for number, codes in enumerate(sources))
    return cast(Model, SimpleNamespace(codec=codec, header=header, trained_on=trained))


def in_bands(*levels: tuple[float, ...], added: tuple[float, ...] = (0.0,)) -> list[list[float]]:
    """A map from codebook vectors: how much each of their numbers adds to the first bands, in dB; other bands are low."""
    rows = [[*(one / 20 for one in row), *[0.0] * (BANDS - len(row))] for row in levels]
    return [*rows, [*(one / 20 for one in added), *[-10.0] * (BANDS - len(added))]]


def counted(length: int) -> torch.Tensor:
    return torch.arange(2 * length).view(length, 2) % SILENT


def test_times_are_the_same_at_any_rate_of_positions() -> None:
    """Guards against times that are counted in positions: at half the hop they would be half as long."""
    assert (HELD_POSITIONS, PAUSE_POSITIONS, LONG_POSITIONS) == (12, 24, 500), "as pieces were made before"
    fine = learned(counted(700), frame_rate=2 * RATE, heard_before=94)
    limits = Limits.of(fine)
    assert (limits.longest.tolist(), limits.pause) == ([23] * ENTRIES, 48)
    assert {Openings(fine).place(seed)[1] for seed in range(40)} == {0}, "seven seconds are short"
    long = Openings(learned(counted(300), frame_rate=RATE / 2, heard_before=23))
    assert len({long.place(seed)[1] for seed in range(40)}) > 30, "thirteen are long"
    assert max(len(long.before(seed)) for seed in range(40)) == 23


@pytest.mark.parametrize(("length", "is_long"), [(LONG_POSITIONS - 1, False), (LONG_POSITIONS, True)])
def test_from_ten_seconds_on_a_recording_is_entered_anywhere_and_heard_before(length: int, is_long: bool) -> None:
    codes = counted(length)
    openings = Openings(learned(codes, heard_before=47))
    places = [openings.place(seed)[1] for seed in range(40)]
    assert (len(set(places)) > 30) == is_long
    assert (max(places) > 0) == is_long
    heard = [openings.before(seed) for seed in range(40)]
    assert (max(map(len, heard)) == 47) == is_long
    assert openings.codes(range(40)).tolist() == [codes[place].tolist() for place in places]


def test_all_that_is_heard_before_is_there_or_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against the end of a recording that is heard before its beginning."""
    codes = counted(LONG_POSITIONS)
    openings = Openings(learned(codes, heard_before=47))
    for place, expected in ((0, 0), (46, 0), (47, 47), (48, 47), (499, 47)):
        monkeypatch.setattr(openings, "place", lambda _, place=place: (0, place))
        before = openings.before(0)
        assert len(before) == expected
        assert torch.equal(before, codes[place - expected : place])


@pytest.mark.parametrize(("below", "is_silent"), [(SILENT_DB - 1, False), (SILENT_DB + 1, True)])
def test_silence_lies_far_below_the_median(below: float, is_silent: bool) -> None:
    """Guards against a quiet bass that is taken for silence."""
    codebooks = torch.zeros(2, ENTRIES, 2)
    codebooks[0, SILENT, 0] = -below
    codes = torch.zeros(100, 2, dtype=torch.int64)
    codes[90:, 0] = SILENT
    silent = silent_codes(learned(codes, bands=in_bands((1,), (0,)), codebooks=codebooks))
    assert silent.tolist() == [False] * SILENT + [is_silent]


def test_codes_are_silent_by_their_loudest_band_and_as_they_are_mostly_heard() -> None:
    """By all levels and the bands' own levels together, on average over where they stand; codes that never stand are not."""
    codebooks = torch.zeros(2, ENTRIES, 2)
    codebooks[0, 3, 0], codebooks[0, 4, 0], codebooks[0, 5, 0], codebooks[0, 6, 0] = -60, -60, -60, -60
    codebooks[0, 4, 1] = 60  # as loud in the other band
    codebooks[1, 1, 0] = 60  # the second level makes up for it
    codes = torch.zeros(400, 2, dtype=torch.int64)
    codes[300:320, 0] = 3
    codes[320:340, 0] = 4
    codes[340:360, 0], codes[340:360, 1] = 5, 1
    silent = silent_codes(learned(codes, bands=in_bands((1, 0), (0, 1), added=(50, 20)), codebooks=codebooks))
    assert silent.nonzero()[:, 0].tolist() == [3]
    codes[360:380, 0] = 5  # half of the time only the first level is there: 15 dB on average
    codes[380:382, 0] = 3
    codes[380:382, 1] = 1
    silent = silent_codes(learned(codes, bands=in_bands((1, 0), (0, 1), added=(50, 20)), codebooks=codebooks))
    assert silent.nonzero()[:, 0].tolist() == [3]


def test_without_a_map_to_bands_nothing_is_silent() -> None:
    assert not silent_codes(learned(counted(10))).any()
    assert not silent_codes(learned(bands=in_bands((1,), (0,)))).any()


def held(*runs: tuple[int, int]) -> torch.Tensor:
    """Coarse codes, each for so many positions, with a second level."""
    coarse = torch.cat([torch.full((length,), code) for code, length in runs])
    return torch.stack([coarse, torch.zeros_like(coarse)], dim=1)


def quiet(*sources: torch.Tensor) -> Model:
    """A model of which entry 7 is silent."""
    codebooks = torch.zeros(2, ENTRIES, 2)
    codebooks[0, SILENT, 0] = -80
    return learned(*sources, bands=in_bands((1,), (0,)), codebooks=codebooks)


def test_a_code_is_held_as_long_as_in_any_recording() -> None:
    """The longest time that it was held at once; not all of them together, nor the last one."""
    limits = Limits.of(quiet(held((1, 20), (2, 5), (1, 30), (2, 5), (1, 10)), held((1, 25), (3, HELD_POSITIONS + 1))))
    expected = [HELD_POSITIONS] * ENTRIES
    expected[1], expected[3] = 30, HELD_POSITIONS + 1
    assert limits.longest.tolist() == expected


@pytest.mark.parametrize(
    ("runs", "pause"),
    [
        ([(0, 1), (SILENT, 40), (0, 1)], 40),
        ([(0, 90), (SILENT, 25), (0, 90), (SILENT, 31), (0, 90), (SILENT, 26), (0, 9)], 31),
        ([(0, 90), (SILENT, PAUSE_POSITIONS - 1), (0, 90)], PAUSE_POSITIONS),
        ([(SILENT, 40), (0, 90), (SILENT, 44)], PAUSE_POSITIONS),
        ([(0, 90)], PAUSE_POSITIONS),
    ],
)
def test_a_pause_lies_between_two_sounds(runs: list[tuple[int, int]], pause: int) -> None:
    limits = Limits.of(quiet(held((0, 200)), held(*runs)))
    assert limits.pause == pause
    there = limits.to(torch.device("cpu"))
    assert dataclasses.astuple(there)[2] == pause
    assert torch.equal(there.longest, limits.longest)
