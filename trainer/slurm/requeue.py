"""`python -m trainer.slurm.requeue`: whether a run whose trainer has ended in its job goes back into Slurm's queue.

Called by the run's batch script. A run that saved because its time was up goes back, and one that was preempted: its
job would be over once it has ended by itself, before Slurm puts it back at the end of the GraceTime. One that a person
paused or cancelled, or that failed, does not, and neither does one that gets nowhere, which would take a machine again
and again.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing

from trainer.errors import ExitCode, StoreError, TrainerError
from trainer.paths import runs_dir, store_file
from trainer.slurm import cluster
from trainer.slurm.script import KILLED_BY_USR1
from trainer.slurm.submit import record
from trainer.state import LIVE_STATES, run_state
from trainer.store.records import SUBMITTED, Run
from trainer.store.runs import RunStore

FRUITLESS_REQUEUES = 2
"""Requeues in a row without a step of progress after which there is no further one."""

_MOST_EVENTS = 1000


def reason_to_end(
    run: Run, code: int, state: str, submitted_at: Sequence[int], step: int, *, is_preempted: bool = False
) -> str | None:
    """Why a run stays out of the queue, or None where it goes back. Pure.

    Args:
        run: its row, read after its trainer has ended.
        code: how that one ended, as srun gives it.
        state: one of trainer.state.STATES.
        submitted_at: the last step of the run at each time that Slurm got it, oldest first.
        step: its last step now.
        is_preempted: whether Slurm has taken the machine for another job.
    """
    if code == ExitCode.SIGTERM and not is_preempted:
        return "it was ended by SIGTERM, and not by a preemption"
    if code not in (ExitCode.TRY_AGAIN, KILLED_BY_USR1, ExitCode.SIGTERM):
        return f"it ended with code {code}"
    if state in LIVE_STATES:
        return f"another trainer has it ({run.host})"
    if state in ("paused", "stopped", "finished"):
        return f"it is {state}"
    if state == "failed" and run.exit_code != ExitCode.TRY_AGAIN:
        return "it failed"
    newest = submitted_at[-FRUITLESS_REQUEUES - 1 :]
    if len(newest) > FRUITLESS_REQUEUES and all(before >= step for before in newest):
        return f"{FRUITLESS_REQUEUES} requeues in a row made no step of progress; ask for more time"
    return None


def again(store: RunStore, run_id: str, code: int, job: str) -> int:
    """Put the run's job back into the queue, or say why not; the exit code of the job. Commits durably."""
    run = store.run(run_id)
    submitted_at = [
        event.step or 0 for event in store.events(run_id=run_id, limit=_MOST_EVENTS) if event.kind == SUBMITTED
    ]
    step = store.last_step(run_id)
    is_preempted = code == ExitCode.SIGTERM and cluster.is_preempted(job)
    reason = reason_to_end(run, code, run_state(run, store.runs_path), submitted_at, step, is_preempted=is_preempted)
    if reason is not None:
        _say(f"job {job} is not queued again, since {reason}; `simclr-tui resume {run_id} --slurm` goes on")
        return code
    # Recorded first, since Slurm may end this process with the job that it puts back.
    record(store, run, f"queued again by Slurm as job {job}, after step {step:,}")
    try:
        cluster.requeue(job)
    except TrainerError as error:
        sentence = f"Slurm did not queue job {job} again: {error}"
        store.lifecycle(run_id, "interrupted", sentence, level="warning", exit_code=code)
        _say(f"{sentence}; `simclr-tui resume {run_id} --slurm` submits it anew")
        return code
    _say(f"job {job} is queued again, after step {step:,}")
    return ExitCode.FINISHED


def main(arguments: Sequence[str] | None = None) -> int:
    """Decide for one run; the exit code that its job ends with."""
    parser = argparse.ArgumentParser(prog="python -m trainer.slurm.requeue", allow_abbrev=False)
    parser.add_argument("--runs-dir")
    parser.add_argument("--run", required=True, metavar="ID")
    parser.add_argument("--code", required=True, type=int, help="how the run's trainer ended")
    options = parser.parse_args(arguments)
    job = os.environ.get("SLURM_JOB_ID", "")
    try:
        if not job.isdecimal():
            _say("this is no job of Slurm (SLURM_JOB_ID is not set), so nothing is queued again")
            return int(options.code)
        runs = runs_dir(options.runs_dir)
        if not store_file(runs).exists():  # it would be made
            raise StoreError(f"--runs-dir: {runs} has no run store; name the folder that the run is in")
        with closing(RunStore.open(runs)) as store:
            return again(store, options.run, options.code, job)
    except TrainerError as error:
        _say(str(error))
        return int(options.code)


def _say(sentence: str) -> None:
    print(f"slurm: {sentence}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
