"""Memory that a trial takes: of the host by the kernel's books, of the device by torch's.

Pages that a trainer and its workers share are counted once: the proportional set size divides each among those who
have it mapped (proc_pid_smaps(5)).
"""

import multiprocessing
import os
from pathlib import Path

import psutil


def host_bytes() -> int:
    """Proportional set size of this process and its loader workers; their resident sets where it can't be read."""
    workers = [child.pid for child in multiprocessing.active_children() if child.pid is not None]
    return sum(_process_bytes(pid) for pid in (os.getpid(), *workers))


def _process_bytes(pid: int) -> int:
    """Of one process; 0 where it has ended."""
    size = proportional_bytes(pid)
    if size is not None:
        return size
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def proportional_bytes(pid: int) -> int | None:
    """Proportional set size of a process; None where the kernel does not tell (before Linux 4.14, hardened ones)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), None)
