"""Communication between the processes (ranks) of one training; with a single process nothing is sent.

Each rank has its own part of every batch. The functions here combine the parts, so that all ranks take the step that a single
process would take with the whole batch:

    gradients    averaged           losses, counts    summed once, divided once
    latents      gathered on all ranks: each updates its codebooks by the whole batch, so they stay equal
    decisions    about time, stop and rollback: broadcast from the first rank

Nothing is pickled: only tensors and the bytes of texts are sent. All ranks must call the collective functions in the same
order.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import Store

from distill import awake
from distill.errors import RankError

_A_LONG_TIME = timedelta(days=365)
ASKED_S = 5.0
"""After a rank is lost, the others wait this long for each other's sign of life, to name it."""
LIFE_S = 60.0
"""A rank at work alone (:func:`heartbeat`) is lost after this long without a sign of life."""
_LOOK_S = 0.2


class _Group:
    """The ranks of this training; set by :func:`joined`."""

    store: Store | None = None
    addresses: tuple[str, ...] = ()
    device: int = 0
    orders: int = 0
    meetings: int = 0
    asked: Mapping[str, int | str] = {}


def own_address() -> str:
    """Host and process number, by which a person finds this process."""
    return f"{socket.gethostname()}, process {os.getpid()}"


@contextmanager
def joined(
    store: Store, addresses: Sequence[str], device: int, asked: Mapping[str, int | str] | None = None
) -> Iterator[None]:
    """Within the block the ranks of the process group work together.

    Args:
        store: the key-value store that all of them share.
        addresses: of each rank, to name one that is lost.
        device: index of this rank's device on its machine.
        asked: what was asked for to get them, by the names of the options.
    """
    _Group.asked = asked or {}
    _Group.store, _Group.addresses, _Group.device, _Group.orders = store, tuple(addresses), device, 0
    _Group.meetings = 0
    try:
        yield
    finally:
        _Group.store, _Group.addresses, _Group.device, _Group.asked = None, (), 0, {}


def world_size() -> int:
    """Number of ranks, W."""
    return max(1, len(_Group.addresses))


def asked() -> Mapping[str, int | str]:
    """What was asked for to get these ranks, by the names of the options; empty for a process that is alone."""
    return _Group.asked


def rank() -> int:
    """Index of this rank; the first is 0."""
    return dist.get_rank() if world_size() > 1 else 0


def leads() -> bool:
    """Whether this is the first rank, which decides for all and alone writes files."""
    return rank() == 0


def own_device() -> int:
    """Index of this rank's device on its machine."""
    return _Group.device


def own_part(whole: Tensor) -> Tensor:
    """This rank's part ``[B, …]`` of a batch ``[W·B, …]`` that is the same on all ranks."""
    return whole.chunk(world_size())[rank()] if world_size() > 1 else whole


def all_gather(part: Tensor) -> Tensor:
    """The parts ``[B, …]`` of all ranks as one batch ``[W·B, …]``. Gradients flow to this rank's part only."""
    if world_size() == 1:
        return part
    parts = [torch.empty_like(part) for _ in range(world_size())]
    with _together():
        dist.all_gather(parts, part.detach().contiguous())
    parts[rank()] = part
    return torch.cat(parts)


def all_reduce_mean(tensors: Sequence[Tensor]) -> None:
    """Averages tensors over all ranks in place, in one message."""
    if world_size() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _together():
        dist.all_reduce(flat)
    flat /= world_size()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def mean(value: Tensor) -> Tensor:
    """The mean over all ranks of a tensor that needs no gradient."""
    if world_size() == 1:
        return value
    value = value.detach().clone()
    all_reduce_mean([value])
    return value


def all_reduce_sum(values: Iterable[float]) -> list[float]:
    """Each value summed over all ranks."""
    if world_size() == 1:
        return list(values)
    sums = torch.tensor(list(values), dtype=torch.float64)
    with _together():
        dist.all_reduce(sums)
    return sums.tolist()


def mean_losses(losses: Mapping[str, Tensor]) -> dict[str, float]:
    """Each loss (a scalar), averaged over all ranks."""
    sums = all_reduce_sum(float(loss.detach()) for loss in losses.values())
    return {name: total / world_size() for name, total in zip(losses, sums, strict=True)}


def summed_counts(counts: Tensor) -> Tensor:
    """Counts, int64 of any shape, summed over all ranks."""
    return torch.tensor(all_reduce_sum(counts.flatten().tolist()), dtype=torch.int64).view_as(counts)


def all_agree(is_so: bool) -> bool:
    """Whether ``is_so`` is true on every rank."""
    return all_reduce_sum([float(not is_so)])[0] == 0


def broadcast(values: Sequence[float]) -> list[float]:
    """The first rank's values; every rank passes equally many."""
    if world_size() == 1:
        return list(values)
    buffer = torch.tensor(list(values), dtype=torch.float64)
    with _together():
        dist.broadcast(buffer, 0)
    return buffer.tolist()


def measured_by_first(measure: Callable[[], Sequence[float]], count: int) -> list[float]:
    """The ``count`` values that the first rank measures while the others wait."""
    return broadcast(measure() if leads() else [0.0] * count)


def broadcast_text(words: str) -> str:
    """The first rank's text."""
    return broadcast_bytes(words.encode()).decode()


def broadcast_bytes(content: bytes) -> bytes:
    """The first rank's bytes; the others' are ignored."""
    if world_size() == 1:
        return content
    (length,) = broadcast([len(content)])
    buffer = torch.zeros(int(length), dtype=torch.uint8)
    if leads() and content:
        buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    if length:
        with _together():
            dist.broadcast(buffer, 0)
    return buffer.numpy().tobytes()


@contextmanager
def heartbeat() -> Iterator[None]:
    """Within the block this rank gives signs of life, however long it works alone; :func:`barrier` looks for them."""
    store, over = _Group.store, threading.Event()
    if store is None or world_size() == 1:
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


def barrier() -> None:
    """Waits until all ranks call it, for hours if need be, as long as the missing ones give signs of life.

    Raises:
        RankError: naming a rank that gives none, or that has said why it stopped.
    """
    store = _Group.store
    if store is None or world_size() == 1:
        return
    _Group.meetings += 1
    with _together():
        store.set(f"met/{_Group.meetings}/{rank()}", "1")
        for other in range(world_size()):
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
                f"The training lost rank {other} of {world_size()} ({_Group.addresses[other]}): {why}",
                "See what happened there, and start again.",
            )
        awake.seconds()  # a clock that tells a sleep from a wait, if it is looked at often
        time.sleep(_LOOK_S)


def say_why_gone(words: str) -> None:
    """Tells the other ranks why this one stops."""
    if _Group.store is not None:
        try:
            _Group.store.set(f"gone/{rank()}", words)
        except RuntimeError as error:  # the first rank is gone already
            warn(f"The other ranks were not told: {error}")


def gather(own: Tensor) -> list[Tensor]:
    """Every rank's tensor ``[n, …]``, of different lengths, on the first rank; an empty list on the others."""
    if world_size() == 1:
        return [own]
    lengths = [
        int(length) for length in all_reduce_sum([len(own) * (other == rank()) for other in range(world_size())])
    ]
    padded = own.new_zeros(max(1, *lengths), *own.shape[1:])
    padded[: len(own)] = own
    content = padded.view(torch.uint8)  # gloo does not know every type
    parts = [torch.empty_like(content) for _ in range(world_size())] if leads() else None
    with _together():
        dist.gather(content, parts, 0)
    return [part.view(own.dtype)[:length] for part, length in zip(parts or [], lengths, strict=False)]


def broadcast_tensors(tensors: Iterable[Tensor]) -> None:
    """Sets tensors to the first rank's values, in place."""
    if world_size() > 1:
        for tensor in tensors:
            with _together():
                dist.broadcast(tensor.detach(), 0)


def give_order(do: str, **details: Any) -> None:
    """Starts a task on all other ranks, which wait for it in :func:`next_order`, for hours if need be."""
    if _Group.store is not None:
        _Group.store.set(f"order/{_Group.orders}", json.dumps({"do": do, **details}))
        _Group.orders += 1


def next_order() -> dict[str, Any]:
    """Waits for the first rank's next task (:func:`give_order`)."""
    store = _Group.store
    assert store is not None
    key = f"order/{_Group.orders}"
    with _together():
        store.wait([key], _A_LONG_TIME)
        order: dict[str, Any] = json.loads(store.get(key))
    _Group.orders += 1
    return order


def warn(words: str) -> None:
    """Logs trouble between ranks that does not affect the result; on standard error, unless logging is configured otherwise."""
    logging.getLogger("distill").warning(words)


def say_goodbye() -> None:
    """Tells the first rank that this one is done."""
    if _Group.store is not None:
        _Group.store.set(f"bye/{rank()}", "1")


def wait_for_goodbyes(seconds: float) -> None:
    """Waits until all other ranks are done: the store ends with the first rank, and a rank that still uses it would report the
    first as lost. Ranks that are not done in time are logged."""
    store = _Group.store
    if store is None or world_size() == 1:
        return
    names = {other: f"bye/{other}" for other in range(1, world_size())}
    try:
        store.wait(list(names.values()), timedelta(seconds=seconds))
    except RuntimeError as error:
        late = [_Group.addresses[other] for other, name in names.items() if not store.check([name])]
        warn(f"{', '.join(late) or 'The other ranks'} did not end within {seconds:.0f} s: {error}")


@contextmanager
def _together() -> Iterator[None]:
    """Wraps a collective operation; if it fails, the ranks that are left find out which one is lost."""
    try:
        yield
    except RuntimeError as error:
        raise _lost() from error


def _lost() -> RankError:
    store, fix = _Group.store, "See what happened there; distill status says how to go on."
    assert store is not None
    gone: list[int] = []
    try:
        store.set(f"left/{rank()}", "1")
        for other in range(world_size()):
            try:
                store.wait([f"left/{other}"], timedelta(seconds=ASKED_S))
            except RuntimeError:
                store.check([f"left/{rank()}"])  # fails as well where it is the store that is gone
                gone.append(other)
    except RuntimeError:  # the first rank keeps the store
        gone = [0]
    named = " and ".join(f"rank {one} of {world_size()} ({_Group.addresses[one]})" for one in gone)
    return RankError(f"The training lost {named or 'the connection between its ranks'}.", fix)
