"""Locks, identities and detached trainers, with real processes."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import end_first_thread, trainer_of
from trainer.errors import BusyError, StoreError
from trainer.paths import log_file, run_dir
from trainer.process import (
    Identity,
    RunLock,
    identity,
    is_alive,
    launch,
    lock_holder,
    making_runs,
    start_ticks,
    wait_until_free,
)

RUN = "abcdefghij"


@pytest.fixture
def run_folder(runs: Path) -> Path:
    """The folder of a run."""
    run_dir(runs, RUN).mkdir(parents=True)
    return run_dir(runs, RUN)


@contextmanager
def holder(runs: Path, run_id: str = RUN, extra: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run's lock."""
    code = f"""
        import sys, time, os
        from pathlib import Path
        from trainer.process import RunLock
        lock = RunLock(Path({str(runs)!r}), {run_id!r})
        {extra}
        print("held", flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.usefixtures("run_folder")
def test_a_lock_names_its_holder_and_keeps_others_out(runs: Path) -> None:
    assert lock_holder(runs, RUN) is None
    with holder(runs) as process:
        assert lock_holder(runs, RUN) == process.pid
        with pytest.raises(BusyError, match="already has a trainer"):
            RunLock(runs, RUN)
        assert lock_holder(runs, RUN) == process.pid


@pytest.mark.usefixtures("run_folder")
def test_a_lock_is_free_at_once_after_kill_9(runs: Path) -> None:
    with holder(runs) as process:
        process.kill()
        assert wait_until_free(runs, RUN, seconds=1)
        RunLock(runs, RUN).release()


@pytest.mark.usefixtures("run_folder")
def test_a_forked_worker_that_lives_on_does_not_keep_the_lock(runs: Path) -> None:
    """With flock it would: the descriptor is inherited. POSIX locks are not."""
    with holder(runs, extra="pid = os.fork()\n        if pid == 0: time.sleep(20); os._exit(0)") as process:
        process.kill()
        assert wait_until_free(runs, RUN, seconds=1)


@pytest.mark.usefixtures("run_folder")
@pytest.mark.parametrize("is_supervised", [False, True])
def test_what_is_launched_has_a_session_of_its_own_and_no_terminal(runs: Path, is_supervised: bool) -> None:
    """Ctrl-C, and the hang-up of a terminal that closes, go to the processes of the terminal's session."""
    child = launch(runs, RUN, is_supervised=is_supervised)
    try:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
        assert Path(f"/proc/{child.pid}/fd/0").readlink() == Path("/dev/null")
        assert Path(f"/proc/{child.pid}/fd/1").readlink() == log_file(runs, RUN)
    finally:
        child.kill()
        child.wait()


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(runs: Path) -> None:
    with pytest.raises(StoreError, match=r"run\.lock cannot be written"):
        RunLock(runs, RUN)


def test_an_identity_is_of_one_process_only() -> None:
    me = identity()
    assert is_alive(me)
    assert not is_alive(Identity(host=me.host, boot_id=me.boot_id, pid=me.pid, start_ticks=me.start_ticks - 1))
    assert not is_alive(Identity(host="elsewhere", boot_id=me.boot_id, pid=me.pid, start_ticks=me.start_ticks))


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    deadline = time.monotonic() + 10
    while start_ticks(child.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert Path(f"/proc/{child.pid}").exists()
    assert start_ticks(child.pid) is None
    child.wait()


@pytest.mark.usefixtures("run_folder")
def test_a_process_is_alive_until_its_last_thread_has_ended_and_with_it_its_lock(runs: Path) -> None:
    with trainer_of(runs, RUN) as process:
        ticks = start_ticks(process.pid)
        end_first_thread(process)
        assert lock_holder(runs, RUN) == process.pid
        assert start_ticks(process.pid) == ticks is not None
        process.kill()
        while start_ticks(process.pid) is not None:
            pass
        assert lock_holder(runs, RUN) is None


def test_start_ticks_survive_a_name_with_spaces_and_brackets(tmp_path: Path) -> None:
    program = tmp_path / "a ) b (c"
    program.symlink_to(sys.executable)
    child = subprocess.Popen([program, "-c", "import time; time.sleep(30)"])
    ticks = start_ticks(child.pid)
    assert ticks is not None
    assert ticks >= (start_ticks(os.getpid()) or 0)
    child.kill()
    child.wait()


def test_a_folder_in_which_no_run_can_be_made_is_told_in_a_sentence(runs: Path) -> None:
    """As in another person's, where the lock can't be written; a folder in its place is refused by the same call."""
    (runs / "runs.lock").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"runs\.lock cannot be locked \(Is a directory\); check"), making_runs(runs):
        pass
    (runs / "runs.lock").rmdir()
    with pytest.raises(KeyError), making_runs(runs):  # what goes wrong inside is not taken for it
        raise KeyError
