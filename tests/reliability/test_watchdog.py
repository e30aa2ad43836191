"""A trainer that no longer gets on is named, ended with exit code 70 and gone on with; a slow or stopped one is not."""

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.reliability.hanging import HANG_AT
from tests.reliability.same import differing
from tests.reliability.trainers import Trainer, newest_run, options, run_to_end, until, workers
from trainer import proc
from trainer.paths import log_file
from trainer.process import lock_holder
from trainer.state import run_state
from trainer.store import RunStore

HANG_SECONDS = "4"
"""Long enough for the slowest step of a tiny run on a machine that does much else."""


def watchdog_of(pid: int) -> int | None:
    """The process id of a trainer's watchdog."""
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):  # one that was killed and is not yet waited for
            if "trainer.watchdog" in child.cmdline():
                return int(child.pid)
    return None


def begun(runs: Path, store: RunStore, steps: int = 1) -> str:
    """The id of the newest run once it has logged so many steps."""
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= steps)
    return newest_run(runs)


def said_of_the_hang(store: RunStore, run_id: str) -> list[tuple[str, str]]:
    """Level and message of what the watchdog told."""
    return [(event.level, event.message) for event in store.events(run_id=run_id) if event.kind == "hung"]


def is_gone(pid: int) -> bool:
    """Whether no process has that id, or only its zombie."""
    return proc.state(pid) in (None, "Z", "X")


def test_a_hung_step_is_named_and_ended_and_the_run_goes_on_exactly(
    runs: Path, store: RunStore, tmp_path: Path
) -> None:
    line = options(num_workers="2", hang_seconds=HANG_SECONDS)
    trainer = Trainer(runs, *line, control="hang")
    run_id = begun(runs, store)
    others = [*workers(trainer.pid), watchdog_of(trainer.pid)]
    assert trainer.wait() == 70
    run = store.run(run_id)
    assert (run.lifecycle, run.exit_code) == ("failed", 70)
    (warned, first), (level, message) = said_of_the_hang(store, run_id)
    assert (warned, level) == ("warning", "error")
    assert f"while training, after step {HANG_AT}" in first
    assert f"while training, after step {HANG_AT}" in message
    stacks = log_file(runs, run_id).read_text()
    assert str(log_file(runs, run_id)) in message
    assert "hanging.py" in stacks
    assert stacks.count("most recent call first") > 2
    assert len(others) == 3
    until(lambda: all(pid is None or is_gone(pid) for pid in others))
    assert lock_holder(runs, run_id) is None
    assert Trainer(runs, "--run", run_id).wait() == 0
    calm = tmp_path / "calm"
    assert differing((runs, run_id), (calm, run_to_end(calm, *line))) == []


@pytest.mark.reliability
def test_a_hang_that_holds_the_interpreter_is_ended_all_the_same(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(hang_seconds=HANG_SECONDS), control="hang-interpreter")
    run_id = begun_or_hung(runs, store)
    assert trainer.wait() == -signal.SIGKILL
    run = store.run(run_id)
    assert (run.lifecycle, run.exit_code) == ("failed", 70)
    assert "hanging.py" in log_file(runs, run_id).read_text()
    assert run_state(run, runs) == "failed"


def begun_or_hung(runs: Path, store: RunStore) -> str:
    """The id of the newest run once it has a trainer; its steps may hang before they are logged."""
    until(lambda: bool(store.runs()) and store.runs()[0].pid is not None)
    return newest_run(runs)


def test_a_slow_step_and_a_stopped_trainer_are_no_hang(runs: Path, store: RunStore) -> None:
    """The step takes most of the limit; then the process is stopped for longer than the limit."""
    trainer = Trainer(runs, *options(hang_seconds=HANG_SECONDS, epochs="500"), control="slow-step")
    run_id = begun(runs, store, HANG_AT + 2)
    os.kill(trainer.pid, signal.SIGSTOP)
    until(lambda: run_state(store.run(run_id), runs) == "stalled")
    stopped_at = time.monotonic()
    while time.monotonic() - stopped_at < 1.5 * float(HANG_SECONDS):
        assert run_state(store.run(run_id), runs) == "stalled"
        time.sleep(0.2)
    os.kill(trainer.pid, signal.SIGCONT)
    until(lambda: run_state(store.run(run_id), runs) == "running")
    os.kill(trainer.pid, signal.SIGTERM)
    assert trainer.wait() == 143
    assert [level for level, _ in said_of_the_hang(store, run_id)].count("error") == 0


@pytest.mark.reliability
def test_no_watchdog_outlives_its_trainer_and_a_lost_one_is_replaced(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(epochs="500"))
    begun(runs, store)
    until(lambda: watchdog_of(trainer.pid) is not None)
    first = watchdog_of(trainer.pid)
    assert first is not None
    assert {name for name in open_files(first) if "run.lock" in name or "pipe" not in name} <= {"/dev/null", PULSE}
    os.kill(first, signal.SIGKILL)
    until(lambda: watchdog_of(trainer.pid) not in (None, first))
    second = watchdog_of(trainer.pid)
    trainer.kill()
    assert second is not None
    until(lambda: is_gone(second), seconds=10)


PULSE = "/memfd:simclr-pulse (deleted)"


def open_files(pid: int) -> list[str]:
    """What the descriptors of a process point to."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        found.append(str(link.readlink()))
    return found


@pytest.mark.reliability
def test_workers_that_hang_are_ended_with_their_trainer(runs: Path, store: RunStore, tmp_path: Path) -> None:
    line = options(num_workers="2", hang_seconds=HANG_SECONDS, augment="torchvision")
    trainer = Trainer(runs, *line, control="hang-workers")
    run_id = begun_or_hung(runs, store)
    until(lambda: len(workers(trainer.pid)) == 2)
    stuck = workers(trainer.pid)
    assert trainer.wait() == 70
    until(lambda: all(is_gone(pid) for pid in stuck))
    assert "hanging.py" in log_file(runs, run_id).read_text()  # the workers' stacks
    assert Trainer(runs, "--run", run_id).wait() == 0
    calm = tmp_path / "calm"
    assert differing((runs, run_id), (calm, run_to_end(calm, *line))) == []


@pytest.mark.reliability
def test_a_hang_that_holds_the_store_is_recorded_once_the_trainer_is_gone(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(hang_seconds=HANG_SECONDS), control="hang-in-transaction")
    run_id = begun_or_hung(runs, store)
    assert trainer.wait() == 70
    until(lambda: store.run(run_id).lifecycle == "failed")
    assert store.run(run_id).exit_code == 70


@pytest.mark.reliability
def test_without_a_watchdog_a_hung_run_stays(runs: Path, store: RunStore) -> None:
    """The negative control: what the first test would see if nobody watched."""
    trainer = Trainer(runs, *options(hang_seconds="0"), control="hang")
    run_id = begun_or_hung(runs, store)
    time.sleep(3 * float(HANG_SECONDS))
    assert watchdog_of(trainer.pid) is None
    assert trainer.process.exitcode is None
    assert (store.run(run_id).lifecycle, said_of_the_hang(store, run_id)) == ("started", [])
    trainer.kill()
