"""Which ends of a trainer are crashes, and what the supervisor does about them and about signals.

The trainers are real processes that wait in line for a device that another process has, which needs no torch.
"""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import kill_all_of
from tests.trainer.test_device_lock import user
from trainer import supervise
from trainer.config import PretrainConfig
from trainer.errors import StoreError, StoreVersionError
from trainer.process import lock_holder
from trainer.start import new_pretrain_run, start_run
from trainer.state import run_state
from trainer.store import RunStore
from trainer.store.queue import queue_rows
from trainer.supervise import TRACEBACK_NOTE, delay_seconds, exit_code, is_crash

MENDABLE, BUG = "--dataset: the disk is full", f"ValueError: x; {TRACEBACK_NOTE}"
WAIT_SECONDS = 90


@pytest.fixture(autouse=True)
def own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of locks of this test alone."""
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "locks"))


@pytest.fixture
def run_id(store: RunStore) -> str:
    """A run on drawn shapes that was never started, and that may be started again three times."""
    made = new_pretrain_run(store, PretrainConfig(dataset="shapes", device="cpu"))
    store.update_run(made, restarts_left=3)
    return made


class Supervised:
    """A supervisor in a process of its own."""

    def __init__(self, runs: Path, run_id: str, *flags: str) -> None:
        """Start it."""
        self.runs, self.run_id = runs, run_id
        with runs.with_suffix(".log").open("ab") as log:
            words = supervise.command(runs, run_id, flags)
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def trainer(self, *, after: int | None = None) -> int:
        """Process id of its trainer, once it has the run's lock; another one than `after`."""
        found: list[int] = []

        def has_come() -> bool:
            holder = lock_holder(self.runs, self.run_id)
            found[:] = [holder] if holder not in (None, after) else []
            return bool(found)

        until(has_come)
        return found[0]


@pytest.fixture
def supervised(runs: Path, run_id: str) -> Iterator[Supervised]:
    """A supervisor whose trainer waits in line; nothing of it is left afterwards."""
    with user("cpu"):
        one = Supervised(runs, run_id, "--queue")
        yield one
        one.process.kill()
        one.process.wait()
        kill_all_of(runs)


def until(condition: object) -> None:
    """Wait for a condition."""
    assert callable(condition)
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_delays_double_up_to_a_minute() -> None:
    assert [delay_seconds(n) for n in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert delay_seconds(10**6) == 60


@pytest.mark.parametrize(
    ("code", "lifecycle", "message", "is_one"),
    [
        (0, "finished", "finished", False),
        (0, "stopped", "stopped", False),
        (2, "failed", "--epochs: 0 is out of bounds", False),
        (75, "paused", "paused", False),
        (75, "started", "started", False),
        (130, "interrupted", "ended by SIGINT", False),
        (143, "interrupted", "ended by SIGTERM", False),
        (-signal.SIGTERM, "launched", "launched", False),
        (-signal.SIGINT, "launched", "launched", False),
        (1, "failed", MENDABLE, False),
        (1, "failed", BUG, True),
        (1, "launched", "launched", True),
        (70, "failed", "hung", True),
        (-signal.SIGKILL, "started", "started", True),
        (-signal.SIGSEGV, "resumed", "resumed", True),
        (134, "started", "started", True),
    ],
)
def test_only_what_another_start_may_mend_is_a_crash(
    store: RunStore, run_id: str, code: int, lifecycle: str, message: str, is_one: bool
) -> None:
    store.lifecycle(run_id, lifecycle, message)
    run = store.run(run_id)
    assert is_crash(code, run, message) == is_one
    assert not is_crash(code, dataclasses.replace(run, pending_command="pause"), message)
    assert not is_crash(code, dataclasses.replace(run, pending_command="stop"), message)


def test_a_code_is_given_as_a_shell_gives_it() -> None:
    assert [exit_code(code) for code in (0, 2, 75, -9, -15)] == [0, 2, 75, 137, 143]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_supervisor_ends_the_trainer_and_is_no_crash(
    store: RunStore, supervised: Supervised, number: int, code: int
) -> None:
    supervised.trainer()
    until(lambda: store.run(supervised.run_id).lifecycle == "queued")
    supervised.process.send_signal(number)
    assert supervised.process.wait(WAIT_SECONDS) == code
    run = store.run(supervised.run_id)
    assert (run.lifecycle, run.exit_code, run.restarts_left) == ("interrupted", code, 3)


def test_the_trainer_outlives_its_supervisor(store: RunStore, runs: Path, supervised: Supervised) -> None:
    trainer = supervised.trainer()
    until(lambda: store.run(supervised.run_id).lifecycle == "queued")
    supervised.process.kill()
    supervised.process.wait()
    assert run_state(store.run(supervised.run_id), runs) == "queued"
    store.request(supervised.run_id, "pause")
    until(lambda: store.run(supervised.run_id).lifecycle == "paused")
    until(lambda: not Path(f"/proc/{trainer}").exists())


def test_a_terminal_that_interrupts_its_group_reaches_the_trainer_once(store: RunStore, supervised: Supervised) -> None:
    """The trainer has a group of its own; in the supervisor's it would get Ctrl-C twice, which means: leave at once."""
    trainer = supervised.trainer()
    assert os.getpgid(trainer) == trainer != os.getpgid(supervised.process.pid)
    assert os.getsid(trainer) == trainer


def test_a_killed_waiter_is_started_again_at_the_beginning_of_its_line(
    store: RunStore, runs: Path, supervised: Supervised
) -> None:
    trainer = supervised.trainer()
    until(lambda: [row.run_id for row in queue_rows(store)] == [supervised.run_id])
    behind_id = new_pretrain_run(store, PretrainConfig(dataset="shapes", device="cpu"))
    behind = start_run(store, behind_id, in_line=True)
    until(lambda: store.run(behind_id).lifecycle == "queued")
    os.kill(trainer, signal.SIGKILL)
    assert supervised.trainer(after=trainer) != trainer
    until(lambda: store.run(supervised.run_id).lifecycle == "queued")
    assert [row.run_id for row in queue_rows(store)] == [supervised.run_id, behind_id]
    behind.kill()
    behind.wait()
    run = store.run(supervised.run_id)
    assert run.restarts_left == 2
    again = [event for event in store.events(run_id=run.id) if event.kind == "launched"]
    assert [event.message for event in again] == [
        "trainer started again, since it was killed by SIGKILL; restarts left: 2"
    ]


def test_what_gets_nowhere_is_given_up_after_two_restarts(
    store: RunStore, runs: Path, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every trainer is killed before its first line: a module that each interpreter imports sees to it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'trainer.run' in sys.orig_argv:\n    os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    one = Supervised(runs, run_id)
    assert one.process.wait(WAIT_SECONDS) == 137
    run = store.run(run_id)
    assert (run.lifecycle, run.exit_code, run.restarts_left) == ("failed", 137, 1)
    events = store.events(run_id=run_id)
    assert len([event for event in events if event.kind == "launched"]) == 2
    assert events[-1].message == (
        "it was killed by SIGKILL, and 2 restarts in a row made no step of progress; its log says more, and resume "
        "tries again"
    )


def test_a_trainer_of_a_command_line_that_asks_for_restarts_becomes_its_own_supervisor(
    store: RunStore, runs: Path
) -> None:
    words = [sys.executable, "-m", "trainer.run", "--headless", "--runs-dir", str(runs), "--queue", "--restart", "2"]
    with user("cpu"):
        settings = ["--dataset", "shapes", "--device", "cpu", "--resume-or-start", "mine"]
        process = subprocess.Popen([*words, *settings], stdout=subprocess.PIPE, text=True)
        until(lambda: any(run.lifecycle == "queued" for run in store.runs()))
        run = store.find("mine")
        assert run.restarts_left == 2
        assert lock_holder(runs, run.id) not in (None, process.pid)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 143
    assert "waits for the CPU" in said
    assert store.run(run.id).lifecycle == "interrupted"


@pytest.mark.parametrize("left", [0, None])
def test_a_run_with_no_restart_left_stays_dead(
    store: RunStore, runs: Path, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int | None
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'trainer.run' in sys.orig_argv:\n    os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    store.update_run(run_id, restarts_left=left)
    assert Supervised(runs, run_id).process.wait(WAIT_SECONDS) == 137
    run = store.run(run_id)
    assert run.lifecycle == "failed"
    assert "it was killed by SIGKILL, and no restart is left" in store.events(run_id=run_id)[-1].message


def test_a_wrong_setting_is_not_tried_again(store: RunStore, runs: Path, run_id: str) -> None:
    store.update_run(run_id, config='{"epochs": 0}')
    assert Supervised(runs, run_id).process.wait(WAIT_SECONDS) == 2
    assert store.run(run_id).restarts_left == 3


def test_a_run_that_somebody_else_has_started_meanwhile_is_left_to_him(
    store: RunStore, runs: Path, supervised: Supervised
) -> None:
    trainer = supervised.trainer()
    until(lambda: store.run(supervised.run_id).lifecycle == "queued")
    supervised.process.send_signal(signal.SIGSTOP)
    os.kill(trainer, signal.SIGKILL)
    until(lambda: lock_holder(runs, supervised.run_id) is None)
    words = [sys.executable, "-m", "trainer.run", "--runs-dir", str(runs), "--run", supervised.run_id, "--queue"]
    other = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    supervised.trainer(after=trainer)
    supervised.process.send_signal(signal.SIGCONT)
    assert supervised.process.wait(WAIT_SECONDS) == 137
    assert lock_holder(runs, supervised.run_id) == other.pid
    other.kill()
    other.wait()


def test_a_store_that_can_not_be_used_for_a_while_is_asked_again_and_not_given_up(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervise, "RETRY_SECONDS", 0.2)
    runs.mkdir()
    one = supervise.Supervisor(runs, "0123456789", [])
    answers: list[int | StoreError] = [StoreError("the disk is full"), StoreError("the disk is full"), 7]

    def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, StoreError):
            raise answer
        return answer

    assert one._insist(ask) == 7
    assert capfd.readouterr().err.count("the disk is full; asked again") == 2
    answers[:] = [StoreVersionError("made by a newer version")]
    with pytest.raises(StoreVersionError):
        one._insist(ask)
    one._asked = signal.SIGTERM
    answers[:] = [7]
    assert one._insist(ask) is None
