"""Workers that several clients share: one job a worker, a bounded queue, and for all others a time to retry.

    request ──place──▶ takes what the client sends ──worker──▶ waits its turn, works ──▶ answer
                 └──▶ TooManyError: how many seconds to wait before asking again

A place is taken before anything is read, so no more is kept for clients than there are places.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from distill.web.worker import Worker

_FIRST_GUESS_S = 5.0
_WEIGHT = 0.2


class TooManyError(Exception):
    """All places are taken."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"all places are taken; about {seconds} s until one is free")
        self.seconds = seconds
        """After which it is worth asking again."""


class Pool:
    """Hands out workers, first come, first served. All of it happens in one event loop.

    Args:
        workers: how many jobs run at once.
        waiting: how many more may wait in line.
    """

    def __init__(self, workers: int, waiting: int) -> None:
        self._workers = [Worker() for _ in range(workers)]
        self._free: asyncio.Queue[Worker] = asyncio.Queue()
        for one in self._workers:
            self._free.put_nowait(one)
        self._places, self._taken = workers + waiting, 0
        self._took = _FIRST_GUESS_S
        self.is_closed = False

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place at work or in line, as long as the block lasts.

        Raises:
            TooManyError: if all are taken.
        """
        if self._taken >= self._places:
            raise TooManyError(max(1, math.ceil(self._took * self._taken / len(self._workers))))
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        """A worker of one's own, as long as the block lasts; waits for one. Whoever asks has a place."""
        one = await self._free.get()
        started = time.monotonic()
        try:
            yield one
        finally:
            self._took += _WEIGHT * (time.monotonic() - started - self._took)
            self._free.put_nowait(one)

    def close(self) -> None:
        """Ends all processes, whatever they are at."""
        self.is_closed = True
        for one in self._workers:
            one.close(at_once=True)
