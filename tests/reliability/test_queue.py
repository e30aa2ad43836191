"""Runs that wait for a device take turns, with no daemon: real trainers on the CPU, and the lock of this test alone.

The negative control takes the lock's word for granted: the same two queued runs then train at once.
"""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.trainers import Trainer, newest_run, options, steps, until
from tests.trainer.test_device_lock import user
from trainer import queue
from trainer.errors import ExitCode
from trainer.state import run_state
from trainer.store import RunStore
from trainer.store.queue import queue_rows

SHORT = {"epochs": "1", "knn_every": "0", "validate_every": "0", "health_every": "0"}
BUSY = {**SHORT, "epochs": "5000", "checkpoint_seconds": "600"}
"""A run that does not end by itself."""


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of locks of this test alone."""
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "locks"))


def begin(runs: Path, store: RunStore, name: str, *, control: str = "", **changes: str) -> tuple[Trainer, str]:
    """A trainer that trains, and its run."""
    trainer = Trainer(runs, "--name", name, *options(**{**BUSY, **changes}), control=control)
    until(lambda: any(run.name == name and store.last_step(run.id) >= 1 for run in store.runs()))
    return trainer, store.find(name).id


def wait_in_line(runs: Path, store: RunStore, name: str, *, control: str = "", **changes: str) -> tuple[Trainer, str]:
    """A trainer that waits behind whoever trains, and its run."""
    log = runs.with_name(f"{name}.log")
    line = ["--queue", "--name", name, *options(**{**SHORT, **changes})]
    trainer = Trainer(runs, *line, control=control, log=log)
    until(lambda: any(run.name == name and run.lifecycle == "queued" for run in store.runs()))
    run_id = newest_run(runs)
    until(lambda: run_id in waiting(store))
    return trainer, run_id


def waiting(store: RunStore) -> list[str]:
    """Who is in line, in its order."""
    return [waiter.run.id for waiter in queue.line(store, store.runs_path)]


def pause(store: RunStore, run_id: str, trainer: Trainer) -> None:
    """End a run and see that it has."""
    store.request(run_id, "pause")
    assert trainer.wait() == ExitCode.TRY_AGAIN


def trained_between(store: RunStore, run_id: str) -> tuple[float, float]:
    """UTC seconds from when a run began to train until it had finished, by its events."""
    events = store.events(run_id=run_id)
    begun = next(event.at for event in events if event.kind in ("started", "resumed"))
    return begun, next(event.at for event in reversed(events) if event.kind == "finished")


@pytest.mark.timeout(300)
def test_queued_runs_go_one_after_the_other_in_the_order_of_the_line(runs: Path, store: RunStore) -> None:
    """Moved, held and released while they wait; each trains alone, and none before the device was free."""
    busy, busy_id = begin(runs, store, "busy")
    names = ("first", "second", "held")
    trainers = {name: wait_in_line(runs, store, name) for name in names}
    ids = {name: run_id for name, (_, run_id) in trainers.items()}
    assert waiting(store) == [ids[name] for name in names]
    assert {run_state(store.run(run_id), runs) for run_id in ids.values()} == {"queued"}
    assert queue.move(store, ids["second"], "up") == 1
    assert queue.move(store, ids["held"], "first") == 1
    queue.hold(store, ids["held"])
    assert waiting(store) == [ids[name] for name in ("held", "second", "first")]
    assert all(store.last_step(run_id) == 0 for run_id in ids.values())
    pause(store, busy_id, busy)
    for name in ("second", "first"):
        assert trainers[name][0].wait() == ExitCode.FINISHED, trainers[name][0].said()
    assert waiting(store) == [ids["held"]]
    assert store.last_step(ids["held"]) == 0
    queue.release(store, ids["held"])
    assert trainers["held"][0].wait() == ExitCode.FINISHED
    order = [trained_between(store, ids[name]) for name in ("second", "first", "held")]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(order))
    assert store.run(busy_id).lifecycle_at <= order[0][0]
    assert queue_rows(store) == []


def test_without_the_device_lock_two_queued_runs_would_train_at_once(runs: Path, store: RunStore) -> None:
    """The negative control."""
    busy, busy_id = begin(runs, store, "busy", control="device-lock-lost")
    trainer = Trainer(runs, "--queue", "--name", "eager", *options(**SHORT), control="device-lock-lost")
    assert trainer.wait() == ExitCode.FINISHED
    assert busy.process.is_alive()
    assert store.last_step(newest_run(runs)) == 8
    pause(store, busy_id, busy)


def test_a_killed_waiter_leaves_the_line_by_itself(runs: Path, store: RunStore) -> None:
    with user("cpu"):
        dead, dead_id = wait_in_line(runs, store, "dead")
        next_one, next_id = wait_in_line(runs, store, "next-one")
        assert waiting(store) == [dead_id, next_id]
        dead.kill()
        assert waiting(store) == [next_id]
        assert run_state(store.run(dead_id), runs) == "interrupted"
        until(lambda: [row.run_id for row in queue_rows(store)] == [next_id])
    assert next_one.wait() == ExitCode.FINISHED


@pytest.mark.parametrize(
    ("how", "code", "state", "keeps_its_place"),
    [
        ("pause", 75, "paused", False),
        ("stop", 0, "stopped", False),
        ("leave", 75, "paused", False),
        (signal.SIGTERM, 143, "interrupted", True),
        (signal.SIGINT, 130, "interrupted", True),
    ],
)
def test_a_waiting_run_ends_at_once_however_it_is_asked_to(
    runs: Path, store: RunStore, how: str | int, code: int, state: str, keeps_its_place: bool
) -> None:
    with user("cpu"):
        trainer, run_id = wait_in_line(runs, store, "patient")
        _, other_id = wait_in_line(runs, store, "other")
        if how == "leave":
            queue.leave(store, run_id)
        elif isinstance(how, str):
            store.request(run_id, how)
        else:
            os.kill(trainer.pid, how)
        assert trainer.wait() == code
        assert run_state(store.run(run_id), runs) == state
        assert waiting(store) == [other_id]
        Trainer(runs, "--run", run_id, "--queue")
        until(lambda: run_id in waiting(store))
        assert waiting(store) == ([run_id, other_id] if keeps_its_place else [other_id, run_id])


@pytest.mark.reliability
def test_a_run_that_is_launched_plainly_trains_beside_the_one_that_has_the_device(runs: Path, store: RunStore) -> None:
    busy, busy_id = begin(runs, store, "busy")
    _, waiter_id = wait_in_line(runs, store, "patient")
    plain = Trainer(runs, "--name", "plain", *options(**SHORT, device="next"))
    assert plain.wait() == ExitCode.FINISHED
    shared = [event.message for event in store.events(run_id=newest_run(runs)) if event.kind == "device-shared"]
    assert shared == [f"the CPU is shared: busy ({busy_id}) uses it too"]
    assert busy.process.is_alive()
    assert waiting(store) == [waiter_id]
    pause(store, busy_id, busy)


def test_a_benchmark_keeps_trainers_out_and_queued_ones_wait_for_its_end(runs: Path, store: RunStore) -> None:
    with user("cpu", "try_alone") as benchmark:
        plain = Trainer(runs, "--name", "plain", *options(**SHORT))
        assert plain.wait() == ExitCode.TRY_AGAIN
        assert f"--device: the CPU is held by a benchmark, process {benchmark.process.pid} of" in plain.said()
        assert "or add --queue" in plain.said()
        waiter, run_id = wait_in_line(runs, store, "patient")
        assert store.last_step(run_id) == 0
    assert waiter.wait() == ExitCode.FINISHED


@pytest.mark.reliability
def test_a_stopped_waiter_lets_others_pass_and_takes_its_turn_once_it_goes_on(runs: Path, store: RunStore) -> None:
    with user("cpu"):
        stopped, stopped_id = wait_in_line(runs, store, "stopped")
        passing, _ = wait_in_line(runs, store, "passing")
        os.kill(stopped.pid, signal.SIGSTOP)
    assert passing.wait() == ExitCode.FINISHED
    assert waiting(store) == [stopped_id]
    os.kill(stopped.pid, signal.SIGCONT)
    assert stopped.wait() == ExitCode.FINISHED


def test_a_folder_of_locks_that_cannot_be_made_is_a_warning_and_no_failure(
    runs: Path, store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "file"))
    for line in ([], ["--queue"]):
        assert Trainer(runs, *line, *options(**SHORT)).wait() == ExitCode.FINISHED
        events = [event for event in store.events(run_id=newest_run(runs)) if event.kind == "device-lock"]
        assert [event.level for event in events] == ["warning"]
        assert "so runs on one device don't wait for each other" in events[0].message
    assert queue_rows(store) == []


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_of_many_that_queue_at_once_each_trains_alone_and_none_is_lost(runs: Path, store: RunStore) -> None:
    """Twelve trainers race for one device, and every third is killed while it waits or trains."""
    trainers = [
        Trainer(runs, "--queue", "--name", f"racer-{n}", *options(**SHORT), log=runs.with_name(f"{n}.log"))
        for n in range(12)
    ]
    for number, trainer in enumerate(trainers):
        if number % 3 == 2:
            until(lambda name=f"racer-{number}": any(run.name == name for run in store.runs()))  # type: ignore[misc]
            trainer.kill()
    codes = [trainer.wait() for trainer in trainers]
    assert [code for number, code in enumerate(codes) if number % 3 != 2] == [0] * 8
    finished = [run.id for run in store.runs() if run.lifecycle == "finished"]
    assert len(finished) >= 8
    spans = sorted(trained_between(store, run_id) for run_id in finished)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert len({tuple(steps(runs, run_id)) for run_id in finished}) == 1
    assert queue.line(store, runs) == []


def test_a_waiting_trainer_has_not_imported_torch(runs: Path, store: RunStore) -> None:
    """A process of its own: those of the fork server have imported it before."""
    command = [sys.executable, "-m", "trainer.run", "--runs-dir", str(runs), "--queue", *options()]
    with user("cpu"):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: len(waiting(store)) == 1)
            assert "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text()
        finally:
            process.kill()
            process.wait()
    assert waiting(store) == []
