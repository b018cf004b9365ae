"""Identifies the process that trains, so that another can tell whether it is still alive.

A number alone does not tell: after a crash the system soon gives it to another process. So the moment at which the process
began is noted beside it, in whatever words the system has for it.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FIRST_NAMESPACE = "pid:[4026531836]"
"""Linux' number for the processes of the computer itself (``PROC_PID_INIT_INO``)."""
_ZONE = " UTC"


def this_process() -> dict[str, Any]:
    """What tells this process from all others, as :func:`process_of`."""
    return process_of(os.getpid())


def process_of(pid: int) -> dict[str, Any]:
    """What tells a process of this computer from all others: ``host``, ``pid`` and ``began``."""
    return {"host": host(), "pid": pid, "began": began(pid)}


def host() -> str:
    """Says among which processes a number is one: those of this computer, or of this container, which sees no others."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux, or it shows none
        return platform.node()
    return platform.node() if namespace == _FIRST_NAMESPACE else f"{platform.node()} {namespace}"


def lives(process: Mapping[str, Any] | None) -> bool | None:
    """Whether a process noted by :func:`this_process` still runs; None where that cannot be known.

    It cannot be known of a process on another computer or in another container, of one that nothing was noted of, or that an
    earlier version noted by the clock of the place it was in.
    """
    if process is None or process.get("host") != host():
        return None
    pid, told = process.get("pid"), process.get("began")
    now = began(pid) if isinstance(pid, int) and pid > 0 else None
    if now is not None and now.endswith(_ZONE) and not str(told).endswith(_ZONE):
        return None
    return told == now is not None


def began(pid: int) -> str | None:
    """When a process began, in the system's own words; None if there is no such process, or it has ended."""
    if sys.platform == "win32":
        return _began_on_windows(pid)
    if sys.platform == "linux":
        return _began_on_linux(pid)
    # Else it says so in the language and the time zone of whoever asks.
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
    ).stdout.strip()
    return f"{told}{_ZONE}" if told else None


def _began_on_linux(pid: int) -> str | None:
    try:
        # PID (NAME) STATE ...: the name may hold blanks and brackets; the 22nd field is the start in ticks since the boot.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, ValueError):  # gone, or going
        return None
    return None if state in "ZX" else f"{boot} {fields[18]}"


def _began_on_windows(pid: int) -> str | None:
    if sys.platform != "win32":
        return None
    import ctypes
    from ctypes import wintypes

    kernel, limited, still_active = ctypes.windll.kernel32, 0x1000, 259  # names of the Windows API, in capitals there
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = wintypes.HANDLE(kernel.OpenProcess(limited, False, pid))
    if not handle:
        return None
    times, code = [wintypes.FILETIME() for _ in range(4)], wintypes.DWORD()
    is_known = kernel.GetProcessTimes(handle, *(ctypes.byref(moment) for moment in times))
    is_known = kernel.GetExitCodeProcess(handle, ctypes.byref(code)) and is_known
    kernel.CloseHandle(handle)
    created = (times[0].dwHighDateTime << 32) + times[0].dwLowDateTime
    return str(created) if is_known and code.value == still_active else None
