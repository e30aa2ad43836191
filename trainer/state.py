"""The state of a run as people see it: derived, never just read.

It follows from the last lifecycle event and from whether the run's lock is held; for a run on another machine,
whose lock can't be asked for, from its heartbeat.
"""

import socket
import time
from pathlib import Path

from trainer.proc import is_stopped
from trainer.process import Identity, is_alive, lock_holder
from trainer.store.records import SUBMITTED, Run

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
"""A live run without progress for so long, or for ten of its steps if that is longer, is shown as stalled. Whatever it
is at counts as progress: a step, a batch that is scored, a file that is read, a checkpoint."""

STARTING_SECONDS = 300.0
"""The same while it starts, when nothing can be told: importing torch from a cold network disk takes minutes."""

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
    if run.lifecycle in ("created", SUBMITTED):
        return "queued"
    if run.lifecycle in ("launched", "queued", "started", "resumed"):
        holder = lock_holder(runs, run.id) if _is_here(run) else None
        if holder is not None or (not _is_here(run) and _has_heartbeat(run, now)):
            return _live_state(run, now, stopped=holder is not None and is_stopped(holder))
        return "starting" if run.lifecycle == "launched" and _coming_up(run, now) else "interrupted"
    return run.lifecycle


def was_stopped(run: Run, runs: Path) -> bool:
    """Whether a run's trainer is on this machine and was stopped (SIGSTOP). Asks for the run's lock."""
    holder = lock_holder(runs, run.id) if _is_here(run) else None
    return holder is not None and is_stopped(holder)


def _is_here(run: Run) -> bool:
    return run.host in (None, socket.gethostname())


def _has_heartbeat(run: Run, now: float) -> bool:
    # A run that was just resumed has the heartbeat of the trainer before, and beats only once torch is imported.
    patience = STARTING_SECONDS if run.phase == "starting" else HEARTBEAT_SECONDS
    return now - max(run.alive_at or 0.0, run.lifecycle_at) < patience


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


def _live_state(run: Run, now: float, *, stopped: bool) -> str:
    """Of a run whose trainer lives.

    Args:
        run: the row.
        now: UTC seconds.
        stopped: its process was stopped (SIGSTOP), so it can't get on until it is let go (SIGCONT).
    """
    if stopped or silent_seconds(run, now) > allowed_silence_seconds(run):
        return "stalled"
    if run.pending_command in ("pause", "stop"):
        return "pausing" if run.pending_command == "pause" else "stopping"
    if run.lifecycle == "queued":
        return "queued"
    return "starting" if _is_starting(run) else "running"


def silent_seconds(run: Run, now: float) -> float:
    """Seconds since a live run last got on; waiting for its device or for space on the disk is no silence."""
    if run.phase == "waiting" or run.lifecycle == "queued":
        return 0.0
    return now - max(run.progress_at or 0.0, run.lifecycle_at)


def allowed_silence_seconds(run: Run) -> float:
    """Silence after which a live run is shown as stalled."""
    if run.phase == "starting" or (run.phase is None and _is_starting(run)):
        return STARTING_SECONDS
    return max(STALLED_SECONDS, 10 * (run.step_seconds or (run.trained_seconds or 0.0) / (run.step or 1)))


def _is_starting(run: Run) -> bool:
    has_moved = run.progress_at is not None and run.progress_at >= run.lifecycle_at
    loads_again = run.kind == "benchmark" and bool(run.step)  # each turn of a benchmark begins with loading
    return not has_moved or run.phase == "starting" or (run.phase == "loading" and not loads_again)
