"""Processes of tests: ended at a chosen call, and ended all, also those that have not yet said that they are there."""

import contextlib
import os
import sys
from collections.abc import Callable
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
