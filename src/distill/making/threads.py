"""Changes how many processor threads share an operation, for one thread of the program only."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import Lock, Thread

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """What this thread of the program computes within the block runs on one processor thread.

    One token at a time is too little work to share: on a CPU two threads are slower than one (measured, up to 10 times).

    PyTorch keeps the number twice: for the thread that sets it, and for all threads that begin later. Only the first is meant,
    so the second is put back at once, by a thread that ends with that.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    _for_threads_to_come(before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread_on_cpu(device: torch.device) -> AbstractContextManager[None]:
    """The same where ``device`` is the CPU; another one has no processor threads to share."""
    return one_thread() if device.type == "cpu" else nullcontext()


@contextmanager
def side_by_side() -> Iterator[Executor]:
    """A thread of the program for every processor core, each of which computes on one alone.

    For many operations that are too small to share: each is done by one thread, several at a time.
    """
    with ThreadPoolExecutor(os.cpu_count(), initializer=partial(_alone, Lock())) as threads:
        yield threads


def _alone(one_at_a_time: Lock) -> None:
    with one_at_a_time:
        for_others = torch.get_num_threads()
        torch.set_num_threads(1)
        _for_threads_to_come(for_others)


def _for_threads_to_come(count: int) -> None:
    helper = Thread(target=torch.set_num_threads, args=(count,))
    helper.start()
    helper.join()
