"""A trainer, three dashboards and a benchmark on one store: nobody is ever told that it is locked."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.alone import alone, fork, wait
from tests.trainer.test_store import make_run, step_row
from trainer.errors import StoreError
from trainer.paths import store_file
from trainer.store import RunStore, StoreReader
from trainer.store import runs as runs_module
from trainer.store.guard import wal_file

LARGEST_LOG_BYTES = 64 * 2**20
_SAMPLE = {"source": "cpu", "gpu_util": 50.0, "cpu_percent": 50.0}


@contextmanager
def deferred(connection: sqlite3.Connection, **_: Any) -> Iterator[sqlite3.Connection]:
    """The negative control: a transaction that reads first, and takes the lock when it comes to write."""
    try:
        connection.execute("BEGIN")
        try:
            connection.execute("SELECT count(*) FROM runs").fetchone()
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise StoreError(f"the run store could not be written ({error})") from error


def train(runs: str, run_id: str, transactions: int, told: int) -> None:
    """What a trainer writes, as fast as it can; every transaction's time and the errors go to a pipe."""
    store = RunStore.open(Path(runs))
    seconds, errors = [], []
    for number in range(transactions):
        step = number // 3 + 1
        begun_at = time.perf_counter()
        try:
            match number % 3:
                case 0:
                    store.append(run_id, [step_row(step)])
                case 1:
                    store.beat(run_id, _SAMPLE)
                case 2:
                    store.event(run_id, "test", str(step), step=step)
        except StoreError as error:
            errors.append(str(error))
        seconds.append(time.perf_counter() - begun_at)
    store.close()
    seconds.sort()
    report = f"{len(errors)}\n{seconds[len(seconds) * 99 // 100]}\n{seconds[-1]}\n{errors[0] if errors else ''}\n"
    os.write(told, report.encode())


def benchmark(runs: str, run_id: str) -> None:
    """A second writer, until it is ended; an error ends it with status 1."""
    store = RunStore.open(Path(runs))
    going = True

    def stop(*_: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    count = 0
    while going:
        count += 1
        try:
            store.put_metrics(run_id, count, {"t_batch": 1.0})
        except StoreError:
            if vars(runs_module)["immediate"] is not deferred:
                raise
        time.sleep(0.002)
    store.close()


def poll(runs: str, run_id: str) -> None:
    """What a dashboard reads, oftener than it does; an error ends it with status 1."""
    reader = StoreReader.open(Path(runs))
    going = True

    def stop(*_: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    seen = 0
    while going:
        run = reader.runs()[-1]
        events = reader.events(after=seen, limit=200)
        seen = events[-1].id if events else seen
        reader.latest_device_sample()
        reader.series(run_id, "loss", first=1, last=max(run.step or 1, 1), columns=80)
        time.sleep(0.05)
    reader.close()


def load(runs: str, transactions: int, control: str) -> dict[str, Any]:
    """One trainer, three readers and a benchmark on a store until the trainer has done its transactions."""
    if control == "deferred":
        vars(runs_module).update(immediate=deferred)
    store = RunStore.open(Path(runs))
    run_id = make_run(store)
    store.close()
    heard, told = os.pipe()
    trainer = fork(train, runs, run_id, transactions, told)
    others = [fork(benchmark, runs, run_id), *(fork(poll, runs, run_id) for _ in range(3))]
    os.close(told)
    largest = 0
    log = wal_file(store_file(Path(runs)))
    while os.waitpid(trainer, os.WNOHANG) == (0, 0):
        largest = max(largest, log.stat().st_size if log.exists() else 0)
        time.sleep(0.02)
    count, p99, worst, first = os.read(heard, 4096).decode().split("\n")[:4]
    for child in others:
        os.kill(child, signal.SIGTERM)
    statuses = [wait(child) for child in others]
    reader = StoreReader.open(Path(runs))
    rows = [reader.last_step(run_id), len(reader.steps(run_id)), len(reader.events(limit=10**6))]
    reader.close()
    return {
        "errors": int(count),
        "first": first,
        "others": statuses,
        "rows": rows,
        "p99_seconds": float(p99),
        "worst_seconds": float(worst),
        "largest_log_bytes": largest,
    }


def prove(runs: Path, transactions: int, *, seconds: float) -> None:
    found = alone(load, str(runs), transactions, "", seconds=seconds)
    print(found)
    assert found["errors"] == 0, found["first"]
    assert found["others"] == [0, 0, 0, 0]
    steps = -(-transactions // 3)
    assert found["rows"] == [steps, steps, transactions // 3 + 1], "each row once, and the event of the run's making"
    assert found["largest_log_bytes"] <= LARGEST_LOG_BYTES
    assert found["worst_seconds"] < 20, "far below the 30 seconds after which a writer gives up"


def test_a_trainer_three_readers_and_a_benchmark_are_never_locked_out(runs: Path) -> None:
    prove(runs, 3_000, seconds=110)


def test_transactions_that_read_before_they_lock_are_locked_out_under_that_load(runs: Path) -> None:
    """The negative control; on a machine that runs one of them at a time it may take a few rounds."""
    rounds = (alone(load, str(runs), 1_500, "deferred") for _ in range(20))
    found = next(one for one in rounds if one["errors"] > 0)
    assert "database is locked" in found["first"]


@pytest.mark.reliability
@pytest.mark.timeout(600)
def test_a_hundred_thousand_transactions_are_never_locked_out(runs: Path) -> None:
    prove(runs, 100_000, seconds=590)
