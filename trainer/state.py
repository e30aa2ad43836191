"""The state of a run as people see it: derived, never just read.

It follows from the last lifecycle event and from whether the run's lock is held; for a run on another machine,
whose lock can't be asked for, from its heartbeat.
"""

import socket
import time
from pathlib import Path

from trainer.process import Identity, is_alive, lock_holder
from trainer.store.records import Run

STATES = (
    "queued",
    "starting",
    "running",
    "pausing",
    "paused",
    "stopping",
    "stopped",
    "finished",
    "failed",
    "interrupted",
    "stalled",
)
LIVE_STATES = frozenset({"starting", "running", "pausing", "stopping", "stalled"})
RESUMABLE_STATES = frozenset({"queued", "paused", "stopped", "failed", "interrupted"})

STALLED_SECONDS = 30.0
"""A live run without progress for so long, or for ten of its steps if that is longer, is shown as stalled."""

LAUNCH_SECONDS = 60.0
"""A trainer that was launched and holds no lock after so long did not come up."""

HEARTBEAT_SECONDS = 30.0
"""Silence after which a run on another machine is taken for dead."""


def run_state(run: Run, runs: Path, *, now: float | None = None) -> str:
    """One of STATES. Reads the run's row and asks for its lock.

    Args:
        run: the row.
        runs: the runs folder.
        now: UTC seconds, by default the clock's.
    """
    now = time.time() if now is None else now
    if run.lifecycle == "created":
        return "queued"
    if run.lifecycle in ("launched", "started", "resumed"):
        if _is_held(run, runs, now):
            return _live_state(run, now)
        return "starting" if run.lifecycle == "launched" and _coming_up(run, now) else "interrupted"
    return run.lifecycle


def _is_held(run: Run, runs: Path, now: float) -> bool:
    if run.host in (None, socket.gethostname()):
        return lock_holder(runs, run.id) is not None
    # A run that was just resumed has the heartbeat of the trainer before.
    return now - max(run.alive_at or 0.0, run.lifecycle_at) < HEARTBEAT_SECONDS


def _coming_up(run: Run, now: float) -> bool:
    """Whether the launched trainer has yet to take its lock (importing torch takes seconds)."""
    if now - run.lifecycle_at > LAUNCH_SECONDS:
        return False
    if run.pid is None:  # between the event and the process
        return now - run.lifecycle_at < STALLED_SECONDS
    assert run.host is not None
    assert run.boot_id is not None
    assert run.start_ticks is not None
    return is_alive(Identity(host=run.host, boot_id=run.boot_id, pid=run.pid, start_ticks=run.start_ticks))


def _live_state(run: Run, now: float) -> str:
    if run.pending_command in ("pause", "stop"):
        return "pausing" if run.pending_command == "pause" else "stopping"
    if run.progress_at is None or run.progress_at < run.lifecycle_at:
        return "starting"
    step_seconds = (run.trained_seconds or 0.0) / (run.step or 1)
    return "stalled" if now - run.progress_at > max(STALLED_SECONDS, 10 * step_seconds) else "running"
