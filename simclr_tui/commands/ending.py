"""`pause` and `stop`: ask a live run to end, and wait until it has."""

import argparse
import time
from pathlib import Path

from simclr_tui.commands.output import run_json, say, say_json
from simclr_tui.verbs import refusal
from trainer.errors import BusyError, ExitCode, TrainerError, UsageError
from trainer.process import wait_until_free
from trainer.state import LIVE_STATES, run_state
from trainer.store.records import Run
from trainer.store.runs import RunStore

_POLL_SECONDS = 0.2
_RELEASE_SECONDS = 15.0
_NOT_ENDED = LIVE_STATES | {"queued"}
_ENDED = {"pause": "paused", "stop": "stopped"}


def pause(options: argparse.Namespace, runs: Path) -> int:
    """Ask a run to pause; done when it has, or was paused already."""
    return _end("pause", options, runs)


def stop(options: argparse.Namespace, runs: Path) -> int:
    """Ask a run to stop; done when it has, or was stopped already."""
    return _end("stop", options, runs)


def _end(verb: str, options: argparse.Namespace, runs: Path) -> int:
    store = RunStore.open(runs)
    try:
        run = store.find(options.run)
        state = run_state(run, runs)
        if state != _ENDED[verb]:
            # A run that is pausing already is waited for, and may still be told to stop.
            is_ending, is_launched = state in ("pausing", "stopping"), run.lifecycle != "created"
            sentence = None if is_ending else refusal(verb, run.name, state, is_launched=is_launched, kind=run.kind)
            if sentence is not None:
                raise UsageError(sentence)
            command_id = store.request(run.id, verb)
            if not options.no_wait:
                state = wait_until_ended(store, run, verb, command_id, options.timeout)
        run = store.run(run.id)
        if options.json:
            say_json(run_json(run, run_state(run, runs)))
        elif options.no_wait and state in _NOT_ENDED:
            when = "leaves the line at once" if state == "queued" else "ends after its step and a checkpoint"
            say(f"{run.name} was asked to {verb}; it {when}")
        else:
            say(f"{run.name} is {state}")
        return ExitCode.FINISHED
    finally:
        store.close()


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
    while (state := run_state(store.run(run.id), store.runs_path)) in _NOT_ENDED:
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
            f"{run.name} is {state} instead of {_ENDED[verb]}; `simclr-tui show {run.id}` says why, and "
            f"`simclr-tui resume {run.id}` goes on from its last checkpoint"
        )
    return state
