"""`resume --all`: bring back every run that a reboot or a crash has interrupted."""

import socket
import time
from pathlib import Path

from simclr_tui.commands.output import say, say_json
from trainer.errors import ExitCode, TrainerError, UsageError
from trainer.paths import check_runs_dir, store_file
from trainer.people import was_run_by_me
from trainer.queue import set_aside
from trainer.start import start_run
from trainer.state import run_state
from trainer.store.labels import read_labels
from trainer.store.records import Run
from trainer.store.runs import RunStore

_BEGIN_SECONDS = 60.0
"""How long those in line wait for the others to take their devices first."""

_POLL_SECONDS = 0.2


def resume_all(runs: Path, *, as_json: bool) -> int:
    """Start each interrupted run, those in line last and in their order; 0 if all were started.

    Paused, stopped and failed runs ended on purpose or for a reason, and are resumed by name.
    """
    check_runs_dir(runs)
    outcomes: list[tuple[Run, str]] = []
    if store_file(runs).exists():
        store = RunStore.open(runs)
        try:
            outcomes = _resume(store, runs)
        finally:
            store.close()
    if as_json:
        say_json([{"id": run.id, "name": run.name, "started": not why, "reason": why} for run, why in outcomes])
    for run, why in outcomes if not as_json else []:
        say(f"{run.name} ({run.id}) was not started: {why}" if why else f"{run.name} ({run.id}) is starting")
    if not outcomes and not as_json:
        say(f"no run in {runs} was interrupted; there is nothing to resume")
    return ExitCode.FAILED if any(why for _, why in outcomes) else ExitCode.FINISHED


def _resume(store: RunStore, runs: Path) -> list[tuple[Run, str]]:
    """Every interrupted run of this user with why it could not be started, or ""; those in the trash stay there.

    Others who share the folder have a service of their own, which would start the same runs at the same time.
    """
    trashed = {run_id for run_id, labels in read_labels(store).items() if labels.trashed_at is not None}
    here = (run for run in store.runs() if run.id not in trashed)
    cut_off = (run for run in here if run_state(run, runs) == "interrupted")
    interrupted = sorted((run for run in cut_off if was_run_by_me(run)), key=lambda run: run.lifecycle_at)
    places = [run.id for run in set_aside(store, runs)]
    # A run whose row is lost was in line as well, behind those whose place is known.
    places += [run.id for run in interrupted if run.lifecycle == "queued" and run.id not in places]
    at_once = [run for run in interrupted if run.id not in places]
    in_line = sorted((run for run in interrupted if run.id in places), key=lambda run: places.index(run.id))
    outcomes = [(run, _start(store, run, in_line=False)) for run in at_once]
    if in_line:
        _wait_until_begun(store, runs, [run.id for run, why in outcomes if not why])
    return outcomes + [(run, _start(store, run, in_line=True)) for run in in_line]


def _start(store: RunStore, run: Run, *, in_line: bool) -> str:
    """Start a run; why that could not be done, or ""."""
    try:
        if run.host not in (None, socket.gethostname()):
            raise UsageError(f"its last trainer ran on {run.host}; resume it there, or by its name")
        start_run(store, run.id, in_line=in_line)
    except TrainerError as error:
        return str(error)
    return ""


def _wait_until_begun(store: RunStore, runs: Path, run_ids: list[str]) -> None:
    """Wait until the runs that had a device have it again, before those that wait for one look whether it is free."""
    deadline = time.monotonic() + _BEGIN_SECONDS
    while time.monotonic() < deadline and any(_is_coming(store.run(run_id), runs) for run_id in run_ids):
        time.sleep(_POLL_SECONDS)


def _is_coming(run: Run, runs: Path) -> bool:
    return run.lifecycle == "launched" and run_state(run, runs) == "starting"
