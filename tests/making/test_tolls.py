"""Grains come from all of the recordings: what is found out about it, what it changes, and what is said."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

import small_distill
from distill.making import tolls
from distill.making.drawing import Sampling
from distill.making.grains import Bank, Stretch, spread
from distill.making.tolls import STEPS, measured_tolls, with_tolls
from distill.models.model_file import Model, Source, load_model, save_model

HOP, RATE = 1024, 48_000
ENTRIES, SIZE = 64, 24
JOIN_COST = 0.1


@pytest.fixture
def hub(noise: Callable[..., np.ndarray]) -> Bank:
    """One second is in the middle between all that sounds in the four others, so it is near to whatever is asked for."""
    draw = torch.Generator().manual_seed(0)
    codebooks = torch.randn(1, ENTRIES, SIZE, generator=draw)
    codebooks[0, 0] = 0.0
    stretches = []
    for number, seconds in enumerate((1, 4)):
        audio = noise(float(seconds), seed=number)
        codes = torch.randint(1, ENTRIES // 2, (-(-audio.shape[1] // HOP), 1), generator=draw)
        stretches.append(Stretch(f"{number}.wav", audio, 0, codes if number else torch.zeros_like(codes)))
    return Bank(codebooks, stretches, HOP)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """Half of what it draws is like nothing in the recordings."""

    def drawn(model: Model, seconds: float, count: int, how: Sampling, seed: int) -> list[SimpleNamespace]:
        draw = torch.Generator().manual_seed(seed)
        return [SimpleNamespace(codes=torch.randint(1, ENTRIES, (200, 1), generator=draw)) for _ in range(8)]

    monkeypatch.setattr(tolls, "generate", drawn)
    codec = SimpleNamespace(channels=1, sample_rate=RATE, hop=HOP, frame_rate=RATE / HOP)
    return cast(Model, SimpleNamespace(codec=codec))


def share_of_hub(model: Model, bank: Bank) -> float:
    pieces = [torch.randint(1, ENTRIES, (200, 1), generator=torch.Generator().manual_seed(one)) for one in range(8)]
    uses = tolls._uses(model, bank, JOIN_COST, pieces)
    return float(uses[bank.owner == 0].sum() / uses.sum())


def test_what_is_used_too_often_gets_dearer(hub: Bank, model: Model) -> None:
    """Guards against new audio that comes back to one second of the recordings again and again."""
    found = measured_tolls(model, hub, JOIN_COST)
    assert [len(one) for one in found.of_stretches] == [1, 4], "one for each second"
    assert found.of_stretches[0][0] > 0 > max(found.of_stretches[1])
    before, after = share_of_hub(model, hub), share_of_hub(model, hub.with_tolls(found.of_stretches))
    assert before > 0.35
    assert abs(after - 0.2) < 0.5 * (before - 0.2)
    assert found.after > found.before + 0.05
    assert found.in_words.endswith(f"now that seconds it used too often cost more, {100 * found.after:.0f} %.")
    assert measured_tolls(model, hub.with_tolls(found.of_stretches), JOIN_COST) == found, "its own have no part in it"


def test_what_gains_nothing_is_left(hub: Bank, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against tolls whose effect nobody has looked at."""
    asked: list[np.ndarray] = []

    def deaf(model: Model, bank: Bank, join_cost: float, pieces: list[torch.Tensor]) -> np.ndarray:
        asked.append(bank._tolls)
        return np.where(bank.owner == 0, 9.0, 1.0)

    monkeypatch.setattr(tolls, "_uses", deaf)
    found = measured_tolls(model, hub, JOIN_COST)
    assert found.of_stretches == ()
    assert found.before == found.after < 0.6
    assert "could not be improved" in found.in_words
    assert len(asked) == len(STEPS) + 1
    assert not asked[0].any()


def test_long_recordings_have_longer_parts(hub: Bank, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of sound would otherwise have parts of which nearly all are never used in what is drawn."""
    monkeypatch.setattr(tolls, "MOST_BLOCKS", 2)
    found = measured_tolls(model, hub, JOIN_COST)
    assert [len(one) for one in found.of_stretches] == [1, 2]


def test_hours_are_not_measured(hub: Bank, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against two hours of sound, of which this took a minute of eight and found nothing to gain."""
    monkeypatch.setattr(tolls, "MOST_SECONDS", 0.1)
    monkeypatch.setattr(tolls, "generate", lambda *_: pytest.fail("nothing is to be drawn"))
    found = measured_tolls(model, hub, JOIN_COST)
    assert found.of_stretches == ()
    assert "was not measured" in found.in_words


def test_tolls_change_smoothly_from_part_to_part() -> None:
    assert spread((), 3).tolist() == [0, 0, 0]
    assert spread((0.5,), 3).tolist() == [0.5, 0.5, 0.5]
    assert spread((0.0, 1.0), 8) == pytest.approx([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])
    assert len(spread(tuple(range(9)), 4)) == 4


def test_a_part_of_a_stretch_keeps_its_own(noise: Callable[..., np.ndarray]) -> None:
    """Guards against tolls of other moments where a passage is taken out of a recording."""
    codes = torch.arange(10)[:, None]
    whole = Stretch("a.wav", noise(1.0), 5, codes, tolls=np.arange(10.0))
    part = whole.part(4, 7, HOP)
    assert part.tolls is not None
    assert part.tolls.tolist() == part.codes[:, 0].tolist() == [4, 5, 6]
    assert part.begin == 5 + 4 * HOP
    assert dataclasses.replace(whole, tolls=None).part(4, 7, HOP).tolls is None


def test_they_are_kept_in_the_model_file(tmp_path: Path) -> None:
    """Of what it was trained on alone: what is held out is never quoted."""
    codec = small_distill.small_codec()
    model = small_distill.small_model(codec, small_distill.small_prior(codec.config))
    codes = torch.zeros(5, codec.config.num_quantizers, dtype=torch.int64)
    sources = tuple(Source(f"{number}.wav", 0.0, number == 1, codes) for number in range(3))
    model = with_tolls(dataclasses.replace(model, sources=sources), ((0.5, -0.25), (1.0,)))
    again = load_model(save_model(tmp_path / "m.distill", model))
    assert [one.tolls for one in again.sources] == [(0.5, -0.25), (), (1.0,)]
    assert not any(one.tolls for one in with_tolls(again, ()).sources)
