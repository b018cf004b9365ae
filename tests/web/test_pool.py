"""Workers that clients share: how long those are told to wait who find no place."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from distill.web import pool as pools
from distill.web.pool import Pool, TooManyError


def _told_after(jobs: Sequence[float], monkeypatch: pytest.MonkeyPatch, is_new: bool = False) -> int:
    """Seconds that whoever comes next is told to wait, after jobs of so many seconds, when the two places are taken."""
    clock = 0.0
    monkeypatch.setattr(pools, "time", SimpleNamespace(monotonic=lambda: clock))
    worker: Any = SimpleNamespace(pid=None if is_new else 1)
    monkeypatch.setattr(pools, "Worker", lambda: worker)

    async def told() -> int:
        nonlocal clock
        pool = Pool(workers=1, waiting=1)
        for seconds in jobs:
            async with pool.place(), pool.worker():
                clock += seconds
                worker.pid = 1
        async with pool.place(), pool.place():
            with pytest.raises(TooManyError) as too_many:
                async with pool.place():
                    pytest.fail("there was a third place")
        return too_many.value.seconds

    return asyncio.run(told())


def test_as_long_as_those_before_need(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _told_after([2.0] * 5, monkeypatch) == 4
    assert _told_after([60.0] * 5, monkeypatch) == 120


def test_one_long_job_among_short_ones_sends_nobody_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a worker that idles for minutes, as all who asked were told to come back then."""
    assert _told_after([2.0, 2.0, 300.0, 2.0], monkeypatch) == 4


def test_the_start_of_a_worker_is_not_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a first job, with PyTorch and the model to load, by which all others were judged."""
    assert _told_after([60.0, 3.0], monkeypatch, is_new=True) == 2
    assert _told_after([60.0, 3.0], monkeypatch) == 6


def test_before_anything_is_known_little_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against a hundred clients that all come back after a minute, where the worker was free after eight seconds."""
    assert _told_after([], monkeypatch) == 2
