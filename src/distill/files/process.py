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


def this_process() -> dict[str, Any]:
    """What tells this process from all others: ``host``, ``pid`` and ``began``."""
    return {"host": platform.node(), "pid": os.getpid(), "began": began(os.getpid())}


def lives(process: Mapping[str, Any] | None) -> bool | None:
    """Whether a process noted by :func:`this_process` still runs; None where that cannot be known.

    It cannot be known of a process on another computer, or of one that nothing was noted of.
    """
    if process is None or process.get("host") != platform.node():
        return None
    pid = process.get("pid")
    return isinstance(pid, int) and pid > 0 and process.get("began") == began(pid) is not None


def began(pid: int) -> str | None:
    """When a process began, in the system's own words; None if there is no such process, or it has ended."""
    if sys.platform == "win32":
        return _began_on_windows(pid)
    if sys.platform == "linux":
        return _began_on_linux(pid)
    told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip() or None


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
