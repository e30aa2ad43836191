"""Submitting runs to Slurm, taking them back, and keeping others from starting what Slurm will start."""

import os
import time
from typing import Any

from trainer.durable import write_durably
from trainer.errors import StoreError, TrainerError, UsageError
from trainer.quote import printable
from trainer.slurm import cluster
from trainer.slurm.job import SlurmJob
from trainer.slurm.kept import Kept, keep, kept_of, script_file
from trainer.slurm.script import script
from trainer.startable import refuse_unstartable
from trainer.store.records import SUBMITTED, Run
from trainer.store.runs import RunStore

_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
_WITHIN_A_JOB = "SLURM_JOB_ID"


def check_cluster() -> None:
    """See that jobs can be submitted from here, before a run is made for it.

    Raises:
        UsageError: there is no sbatch.
    """
    if not cluster.has_slurm():
        raise UsageError(
            "--slurm: sbatch is not on the PATH; go to a machine of the cluster that has Slurm's programs, or leave "
            "--slurm out"
        )


def submit_run(store: RunStore, run_id: str, job: SlurmJob, *, restarts: int | None = None) -> Kept:
    """Write a run's batch script and submit it. Commits durably.

    Args:
        store: the store.
        run_id: a run that is new, paused, stopped, failed or interrupted.
        job: what it asks for.
        restarts: how often it is started again after a crash; None leaves what is left of what was asked for before.

    Raises:
        UsageError: the run can't be started, Slurm has it already, or it can't be submitted from here.
        TrainerError: sbatch refused; the run has failed then, and can be submitted again.
        StoreError: the script can't be written, or a trainer of this user could not write the run.
    """
    run = store.run(run_id)
    refuse_unstartable(store, run)
    refuse_waiting(store, run)
    left = run.restarts_left if restarts is None else restarts
    file = script_file(store.runs_path, run_id)
    text = script(job, name=run.name, folder=file.parent, runs=store.runs_path, run_id=run_id, is_supervised=bool(left))
    try:
        write_durably(file, text.encode())
        # What was asked for is asked for again by who mends what sbatch does not like.
        keep(store.runs_path, run_id, Kept(job="", cluster="", asked=job))
    except OSError as error:
        raise StoreError(f"{file} can't be written ({error.strerror}); free some space") from error
    # Before the job, which may begin at once and would find its own "started" overwritten.
    record(store, run, "handed to sbatch", restarts_left=left)
    try:
        answer = cluster.submit(job.directives(run.name, file.parent), file)
    except TrainerError as error:
        sentence = f"sbatch did not take {run.name}: {error}"
        store.lifecycle(run_id, "failed", sentence, level="error")
        raise type(error)(f"{sentence}; `simclr-tui resume {run_id} --slurm` tries again") from error
    kept = Kept(job=answer.job, cluster=answer.cluster, asked=job)
    if answer.said:
        store.event(run_id, "slurm", printable(f"sbatch said: {answer.said}"))
    store.event(run_id, "slurm", f"waits in Slurm's queue as job {kept.job}; `{kept.cancelling}` takes it out")
    try:
        keep(store.runs_path, run_id, kept)
    except OSError as error:
        words = f"{run.name} is job {kept.job} of Slurm, which can't be kept in its folder ({error.strerror})"
        raise StoreError(f"{words}; free some space, and take it out by `{kept.cancelling}`") from error
    return kept


def record(store: RunStore, run: Run, message: str, **columns: Any) -> None:
    """Note that Slurm has a run, and at which step it got it. Commits durably."""
    store.update_and_tell(
        run.id,
        SUBMITTED,
        message,
        step=store.last_step(run.id),
        lifecycle=SUBMITTED,
        lifecycle_at=time.time(),
        exit_code=None,
        **columns,
    )


def withdraw(store: RunStore, run: Run, lifecycle: str) -> str:
    """Take a run that no trainer has yet out of Slurm's queue; its job. Commits durably.

    Args:
        store: the store.
        run: one whose lifecycle is SUBMITTED.
        lifecycle: what it is then, `paused` or `stopped`.

    Raises:
        UsageError: there is no scancel here.
        TrainerError: it refused.
    """
    kept = kept_of(store.runs_path, run.id)
    if kept is None or not kept.job:
        raise UsageError(f"{run.name} waits in Slurm's queue, and its job is not known; `squeue --me` names it")
    try:
        cluster.cancel(kept.job, kept.cluster)
    except TrainerError as error:
        raise type(error)(f"{waiting_words(run, kept)}; {error}") from error
    store.lifecycle(run.id, lifecycle, f"taken out of Slurm's queue, where it was job {kept.job}")
    return kept.job


def refuse_waiting(store: RunStore, run: Run) -> None:
    """See that a run is not one that Slurm is going to start. Asks Slurm, if the run was ever submitted.

    Raises:
        UsageError: its job waits.
    """
    kept = kept_of(store.runs_path, run.id)
    if kept is None or not kept.job:
        return
    state = cluster.job_state(kept.job, kept.cluster)
    if state in _WAITING or (state and run.lifecycle == SUBMITTED):
        raise UsageError(waiting_words(run, kept))


def refuse_here(store: RunStore, run: Run) -> None:
    """See that a run of a cluster is not started on the machine from which its jobs are submitted.

    Whoever is within a job has a machine of the cluster, and starts it there.

    Raises:
        UsageError: it was submitted to Slurm, and can be again.
    """
    refuse_waiting(store, run)
    if asked_before(store, run) is not None:
        raise UsageError(
            f"{run.name} trains under Slurm; `simclr-tui resume {run.id} --slurm` submits it again as before, and "
            f"`python -m trainer.run --run {run.id}` starts it on this machine"
        )


def asked_before(store: RunStore, run: Run) -> SlurmJob | None:
    """What a run has asked of Slurm, where it is to go on by asking again; None where it is to go on here.

    Raises:
        UsageError: what is kept of it can't be read.
    """
    if _WITHIN_A_JOB in os.environ or not cluster.has_slurm():
        return None
    kept = kept_of(store.runs_path, run.id)
    return kept.asked if kept is not None else None


def waiting_words(run: Run, kept: Kept) -> str:
    """Where a run waits, and how it is taken from there."""
    return printable(f"{run.name} waits in Slurm's queue as job {kept.job}, and `{kept.cancelling}` takes it out")
