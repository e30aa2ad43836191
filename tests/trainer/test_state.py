"""The state that people see, from the last event and the lock."""

import dataclasses
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.processes import until
from tests.trainer.test_process import holder as hold
from trainer.process import identity
from trainer.pulse import PHASES
from trainer.state import STATES, run_state
from trainer.store import Run, RunStore

RUN = "abcdefghij"


@pytest.fixture
def run(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose id the lock holder of the process tests takes."""
    monkeypatch.setattr("trainer.store.runs.new_run_id", lambda: RUN)
    return store.run(store.create_run(kind="pretrain", name="a", config="{}"))


def started(store: RunStore, **columns: object) -> Run:
    """The run after its trainer has claimed it."""
    store.lifecycle(RUN, "started", "started", **{**identity().columns(), **columns})
    return store.run(RUN)


def test_a_run_that_was_only_made_is_queued(run: Run, runs: Path) -> None:
    assert run_state(run, runs) == "queued"


@pytest.mark.parametrize("kind", ["paused", "stopped", "finished", "failed", "interrupted"])
@pytest.mark.usefixtures("run")
def test_a_run_that_ended_says_how(store: RunStore, runs: Path, kind: str) -> None:
    store.lifecycle(RUN, kind, kind)
    assert run_state(store.run(RUN), runs) == kind
    assert kind in STATES


@pytest.mark.usefixtures("run")
def test_a_running_row_without_a_lock_is_interrupted(store: RunStore, runs: Path) -> None:
    assert run_state(started(store), runs) == "interrupted"


@pytest.mark.usefixtures("run")
def test_a_held_lock_is_starting_then_running_then_stalled(store: RunStore, runs: Path) -> None:
    row = started(store)
    with hold(runs):
        assert run_state(row, runs) == "starting"
        moved = dataclasses.replace(row, progress_at=row.lifecycle_at + 1, step=10, trained_seconds=1.0)
        assert run_state(moved, runs, now=row.lifecycle_at + 5) == "running"
        assert run_state(moved, runs, now=row.lifecycle_at + 32) == "stalled"
        slow = dataclasses.replace(moved, trained_seconds=100.0)
        assert run_state(slow, runs, now=row.lifecycle_at + 32) == "running"
        asked = dataclasses.replace(moved, pending_command="pause")
        assert run_state(asked, runs, now=row.lifecycle_at + 5) == "pausing"
        asked = dataclasses.replace(moved, pending_command="stop")
        assert run_state(asked, runs, now=row.lifecycle_at + 5) == "stopping"
    assert run_state(moved, runs) == "interrupted"


@pytest.mark.usefixtures("run")
def test_a_launched_trainer_is_starting_until_it_dies_or_takes_too_long(store: RunStore, runs: Path) -> None:
    store.lifecycle(RUN, "launched", "launched", **identity().columns())
    row = store.run(RUN)
    assert run_state(row, runs) == "starting"
    assert run_state(row, runs, now=row.lifecycle_at + 90) == "interrupted"
    dead = dataclasses.replace(row, start_ticks=1)
    assert run_state(dead, runs) == "interrupted"


@pytest.mark.usefixtures("run")
def test_a_run_on_another_machine_is_judged_by_its_heartbeat(store: RunStore, runs: Path) -> None:
    row = started(store, host="not-" + socket.gethostname(), alive_at=time.time())
    row = dataclasses.replace(row, progress_at=row.lifecycle_at + 1)
    assert run_state(row, runs) == "running"
    assert run_state(row, runs, now=time.time() + 31) == "interrupted"


@pytest.mark.usefixtures("run")
def test_a_run_just_resumed_on_another_machine_is_alive_before_its_first_heartbeat(store: RunStore, runs: Path) -> None:
    row = started(store, host="not-" + socket.gethostname(), alive_at=time.time() - 3600)
    assert run_state(row, runs) == "starting"
    assert run_state(row, runs, now=time.time() + 31) == "interrupted"


def moving(row: Run, **columns: object) -> Run:
    """The run once its trainer has made progress, one second after it was started."""
    values = {"progress_at": row.lifecycle_at + 1, "phase": "training", "step": 10, **columns}
    return dataclasses.replace(row, **values)  # type: ignore[arg-type]


@pytest.mark.usefixtures("run")
def test_a_run_is_stalled_after_ten_of_its_median_steps_but_never_before_thirty_seconds(
    store: RunStore, runs: Path
) -> None:
    row = started(store)
    with hold(runs):
        for step_seconds, allowed in ((0.02, 30), (2.9, 30), (12.0, 120)):
            slow = moving(row, step_seconds=step_seconds)
            assert run_state(slow, runs, now=row.lifecycle_at + allowed) == "running"
            assert run_state(slow, runs, now=row.lifecycle_at + allowed + 2) == "stalled"


@pytest.mark.usefixtures("run")
def test_a_benchmark_that_loads_for_its_next_turn_is_running(store: RunStore, runs: Path) -> None:
    row = moving(started(store), phase="loading")
    with hold(runs):
        now = row.lifecycle_at + 2
        assert run_state(dataclasses.replace(row, kind="benchmark", step=4), runs, now=now) == "running"
        assert run_state(dataclasses.replace(row, kind="benchmark", step=0), runs, now=now) == "starting", (
            "the first one"
        )
        assert run_state(dataclasses.replace(row, step=4), runs, now=now) == "starting", "a run that was resumed"


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.usefixtures("run")
def test_silence_stalls_every_phase_but_waiting_and_starting_has_the_most_time(
    store: RunStore, runs: Path, phase: str
) -> None:
    row = moving(started(store), phase=phase)
    allowed = {"waiting": None, "starting": 300}.get(phase, 30)
    with hold(runs):
        calm = "starting" if phase in ("starting", "loading") else "running"
        assert run_state(row, runs, now=row.lifecycle_at + (allowed or 10**6)) == calm
        if allowed:
            assert run_state(row, runs, now=row.lifecycle_at + allowed + 2) == "stalled"


@pytest.mark.usefixtures("run")
def test_a_stopped_process_is_stalled_at_once_and_runs_again_never_interrupted(store: RunStore, runs: Path) -> None:
    row = moving(started(store))
    now = row.lifecycle_at + 2
    with hold(runs) as process:
        assert run_state(row, runs, now=now) == "running"
        process.send_signal(signal.SIGSTOP)
        until(lambda: run_state(row, runs, now=now) == "stalled")
        process.send_signal(signal.SIGCONT)
        until(lambda: run_state(row, runs, now=now) == "running")
    store.lifecycle(RUN, "paused", "paused")
    assert run_state(store.run(RUN), runs) == "paused"


@pytest.mark.usefixtures("run")
def test_a_run_that_hangs_while_it_was_asked_to_pause_is_stalled(store: RunStore, runs: Path) -> None:
    row = moving(started(store), pending_command="pause")
    with hold(runs):
        assert run_state(row, runs, now=row.lifecycle_at + 20) == "pausing"
        assert run_state(row, runs, now=row.lifecycle_at + 40) == "stalled"
