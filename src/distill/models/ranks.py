"""What the processes of one training (its ranks) tell each other; with a single process nothing of it happens.

Every rank has its own part of each batch. What is computed from the parts is put together here, so that all ranks take the
step that one process would take with the whole batch:

    gradients    averaged           losses, counts    summed once, divided once
    latents      put together: every rank moves its codebooks by the whole batch, so they stay the same
    decisions    time, stop, roll-back: the first rank's

Nothing is pickled: what is sent are tensors, and words as their bytes.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import Store

from distill.errors import RankError

_A_LONG_TIME = timedelta(days=365)
ASKED_S = 5.0
"""When a rank has gone, so long do those that are left wait for each other's sign of life."""
LIFE_S = 60.0
"""A rank that works alone for long and gives no sign of life for this long is lost."""
_LOOK_S = 0.2


class _Group:
    """The ranks of this training, and where to find them; set by :func:`joined`."""

    store: Store | None = None
    addresses: tuple[str, ...] = ()
    device: int = 0
    orders: int = 0
    meetings: int = 0


def own_address() -> str:
    """By which a person finds this process."""
    return f"{socket.gethostname()}, process {os.getpid()}"


@contextmanager
def joined(store: Store, addresses: Sequence[str], device: int) -> Iterator[None]:
    """While the block lasts the ranks of the process group work together.

    Args:
        store: which all of them reach.
        addresses: of each rank, for when it is lost.
        device: which device of this machine is this rank's.
    """
    _Group.store, _Group.addresses, _Group.device, _Group.orders = store, tuple(addresses), device, 0
    _Group.meetings = 0
    try:
        yield
    finally:
        _Group.store, _Group.addresses, _Group.device = None, (), 0


def size() -> int:
    """How many processes train together."""
    return max(1, len(_Group.addresses))


def rank() -> int:
    """Which of them this is; the first is 0."""
    return dist.get_rank() if size() > 1 else 0


def leads() -> bool:
    """Whether this is the first rank: it decides, and it alone writes."""
    return rank() == 0


def own_device() -> int:
    """Which device of this machine is this rank's."""
    return _Group.device


def own_part(whole: Tensor) -> Tensor:
    """This rank's part of a batch ``[W·B, …]`` that all ranks drew alike."""
    return whole.chunk(size())[rank()] if size() > 1 else whole


def put_together(part: Tensor) -> Tensor:
    """All ranks' parts ``[B, …]`` of a batch, in their order: ``[W·B, …]``. Gradients reach the own part alone."""
    if size() == 1:
        return part
    parts = [torch.empty_like(part) for _ in range(size())]
    with _together():
        dist.all_gather(parts, part.detach().contiguous())
    parts[rank()] = part
    return torch.cat(parts)


def average(tensors: Sequence[Tensor]) -> None:
    """Averages tensors over all ranks, in place, all of them in one go."""
    if size() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _together():
        dist.all_reduce(flat)
    flat /= size()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def mean(value: Tensor) -> Tensor:
    """The mean of a tensor over all ranks, without a gradient."""
    if size() == 1:
        return value
    value = value.detach().clone()
    average([value])
    return value


def totals(values: Iterable[float]) -> list[float]:
    """Each value summed over all ranks."""
    if size() == 1:
        return list(values)
    sums = torch.tensor(list(values), dtype=torch.float64)
    with _together():
        dist.all_reduce(sums)
    return sums.tolist()


def all_agree(is_so: bool) -> bool:
    """Whether it is so on every rank."""
    return totals([float(not is_so)])[0] == 0


def from_first(values: Sequence[float]) -> list[float]:
    """What the first rank says: as many numbers as every rank gives."""
    if size() == 1:
        return list(values)
    told = torch.tensor(list(values), dtype=torch.float64)
    with _together():
        dist.broadcast(told, 0)
    return told.tolist()


def measured_by_first(measure: Callable[[], Sequence[float]], count: int) -> list[float]:
    """``count`` figures that the first rank measures while the others wait."""
    return from_first(measure() if leads() else [0.0] * count)


def words_from_first(words: str) -> str:
    """What the first rank says, in words."""
    return bytes_from_first(words.encode()).decode()


def bytes_from_first(content: bytes) -> bytes:
    """What the first rank sends."""
    if size() == 1:
        return content
    (length,) = from_first([len(content)])
    told = torch.zeros(int(length), dtype=torch.uint8)
    if leads() and content:
        told = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    if length:
        with _together():
            dist.broadcast(told, 0)
    return told.numpy().tobytes()


@contextmanager
def at_work() -> Iterator[None]:
    """While the block lasts this rank gives signs of life, however long it works alone; :func:`meet` looks for them."""
    store, over = _Group.store, threading.Event()
    if store is None or size() == 1:
        yield
        return

    def beat() -> None:
        while not over.wait(LIFE_S / 10):
            try:
                store.add(f"life/{rank()}", 1)
            except RuntimeError:  # the first rank is gone, which this one finds out when it comes back
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def meet() -> None:
    """Waits until all ranks are here, for hours if need be, as long as those that are not give signs of life.

    Raises:
        RankError: with the address of one that gives none, or has said why it goes.
    """
    store = _Group.store
    if store is None or size() == 1:
        return
    _Group.meetings += 1
    with _together():
        store.set(f"met/{_Group.meetings}/{rank()}", "1")
        for other in range(size()):
            _wait_for(store, other, f"met/{_Group.meetings}/{other}")


def _wait_for(store: Store, other: int, key: str) -> None:
    seen, since = -1, time.monotonic()
    while not store.check([key]):
        lives = store.add(f"life/{other}", 0)
        if lives != seen:
            seen, since = lives, time.monotonic()
        has_said = store.check([f"gone/{other}"])
        if has_said or time.monotonic() - since > LIFE_S:
            why = store.get(f"gone/{other}").decode() if has_said else f"no sign of life for {LIFE_S:.0f} s"
            raise RankError(
                f"The training lost rank {other} of {size()} ({_Group.addresses[other]}): {why}",
                "See what happened there, and start again.",
            )
        time.sleep(_LOOK_S)


def say_why_gone(words: str) -> None:
    """Tells the others why this rank cannot go on."""
    if _Group.store is not None:
        try:
            _Group.store.set(f"gone/{rank()}", words)
        except RuntimeError as error:  # the first rank is gone already
            warn(f"The other ranks were not told: {error}")


def gathered(own: Tensor) -> list[Tensor]:
    """Every rank's tensor ``[n, …]``, each of its own length, on the first rank; nothing on the others. All must be there."""
    if size() == 1:
        return [own]
    lengths = [int(length) for length in totals([len(own) * (other == rank()) for other in range(size())])]
    padded = own.new_zeros(max(1, *lengths), *own.shape[1:])
    padded[: len(own)] = own
    content = padded.view(torch.uint8)  # gloo does not know every type
    parts = [torch.empty_like(content) for _ in range(size())] if leads() else None
    with _together():
        dist.gather(content, parts, 0)
    return [part.view(own.dtype)[:length] for part, length in zip(parts or [], lengths, strict=False)]


def as_on_first(tensors: Iterable[Tensor]) -> None:
    """Gives tensors the first rank's values, in place."""
    if size() > 1:
        for tensor in tensors:
            with _together():
                dist.broadcast(tensor.detach(), 0)


def give_order(do: str, **told: Any) -> None:
    """Has all other ranks begin something; they may have waited for it for hours."""
    if _Group.store is not None:
        _Group.store.set(f"order/{_Group.orders}", json.dumps({"do": do, **told}))
        _Group.orders += 1


def next_order() -> dict[str, Any]:
    """What the first rank gives to be done; waits for it."""
    store = _Group.store
    assert store is not None
    key = f"order/{_Group.orders}"
    with _together():
        store.wait([key], _A_LONG_TIME)
        order: dict[str, Any] = json.loads(store.get(key))
    _Group.orders += 1
    return order


def warn(words: str) -> None:
    """Says what is wrong with the ranks and does not change what was trained: on the standard error output, if nobody wants
    it elsewhere."""
    logging.getLogger("distill").warning(words)


def say_goodbye() -> None:
    """Tells the first rank that this one needs nothing more of it."""
    if _Group.store is not None:
        _Group.store.set(f"bye/{rank()}", "1")


def wait_for_goodbyes(seconds: float) -> None:
    """Waits until all other ranks have done so: with the first one their meeting place goes, and who still waits there would
    take it for lost. Which of them do not come in that time is said; they are not waited for any longer."""
    store = _Group.store
    if store is None or size() == 1:
        return
    names = {other: f"bye/{other}" for other in range(1, size())}
    try:
        store.wait(list(names.values()), timedelta(seconds=seconds))
    except RuntimeError as error:
        late = [_Group.addresses[other] for other, name in names.items() if not store.check([name])]
        warn(f"{', '.join(late) or 'The other ranks'} did not end within {seconds:.0f} s: {error}")


@contextmanager
def _together() -> Iterator[None]:
    """What all ranks do at once. Where one has gone, those that are left say which."""
    try:
        yield
    except RuntimeError as error:
        raise _lost() from error


def _lost() -> RankError:
    store, fix = _Group.store, "See what happened there. What was trained so far is saved; --resume goes on from it."
    assert store is not None
    gone: list[int] = []
    try:
        store.set(f"left/{rank()}", "1")
        for other in range(size()):
            try:
                store.wait([f"left/{other}"], timedelta(seconds=ASKED_S))
            except RuntimeError:
                gone.append(other)
    except RuntimeError:  # the first rank keeps the store
        gone = [0]
    named = " and ".join(f"rank {one} of {size()} ({_Group.addresses[one]})" for one in gone)
    return RankError(f"The training lost {named or 'the connection between its ranks'}.", fix)
