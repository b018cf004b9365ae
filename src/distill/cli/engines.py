"""Where a sweep's trainings run: in processes of this machine, or as tasks of a Ray cluster.

Both run the same ``distill`` commands. On a cluster every machine has Distill installed and sees the recordings and the folder
for the models at the same place, as on a shared disk; Ray says which machine is free.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from distill.complaints import MARK
from distill.errors import SettingError
from distill.files.installing import installing_extra
from distill.files.process import lives, this_process

Ended = tuple[int, str, str]
"""A command's exit status and what it wrote to stdout and stderr."""
_PATIENCE_S = 10.0
_COMMAND = ("-P", "-m", "distill")
_ENDS_WITH = "DISTILL_ENDS_WITH"
"""What a process that a sweep has started finds in its environment: which process the sweep is."""
_LOOK_S = 1.0
Engine = Callable[[list[str]], Ended]


CAN_ASK = os.name != "nt"
"""Whether a process can be asked to end. On Windows it can only be killed; what Ctrl-C does, it does to all of a terminal."""
_started: "set[subprocess.Popen[str]]" = set()
"""What runs on this machine now."""
_tasks: set[Any] = set()
"""What has been begun on a Ray cluster."""


def here(words: list[str]) -> Ended:
    """Runs ``distill`` with these words in a process of its own, to its end."""
    with subprocess.Popen(
        [sys.executable, *_COMMAND, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", _ENDS_WITH: json.dumps(this_process())},
    ) as process:
        _started.add(process)
        try:
            out, err = process.communicate()
        finally:
            _started.discard(process)
    return process.returncode, out, err


def end_with_sweep() -> None:
    """Where a sweep has started this process: asks it to end once the sweep is gone, which could not ask if it was killed."""
    told = os.environ.pop(_ENDS_WITH, None)
    if told is not None:
        threading.Thread(target=_watch, args=(json.loads(told),), daemon=True).start()


def _watch(process: Mapping[str, Any]) -> None:
    while lives(process) is not False:
        time.sleep(_LOOK_S)
    signal.raise_signal(signal.SIGTERM)


def end_all() -> None:
    """Asks what runs on this machine to end; a training keeps what it has learned so far. What runs on a cluster is ended."""
    for process in tuple(_started):
        process.terminate()
    for task in tuple(_tasks):
        import ray

        # Only force ends a task that waits for a process, and the training in that process ends with it.
        ray.cancel(task, force=True)


@contextmanager
def on_ray(address: str, device: str) -> Iterator[Engine]:
    """While the block lasts the commands run on a Ray cluster, each with a core, and with a GPU where one is wanted and there.

    What still runs when the block is left is ended by Ray.

    Args:
        address: as Ray knows it: ``HOST:PORT`` of its first machine, ``auto`` for the one that runs on this machine, or
            ``local`` to start one here.

    Raises:
        SettingError: if Ray is not installed, or no cluster answers there.
    """
    try:
        import ray
    except ImportError as error:
        raise SettingError(
            "--ray needs Ray, which is not installed.", f"Install it with: {installing_extra('ray')}"
        ) from error
    _look_for(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what begins here would tell Ray's makers of its use
    dashboard = False if address == "local" else None
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, include_dashboard=dashboard)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise _no_cluster(address, str(error).partition("\n")[0] or type(error).__name__) from error
    try:
        wants_gpu = device in ("auto", "cuda") and ray.cluster_resources().get("GPU", 0) > 0
        task: Any = ray.remote(num_cpus=1, num_gpus=int(wants_gpu), max_retries=0)(here)
        yield lambda words: _ended(task, words)
    finally:
        ray.shutdown()


def _look_for(address: str) -> None:
    """Ray itself tries for a minute before it gives up."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()
        except OSError as error:
            raise _no_cluster(address, error.strerror or str(error)) from error


def _no_cluster(address: str, why: str) -> SettingError:
    return SettingError(
        f"No Ray cluster answers at {address}: {why}.",
        "Start one with: ray start --head (on the first machine), or use --ray local.",
    )


def _ended(task: Any, words: list[str]) -> Ended:
    import ray

    begun = task.options(name=f"distill {words[0]}").remote(words)
    _tasks.add(begun)
    try:
        code, out, err = ray.get(begun)
    except ray.exceptions.RayError as error:  # its machine went away, or ran out of memory
        return 1, "", f"{MARK}Ray could not finish it: {str(error).splitlines()[0]}{os.linesep}"
    finally:
        _tasks.discard(begun)
    return int(code), str(out), str(err)
