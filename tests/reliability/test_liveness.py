"""Who watches a trainer never harms it, and sees soon that it is gone; of many trainers of a run one trains."""

import contextlib
import functools
import os
import pty
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.message import Message

from simclr_tui.feed import Feed
from simclr_tui.messages import Polled
from tests.reliability.trainers import Trainer, newest_run, options, run_to_end, until
from trainer import proc
from trainer.config import PretrainConfig
from trainer.process import lock_holder
from trainer.store import RunStore

_SEEN_SECONDS = 3.0
"""In which a trainer's death is on the screen; the feed looks twice a second."""

_COLUMNS, _LINES = "120", "40"


class Dashboard:
    """The real program on a terminal of its own."""

    def __init__(self, runs: Path) -> None:
        """Open it."""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS=_COLUMNS, LINES=_LINES)
            command = [sys.executable, "-m", "simclr_tui", "--runs-dir", str(runs)]
            os.execv(sys.executable, command)
        os.set_blocking(self.terminal, False)
        self.shown = b""

    def shows(self, text: str) -> bool:
        """Whether a text has been drawn by now."""
        with contextlib.suppress(OSError):
            while more := os.read(self.terminal, 65536):
                self.shown += more
        return text.encode() in self.shown

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self.terminal, key.encode())

    def die(self, how: str) -> None:
        """End it: by a signal, or by closing its terminal, as a connection that breaks does."""
        if how == "closed":
            os.close(self.terminal)
        else:
            os.kill(self.pid, signal.Signals[how])
        until(lambda: os.waitpid(self.pid, os.WNOHANG)[0] != 0)
        if how != "closed":
            os.close(self.terminal)


def launch_and_die(runs: Path, store: RunStore, how: str, pause_seconds: float) -> tuple[str, int]:
    """Launch a run from the dashboard, end that, and give the run and the process id of its trainer."""
    values = {"dataset": "shapes", "limit_per_class": 8, "image_size": 16, "backbone": "resnet-narrow"}
    config = PretrainConfig.from_values(values | {"batch_size": 10, "epochs": 2, "num_workers": 0, "threads": 1})
    run_id = store.create_run(kind="pretrain", name=f"watched-{how}", config=config.to_json())
    dashboard = Dashboard(runs)
    until(lambda: dashboard.shows(f"watched-{how}"))
    until(lambda: _pressed(dashboard, store, run_id), every=0.5)
    until(lambda: lock_holder(runs, run_id) is not None)
    pid = lock_holder(runs, run_id)
    assert pid is not None
    time.sleep(pause_seconds)
    dashboard.die(how)
    return run_id, pid


def _pressed(dashboard: Dashboard, store: RunStore, run_id: str) -> bool:
    """Ask for the run's start until it is taken up: a key that comes before the first poll has no run to start."""
    if store.run(run_id).lifecycle == "created":
        dashboard.press("r")
        dashboard.shows("")
        return False
    return True


def _is_gone(pid: int) -> bool:
    return proc.state(pid) in (None, "Z")


def test_a_trainer_goes_on_when_the_dashboard_that_launched_it_is_killed(runs: Path, store: RunStore) -> None:
    run_id, pid = launch_and_die(runs, store, "SIGKILL", 0.1)
    until(lambda: _is_gone(pid))
    assert store.run(run_id).lifecycle == "finished"


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_twenty_deaths_of_the_dashboard_end_no_trainer(runs: Path, store: RunStore) -> None:
    draw = random.Random(5)
    for number in range(20):
        how = ("SIGKILL", "SIGHUP", "closed", "SIGTERM")[number % 4]
        run_id, pid = launch_and_die(runs, store, how, draw.uniform(0.0, 0.5))
        time.sleep(0.5)
        assert lock_holder(runs, run_id) == pid, how
        os.kill(pid, signal.SIGKILL)
        until(functools.partial(_is_gone, pid))


def test_a_killed_trainer_is_seen_as_interrupted_within_three_seconds(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(epochs="500"))
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 1)
    posted: list[tuple[float, str]] = []

    def take(message: Message) -> None:
        if isinstance(message, Polled):
            posted.extend((time.monotonic(), row.state) for row in message.rows or ())

    feed = Feed(runs, take)
    thread = threading.Thread(target=feed.run)
    thread.start()
    try:
        until(lambda: bool(posted) and posted[-1][1] == "running")
        trainer.process.kill()
        killed_at = time.monotonic()
        until(lambda: posted[-1][1] == "interrupted")
    finally:
        feed.close()
        thread.join()
    seen_at = next(at for at, state in posted if state == "interrupted")
    assert seen_at - killed_at < _SEEN_SECONDS


_POLLERS = """
    import fcntl, os, signal, sys
    from pathlib import Path
    from trainer.errors import BusyError
    from trainer.paths import lock_file
    from trainer.process import RunLock
    from trainer.state import run_state
    from trainer.store.reader import StoreReader

    runs, run_id, count, probe = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]

    def as_the_dashboard_does(reader):
        run_state(reader.run(run_id), runs)

    def by_taking_the_lock(reader):
        with lock_file(runs, run_id).open("ab") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pass

    def poll():
        os.close(told)
        reader = StoreReader.open(runs)
        while True:
            globals()[probe](reader)
            if waiting:
                os.write(tell, b"x")
                waiting.clear()

    lock_file(runs, run_id).touch()
    told, tell = os.pipe()
    waiting = [True]
    pollers = []
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            poll()
        pollers.append(pid)
    begun = b""
    while len(begun) < 5:
        begun += os.read(told, 5)
    refused = 0
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                RunLock(runs, run_id)
            except BusyError:
                os._exit(75)
            os._exit(0)
        refused += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 75
    for pid in pollers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    print(refused)
"""


def refused(runs: Path, store: RunStore, count: int, probe: str) -> int:
    """How many of so many trainers, one after the other, could not take their lock while five dashboards polled."""
    run_id = store.create_run(kind="pretrain", name="polled", config="{}")
    store.lifecycle(run_id, "started", "started")
    command = [sys.executable, "-c", textwrap.dedent(_POLLERS), str(runs), run_id, str(count), probe]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout)


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.reliability)])
def test_five_dashboards_that_poll_refuse_no_trainer(runs: Path, store: RunStore, count: int) -> None:
    assert refused(runs, store, count, "as_the_dashboard_does") == 0


def test_a_reader_that_probes_by_taking_the_lock_does_refuse_trainers(runs: Path, store: RunStore) -> None:
    """The negative control."""
    assert refused(runs, store, 100, "by_taking_the_lock") > 0


def winners(runs: Path, store: RunStore, run_id: str, count: int, control: str = "") -> tuple[int, list[int]]:
    """How many of so many trainers that start at once take up a run, and all their exit codes."""
    trainers = [Trainer(runs, "--run", run_id, control=control) for _ in range(count)]
    codes: list[int] = []
    wait: list[Callable[[], int]] = [trainer.wait for trainer in trainers]
    threads = [threading.Thread(target=lambda one=one: codes.append(one())) for one in wait]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    begun = [event for event in store.events(run_id=run_id) if event.kind in ("started", "resumed")]
    return len(begun), codes


@pytest.mark.reliability
@pytest.mark.timeout(600)
def test_of_twenty_trainers_at_once_exactly_one_trains_in_each_of_twenty_rounds(runs: Path, store: RunStore) -> None:
    config = store.run(run_to_end(runs, *options(epochs="1"))).config
    for number in range(20):
        run_id = store.create_run(kind="pretrain", name=f"contested-{number}", config=config)
        count, codes = winners(runs, store, run_id, 20)
        assert count == 1
        assert set(codes) <= {0, 75}
        assert store.run(run_id).lifecycle == "finished"


@pytest.mark.reliability
def test_without_the_lock_more_than_one_trains(runs: Path, store: RunStore) -> None:
    """The negative control."""
    config = store.run(run_to_end(runs, *options(epochs="1"))).config
    run_id = store.create_run(kind="pretrain", name="contested", config=config)
    count, _ = winners(runs, store, run_id, 6, "no-lock")
    assert count > 1
