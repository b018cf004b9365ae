"""Workers that several clients share: one job a worker, a bounded queue, and for all others a time to retry.

    request ──place──▶ takes what the client sends ──worker──▶ waits its turn, works ──▶ answer
                 └──▶ TooManyError: how many seconds to wait before asking again

A place is taken before anything is read, so no more is kept for clients than there are places.
"""

import asyncio
import math
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from distill.web.worker import Worker

_FIRST_GUESS_S = 1.0
"""Rather too short: to ask once more costs nothing, and a worker idles while all who asked wait too long."""
_LOOKED_BACK = 9
"""Jobs. Of these the middle one counts: a long one among short ones would send clients away while the workers idle."""


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
        self._took = deque([_FIRST_GUESS_S], _LOOKED_BACK)
        self.is_closed = False

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place at work or in line, as long as the block lasts.

        Raises:
            TooManyError: if all are taken.
        """
        if self._taken >= self._places:
            took = statistics.median_low(self._took)
            raise TooManyError(max(1, math.ceil(took * self._taken / len(self._workers))))
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        """A worker of one's own, as long as the block lasts; waits for one. Whoever asks has a place."""
        one = await self._free.get()
        started, is_new = time.monotonic(), one.pid is None
        try:
            yield one
        finally:
            if not is_new:  # a worker's first job starts its process too, which the next ones need not
                self._took.append(time.monotonic() - started)
            self._free.put_nowait(one)

    def close(self) -> None:
        """Ends all processes, whatever they are at."""
        self.is_closed = True
        for one in self._workers:
            one.close(at_once=True)
