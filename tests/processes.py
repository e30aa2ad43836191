"""Processes of tests: ended at a chosen call, and ended all, also those that have not yet said that they are there."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

ENDED = 9
"""Exit code of a process that came to its chosen call."""


def kill_all_of(runs: Path) -> None:
    """Kill every process whose command line names a runs folder, until none is left."""
    while found := [one for one in psutil.process_iter(["cmdline"]) if str(runs) in (one.info["cmdline"] or [])]:
        for one in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(found, timeout=10)


_TRAINER = """
import ctypes, sys, threading, time
from pathlib import Path
from trainer.process import RunLock
lock = RunLock(Path(sys.argv[1]), sys.argv[2])
threading.Thread(target=time.sleep, args=(600,)).start()
print("held", flush=True)
sys.stdin.readline()
ctypes.CDLL(None).pthread_exit(None)
"""


@contextlib.contextmanager
def trainer_of(runs: Path, run_id: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds a run's lock, as its trainer would; it is killed at the end of the block."""
    command = [sys.executable, "-c", _TRAINER, str(runs), run_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def end_first_thread(process: "subprocess.Popen[str]") -> None:
    """End the first thread of such a process alone.

    Every trainer with threads is so for a moment when it is killed: the kernel calls it a zombie, and it has its lock
    until its last thread has given back its memory.
    """
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)


def until(condition: Callable[[], object], *, seconds: float = 90.0, every: float = 0.01) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(every)


def finishes(prepare: Callable[[], Callable[[], object]], number: int, touches: Callable[[str, str], bool]) -> bool:
    """Do something in a fork that ends at its n-th call of a kind; whether it was done before it came to that.

    Args:
        prepare: opens in the fork what is needed and gives what is to be done; its own calls don't count.
        number: of the call, from 1.
        touches: told an audit event (docs.python.org/3/library/audit_events.html) with its first argument: whether it
            counts.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            left = [number]

            def end(event: str, arguments: tuple[Any, ...]) -> None:
                if touches(event, str(arguments[0]) if arguments else ""):
                    left[0] -= 1
                    if not left[0]:
                        os._exit(ENDED)

            work = prepare()
            sys.addaudithook(end)
            work()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, ENDED)
    return code == 0
