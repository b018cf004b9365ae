"""What a page holds of new audio while it is made."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from distill.report import gather

RATE = 48_000


def test_of_a_long_piece_only_what_the_page_plays_is_held() -> None:
    """Guards against 14 GB for the page of a run with 64 pieces of ten minutes."""

    def blocks(model: object) -> Iterator[np.ndarray]:
        for _ in range(60):
            yield np.zeros((2, 10 * RATE), np.float32)

    model: Any = SimpleNamespace(codec=SimpleNamespace(channels=2, sample_rate=RATE))
    take = SimpleNamespace(blocks=blocks, seed=1, sampling=SimpleNamespace(describe=lambda: ""))
    piece: Any = SimpleNamespace(path=Path("a.wav"), made_of=(), generation=take, originality=None, summary=lambda: "")
    tracemalloc.start()
    shown = gather._new_audio(model, piece, 18.75)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert shown.audio.shape == (2, round(18.75 * RATE))
    second = 2 * RATE * 4
    assert peak < (2 * 18.75 + 3 * 10) * second, "twice what is played, and the blocks at work; all of it are 600 s"


@pytest.mark.parametrize(("count", "seconds"), [(1, 60), (4, 60), (64, 3.75)])
def test_many_pieces_share_what_a_page_plays(monkeypatch: pytest.MonkeyPatch, count: int, seconds: float) -> None:
    """Guards against a page, and a memory, that grow with every piece: four minutes are for all of them."""
    shown: list[float] = []
    monkeypatch.setattr(gather, "_new_audio", lambda model, piece, most: shown.append(most))
    monkeypatch.setattr(gather, "reconstructions", lambda *given: ())
    model, corpus = MagicMock(), MagicMock(file_count=10, seconds=60.0)
    model.header.codec.num_quantizers, model.header.prior = 4, None
    gather.run_report(model, corpus, MagicMock(), [], [MagicMock()] * count, settings={}, seconds_taken=1.0)
    assert shown == [pytest.approx(seconds)] * count
