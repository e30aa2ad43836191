"""`pause` and `stop`: ask a live run to end, and wait until it has."""

import argparse
from pathlib import Path

from simclr_tui.commands.output import run_json, say, say_json
from simclr_tui.run.ending import ENDED, NOT_ENDED, wait_until_ended
from simclr_tui.verbs import refusal
from trainer.errors import ExitCode, UsageError
from trainer.people import refuse_anothers
from trainer.slurm.submit import withdraw
from trainer.state import run_state
from trainer.store.records import SUBMITTED
from trainer.store.runs import RunStore


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
        if state != ENDED[verb]:
            refuse_anothers(run, options.owner, or_runner=True)
            # A run that is pausing already is waited for, and may still be told to stop.
            is_ending, is_launched = state in ("pausing", "stopping"), run.lifecycle != "created"
            sentence = None if is_ending else refusal(verb, run.name, state, is_launched=is_launched, kind=run.kind)
            if sentence is not None:
                raise UsageError(sentence)
            if run.lifecycle == SUBMITTED:
                withdraw(store, run, ENDED[verb])
                state = ENDED[verb]
            else:
                command_id = store.request(run.id, verb)
                if not options.no_wait:
                    state = wait_until_ended(store, run, verb, command_id, options.timeout)
        run = store.run(run.id)
        if options.json:
            say_json(run_json(run, run_state(run, runs)))
        elif options.no_wait and state in NOT_ENDED:
            when = "leaves the line at once" if state == "queued" else "ends after its step and a checkpoint"
            say(f"{run.name} was asked to {verb}; it {when}")
        else:
            say(f"{run.name} is {state}")
        return ExitCode.FINISHED
    finally:
        store.close()
