"""Committed rows survive kill -9, each once."""

import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.alone import alone, fork
from tests.trainer.test_store import make_run, step_row
from trainer.paths import store_file
from trainer.store import RunStore

BATCH = 10


def write(runs: str, run_id: str, told: int, control: str) -> None:
    """Append steps for ever, and promise each batch when it is committed, or before as the negative control."""
    store = RunStore.open(Path(runs))
    step = store.last_step(run_id)
    os.write(told, b"ready\n")
    while True:
        rows = [step_row(step + k, float(step + k)) for k in range(1, BATCH + 1)]
        if control == "eager":
            os.write(told, b"%d\n" % (step + BATCH))
        store.append(run_id, rows)
        step += BATCH
        if control != "eager":
            os.write(told, b"%d\n" % step)


def kills(runs: str, count: int, control: str, seed: int) -> dict[str, Any]:
    """Kill a process that writes, over and over, and look each time for every row that it had promised."""
    folder = Path(runs)
    store = RunStore.open(folder)
    run_id = make_run(store)
    store.close()
    draw = random.Random(seed)
    promised, lost, wrong = 0, 0, 0
    for _ in range(count):
        heard, told = os.pipe()
        child = fork(write, runs, run_id, told, control)
        os.close(told)
        with os.fdopen(heard, "rb") as pipe:
            assert pipe.readline() == b"ready\n"
            time.sleep(draw.uniform(0.0, 0.05))
            os.kill(child, 9)
            os.waitpid(child, 0)
            whole = pipe.read().split(b"\n")[:-1]
        promised = max([promised, *map(int, whole)])
        rows, reached = rows_in(folder, run_id)
        lost += reached < promised
        wrong += rows != (reached, reached, reached * (reached + 1) / 2 if reached else None, reached)
        promised = reached
    with closing(sqlite3.connect(store_file(folder))) as connection:
        whole_file = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return {"rows": promised, "lost": lost, "wrong": wrong, "integrity": whole_file}


def rows_in(runs: Path, run_id: str) -> tuple[tuple[Any, ...], int]:
    """(rows, different steps, sum of losses, steps that their buckets counted) and the highest step of a run."""
    with closing(sqlite3.connect(store_file(runs))) as connection:
        row = connection.execute(
            "SELECT count(*), count(DISTINCT step), sum(loss), (SELECT coalesce(sum(count), 0) FROM buckets"
            " WHERE name = 'loss' AND size = 4096), coalesce(max(step), 0) FROM steps WHERE run_id = ?",
            (run_id,),
        ).fetchone()
    return tuple(row[:4]), row[4]


def prove(runs: Path, count: int, *, seconds: float = 110) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    found = alone(kills, str(runs), count, "", seed, seconds=seconds)
    print(found)
    assert found["rows"] > 0
    assert found == {"rows": found["rows"], "lost": 0, "wrong": 0, "integrity": "ok"}


def test_rows_that_were_committed_outlive_the_process(runs: Path) -> None:
    prove(runs, 12)


def test_rows_that_are_promised_before_they_are_committed_are_lost(runs: Path) -> None:
    """The negative control."""
    assert alone(kills, str(runs), 40, "eager", 0)["lost"] > 0


@pytest.mark.reliability
def test_rows_that_were_committed_outlive_a_hundred_processes(runs: Path) -> None:
    prove(runs, 100)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_rows_that_were_committed_outlive_five_hundred_processes(runs: Path) -> None:
    prove(runs, 500, seconds=890)
