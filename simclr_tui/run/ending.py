"""Waiting until a run that was asked to pause or stop has ended."""

import time

from trainer.errors import BusyError, TrainerError
from trainer.process import wait_until_free
from trainer.state import LIVE_STATES, run_state
from trainer.store.records import Run
from trainer.store.runs import RunStore

ENDED = {"pause": "paused", "stop": "stopped"}
"""The state that each verb ends in."""

NOT_ENDED = LIVE_STATES | {"queued"}
"""States that are waited through."""

_POLL_SECONDS = 0.2
_RELEASE_SECONDS = 15.0


def wait_until_ended(store: RunStore, run: Run, verb: str, command_id: int, timeout_seconds: float) -> str:
    """Wait until a run that was asked to pause or stop has ended; the state that it has ended in.

    Args:
        store: the store.
        run: the run.
        verb: what it was asked to do.
        command_id: of the command in the store.
        timeout_seconds: how long it may take.

    Raises:
        TrainerError: it refused, failed or died instead.
        BusyError: it has not ended in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while (state := run_state(store.run(run.id), store.runs_path)) in NOT_ENDED:
        outcome = store.command_outcome(command_id) or ""
        if outcome.startswith("refused"):
            raise TrainerError(f"{run.name} goes on, since it {outcome}; mend that and {verb} it again")
        if outcome == "outdated":
            raise TrainerError(
                f"{run.name} goes on, since a new trainer took it over and dropped what it was asked before; {verb} it "
                "again"
            )
        if time.monotonic() > deadline:
            raise BusyError(f"{run.name} is still {state} after {timeout_seconds:g} s; it ends once its step is done")
        time.sleep(_POLL_SECONDS)
    wait_until_free(store.runs_path, run.id, seconds=_RELEASE_SECONDS)
    if state in ("failed", "interrupted"):
        raise TrainerError(
            f"{run.name} is {state} instead of {ENDED[verb]}; `simclr-tui show {run.id}` says why, and "
            f"`simclr-tui resume {run.id}` goes on from its last checkpoint"
        )
    return state
