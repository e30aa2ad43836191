"""A reader that is slow, or stopped, never delays the writer and never makes it fail."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.trainer.test_store import make_run, step_row
from trainer.errors import StoreError
from trainer.paths import store_file
from trainer.store import RunStore, StoreReader, connect

COMMITS = 200

_READER = """
import sys, time
from pathlib import Path
from trainer.store import StoreReader
reader = StoreReader.open(Path(sys.argv[1]))
if sys.argv[2] == "snapshot":
    reader.connection.execute("BEGIN")
cursor = reader.connection.execute("SELECT * FROM steps")
cursor.fetchone()
print("reading", flush=True)
time.sleep(600)
"""


@pytest.fixture
def run_id(store: RunStore) -> str:
    """A run with steps enough that a read of them has more than one row to fetch."""
    run_id = make_run(store)
    store.append(run_id, [step_row(step) for step in range(1, 1001)])
    return run_id


@contextmanager
def reader_process(runs: Path, how: str) -> Iterator[int]:
    """Another process that has read one row of many; its process id."""
    process = subprocess.Popen([sys.executable, "-c", _READER, runs, how], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def longest_wait(store: RunStore, run_id: str) -> float:
    """Seconds of the longest of some commits that log a step each."""
    longest, first = 0.0, store.last_step(run_id) + 1
    for step in range(first, first + COMMITS):
        begun_at = time.perf_counter()
        store.append(run_id, [step_row(step)])
        longest = max(longest, time.perf_counter() - begun_at)
    assert store.last_step(run_id) == first + COMMITS - 1
    return longest


def patient(store: RunStore, seconds: float) -> None:
    """Have a writer give up after so long."""
    store.connection.execute(f"PRAGMA busy_timeout = {1000 * seconds:.0f}")


@pytest.mark.parametrize("how", ["cursor", "snapshot"])
@pytest.mark.parametrize("stopped", [False, True], ids=["slow", "stopped"])
def test_a_reader_in_the_middle_of_a_read_delays_no_commit(
    store: RunStore, runs: Path, run_id: str, how: str, stopped: bool
) -> None:
    """The writer would fail at once if it had to wait for anything at all."""
    patient(store, 0)
    alone = longest_wait(store, run_id)
    with reader_process(runs, how) as reader:
        if stopped:
            os.kill(reader, signal.SIGSTOP)
        beside = longest_wait(store, run_id)
    print(f"longest commit: {1e3 * alone:.1f} ms alone, {1e3 * beside:.1f} ms beside the reader")
    assert beside < alone + 5.0


def test_a_stopped_reader_of_a_store_without_wal_holds_up_the_writer(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: with a rollback journal the same reader keeps every commit out until it goes."""
    monkeypatch.setattr(connect, "file_system_type", lambda _: "nfs")
    store = RunStore.open(runs)
    run_id = make_run(store)
    store.append(run_id, [step_row(step) for step in range(1, 1001)])
    patient(store, 1.0)
    with reader_process(runs, "snapshot") as reader:
        os.kill(reader, signal.SIGSTOP)
        begun_at = time.perf_counter()
        with pytest.raises(StoreError, match="database is locked"):
            store.append(run_id, [step_row(1001)])
        assert time.perf_counter() - begun_at >= 0.9
    store.append(run_id, [step_row(1001)])
    assert store.last_step(run_id) == 1001
    store.close()


def test_readers_that_come_and_go_are_answered_while_the_log_is_emptied(
    store: RunStore, runs: Path, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint after each commit, and a dashboard's short patience: neither fails the other."""
    monkeypatch.setattr("trainer.store.guard.CHECKPOINT_BYTES", 0)
    monkeypatch.setattr("trainer.store.guard.LOOK_COMMITS", 1)
    reader = StoreReader(connect.connect_reader(store_file(runs), timeout_seconds=0.25), runs)
    for step in range(1001, 1001 + COMMITS):
        store.append(run_id, [step_row(step)])
        assert reader.last_step(run_id) == step
    reader.close()


def test_a_writer_of_another_program_that_holds_the_store_is_waited_for(store: RunStore, runs: Path) -> None:
    """It knows nothing of the guard; SQLite's own lock and patience stand behind it."""
    run_id = make_run(store)
    other = sqlite3.connect(store_file(runs), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    patient(store, 0.2)
    with pytest.raises(StoreError, match="database is locked"):
        store.event(run_id, "test", "")
    other.execute("COMMIT")
    store.event(run_id, "test", "")
    other.close()
