"""In how many processes training runs, and how they find each other.

    started directly    --devices N starts N - 1 more of the same command; --nodes M: once on every machine, with
                        MASTER_ADDR, MASTER_PORT and NODE_RANK in the environment
    torchrun, Slurm     have started all of them; their environment says which this one is

All of them meet at the first one's address before anything else; who does not come is named. The first does what it would do
alone; the others wait for trainings to take part in (``follow.py``).
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.distributed_c10d import PrefixStore, Store

from distill.counted import counted
from distill.errors import DeviceError, DistillError, RankError, SettingError
from distill.models import ranks
from distill.training.device import choose_device

JOIN_S = 120.0
"""Seconds a rank may take to join: machines of a cluster do not start at once, and importing PyTorch is slow."""
STEP_S = 600.0
"""Seconds a rank may take for what all do together. A step takes seconds at most, and so does a validation."""
_BYE_S = 60.0
_LOOK_S = 0.1
_STARTED_AS = "DISTILL_LOCAL_RANK"
"""In the environment of a process that the first one of its machine has started: which of them it is. It is known by this
alone, as other programs leave a LOCAL_RANK behind."""


@dataclass(frozen=True)
class Place:
    """Which of the processes this one is."""

    rank: int
    size: int
    local_rank: int
    address: str
    """Host and port of the first."""
    is_started: bool
    """Whether something else (torchrun, Slurm, the first process) has started all of them."""
    local_size: int = 1
    """How many of them are on this machine."""
    starter: str = ""
    """``torchrun`` or ``Slurm``, where one of them has."""


@contextmanager
def together(device: str = "auto", devices: int = 1, nodes: int = 1, strategy: str = "auto") -> Iterator[bool]:
    """While the block lasts all processes of a training work together; gives whether this one is to lead.

    Where it does not, it has already followed to the end.

    Args:
        devices: on each machine.
        strategy: ``ddp`` makes a group of ranks even of one; ``auto`` does so where there are several.

    Raises:
        DeviceError: if there are not so many devices.
        RankError: if a rank does not come.
        SettingError: if another number of processes was started.
    """
    place = find_place(devices, nodes)
    kind = choose_device(device).type
    if place.size == 1 and strategy == "auto":
        yield True
        return
    device_index = find_device(kind, place)
    with _environment_kept(), _ended([] if place.is_started else _start_others(place, devices)) as children:
        store, addresses = _met(place)
        if kind == "cuda":
            torch.cuda.set_device(device_index)
        else:
            torch.set_num_threads(max(1, torch.get_num_threads() // place.local_size))
        backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
        timeout = timedelta(seconds=STEP_S)
        dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.size, timeout=timeout)
        try:
            asked: dict[str, int | str] = {"devices": devices, "nodes": nodes, "strategy": str(strategy)}
            with ranks.joined(store, addresses, device_index, asked):
                if place.rank == 0:
                    try:
                        yield True
                    finally:
                        with _said_if_not("The other ranks were not told that it is over"):
                            ranks.give_order("end")
                    ranks.wait_for_goodbyes(_BYE_S)
                    _wait_for(children)
                else:
                    _follow(place)
                    _wait_for(children)
                    yield False
        finally:
            with _said_if_not("The group of ranks was not closed"):
                dist.destroy_process_group()


def find_place(devices: int, nodes: int) -> Place:
    """Which process this one is, by the environment; a process that stands alone is the first of ``devices · nodes``.

    Raises:
        SettingError: if torchrun or Slurm started another number of them than was asked for.
    """
    from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    wanted = devices * nodes
    if TorchElasticEnvironment.detect():
        found = TorchElasticEnvironment()
        beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        who = found.global_rank(), found.world_size(), found.local_rank(), _address(os.environ)
        return _checked(Place(*who, True, beside, "torchrun"), wanted)
    if SLURMEnvironment.detect() and int(os.environ["SLURM_NTASKS"]) > 1:
        try:
            slurm = SLURMEnvironment(auto_requeue=False)
        except RuntimeError as error:  # it looks for settings that Slurm would not follow
            raise SettingError(f"Slurm's settings do not fit: {error}", "Correct the batch script.") from error
        beside = int(os.environ["SLURM_NTASKS_PER_NODE"])
        who = slurm.global_rank(), slurm.world_size(), slurm.local_rank(), f"{slurm.main_address}:{slurm.main_port}"
        return _checked(Place(*who, True, beside, "Slurm"), wanted)
    is_started = _STARTED_AS in os.environ
    # On one machine the first process needs to be told nothing: what stands there was left by another program.
    told: Mapping[str, str] = os.environ if nodes > 1 or is_started else {}
    needed = [name for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if nodes > 1 and name not in told]
    if needed:
        raise SettingError(
            f"--nodes {nodes} needs to know where the first machine is and which one this is: "
            f"not in the environment: {', '.join(needed)}.",
            "Set MASTER_ADDR, MASTER_PORT and NODE_RANK on every machine, or start it with torchrun or Slurm.",
        )
    node, local_rank = _index("NODE_RANK", nodes), _index(_STARTED_AS, devices)
    return Place(node * devices + local_rank, wanted, local_rank, _address(told), is_started, devices)


def _address(told: Mapping[str, str]) -> str:
    return f"{told.get('MASTER_ADDR', '127.0.0.1')}:{told.get('MASTER_PORT', _free_port())}"


def _index(name: str, count: int) -> int:
    """Which of ``count`` machines or devices this is; of one the first, whatever another program left in the environment."""
    return _from_environment(name, os.environ.get(name, "0"), 0, count - 1) if count > 1 else 0


def _from_environment(name: str, value: str, least: int, most: int) -> int:
    if not value.isdecimal() or not least <= int(value) <= most:
        raise SettingError(
            f"{name} in the environment is {value!r}, and must be a whole number from {least} to {most}.",
            f"Correct {name}, or start it with torchrun or Slurm, which set it.",
        )
    return int(value)


def _checked(place: Place, wanted: int) -> Place:
    if wanted not in (1, place.size):
        raise SettingError(
            f"{place.starter} started {place.size} processes, and --devices and --nodes ask for {wanted}.",
            "Make both the same, or leave out --devices and --nodes.",
        )
    return place


def find_device(kind: str, place: Place) -> int:
    """Which of the devices of this kind that a process sees is its own: that of its place, or the only one where Slurm shows
    each process another GPU (``--gpus-per-task 1``).

    Raises:
        DeviceError: if there are not so many, with what there is.
    """
    there = {"cuda": torch.cuda.device_count, "mps": lambda: 1, "cpu": lambda: os.cpu_count() or 1}[kind]()
    if kind == "cuda" and there == 1 and place.starter == "Slurm":
        return 0
    found = counted(there, {"cuda": "CUDA device", "mps": "MPS device", "cpu": "processor core"}[kind])
    elsewhere = ", or --device cuda where there are GPUs." if kind == "cpu" else "."
    if not place.starter and place.local_size > there:
        raise DeviceError(
            f"--devices {place.local_size} are more than this machine has: {found}.",
            f"Use --devices {there} or fewer{elsewhere}",
        )
    if place.local_rank >= there:
        raise DeviceError(
            f"Process {place.local_rank + 1} of this machine finds {found}.",
            f"Have {place.starter} start {there} or fewer on each machine{elsewhere}",
        )
    return place.local_rank


@contextmanager
def _said_if_not(words: str) -> Iterator[None]:
    """Warns where the block fails: where a rank is lost it does, and what went wrong first matters more."""
    try:
        yield
    except RuntimeError as error:
        ranks.warn(f"{words}: {error}")


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Restores the environment after the block: what the same program starts later is no part of this training."""
    before = {name: os.environ.get(name) for name in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK")}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start_others(place: Place, devices: int) -> "list[subprocess.Popen[bytes]]":
    """Starts this command once more for every other device of this machine."""
    host, _, port = place.address.rpartition(":")
    os.environ.update({"MASTER_ADDR": host, "MASTER_PORT": port, "LOCAL_RANK": "0"})
    started: list[subprocess.Popen[bytes]] = []
    try:
        for local_rank in range(1, devices):
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "distill", *sys.argv[1:]],
                env={**os.environ, "LOCAL_RANK": str(local_rank), _STARTED_AS: str(local_rank)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            started.append(process)
    except OSError:  # no room for another: the first ones would wait for it
        for process in started:
            process.kill()
        raise
    return started


def _met(place: Place) -> tuple[Store, list[str]]:
    """The store that all reach, and the address of every rank; all are there then."""
    host, _, given = place.address.rpartition(":")
    port, until = _from_environment("MASTER_PORT", given, 1, 65535), time.monotonic() + JOIN_S
    is_host = place.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    if is_host:
        _check_free(port)
    else:
        _reach(host, port, until)
    try:
        patience = timedelta(seconds=JOIN_S)
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # torchrun keeps one store for all of them
        store: Store = PrefixStore(
            f"distill/{attempt}",
            # PyTorch for Windows is built without libuv, and asks for it all the same.
            TCPStore(host, port, None, is_host, patience, wait_for_workers=False, use_libuv=sys.platform != "win32"),
        )
        store.set(f"here/{place.rank}", ranks.own_address())
        names = [f"here/{rank}" for rank in range(place.size)]
        while not store.check(names):  # not store.wait, during which Ctrl-C would do nothing
            if time.monotonic() > until:
                raise _not_come(place, store, names)
            time.sleep(_LOOK_S)
        return store, [store.get(name).decode() for name in names]
    except RuntimeError as error:
        raise _unreached(place.address) from error


def _check_free(port: int) -> None:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("", port))
        except OSError as error:
            raise RankError(
                f"The first rank cannot listen on port {port} of this machine ({error.strerror}).",
                "Another training may use it: choose another MASTER_PORT. Only the first machine has NODE_RANK=0.",
            ) from error


def _reach(host: str, port: int, until: float) -> None:
    """Waits for the first rank to listen. PyTorch would wait twice as long, and Ctrl-C would do nothing meanwhile."""
    while True:
        try:
            socket.create_connection((host, port), timeout=max(_LOOK_S, until - time.monotonic())).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise _unreached(f"{host}:{port}", error.strerror) from error
        time.sleep(_LOOK_S)


def _unreached(address: str, why: str | None = None) -> RankError:
    return RankError(
        f"The first rank cannot be reached at {address} (tried for {JOIN_S:.0f} s{f'; {why}' if why else ''}).",
        "See whether the same command runs there, and whether its port can be reached from here.",
    )


def _not_come(place: Place, store: Store, names: list[str]) -> RankError:
    missing = [str(number) for number, name in enumerate(names) if not store.check([name])]
    return RankError(
        f"Rank {', '.join(missing)} of {place.size} did not come to {place.address} within {JOIN_S:.0f} s.",
        f"Start the same command for every rank. Those present: "
        f"{'; '.join(store.get(name).decode() for name in names if store.check([name]))}.",
    )


def _follow(place: Place) -> None:
    from distill.training.follow import follow

    # Ctrl-C and a request to end are for the first, which tells the others.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        follow()
    except DistillError as error:
        ranks.say_why_gone(error.what)
        raise type(error)(f"Rank {place.rank} ({ranks.own_address()}): {error.what}", error.fix) from error


@contextmanager
def _ended(children: "list[subprocess.Popen[bytes]]") -> "Iterator[list[subprocess.Popen[bytes]]]":
    """Whatever happens, no process that was started here is left."""
    try:
        yield children
    finally:
        for one in children:
            if one.poll() is None:
                one.kill()
            one.wait()


def _wait_for(children: "list[subprocess.Popen[bytes]]") -> None:
    until = time.monotonic() + _BYE_S
    for one in children:
        try:
            one.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            ranks.warn(f"Process {one.pid}, one of the ranks, did not end within {_BYE_S:.0f} s and is being stopped.")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
