"""Giving a run the loader settings that a benchmark recommends, also one that is running: paused, changed, resumed."""

import subprocess

from simclr_tui.lab.bench import Bench
from simclr_tui.lab.offer import nothing_to_apply, offer, refuse_apply
from simclr_tui.run.ending import wait_until_ended
from simclr_tui.verbs import refusal
from trainer.drift import change_settings
from trainer.errors import TrainerError, UsageError
from trainer.slurm.submit import refuse_here
from trainer.start import start_run
from trainer.state import LIVE_STATES, run_state
from trainer.store.records import Run
from trainer.store.runs import RunStore

PAUSE_SECONDS = 600.0
"""How long a run that is asked to pause may take."""


def apply(
    store: RunStore, bench: Bench, run: Run, *, timeout_seconds: float = PAUSE_SECONDS
) -> tuple[str, subprocess.Popen[bytes]]:
    """Let a run go on with the settings that a benchmark recommends; a run that is alive is paused first. Commits.

    Only settings that can't change the result are applied: randomness is keyed, so the run stays on its trajectory.

    Args:
        store: the store.
        bench: the benchmark.
        run: the run.
        timeout_seconds: how long its pause may take.

    Returns:
        What was done, in a sentence, and the run's new trainer.

    Raises:
        UsageError: the run is finished, or trains nothing, or the benchmark recommends nothing that can be applied.
        ConfigError: the settings do not go together with the run's other ones.
        TrainerError: it did not pause; it goes on, or can be resumed, as it was.
    """
    state = run_state(run, store.runs_path)
    sentence = refuse_apply(run, state)
    if sentence is not None:
        raise UsageError(sentence)
    found = offer(bench, run)
    if not found.values:
        raise UsageError(nothing_to_apply(bench, run, found))
    refuse_here(store, run)  # before it is paused, since it could not be started again afterwards
    was_alive = state in LIVE_STATES
    in_line = state == "queued" and run.lifecycle == "queued"
    if was_alive or in_line:
        ended_in = wait_until_ended(store, run, "pause", store.request(run.id, "pause"), timeout_seconds)
        sentence = refusal("resume", run.name, ended_in)
        if sentence is not None:
            raise UsageError(f"{sentence} (it ended before it could be paused)")
    try:
        change_settings(store, store.run(run.id), found.values)
    except TrainerError:
        if was_alive or in_line:
            start_run(store, run.id, in_line=in_line)
        raise
    child = start_run(store, run.id, in_line=in_line)
    if in_line:
        how = "waits in its line again"
    elif was_alive:
        how = f"was paused after step {store.run(run.id).step or 0:,} and goes on"
    else:
        how = "starts" if run.lifecycle == "created" else f"was {state} and goes on"
    return f"{run.name} {how} with {found.changes}", child
