"""Signals at random instants, each followed by a resume, until so many have hit a live trainer."""

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.same import differing
from tests.reliability.trainers import Trainer, newest_run, options, run_to_end, until
from trainer import checkpoint
from trainer.paths import checkpoint_dir
from trainer.store import StoreReader

LINE = options(epochs="6", checkpoint_seconds="0.1", knn_every="2", validate_every="3", health_every="0")
"""48 steps; with so many checkpoints a good part of the instants falls into one."""

_LATEST_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Way:
    """A signal and what has to come of it."""

    number: int
    exit_code: int
    arguments: tuple[str, ...] = ()
    killed: bool = False
    """The trainer goes on, so it is ended by kill -9 once it has saved: what it saved must do."""


WAYS = {
    "SIGTERM": Way(signal.SIGTERM, 143),
    "SIGINT": Way(signal.SIGINT, 130),
    "SIGUSR1 to be queued again": Way(signal.SIGUSR1, 75, ("--requeue",)),
    "SIGUSR1 and then kill -9": Way(signal.SIGUSR1, -signal.SIGKILL, killed=True),
}


def faults(folder: Path, way: Way, instants: int, draw: random.Random, control: str = "") -> list[str]:
    """Send a signal at so many random instants, resume after each, and say everything that was not as promised.

    Args:
        folder: an empty one, for the runs.
        way: the signal.
        instants: that have to hit a live trainer; a run that has finished is compared and followed by a new one.
        draw: what the instants come from.
        control: breaks each trainer that is sent a signal.
    """
    calm, runs = folder / "calm", folder / "runs"
    reference = (calm, run_to_end(calm, *LINE))
    found: list[str] = []
    hits = 0
    while hits < instants:
        run_id = ""
        while hits < instants:
            trainer = Trainer(runs, *(("--run", run_id) if run_id else LINE), *way.arguments, control=control)
            run_id = _claimed(runs, trainer, run_id)
            said = _send(runs, run_id, trainer, way, draw)
            if said is None:
                break
            hits += 1
            found += said
        last = Trainer(runs, "--run", run_id)
        if last.wait() != 0:
            return [*found, f"the run can't be resumed: {last.said()}"]
        found += differing((runs, run_id), reference)
    return found


def _claimed(runs: Path, trainer: Trainer, run_id: str) -> str:
    """Wait until the trainer has taken up the run; its id."""

    def claimed() -> bool:
        if trainer.process.exitcode is not None:
            return True
        if not (runs / "runs.db").exists():
            return False
        reader = StoreReader.open(runs)
        try:
            return any(run.pid == trainer.pid for run in (reader.runs() if reader.schema_version() else ()))
        finally:
            reader.close()

    until(claimed, every=0.005)
    return run_id or newest_run(runs)


def _send(runs: Path, run_id: str, trainer: Trainer, way: Way, draw: random.Random) -> list[str] | None:
    """Send the signal at a random instant; what was wrong, or None where the run had ended before."""
    reader = StoreReader.open(runs)
    folder = checkpoint_dir(runs, run_id)
    try:
        if draw.random() < 0.5:  # else in the middle of starting
            before = checkpoint.steps_on_disk(folder)
            until(lambda: checkpoint.steps_on_disk(folder) != before or trainer.process.exitcode is not None)
        time.sleep(draw.uniform(0.0, _LATEST_SECONDS))
        with contextlib.suppress(ProcessLookupError):  # it has finished
            os.kill(trainer.pid, way.number)
        if way.killed:
            time.sleep(draw.uniform(0.0, _LATEST_SECONDS))
            trainer.process.kill()
        code = trainer.wait()
        if code == 0:
            return None
        run = reader.run(run_id)
        if way.killed:
            return [] if code == way.exit_code else [f"exit code {code}"]
        found = [] if code == way.exit_code else [f"exit code {code} instead of {way.exit_code}"]
        if (run.lifecycle, run.exit_code) != ("interrupted", way.exit_code):
            found.append(f"recorded as {run.lifecycle} with {run.exit_code}")
        saved = checkpoint.steps_on_disk(folder)
        if (saved[0] if saved else 0) < reader.last_step(run_id):
            found.append(f"step {reader.last_step(run_id)} was taken and only {saved[:1]} saved")
        return found
    finally:
        reader.close()
