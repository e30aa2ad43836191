"""Ends what a test has started, also what has not yet said that it is there."""

import contextlib
from pathlib import Path

import psutil


def kill_all_of(runs: Path) -> None:
    """Kill every process whose command line names a runs folder, until none is left."""
    while found := [one for one in psutil.process_iter(["cmdline"]) if str(runs) in (one.info["cmdline"] or [])]:
        for one in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(found, timeout=10)
