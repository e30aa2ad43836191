"""Whether a run can be given a trainer, on this machine or by a cluster."""

from trainer.errors import UsageError
from trainer.process import lock_holder, refuse_unwritable
from trainer.state import LIVE_STATES, RESUMABLE_STATES, run_state
from trainer.store.labels import refuse_trashed
from trainer.store.reader import StoreReader
from trainer.store.records import Run


def refuse_unstartable(store: StoreReader, run: Run) -> None:
    """See that a run is new, paused, stopped, failed or interrupted, and that a trainer of this user could write it.

    Raises:
        UsageError: it is alive, in line or finished, or in the trash.
        StoreError: its files are closed to this user.
    """
    refuse_trashed(store, run)
    state = run_state(run, store.runs_path)
    if state == "queued" and lock_holder(store.runs_path, run.id) is not None:
        raise UsageError(
            f"{run.name} waits in line already; `simclr-tui queue first {run.id}` moves it to the beginning, and "
            f"`simclr-tui queue leave {run.id}` lets it be resumed at once"
        )
    if state in LIVE_STATES:
        raise UsageError(f"{run.name} is {state} already; pause or stop it first")
    if state not in RESUMABLE_STATES:
        raise UsageError(f"{run.name} is {state}; there is nothing left to resume")
    refuse_unwritable(store.runs_path, run.id)
