"""What Linux tells in /proc and prctl(2), found out by psutil and the C library where there are none, as on macOS."""

import functools
import os
import re
import threading
import time
from pathlib import Path

PROC = Path("/proc")
_LOOK_SECONDS = 0.5
_BOOT = b"kern.bootsessionuuid"
_LETTERS = {"running": "R", "sleeping": "S", "disk-sleep": "D", "stopped": "T", "tracing-stop": "t", "zombie": "Z"}
"""The letters of proc_pid_stat(5) for psutil's words."""


@functools.cache
def has_proc() -> bool:
    """Whether the kernel tells of processes in files."""
    return (PROC / "self" / "stat").exists()


def available_cores() -> int:
    """CPU cores that this process may use; all of the machine where nobody can be kept to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def boot_id() -> str:
    """What tells this boot from others: the kernel's own id on macOS (sysctl(3)), else the time of it."""
    import ctypes  # here: every command loads this module, and none needs this on Linux

    ask = getattr(ctypes.CDLL(None), "sysctlbyname", None)
    if ask is not None:
        found, length = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
        if ask(_BOOT, found, ctypes.byref(length), None, ctypes.c_size_t(0)) == 0:
            return found.value.decode()
    import psutil

    return f"booted {psutil.boot_time():.0f}"


def start_ticks(pid: int) -> int | None:
    """Hundredths of a second at which a live process began, or None where there is none (or only its zombie)."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else round(process.create_time() * 100)
    except psutil.Error:
        return None


def state(pid: int) -> str | None:
    """The letter of a process's state, or None where there is none."""
    import psutil

    try:
        return _LETTERS.get(psutil.Process(pid).status(), "S")
    except psutil.Error:
        return None


def command_line(pid: int) -> list[str]:
    """The words that a process was started with, none where they are not told."""
    import psutil

    try:
        return list(psutil.Process(pid).cmdline())
    except psutil.Error:
        return []


def descendants(pid: int) -> dict[int, int]:
    """The children of a process, and theirs, each with its `start_ticks`."""
    import psutil

    try:
        found = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return {}
    return {child.pid: ticks for child in found if (ticks := start_ticks(child.pid)) is not None}


def owner(pid: int) -> str | None:
    """The name of the user whose process it is, the number where that has none; None where that is not told."""
    import psutil

    try:
        return str(psutil.Process(pid).username())
    except psutil.Error:
        return None


def memory_of_machine() -> tuple[int, int]:
    """Bytes of memory that can still be had, and that the machine has."""
    if has_proc():
        fields = dict(re.findall(r"^(\w+):\s+(\d+) kB", (PROC / "meminfo").read_text(), re.MULTILINE))
        return 1024 * int(fields["MemAvailable"]), 1024 * int(fields["MemTotal"])
    import psutil

    found = psutil.virtual_memory()
    return found.available, found.total


def memory_bytes() -> dict[str, int]:
    """The sizes of this process by the names of proc_pid_status(5), as far as there are such."""
    import resource

    import psutil

    now = psutil.Process().memory_info()
    peak = max(now.rss, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # in bytes on macOS
    return {"VmRSS": now.rss, "VmHWM": peak, "VmSize": now.vms, "VmPeak": now.vms}


class ParentWatch:
    """Ends this process once its parent has, from a thread that looks; the kernel does it where it can (prctl(2))."""

    def __init__(self) -> None:
        """Nothing is watched yet."""
        self._parent = os.getppid()
        self._is_wanted = False
        self._thread: threading.Thread | None = None

    def want(self, is_wanted: bool) -> None:
        """End with the parent from here on, or no longer."""
        self._is_wanted = is_wanted
        if is_wanted and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="parent-watch", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while os.getppid() == self._parent or not self._is_wanted:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)


@functools.cache
def parent_watch() -> ParentWatch:
    """The one of this process."""
    return ParentWatch()
