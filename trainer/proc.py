"""What the kernel tells of processes (proc_pid_stat(5), proc_pid_status(5)): stopped, related, listening."""

import os
import signal

from trainer import elsewhere
from trainer.process import start_ticks

_PR_SET_PDEATHSIG = 1


def die_with_parent(*, is_wanted: bool = True) -> None:
    """Have the kernel kill this process when the thread that began it ends (prctl(2)); or no longer."""
    import ctypes  # here: every command loads this module, and none calls this

    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        elsewhere.parent_watch().want(is_wanted)
    else:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL if is_wanted else 0)


def state(pid: int) -> str | None:
    """The letter of a process's state, such as R, S, D, T (stopped) or Z, or None where there is none."""
    if not elsewhere.has_proc():
        return elsewhere.state(pid)
    after_name = _after_name(pid)
    return after_name[0] if after_name else None


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped (SIGSTOP, Ctrl-Z) or is held by a debugger, so that it can't get on."""
    return state(pid) in ("T", "t")


def command_line(pid: int) -> list[str]:
    """The words that a process was started with; none where there is no such process or it is not told."""
    if not elsewhere.has_proc():
        return elsewhere.command_line(pid)
    try:
        said = (elsewhere.PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return os.fsdecode(said).removesuffix("\0").split("\0") if said else []


def session(pid: int) -> int | None:
    """The session of a process, or None where there is none."""
    fields = _after_name(pid)
    return int(fields[3]) if fields else None


def descendants(pid: int) -> dict[int, int]:
    """The children of a process, and theirs: process id → start in clock ticks, by which it is known again."""
    if not elsewhere.has_proc():
        return elsewhere.descendants(pid)
    children: dict[int, list[int]] = {}
    for entry in elsewhere.PROC.iterdir():
        if entry.name.isdigit() and (fields := _after_name(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: dict[int, int] = {}
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            started = start_ticks(child)
            if started is not None and child not in found:
                found[child] = started
                waiting.append(child)
    return found


def catches(pid: int, number: int) -> bool:
    """Whether a process is known to have a handler for a signal, so that sending it does not end the process."""
    try:
        lines = (elsewhere.PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return False
    mask = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    return bool(int(mask, 16) >> (number - 1) & 1)


def _after_name(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; a program's name may hold spaces and brackets."""
    try:
        return (elsewhere.PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
