"""What a page holds of new audio while it is made."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

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
